//! The log of calls: a line when a call begins and a line when it ends, so that one that was
//! killed stands there as well.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::call::{Call, Program};
use crate::moment::Moment;

/// A call as the log has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LoggedCall {
    /// Its place in the order of all calls, from 1.
    pub number: u64,
    /// Which command.
    pub program: Program,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The names of its environment's variables. Their values may be secret.
    pub variables: Vec<String>,
    /// Where it was called.
    pub directory: String,
    /// Its process id.
    pub process: u32,
    /// Who called.
    pub uid: u32,
    /// When it began, by the host's clock.
    pub began: Moment,
    /// Its exit status; none if it has not ended, or was killed.
    pub status: Option<u8>,
}

#[derive(Serialize, Deserialize)]
enum Line {
    Began(LoggedCall),
    Ended { number: u64, status: u8 },
}

pub(crate) fn began(path: &Path, call: &Call, number: u64, now: Moment) -> io::Result<()> {
    let variables = call
        .environment
        .iter()
        .map(|(name, _)| name.clone())
        .collect();
    append(
        path,
        &Line::Began(LoggedCall {
            number,
            program: call.program,
            arguments: call.arguments.clone(),
            variables,
            directory: call.directory.clone(),
            process: std::process::id(),
            uid: call.uid,
            began: now,
            status: None,
        }),
    )
}

pub(crate) fn ended(path: &Path, number: u64, status: u8) -> io::Result<()> {
    append(path, &Line::Ended { number, status })
}

fn append(path: &Path, line: &Line) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600);
    // One write to a file opened for appending: lines of several processes do not mix.
    options.open(path)?.write_all(&bytes)
}

/// All calls so far, in their order.
pub(crate) fn read(path: &Path) -> io::Result<Vec<LoggedCall>> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        other => other?,
    };
    let mut calls: Vec<LoggedCall> = Vec::new();
    for line in text.lines() {
        match serde_json::from_str(line)? {
            Line::Began(call) => calls.push(call),
            Line::Ended { number, status } => {
                let same = calls.iter_mut().rev().find(|call| call.number == number);
                same.into_iter().for_each(|call| call.status = Some(status));
            }
        }
    }
    Ok(calls)
}
