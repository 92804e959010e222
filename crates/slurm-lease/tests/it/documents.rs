//! The documents say what the code does: the parts of them that are marked as generated are made
//! here, of the code and of the recordings, and compared with what stands there.
//!
//! `UPDATE_DOCS=1 cargo test -p slurm-lease documents` writes them anew. The diagram of a lease is
//! drawn beside the machine, in `src/lease/diagram.rs`.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use slurm_lease::evidence::{GoneBecause, NeverBecause};
use slurm_lease::parse::sbatch::{MAY_BE_SENT, REFUSALS, USAGE_ERRORS};
use slurm_lease::{
    CANCEL_LIMIT, INTENTION_LIMIT, JobState, PASSED_THROUGH, PASSED_TO_SBATCH, PINNED,
    PINNED_FOR_QUERIES, Policy, QUERY_LIMIT, REFUSED_OPTIONS, SUBMIT_LIMIT,
};

/// How a transcript begins: a fence with the name of the recording behind it.
const TRANSCRIPT: &str = "```console fixtures/";
const FENCE: &str = "```\n";
const BEGIN: &str = "<!-- generated: ";
const END: &str = "<!-- end -->\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compares a document with itself made anew; how many parts of it are made here.
fn check(document: &str) -> usize {
    let path = root().join("docs").join(document);
    let old = fs::read_to_string(&path).unwrap();
    let (new, made) = made_anew(&old);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, new).unwrap();
    } else {
        assert!(
            old == new,
            "docs/{document} is old: run the test with UPDATE_DOCS=1\n{}",
            first_difference(&old, &new)
        );
    }
    made
}

fn first_difference(old: &str, new: &str) -> String {
    let pair = old.lines().zip(new.lines()).find(|(old, new)| old != new);
    pair.map_or_else(
        || "one is longer".to_owned(),
        |(old, new)| format!("there:  {old}\nshould: {new}"),
    )
}

/// The text with every generated part made anew.
fn made_anew(old: &str) -> (String, usize) {
    let mut new = String::new();
    let mut made = 0;
    let mut lines = old.split_inclusive('\n');
    while let Some(line) = lines.next() {
        new.push_str(line);
        let (part, end) = if let Some(case) = line.strip_prefix(TRANSCRIPT) {
            (transcript(case.trim_end()), FENCE)
        } else if let Some(rest) = line.strip_prefix(BEGIN) {
            let what = rest.trim_end().strip_suffix(" -->").unwrap();
            (format!("\n{}\n", generated(what)), END)
        } else {
            continue;
        };
        new.push_str(&part);
        assert!(lines.any(|line| line == end), "no end: {line}");
        new.push_str(end);
        made += 1;
    }
    (new, made)
}

