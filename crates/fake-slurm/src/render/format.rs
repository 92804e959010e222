//! squeue's two format languages: `-o '%.18i|%T'` and `-O 'JobID:0|,State:.12'`.

use super::constant_fields::{CONSTANT, has, is_not_played};
use super::fields::{FIELDS, Field};
use crate::generation::Generation;

/// One piece of an output line.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    /// Text as it stands.
    Literal(String),
    /// A field, how wide, and what follows it.
    Field(&'static Field, Width, String),
}

/// How wide a field is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Width {
    /// Characters, or zero for as many as there are.
    pub(crate) size: usize,
    /// Whether it is filled on the left.
    pub(crate) right: bool,
}

/// A format, and the complaints about it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Format {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) complaints: String,
}

/// A format, or what of it is not played.
type Read = Result<Format, String>;

impl Format {
    fn complain(&mut self, what: &str) {
        let line = format!("squeue: error: Invalid job format specification: {what}\n");
        self.complaints.push_str(&line);
    }

    /// A line: each field as `value` gives it.
    pub(crate) fn line(&self, value: impl Fn(&Field) -> String) -> String {
        let mut line = String::with_capacity(160);
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => line.push_str(text),
                Piece::Field(field, width, suffix) => {
                    fill(&mut line, &value(field), *width);
                    line.push_str(suffix);
                }
            }
        }
        line.push('\n');
        line
    }
}

/// Cuts and fills `text` to a width.
pub(crate) fn fit(text: &str, width: Width) -> String {
    let mut fitted = String::new();
    fill(&mut fitted, text, width);
    fitted
}

fn fill(line: &mut String, text: &str, width: Width) {
    match width.size {
        0 => line.push_str(text),
        size if width.right => *line += &format!("{text:>size$.size$}"),
        size => *line += &format!("{text:<size$.size$}"),
    }
}

/// Reads `-o`. As in squeue, the text is split at `%`, so `%%` is not an escape; a specifier that
/// does not exist is reported and printed as it stands.
///
/// # Errors
/// A specifier that no answer can be given for.
pub(crate) fn short(text: &str, generation: Generation) -> Read {
    let mut format = Format::default();
    let mut parts = text.split('%');
    if let Some(prefix) = parts.next().filter(|prefix| !prefix.is_empty()) {
        format.pieces.push(Piece::Literal(prefix.to_owned()));
    }
    for part in parts.filter(|part| !part.is_empty()) {
        let (right, rest) = match part.strip_prefix('.') {
            Some(rest) => (true, rest),
            None => (false, part),
        };
        let letters = rest.trim_start_matches(|character: char| character.is_ascii_digit());
        let size = rest[..rest.len() - letters.len()].parse().unwrap_or(0);
        let Some(letter) = letters.chars().next() else {
            // From 24.11 on squeue prints what it finds behind the text.
            if generation >= Generation::V24_11 {
                return Err(format!("the format %{part}"));
            }
            format.complain("");
            format.pieces.push(Piece::Literal(format!("%{part}")));
            continue;
        };
        // 26.05 shows the SLUID; every generation takes `all` for all fields.
        if letter == 's' && generation >= Generation::V26_05 || letters.starts_with("all") {
            return Err(format!("the format %{part}"));
        }
        match FIELDS
            .iter()
            .find(|field| field.letter == letter && letter != '\0' && has(generation, field.name))
        {
            Some(field) => {
                let suffix = letters[letter.len_utf8()..].to_owned();
                format
                    .pieces
                    .push(Piece::Field(field, Width { size, right }, suffix));
            }
            None => {
                format.complain(&letter.to_string());
                format.pieces.push(Piece::Literal(format!("%{part}")));
            }
        }
    }
    Ok(format)
}

/// Reads `-O`: `NAME[:[.]SIZE[SUFFIX]]`, separated by commas. A field is 20 wide unless it says
/// otherwise, and `:0` is as wide as its text. A name that does not exist is reported and left
/// out.
///
/// # Errors
/// A layout that no answer can be given for.
pub(crate) fn long(text: &str, generation: Generation) -> Read {
    let mut format = Format::default();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (name, layout) = part.split_once(':').unwrap_or((part, ""));
        let (right, rest) = match layout.strip_prefix('.') {
            Some(rest) => (true, rest),
            None => (false, layout),
        };
        if layout.starts_with('-') {
            return Err(format!("the format {part}"));
        }
        let suffix = rest.trim_start_matches(|character: char| character.is_ascii_digit());
        let digits = &rest[..rest.len() - suffix.len()];
        let size = digits
            .parse()
            .unwrap_or(if part.contains(':') { 0 } else { 20 });
        if is_not_played(name) {
            return Err(format!("the field {name}"));
        }
        let known = FIELDS.iter().chain(CONSTANT);
        let mut known = known.filter(|field| has(generation, field.name));
        match known.find(|field| field.name.eq_ignore_ascii_case(name)) {
            Some(field) => {
                let width = Width { size, right };
                format
                    .pieces
                    .push(Piece::Field(field, width, suffix.to_owned()));
            }
            None => format.complain(name),
        }
    }
    Ok(format)
}
