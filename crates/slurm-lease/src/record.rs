//! The journal of a lease: what happened, in the past tense, one JSON object a line.
//!
//! Recovery replays these events through the same transitions that made them. A line that is torn
//! at the end of a journal was not yet acted upon and is passed over; anything else that can't be
//! read makes the journal unreadable, which is not the same as the lease being gone.

use camino::Utf8PathBuf;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::endpoint::{Endpoint, StopMarker};
use crate::evidence::{Observation, Sighting};
use crate::id::{ClusterName, JobName, JobRef, LeaseId, Nonce, StoreId, Uid};
use crate::job_state::JobState;
use crate::parse::sbatch::Submitted;
use crate::parse::scancel::Cancelled;

/// The version of the journal that this release writes, and the newest that it reads.
pub const VERSION: u32 = 1;

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The version of the journal's form.
    pub v: u32,
    /// When it was learnt.
    pub at: Timestamp,
    /// What was learnt.
    pub event: Event,
}

/// Who asked for the lease and what as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The client's id of the lease.
    pub lease: LeaseId,
    /// The client's short name for it.
    pub slug: String,
    /// The name of its jobs.
    pub name: JobName,
    /// The user whose jobs they are.
    pub uid: Uid,
    /// The state directory that the lease is kept in.
    pub store: StoreId,
    /// The cluster it was asked of, where that is not the configuration's own.
    pub cluster: Option<ClusterName>,
    /// What was asked of Slurm, in a few words.
    #[serde(default)]
    pub asked: String,
    /// How its endpoint is reached.
    pub access: Access,
}

/// How somebody reaches the endpoint of a lease.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Through which host, if not directly.
    pub login: Option<Login>,
    /// The private key, where it is not the one made for the lease.
    pub key: Option<Utf8PathBuf>,
    /// A command for ssh's `ProxyCommand`, with its placeholders still in it.
    pub proxy_command: Option<String>,
}

impl Access {
    /// Whether the endpoint is reached without another host or command in between.
    pub fn is_direct(&self) -> bool {
        self.login.is_none() && self.proxy_command.is_none()
    }
}

/// A login node that endpoints are reached through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// Its host name.
    pub host: String,
    /// The user there, where it is not the caller's own name.
    pub user: Option<String>,
}

/// Why a lease is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReleaseCause {
    /// Somebody asked for it.
    Asked,
    /// It did not become ready in time.
    TimedOut,
    /// The caller went away, or was told to stop, before the lease was handed out.
    Abandoned,
    /// It was submitted, but can't be served.
    Failed,
}

/// What was learnt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The lease was asked for.
    Opened(Opened),
    /// The end of the journal, or all of it, was found to be missing. Whatever stood there may
    /// have been a submission.
    TailLost,
    /// A submission is about to be made. On disk before sbatch is started.
    SubmissionIntended {
        /// What will identify its job.
        nonce: Nonce,
    },
    /// sbatch answered.
    SubmissionAnswered {
        /// Which submission.
        nonce: Nonce,
        /// With what outcome.
        outcome: Submitted,
    },
    /// The job of a submission whose answer is lost was found in the queue.
    Adopted {
        /// Which submission.
        nonce: Nonce,
        /// The job.
        job: JobRef,
        /// As it was seen.
        sighting: Sighting,
    },
    /// The queue was searched for a submission whose answer is lost, without finding it.
    SearchedClean {
        /// Which submission.
        nonce: Nonce,
    },
    /// The job was looked at.
    Observed(Observation),
    /// Accounting has a row of the job's current run that has ended.
    AccountedEnd {
        /// As what.
        state: JobState,
        /// When that run was submitted.
        submitted: Option<Timestamp>,
        /// When it ended.
        ended: Option<Timestamp>,
        /// Its exit status and the signal that ended it.
        exit: Option<(i32, i32)>,
    },
    /// The runner left its stop marker.
    StopMarked(StopMarker),
    /// The lease is to end. On disk before scancel is started.
    ReleaseWished {
        /// Why.
        cause: ReleaseCause,
    },
    /// scancel answered.
    CancelAnswered(Cancelled),
    /// The runner published where it listens.
    EndpointPublished(Endpoint),
    /// The endpoint was given to the client.
    HandedOut,
}

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
        source: serde_json::Error,
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

fn read_line(text: &[u8], line: usize) -> Result<Entry, JournalError> {
    /// Read first, since a newer version may hold events that this release can't.
    #[derive(Deserialize)]
    struct Versioned {
        v: u32,
    }
    let unreadable = |source| JournalError::Unreadable { line, source };
    let version = serde_json::from_slice::<Versioned>(text)
        .map_err(unreadable)?
        .v;
    if version > VERSION {
        return Err(JournalError::Newer { line, version });
    }
    serde_json::from_slice(text).map_err(unreadable)
}

impl Entry {
    /// An entry of this release's version.
    pub fn new(at: Timestamp, event: Event) -> Self {
        let v = VERSION;
        Self { v, at, event }
    }

    /// Its line, with the line break.
    ///
    /// # Errors
    /// When serde_json can't write it, which no value of this type makes happen.
    pub fn to_line(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(line)
    }
}
