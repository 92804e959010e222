//! The recordings of real Slurms in `fixtures/`.

use std::fs;
use std::path::{Path, PathBuf};

use slurm_lease::{Answer, Exit, Mark};

/// The generations that were recorded.
pub(crate) const GENERATIONS: [&str; 4] = ["20.11", "22.05", "24.11", "26.05"];

/// One recording.
pub(crate) struct Recording {
    pub(crate) case: String,
    pub(crate) answer: Answer,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// The mark that the recordings have in the place of a random one.
pub(crate) fn mark() -> Mark {
    Mark::from_bits(0)
}

/// The commands of which there are recordings, in the order of their names.
pub(crate) fn recorded_commands(generation: &str) -> Vec<String> {
    let entries = fs::read_dir(fixtures().join(generation)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// The recordings of one command, in the order of their names.
pub(crate) fn recordings(generation: &str, command: &str) -> Vec<Recording> {
    let directory = fixtures().join(generation).join(command);
    let mut cases: Vec<String> = fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".cmd").map(str::to_owned))
        .collect();
    cases.sort();
    assert!(!cases.is_empty(), "{}", directory.display());
    cases
        .into_iter()
        .map(|case| {
            let read = |kind: &str| fs::read(directory.join(format!("{case}.{kind}"))).unwrap();
            let status = String::from_utf8(read("status")).unwrap();
            let exit = match status.trim() {
                // timeout's, which is how a command that hung was ended.
                "124" => Exit::TimedOut,
                status => Exit::Status(status.parse().unwrap()),
            };
            let answer = Answer {
                exit,
                stdout: with_mark(&read("stdout")),
                stderr: read("stderr"),
            };
            Recording { case, answer }
        })
        .collect()
}

fn with_mark(stdout: &[u8]) -> Vec<u8> {
    let fixed: &[u8] = b"|~mark~|";
    let mut marked = Vec::new();
    let mut rest = stdout;
    while let Some(at) = rest.windows(fixed.len()).position(|window| window == fixed) {
        marked.extend_from_slice(&rest[..at]);
        marked.extend_from_slice(mark().as_str().as_bytes());
        rest = &rest[at + fixed.len()..];
    }
    marked.extend_from_slice(rest);
    marked
}

/// Whether a recording of squeue is of the form that the library asks for.
pub(crate) fn is_asked_for(case: &str) -> bool {
    let other = [".o", ".json", ".v", ".start", ".heading"];
    !other.iter().any(|end| case.ends_with(end))
}
