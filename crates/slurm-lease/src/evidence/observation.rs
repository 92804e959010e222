//! What one look at a job can show.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::identify::{Claim, Whose};
use crate::job_state::{JobState, Meaning};
use crate::parse::Unavailable;
use crate::parse::squeue::QueueRow;

/// What one look at a job showed. There is no Option and no bool for "is it there".
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[must_use = "what was seen must reach the evidence"]
pub enum Observation {
    /// A row that is ours.
    Seen(Sighting),
    /// An answer without a row of ours.
    NotVisible(NotVisible),
    /// No answer that says anything about it.
    Unknown(Unavailable),
}

/// How an answer lacked our job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotVisible {
    /// Asked for by itself, Slurm said `Invalid job id specified`.
    InvalidJobId,
    /// Asked for by itself, the number turned out to be another job's by now.
    IdReused,
    /// It was not among the rows of a query that many answers can be silent on.
    Unlisted,
}

impl NotVisible {
    /// Whether the controller spoke of this number and has no job of ours under it.
    pub(super) fn is_definite(self) -> bool {
        match self {
            Self::InvalidJobId | Self::IdReused => true,
            Self::Unlisted => false,
        }
    }
}

/// A job of ours as the controller showed it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sighting {
    /// Its state, or the flag that hides it.
    pub state: JobState,
    /// Why it waits, in Slurm's word.
    pub reason: String,
    /// How often it was put back into the queue.
    pub restarts: u32,
    /// Whether Slurm may put it back.
    pub requeueable: bool,
    /// When it was submitted or put back.
    pub submitted: Option<Timestamp>,
    /// When it started, or is expected to.
    pub started: Option<Timestamp>,
    /// When it ended, or will at its time limit.
    pub ends: Option<Timestamp>,
    /// The nodes it has.
    pub nodes: Option<String>,
    /// The partition it is in.
    pub partition: String,
    /// Its exit status and the signal that ended it, where it has ended.
    pub exit: Option<(i32, i32)>,
    /// Whether our comment was still on it.
    pub tagged: bool,
    /// Whether it starts where the jobs of its lease do.
    #[serde(default)]
    pub placed: bool,
}

impl Sighting {
    pub(super) fn of(claim: &Claim, row: &QueueRow, whose: Whose) -> Self {
        Self {
            state: row.state.clone(),
            reason: row.reason.clone(),
            restarts: row.restarts,
            requeueable: row.requeueable,
            submitted: row.submitted,
            started: row.started,
            ends: row.ends,
            nodes: row.nodes.clone(),
            partition: row.partition.clone(),
            exit: row.exit,
            tagged: whose == Whose::Ours,
            placed: claim.is_in_place(row),
        }
    }

    /// Whether the other sighting says the same of the job: estimates of times to come, which
    /// change with every look, aside.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        let timeless = |sighting: &Self| {
            let mut sighting = sighting.clone();
            if sighting.state.meaning() == Meaning::Queued {
                sighting.started = None;
                sighting.ends = None;
            }
            sighting
        };
        timeless(self) == timeless(other)
    }

    /// Whether the job has ended and nobody can bring it back.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state.meaning() == Meaning::Finished && !self.requeueable
    }
}