/// A recording as a person would have seen it. The fields that are asked for are left out where
/// there are sixteen of them.
fn transcript(case: &str) -> String {
    let read = |kind: &str| {
        let path = root().join("fixtures").join(format!("{case}.{kind}"));
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let command = read("cmd");
    let command = command.lines().next().unwrap();
    let command = match command.split_once(" -O 'JobID:0") {
        Some((before, _)) => format!("{before} -O …"),
        None => command.to_owned(),
    };
    let mut text = format!("$ {command}\n");
    for said in [read("stdout"), read("stderr")] {
        text.push_str(&said);
        if !said.is_empty() && !said.ends_with('\n') {
            text.push('\n');
        }
    }
    writeln!(text, "[exit status {}]", read("status").trim()).unwrap();
    text
}

fn generated(what: &str) -> String {
    match what {
        "states" => states(),
        "gone" => reasons(
            GoneBecause::ALL
                .iter()
                .map(|how| (format!("{how:?}"), how.words())),
        ),
        "never" => reasons(
            NeverBecause::ALL
                .iter()
                .map(|how| (format!("{how:?}"), how.words())),
        ),
        "refusals" => list(REFUSALS.map(|words| format!("`{words}`"))),
        "usage errors" => list(USAGE_ERRORS.map(|words| format!("`{}`", words.trim_end()))),
        "may be sent" => list(MAY_BE_SENT.map(|words| format!("`{words}`"))),
        "passed through" => line(PASSED_THROUGH.map(str::to_owned)),
        "passed to sbatch" => line(PASSED_TO_SBATCH.map(str::to_owned)),
        "pinned" => line(PINNED.map(|(name, value)| format!("{name}={value}"))),
        "pinned for queries" => {
            line(PINNED_FOR_QUERIES.map(|(name, value)| format!("{name}={value}")))
        }
        "policy" => policy(),
        "limits" => limits(),
        "refused options" => refused_options(),
        other => panic!("nobody generates {other:?}"),
    }
}

fn states() -> String {
    let mut text = "| state | meaning |\n|---|---|\n".to_owned();
    let unheard = JobState::parse("anything else");
    for state in JobState::known() {
        writeln!(text, "| {state} | {:?} |", state.meaning()).unwrap();
    }
    write!(text, "| {unheard} | {:?} |", unheard.meaning()).unwrap();
    text
}

fn reasons(reasons: impl Iterator<Item = (String, &'static str)>) -> String {
    let mut text = "| proof | in words |\n|---|---|".to_owned();
    for (name, words) in reasons {
        write!(text, "\n| `{name}` | {words} |").unwrap();
    }
    text
}

fn refused_options() -> String {
    let mut text = "| option | refused, because |\n|---|---|".to_owned();
    for (option, letter, why) in REFUSED_OPTIONS {
        let letter = letter.map_or_else(String::new, |letter| format!(" `-{letter}`"));
        write!(text, "\n| `--{option}`{letter} | {why} |").unwrap();
    }
    text
}

fn list<const N: usize>(items: [String; N]) -> String {
    items.map(|item| format!("- {item}")).join("\n")
}

fn line<const N: usize>(items: [String; N]) -> String {
    items.map(|item| format!("`{item}`")).join(" ")
}

fn policy() -> String {
    let Policy {
        settle,
        watch_first,
        watch_most,
        chase_first,
        chase_most,
        cancel_again,
    } = Policy::default();
    times([
        ("settle", settle),
        ("watch_first", watch_first),
        ("watch_most", watch_most),
        ("chase_first", chase_first),
        ("chase_most", chase_most),
        ("cancel_again", cancel_again),
    ])
}

fn limits() -> String {
    times([
        ("QUERY_LIMIT", QUERY_LIMIT),
        ("CANCEL_LIMIT", CANCEL_LIMIT),
        ("SUBMIT_LIMIT", SUBMIT_LIMIT),
        ("INTENTION_LIMIT", INTENTION_LIMIT.unsigned_abs()),
    ])
}

fn times<const N: usize>(times: [(&str, Duration); N]) -> String {
    let mut text = "| name | seconds |\n|---|---|".to_owned();
    for (name, time) in times {
        write!(text, "\n| `{name}` | {} |", time.as_secs_f64()).unwrap();
    }
    text
}

#[test]
fn documents_say_what_the_code_does() {
    assert!(check("evidence.md") >= 25);
    assert!(check("site-guide.md") >= 4);
}

/// What is generated would be worth nothing if any text passed.
#[test]
fn a_document_that_disagrees_is_noticed() {
    let (text, made) = made_anew("a\n<!-- generated: pinned -->\nold\n<!-- end -->\nb\n");
    assert_eq!(made, 1);
    assert!(!text.contains("old") && text.contains("`LC_ALL=C`"));
    let forged = "```console fixtures/22.05/scancel/unknown\n$ scancel 17\n[exit status 1]\n```\n";
    let (text, _) = made_anew(forged);
    let recorded =
        "```console fixtures/22.05/scancel/unknown\n$ scancel 99999\n[exit status 0]\n```\n";
    assert_eq!(text, recorded);
}
