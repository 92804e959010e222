//! Every job state and flag that Slurm 20.11 to 26.05 prints, and what each means for a lease.
//!
//! The names are those of `job_state_string()` in Slurm's `src/common/slurm_protocol_defs.c`.
//! squeue prints the first flag that is set and hides the base state behind it; sacct knows the
//! base states and, of the flags, only REQUEUED, RESIZING and REVOKED.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A job's state in Slurm's own word. The set is open: what we never heard of is [`Other`].
///
/// [`Other`]: JobState::Other
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
#[non_exhaustive]
pub enum JobState {
    /// Waits in the queue, or is held there.
    Pending,
    /// Has an allocation and its script was started.
    Running,
    /// Has an allocation, but its processes were stopped by the scheduler.
    Suspended,
    /// Ended with exit status 0.
    Completed,
    /// Cancelled by its user or an administrator.
    Cancelled,
    /// Ended with a nonzero exit status or another failure.
    Failed,
    /// Ended at its time limit.
    Timeout,
    /// A node that it ran on failed.
    NodeFail,
    /// Ended to make place for another job.
    Preempted,
    /// Its node failed to boot.
    BootFail,
    /// Ended at its `--deadline`.
    Deadline,
    /// Ended for want of memory.
    OutOfMemory,
    /// Flag: processes or an epilog are still there. It can hide any base state, PENDING included.
    Completing,
    /// Flag: a burst buffer is being staged out.
    StageOut,
    /// Flag: has nodes that are not ready yet; no script runs.
    Configuring,
    /// Flag (25.11 and later): an expedited requeue waits for its place.
    Expediting,
    /// Flag: about to change its size.
    Resizing,
    /// Flag: was put back into the queue.
    Requeued,
    /// Flag (20.11 only): a cron job was put back into the queue.
    RequeuedCron,
    /// Flag: was put back into the queue by a federation.
    RequeueFed,
    /// Flag: was put back into the queue and is held there.
    RequeueHold,
    /// Flag: was put back into the queue and is held there, marked as special.
    SpecialExit,
    /// Flag: its processes were sent SIGSTOP; the allocation stays.
    Stopped,
    /// Flag: a federation runs a sibling of this job elsewhere.
    Revoked,
    /// Flag: held because its reservation was deleted.
    ResvDelHold,
    /// Flag: a signal is on its way to it.
    Signaling,
    /// A word that none of the known generations prints.
    Other(String),
}

/// What a state means for a lease. There is one map from [`JobState`] to this, and it is total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Meaning {
    /// In the queue, held or waiting; it may start at any time under this id.
    Queued,
    /// Has its nodes, but no script runs yet.
    Starting,
    /// Its script was started, and its processes exist.
    Live,
    /// Will not run its script again unless it is requeued, but processes, an epilog or a
    /// stage-out still do.
    Finishing,
    /// Slurm counts it as ended. Whether that is *over* depends on whether it can be requeued:
    /// see [`evidence`](crate::evidence).
    Finished,
    /// Not known. A lease is held as if its job were live.
    Unknown,
}

const WORDS: [(&str, &str, JobState); 26] = [
    ("PENDING", "PD", JobState::Pending),
    ("RUNNING", "R", JobState::Running),
    ("SUSPENDED", "S", JobState::Suspended),
    ("COMPLETED", "CD", JobState::Completed),
    ("CANCELLED", "CA", JobState::Cancelled),
    ("FAILED", "F", JobState::Failed),
    ("TIMEOUT", "TO", JobState::Timeout),
    ("NODE_FAIL", "NF", JobState::NodeFail),
    ("PREEMPTED", "PR", JobState::Preempted),
    ("BOOT_FAIL", "BF", JobState::BootFail),
    ("DEADLINE", "DL", JobState::Deadline),
    ("OUT_OF_MEMORY", "OOM", JobState::OutOfMemory),
    ("COMPLETING", "CG", JobState::Completing),
    ("STAGE_OUT", "SO", JobState::StageOut),
    ("CONFIGURING", "CF", JobState::Configuring),
    ("EXPEDITING", "EXPEDITING", JobState::Expediting),
    ("RESIZING", "RS", JobState::Resizing),
    ("REQUEUED", "RQ", JobState::Requeued),
    ("REQUEUED_CRON", "RC", JobState::RequeuedCron),
    ("REQUEUE_FED", "RF", JobState::RequeueFed),
    ("REQUEUE_HOLD", "RH", JobState::RequeueHold),
    ("SPECIAL_EXIT", "SE", JobState::SpecialExit),
    ("STOPPED", "ST", JobState::Stopped),
    ("REVOKED", "RV", JobState::Revoked),
    ("RESV_DEL_HOLD", "RD", JobState::ResvDelHold),
    ("SIGNALING", "SI", JobState::Signaling),
];

