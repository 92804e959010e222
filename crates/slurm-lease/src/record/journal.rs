//! Reading a journal, and what protects its lines.
//!
//! Each line carries the sum of everything up to itself, so that a line that was changed, lost or
//! written twice shows, and two journals are the same where they end in the same way.
//!
//! A line that is torn at the end of a journal was not yet acted upon and is passed over; anything
//! else that can't be read makes the journal unreadable, which is not the same as the lease being
//! gone.

use serde::Deserialize;
use thiserror::Error;

use super::{Entry, VERSION};

/// A journal that can't be replayed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JournalError {
    /// A line in the middle is not an entry.
    #[error("line {line} of the journal cannot be read: {source}")]
    Unreadable {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        source: LineError,
    },
    /// A newer release wrote it.
    #[error(
        "line {line} of the journal has version {version}, which is newer than this release reads"
    )]
    Newer {
        /// Counted from 1.
        line: usize,
        /// The version it has.
        version: u32,
    },
}

/// The entries of a journal, as far as it reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    /// The whole lines.
    pub entries: Vec<Entry>,
    /// Whether something follows them that is not a whole line.
    pub torn: bool,
    /// Where the whole lines end and the next entry belongs.
    pub tip: Tip,
}

/// The end of a journal. Two journals that end at the same tip hold the same lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    length: usize,
    sum: u64,
}

impl Default for Tip {
    /// That of an empty journal.
    fn default() -> Self {
        Self {
            length: 0,
            sum: EMPTY_SUM,
        }
    }
}

impl Tip {
    /// How many bytes come before it.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The line of this entry here, with its sum and the line break, behind which the tip moves.
    ///
    /// # Errors
    /// When serde_json can't write it, which no value of this type makes happen.
    pub fn append(&mut self, entry: &Entry) -> Result<Vec<u8>, serde_json::Error> {
        let object = serde_json::to_vec(entry)?;
        self.sum = checksum(self.sum, &object);
        let line = sealed(&object, self.sum);
        self.length += line.len();
        Ok(line)
    }
}

impl Journal {
    /// Reads a journal. What follows the last line break, or a last line that is not an entry, is
    /// torn: it was being written when something stopped, and nothing was done on the strength
    /// of it.
    ///
    /// # Errors
    /// When a line that others follow is not an entry, or has a newer version.
    pub fn parse(bytes: &[u8]) -> Result<Self, JournalError> {
        let mut journal = Self::default();
        let mut rest = bytes;
        let mut line = 0;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            line += 1;
            let (text, after) = (&rest[..end], &rest[end + 1..]);
            match read_line(text, line, journal.tip.sum) {
                Ok((entry, sum)) => {
                    journal.entries.push(entry);
                    journal.tip.sum = sum;
                }
                Err(JournalError::Unreadable { .. }) if is_blank(after) => break,
                Err(error) => return Err(error),
            }
            journal.tip.length += end + 1;
            rest = after;
        }
        journal.torn = !rest.is_empty();
        Ok(journal)
    }
}

/// Blocks that were allocated and never written read as zeros.
fn is_blank(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .all(|&byte| byte == 0 || byte.is_ascii_whitespace())
}

/// What a line that is not an entry is instead.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LineError {
    /// It has another form.
    #[error(transparent)]
    Form(#[from] serde_json::Error),
    /// It is not as it was written, or does not belong behind the line before it.
    #[error("its sum is wrong")]
    Sum,
}

/// The entry of a line, and the sum up to it; `before` is that of the lines before it.
fn read_line(text: &[u8], line: usize, before: u64) -> Result<(Entry, u64), JournalError> {
    /// Read first, since a newer version may hold events that this release can't.
    #[derive(Deserialize)]
    struct Versioned {
        v: u32,
    }
    let unreadable = |source: LineError| JournalError::Unreadable { line, source };
    let version = serde_json::from_slice::<Versioned>(text)
        .map_err(|error| unreadable(error.into()))?
        .v;
    if version > VERSION {
        return Err(JournalError::Newer { line, version });
    }
    let (object, sum) = unsealed(text, before).ok_or_else(|| unreadable(LineError::Sum))?;
    let entry = serde_json::from_slice(&object).map_err(|error| unreadable(error.into()))?;
    Ok((entry, sum))
}

const SUM_KEY: &[u8] = b",\"sum\":\"";
/// Sixteen digits and what closes the text and the object.
const SUM_LENGTH: usize = SUM_KEY.len() + 18;

/// The line of a JSON object: the object with the sum as one more member, and a line break.
fn sealed(object: &[u8], sum: u64) -> Vec<u8> {
    let members = object.strip_suffix(b"}").unwrap_or(object);
    let end = format!("{sum:016x}\"}}\n");
    [members, SUM_KEY, end.as_bytes()].concat()
}

/// The JSON object of a line without its line break, and the sum up to it, if that is right.
fn unsealed(line: &[u8], before: u64) -> Option<(Vec<u8>, u64)> {
    let (members, _) = line.split_at_checked(line.len().checked_sub(SUM_LENGTH)?)?;
    let object = [members, b"}"].concat();
    let sum = checksum(before, &object);
    (sealed(&object, sum).strip_suffix(b"\n")? == line).then_some((object, sum))
}

/// The sum of nothing: FNV-1a's offset basis.
const EMPTY_SUM: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, taken further. It is different for any two texts that differ in one byte: each step is
/// a bijection.
fn checksum(before: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(before, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
