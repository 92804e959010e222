//! What Slurm's commands say, one module each: bytes and exit status in, typed answer out.
//!
//! No parser fails and none guesses. What it does not recognise it hands on as [`Unavailable`],
//! as an unclear outcome, or as an unreadable row, and each of these leaves a lease as it was.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Exit};

pub mod sacct;
pub mod sbatch;
pub mod scancel;
pub mod scontrol;
pub mod squeue;
mod text;

/// Slurm gave no usable answer. It proves nothing about any job.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Unavailable {
    /// What kind of silence it is.
    pub cause: Cause,
    /// What the command said about it, shortened; may be empty.
    pub said: String,
}

/// Why there was no usable answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// No controller listens: `Unable to contact slurm controller (connect failure)`.
    Unreachable,
    /// A controller listens and does not answer: `Socket timed out on send/recv operation`.
    Hung,
    /// munge or another authentication failed: `Protocol authentication error`.
    Authentication,
    /// The configuration leads to another cluster than the lease's.
    OtherCluster,
    /// `No cluster 'x' known by database.`
    UnknownCluster,
    /// `Access/permission denied`
    Denied,
    /// Accounting is off: `Slurm accounting storage is disabled`.
    AccountingDisabled,
    /// We killed the command at its time limit.
    TimedOut,
    /// A signal killed the command.
    Killed,
    /// The command could not be started.
    NotStarted,
    /// It answered, but not in a form that we read.
    Unreadable,
    /// It showed a job that may be ours or not.
    Doubtful,
    /// It failed in another way.
    Other,
}

impl Unavailable {
    pub(crate) fn unreadable(said: impl AsRef<[u8]>) -> Self {
        Self {
            cause: Cause::Unreadable,
            said: text::shorten(said.as_ref()),
        }
    }

    /// Nothing was said in the time that there was.
    #[cfg(feature = "driver")]
    pub(crate) fn timed_out() -> Self {
        Self {
            cause: Cause::TimedOut,
            said: String::new(),
        }
    }

    pub(crate) fn doubtful(said: String) -> Self {
        Self {
            cause: Cause::Doubtful,
            said: text::shorten(said.as_bytes()),
        }
    }

    /// The cause in a few words, without what the command said.
    pub fn summary(&self) -> &'static str {
        match self.cause {
            Cause::Unreachable => "the Slurm controller is not reachable",
            Cause::Hung => "the Slurm controller does not answer",
            Cause::Authentication => "Slurm does not accept our authentication",
            Cause::OtherCluster => "Slurm's configuration leads to another cluster",
            Cause::UnknownCluster => "Slurm does not know the cluster",
            Cause::Denied => "Slurm denies access",
            Cause::AccountingDisabled => "Slurm's accounting is disabled",
            Cause::TimedOut => "Slurm did not answer in time",
            Cause::Killed => "the Slurm command was killed",
            Cause::NotStarted => "the Slurm command could not be started",
            Cause::Unreadable => "Slurm's answer could not be read",
            Cause::Doubtful => "whose a job is cannot be told",
            Cause::Other => "the Slurm command failed",
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.summary())?;
        if self.said.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.said)
        }
    }
}

impl std::error::Error for Unavailable {}

/// The messages by which Slurm's commands name a cause, as they end a line on stderr.
const CAUSES: [(&str, Cause); 12] = [
    (
        "Unable to contact slurm controller (connect failure)",
        Cause::Unreachable,
    ),
    ("Unable to contact slurm controller", Cause::Unreachable),
    ("Connection refused", Cause::Unreachable),
    ("Socket timed out on send/recv operation", Cause::Hung),
    ("Zero Bytes were transmitted or received", Cause::Hung),
    ("Unexpected message received", Cause::Hung),
    ("Protocol authentication error", Cause::Authentication),
    ("Invalid authentication credential", Cause::Authentication),
    ("Munge encode failed", Cause::Authentication),
    ("Access/permission denied", Cause::Denied),
    (
        "Slurm accounting storage is disabled",
        Cause::AccountingDisabled,
    ),
    ("known by database", Cause::UnknownCluster),
];

/// Why this answer, which its parser can't use, is none.
pub(crate) fn unavailable(answer: &Answer) -> Unavailable {
    let said = text::shorten(&answer.stderr);
    let cause = match &answer.exit {
        Exit::TimedOut => Cause::TimedOut,
        Exit::Signal(_) => Cause::Killed,
        Exit::NotStarted(why) => {
            return Unavailable {
                cause: Cause::NotStarted,
                said: why.clone(),
            };
        }
        Exit::Status(_) => CAUSES
            .iter()
            .find(|(words, _)| said.contains(words))
            .map_or(Cause::Other, |(_, cause)| *cause),
    };
    Unavailable { cause, said }
}