impl JobState {
    /// Every state that has a name of its own, in the order of Slurm's tables.
    pub fn known() -> impl Iterator<Item = JobState> {
        WORDS.iter().map(|(_, _, state)| state.clone())
    }

    /// The state that Slurm prints as this word, long or short. sacct's `CANCELLED by 1000` is
    /// CANCELLED; anything unknown, `?` and truncated words (`CANCELLED+`) included, is
    /// [`JobState::Other`].
    pub fn parse(word: &str) -> Self {
        let first = match word.split_once(' ') {
            Some((first, rest)) if rest.starts_with("by ") => first,
            _ => word,
        };
        WORDS
            .iter()
            .find(|(long, short, _)| first == *long || first == *short)
            .map_or_else(
                || Self::Other(word.to_owned()),
                |(_, _, state)| state.clone(),
            )
    }

    /// Slurm's long word for it.
    pub fn as_str(&self) -> &str {
        if let Self::Other(word) = self {
            return word;
        }
        WORDS
            .iter()
            .find(|(_, _, state)| state == self)
            .map_or("?", |(long, _, _)| long)
    }

    /// What it means for a lease.
    pub fn meaning(&self) -> Meaning {
        match self {
            Self::Pending
            | Self::Requeued
            | Self::RequeuedCron
            | Self::RequeueFed
            | Self::RequeueHold
            | Self::SpecialExit
            | Self::ResvDelHold
            | Self::Expediting => Meaning::Queued,
            Self::Configuring => Meaning::Starting,
            Self::Running | Self::Suspended | Self::Stopped | Self::Signaling | Self::Resizing => {
                Meaning::Live
            }
            Self::Completing | Self::StageOut => Meaning::Finishing,
            Self::Completed
            | Self::Cancelled
            | Self::Failed
            | Self::Timeout
            | Self::NodeFail
            | Self::Preempted
            | Self::BootFail
            | Self::Deadline
            | Self::OutOfMemory => Meaning::Finished,
            Self::Revoked | Self::Other(_) => Meaning::Unknown,
        }
    }
}

impl From<String> for JobState {
    fn from(word: String) -> Self {
        Self::parse(&word)
    }
}

impl From<JobState> for String {
    fn from(state: JobState) -> String {
        state.as_str().to_owned()
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_as_it_is_written() {
        for (long, short, state) in &WORDS {
            assert_eq!(&JobState::parse(long), state);
            assert_eq!(&JobState::parse(short), state);
            assert_eq!(state.as_str(), *long);
        }
    }

    #[test]
    fn only_accounting_may_say_by_whom() {
        assert_eq!(JobState::parse("CANCELLED by 1000"), JobState::Cancelled);
        for odd in [
            "CANCELLED+",
            "?",
            "",
            "cancelled",
            "CANCELLED by",
            "RUNNING 1",
        ] {
            let state = JobState::parse(odd);
            assert_eq!(state, JobState::Other(odd.to_owned()));
            assert_eq!(state.meaning(), Meaning::Unknown);
        }
    }

    #[test]
    fn the_classes_are_those_of_the_table() {
        let class = |wanted: Meaning| -> Vec<String> {
            JobState::known()
                .filter(|state| state.meaning() == wanted)
                .map(String::from)
                .collect()
        };
        insta::assert_snapshot!(class(Meaning::Finished).join(" "), @"COMPLETED CANCELLED FAILED TIMEOUT NODE_FAIL PREEMPTED BOOT_FAIL DEADLINE OUT_OF_MEMORY");
        insta::assert_snapshot!(class(Meaning::Finishing).join(" "), @"COMPLETING STAGE_OUT");
        insta::assert_snapshot!(class(Meaning::Live).join(" "), @"RUNNING SUSPENDED RESIZING STOPPED SIGNALING");
        insta::assert_snapshot!(class(Meaning::Starting).join(" "), @"CONFIGURING");
        insta::assert_snapshot!(class(Meaning::Queued).join(" "), @"PENDING EXPEDITING REQUEUED REQUEUED_CRON REQUEUE_FED REQUEUE_HOLD SPECIAL_EXIT RESV_DEL_HOLD");
        insta::assert_snapshot!(class(Meaning::Unknown).join(" "), @"REVOKED");
    }
}
