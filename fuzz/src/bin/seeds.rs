//! Writes what the fuzzer begins with: `seeds FIXTURES DIRECTORY` makes `DIRECTORY/<target>/` for
//! every target, from the recordings of real Slurm and from slurm-lease's strategies.

use std::fs;
use std::io;
use std::path::Path;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use slurm_lease::{Tip, strategies};
use slurm_lease_fuzz::{mark, unsealed};

/// Of targets without recordings.
const SEEDS: usize = 64;

/// Targets that begin with the recordings of a command.
const RECORDED: [(&str, &str); 6] = [
    ("sbatch", "sbatch"),
    ("squeue", "squeue"),
    ("sacct", "sacct"),
    ("scancel", "scancel"),
    ("scontrol", "scontrol"),
    ("ping", "scontrol"),
];

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [fixtures, seeds] = &arguments[..] else {
        return Err(io::Error::other("usage: seeds FIXTURES DIRECTORY"));
    };
    let (fixtures, seeds) = (Path::new(fixtures), Path::new(seeds));
    for (target, command) in RECORDED {
        let target = seeds.join(target);
        fs::create_dir_all(&target)?;
        for generation in fs::read_dir(fixtures)? {
            let recordings = generation?.path().join(command);
            if recordings.is_dir() {
                record(&recordings, &target)?;
            }
        }
    }
    let json = |value: serde_json::Result<Vec<u8>>| value.unwrap_or_default();
    make(seeds, "endpoint", strategies::endpoint(), |endpoint| {
        json(serde_json::to_vec(&endpoint))
    })?;
    make(seeds, "stop_marker", strategies::stop_marker(), |marker| {
        json(serde_json::to_vec(&marker))
    })?;
    make(seeds, "tag", strategies::tag(), |tag| {
        format!("site {tag};x").into_bytes()
    })?;
    make(seeds, "names", names(), String::into_bytes)?;
    make(seeds, "resources", options(), String::into_bytes)?;
    make(seeds, "script", script(), String::into_bytes)?;
    make(seeds, "journal", strategies::history(), |history| {
        unsealed(&strategies::render_journal(&history, &mut Tip::default()))
    })
}

/// One seed from every recording in a directory, in the form that `slurm_lease_fuzz::answer` reads.
fn record(recordings: &Path, target: &Path) -> io::Result<()> {
    let mark = mark();
    let generation = recordings
        .parent()
        .and_then(Path::file_name)
        .unwrap_or_default();
    for file in fs::read_dir(recordings)? {
        let path = file?.path();
        if path.extension().is_none_or(|kind| kind != "status") {
            continue;
        }
        let status = fs::read_to_string(&path)?;
        // timeout's status stands for a command that hung.
        let exit = match status.trim().parse().unwrap_or(1) {
            124 => 250,
            status => status,
        };
        let stderr = fs::read(path.with_extension("stderr"))?;
        let stdout = fs::read(path.with_extension("stdout"))?;
        let stdout = String::from_utf8_lossy(&stdout).replace("|~mark~|", mark.as_str());
        let seed = [&[exit], &stderr[..], &[0], stdout.as_bytes()].concat();
        let case = path.file_stem().unwrap_or_default();
        let name = format!("{}-{}", generation.display(), case.display());
        fs::write(target.join(name), seed)?;
    }
    Ok(())
}

fn make<T>(
    seeds: &Path,
    target: &str,
    strategy: impl Strategy<Value = T>,
    write: impl Fn(T) -> Vec<u8>,
) -> io::Result<()> {
    let target = seeds.join(target);
    fs::create_dir_all(&target)?;
    let mut runner = TestRunner::deterministic();
    for number in 0..SEEDS {
        let made = strategy
            .new_tree(&mut runner)
            .map_err(|why| io::Error::other(why.to_string()))?;
        fs::write(target.join(number.to_string()), write(made.current()))?;
    }
    Ok(())
}

fn names() -> impl Strategy<Value = String> {
    let ids = (
        strategies::lease_id(),
        strategies::job_ref(),
        strategies::nonce(),
    );
    (ids, strategies::job_name(), strategies::job_state(), 0..5).prop_map(
        |((lease, job, nonce), name, state, which)| match which {
            0 => lease.to_string(),
            1 => job.to_string(),
            2 => nonce.to_string(),
            3 => name.to_string(),
            _ => state.to_string(),
        },
    )
}

/// A batch script with lines for sbatch, harmless or not, before and behind its first command.
fn script() -> impl Strategy<Value = String> {
    let lines = "(#SBATCH (--array=1-3|-a 1|-N1|--comment=\"a b\"|hetjob)\n|# no more\n|\n){0,4}";
    (lines, "(exec sleep 1\n)?", lines)
        .prop_map(|(before, command, behind)| format!("#!/bin/sh\n{before}{command}{behind}"))
}

/// Ten values, as far as they are set, and further options.
fn options() -> impl Strategy<Value = String> {
    let values = "a\nbatch\nq\n2\n2G\n1-02:00:00\ngpu:1\n1-2\nc\nr\n";
    let extra = "(--exclusive\n|--mail-type\nEND\n|-w\nn1\n|--nice=5\n|-N1\n|--wckey=x\n){0,4}";
    extra.prop_map(move |extra| values.to_owned() + &extra)
}
