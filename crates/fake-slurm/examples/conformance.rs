//! Runs the catalogue in `conformance/` on a real cluster and on the fake of the same generation,
//! and compares the transcripts.
//!
//! `conformance GENERATION REAL-BIN-DIR REAL-SLURM-CONF`, as somebody who may submit there, suspend
//! and release: root. Exits with 1 if a transcript differs.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use fake_slurm::{ClusterConfig, Execution, FakeCluster, Generation};

const PRELUDE: &str = include_str!("../conformance/prelude.sh");
const SCRIPTS: [(&str, &str); 4] = [
    ("life", include_str!("../conformance/life.sh")),
    ("held", include_str!("../conformance/held.sh")),
    ("requeue", include_str!("../conformance/requeue.sh")),
    ("errors", include_str!("../conformance/errors.sh")),
];

/// Runs a script with these commands, and returns its transcript.
fn transcript(script: &str, bin: &str, conf: Option<&str>) -> io::Result<String> {
    let directory = std::env::temp_dir().join(format!("conformance-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("{PRELUDE}\n{script}"))
        .current_dir(&directory);
    shell
        .env_clear()
        .env("PATH", format!("{bin}:/usr/bin:/bin"))
        .env("HOME", &directory);
    shell.env("NAME", name());
    shell.envs(conf.map(|conf| ("SLURM_CONF", conf)));
    let output = shell.output()?;
    fs::remove_dir_all(&directory)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A job's name that nothing else on the cluster has.
fn name() -> String {
    format!("conformance-{}", std::process::id())
}

/// Takes out what two runs cannot have in common.
fn normalised(text: &str) -> Vec<String> {
    let mut jobs: Vec<String> = Vec::new();
    let mut lines = Vec::new();
    let mut submitting = false;
    for line in text.lines() {
        // The answer of sbatch gives the next job's number; each is called by its turn.
        if let Some(number) = line.strip_prefix("  out: ").filter(|_| submitting) {
            jobs.push(number.to_owned());
        }
        submitting = line.starts_with("$ sbatch");
        if line.starts_with("  status: ") {
            lines.push(line.to_owned());
            continue;
        }
        let words = line.split_inclusive([' ', '|', '=', ':', ',']).map(|word| {
            let end = word.trim_end_matches([' ', '|', '=', ':', ',']);
            let rest = &word[end.len()..];
            let job = jobs.iter().position(|job| job == end);
            match end {
                _ if job.is_some() => format!("JOB{}{rest}", job.unwrap_or(0)),
                _ if end.len() == 10 && end.parse::<u32>().is_ok() => format!("TIME{rest}"),
                "n1" | "n2" => format!("NODE{rest}"),
                _ => word.to_owned(),
            }
        });
        let line: String = words.collect();
        lines.push(without_luck(&line));
    }
    lines
}

/// Takes out what a real cluster answers now so and now so: the time left; the exit code that a
/// cancelled job shows before its last process has reported; when a job started that never did.
fn without_luck(line: &str) -> String {
    let mut fields: Vec<&str> = line.split("|~m~|").collect();
    if fields.len() == 17 && fields[13].contains(':') {
        fields[13] = "LEFT";
    }
    if fields.len() == 17 && fields[1] == "CANCELLED" {
        fields[11] = "CODE";
    }
    if fields.len() == 10 && fields[7] == "None assigned" && fields[1].starts_with("CANCELLED") {
        fields[3] = "START";
    }
    fields.join("|~m~|").replace("/usr/bin/", "")
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [generation, real, conf] = arguments.as_slice() else {
        return Err("usage: conformance GENERATION REAL-BIN-DIR REAL-SLURM-CONF".into());
    };
    let generation: Generation = generation.parse()?;
    let place = std::env::temp_dir().join(format!("conformance-fake-{}", std::process::id()));
    let config = ClusterConfig {
        generation,
        execution: Execution::Processes,
        // Numbers that mean nothing else in a transcript.
        first_job_id: 500_000,
        start_delay: Duration::from_millis(200),
        ..ClusterConfig::default()
    };
    let cluster = FakeCluster::with_config(&place, config)?;
    let bin = cluster.bin_dir();
    let mut output = io::stdout().lock();
    let mut differs = false;
    for (name, script) in SCRIPTS {
        let theirs = normalised(&transcript(script, real, Some(conf))?);
        let ours = normalised(&transcript(script, &bin.to_string_lossy(), None)?);
        let equal = theirs == ours;
        let answers = theirs.iter().filter(|line| line.starts_with('$')).count();
        let verdict = if equal { "agrees" } else { "differs" };
        writeln!(output, "{generation} {name}: {answers} commands, {verdict}")?;
        differs |= !equal;
        report(&mut output, &theirs, &ours)?;
    }
    cluster.stop()?;
    remove(&place)?;
    Ok(ExitCode::from(u8::from(differs)))
}

/// The commands that were answered otherwise.
fn report(output: &mut impl Write, theirs: &[String], ours: &[String]) -> io::Result<()> {
    let steps = |lines: &[String]| -> Vec<Vec<String>> {
        let mut steps: Vec<Vec<String>> = vec![Vec::new()];
        for line in lines {
            if line.starts_with('$') {
                steps.push(Vec::new());
            }
            steps
                .last_mut()
                .into_iter()
                .for_each(|step| step.push(line.clone()));
        }
        steps
    };
    for (their, our) in steps(theirs).into_iter().zip(steps(ours)) {
        if their != our {
            writeln!(
                output,
                "real:\n{}\nfake:\n{}\n",
                their.join("\n"),
                our.join("\n")
            )?;
        }
    }
    Ok(())
}

fn remove(place: &Path) -> io::Result<()> {
    fs::remove_dir_all(place)
}
