//! The names of all of sacct's fields, as `sacct --helpformat` of each generation lists them. In
//! their order, which tells what an abbreviation means.

use std::fmt::Write as _;

use crate::generation::Generation;

fn text(generation: Generation) -> &'static str {
    match generation {
        Generation::V20_11 => include_str!("helpformat/20.11.txt"),
        Generation::V22_05 => include_str!("helpformat/22.05.txt"),
        Generation::V24_11 => include_str!("helpformat/24.11.txt"),
        Generation::V26_05 => include_str!("helpformat/26.05.txt"),
    }
}

/// All names.
pub(super) fn of(generation: Generation) -> impl Iterator<Item = &'static str> {
    text(generation).split_whitespace()
}

/// What `sacct --helpformat` prints: four columns.
pub(super) fn table(generation: Generation) -> String {
    let mut table = String::new();
    for line in text(generation).lines() {
        let names: Vec<String> = line.split(' ').map(|name| format!("{name:<19}")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(table, "{}", names.join(" "));
    }
    table
}
