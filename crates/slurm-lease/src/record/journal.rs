//! Reading a journal, and what protects its lines.
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
    /// The length of the whole lines, in bytes: where the next entry belongs.
    pub length: usize,
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
            match read_line(text, line) {
                Ok(entry) => journal.entries.push(entry),
                Err(JournalError::Unreadable { .. }) if is_blank(after) => break,
                Err(error) => return Err(error),
            }
            journal.length += end + 1;
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
    /// It is not as it was written.
    #[error("its sum is wrong")]
    Sum,
}

fn read_line(text: &[u8], line: usize) -> Result<Entry, JournalError> {
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
    let body = unsealed(text).ok_or_else(|| unreadable(LineError::Sum))?;
    serde_json::from_slice(&body).map_err(|error| unreadable(error.into()))
}

const SUM_KEY: &[u8] = b",\"sum\":\"";
/// Sixteen digits and what closes the text and the object.
const SUM_LENGTH: usize = SUM_KEY.len() + 18;

/// The line of a JSON object: the object with its sum as one more member, and a line break.
pub(super) fn sealed(mut object: Vec<u8>) -> Vec<u8> {
    let sum = checksum(&object);
    object.pop();
    object.extend_from_slice(SUM_KEY);
    object.extend_from_slice(format!("{sum:016x}\"}}\n").as_bytes());
    object
}

/// The JSON object of a line without its line break, if its sum is right.
fn unsealed(line: &[u8]) -> Option<Vec<u8>> {
    let (object, sum) = line.split_at_checked(line.len().checked_sub(SUM_LENGTH)?)?;
    let object = [object, b"}"].concat();
    let right = sealed(object.clone());
    (right.strip_suffix(b"\n")?.ends_with(sum)).then_some(object)
}

/// FNV-1a. It is different for any two lines that differ in one byte: each step is a bijection.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
