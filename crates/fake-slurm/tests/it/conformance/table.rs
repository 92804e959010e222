//! The table of cases and generations. A run knows one generation, and writes one column.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fake_slurm::Generation;

use super::KNOWN;
use crate::docs;

const PART: &str = "live conformance";

/// Compares a generation's column with what the run came to, or writes it.
pub(super) fn compare(generation: Generation, outcomes: &[(String, &'static str)]) {
    let mut columns = read(&docs::part(PART));
    columns.insert(
        generation,
        outcomes
            .iter()
            .map(|(case, outcome)| (case.clone(), (*outcome).to_owned()))
            .collect(),
    );
    let cases: Vec<&str> = outcomes.iter().map(|(case, _)| case.as_str()).collect();
    docs::compare(PART, &written(&cases, &columns));
}

type Columns = BTreeMap<Generation, BTreeMap<String, String>>;

fn read(text: &str) -> Columns {
    let mut columns = Columns::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [case, outcomes @ ..] = cells.as_slice() else {
            continue;
        };
        if outcomes.len() == Generation::ALL.len() && case.contains('/') {
            for (generation, outcome) in Generation::ALL.into_iter().zip(outcomes) {
                let column = columns.entry(generation).or_default();
                column.insert((*case).to_owned(), (*outcome).to_owned());
            }
        }
    }
    columns
}

fn written(cases: &[&str], columns: &Columns) -> String {
    let cell = |generation: &Generation, case: &str| {
        let outcome = columns.get(generation).and_then(|column| column.get(case));
        outcome.map_or("not run", String::as_str).to_owned()
    };
    let count = |wanted: &str| -> usize {
        let outcomes = Generation::ALL
            .iter()
            .flat_map(|generation| cases.iter().map(|case| cell(generation, case)));
        outcomes.filter(|outcome| outcome == wanted).count()
    };
    let mut text = format!(
        "{} cases on four generations: {} answers agree, {} differ as listed below.\n\n\
         | case | 20.11 | 22.05 | 24.11 | 26.05 |\n|---|---|---|---|---|\n",
        cases.len(),
        count("agreed"),
        count("known"),
    );
    for case in cases {
        let cells = Generation::ALL.map(|generation| cell(&generation, case));
        writeln!(text, "| {case} | {} |", cells.join(" | ")).unwrap();
    }
    if !KNOWN.is_empty() {
        text += "\n| differs | in | because |\n|---|---|---|\n";
    }
    for (case, generations, _, reason) in KNOWN {
        writeln!(text, "| {case} | {} | {reason} |", docs::list(generations)).unwrap();
    }
    text
}
