//! Conformance: each recorded command is put to a model that was brought into the same situation,
//! and must get the same answer. What differs and is known stands in `KNOWN` with its reason; the
//! table in docs/fake-slurm.md is written from the run.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use fake_slurm::{Generation, Program};

use crate::docs;
use crate::recording::{Recording, normalised, root, without_places};
use crate::situations::situations;
use crate::stage::{Setup, Stage};

/// Whether a known difference shows in every recording.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// It depends on when the real cluster was asked.
    Sometimes,
}

/// Differences that are known: which cases (with a star all that begin so), in which generations (none
/// is all), whether always, and why.
const KNOWN: &[(&str, &[Generation], When, &str)] = include!("known_differences.rs");

/// Recordings that are not compared, with a star all that begin so, and why.
const NOT_COMPARED: &[(&str, &str)] = include!("not_compared.rs");

/// What became of a case in a generation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Agreed,
    Known,
    Absent,
}

fn compare(generation: Generation, case: &str, setup: Setup) -> Result<Outcome, String> {
    let Some(recording) = Recording::read(generation, case) else {
        return Ok(Outcome::Absent);
    };
    let mut stage = Stage::new(generation, case, &recording);
    setup(&mut stage);
    let reply = stage.ask(&recording);
    let shown = |status: u8, stdout: &[u8], stderr: &[u8]| {
        let mut stdout = normalised(stdout);
        if case.ends_with("show-config") {
            stdout = without_places(&stdout);
        }
        format!("[{status}]\n{stdout}--\n{}", normalised(stderr))
    };
    let real = shown(recording.status, &recording.stdout, &recording.stderr)
        .replace("/usr/bin/", "")
        .replace("/var/cache/slurm-cluster/bullseye", "")
        .replace("/var/cache/slurm-cluster/trixie", "")
        .replace("/var/cache/slurm-cluster/sid", "");
    let fake = shown(reply.status, &reply.stdout_bytes(), &reply.stderr_bytes());
    let known = KNOWN.iter().find(|(name, generations, ..)| {
        let named = match name.strip_suffix('*') {
            Some(start) => case.starts_with(start),
            None => case == *name,
        };
        named && (generations.is_empty() || generations.contains(&generation))
    });
    match (real == fake, known) {
        (true, None) => Ok(Outcome::Agreed),
        (true, Some((_, _, When::Sometimes, _))) => Ok(Outcome::Agreed),
        (false, Some(_)) => Ok(Outcome::Known),
        (true, Some(_)) => Err(format!("{generation} {case}: is no difference any more\n")),
        (false, None) => Err(format!(
            "{generation} {case}:\nreal: {real}\nfake: {fake}\n"
        )),
    }
}

/// Every case: its name, and how to bring it about.
fn cases() -> Vec<(String, Setup)> {
    let mut cases = Vec::new();
    for (name, setup) in situations() {
        if name.contains('/') {
            cases.push((name.to_owned(), setup));
        } else {
            for case in [
                format!("squeue/{name}"),
                format!("squeue/{name}.o"),
                format!("sacct/{name}"),
            ] {
                cases.push((case, setup));
            }
        }
    }
    cases
}

#[test]
fn the_fake_answers_as_the_recordings() {
    let mut complaints = String::new();
    let mut table =
        String::from("| case | 20.11 | 22.05 | 24.11 | 26.05 |\n|---|---|---|---|---|\n");
    let mut counts = [0; 3];
    for (case, setup) in cases() {
        write!(table, "| {case} |").unwrap();
        for generation in Generation::ALL {
            let outcome = compare(generation, &case, setup).unwrap_or_else(|complaint| {
                complaints += &complaint;
                Outcome::Known
            });
            counts[outcome as usize] += 1;
            let cell = match outcome {
                Outcome::Agreed => "agreed",
                Outcome::Known => "known",
                Outcome::Absent => "–",
            };
            write!(table, " {cell} |").unwrap();
        }
        table += "\n";
    }
    assert!(complaints.is_empty(), "{complaints}");
    let [agreed, known, _] = counts;
    let mut text = format!("{agreed} answers agree, {known} differ as listed below.\n\n{table}\n");
    text += "| differs | in | because |\n|---|---|---|\n";
    for (case, generations, _, reason) in KNOWN {
        writeln!(text, "| {case} | {} | {reason} |", docs::list(generations)).unwrap();
    }
    docs::compare("recordings", &text);
}

#[test]
fn every_recording_is_compared_or_named() {
    let compared: BTreeSet<String> = cases().into_iter().map(|(case, _)| case).collect();
    let is_named = |case: &str| {
        NOT_COMPARED
            .iter()
            .any(|(name, _)| match name.split_once('*') {
                Some((start, end)) => case.starts_with(start) && case.ends_with(end),
                None => case == *name,
            })
    };
    let mut forgotten = BTreeSet::new();
    for generation in Generation::ALL {
        for program in Program::ALL {
            let directory = root().join(generation.series()).join(program.name());
            for entry in std::fs::read_dir(directory).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                let Some(name) = name.strip_suffix(".cmd") else {
                    continue;
                };
                let case = format!("{}/{name}", program.name());
                if !compared.contains(&case) && !is_named(&case) {
                    forgotten.insert(case);
                }
            }
        }
    }
    assert!(forgotten.is_empty(), "{forgotten:#?}");
}
