//! The journal of a lease: what happened, in the past tense, one JSON object a line.
//!
//! Recovery replays these events through the same transitions that made them. Each line ends with
//! a sum over what stands before it, so that a flipped bit makes no other job number of ours.

use camino::Utf8PathBuf;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::endpoint::{Endpoint, StopMarker};
use crate::evidence::{Allocation, Observation, Sighting};
use crate::id::{ClusterName, JobName, JobRef, LeaseId, Nonce, StoreId, Uid};
use crate::job_state::JobState;
use crate::parse::sbatch::Submitted;
use crate::parse::scancel::Cancelled;

mod journal;

pub use journal::{Journal, JournalError, LineError, Tip};

/// The version of the journal that this release writes, and the newest that it reads.
pub const VERSION: u32 = 1;

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// The version of the journal's form.
    pub v: u32,
    /// When it was learnt.
    pub at: Timestamp,
    /// What was learnt.
    pub event: Event,
}

/// Who asked for the lease and what as.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Opened {
    /// The client's id of the lease.
    pub lease: LeaseId,
    /// The client's short name for it.
    pub slug: String,
    /// The name of its jobs; the lease's id where that is lost.
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
    /// Where its jobs start, and no other job of its name: a job is known by that which has lost
    /// its comment. `None` where that is not known, as of jobs that another program submitted.
    #[serde(default)]
    pub directory: Option<Utf8PathBuf>,
    /// How its endpoint is reached.
    pub access: Access,
}

/// How somebody reaches the endpoint of a lease.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Login {
    /// Its host name.
    pub host: String,
    /// The user there, where it is not the caller's own name.
    pub user: Option<String>,
}

/// Why a lease is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// Where a lease is that was not asked for on a cluster by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Home {
    /// The cluster of this `ClusterName`.
    Cluster(ClusterName),
    /// Wherever this way leads, of which nobody could tell the name: configuration and programs,
    /// as the driver sums them up.
    Way(String),
}

/// What was learnt.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The lease was asked for.
    Opened(Opened),
    /// The end of the journal, or all of it, was found to be missing. Whatever stood there may
    /// have been a submission.
    TailLost,
    /// Where the configuration led when the lease was looked for there. Where it leads to another
    /// cluster, nothing is learnt of the lease.
    Located(Home),
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
    /// A submission whose answer is lost was searched for in the queue, for long enough to know
    /// that nothing came of it.
    NotFound {
        /// Which submission.
        nonce: Nonce,
    },
    /// The job was looked at.
    Observed {
        /// Which job.
        of: Allocation,
        /// What was seen of it.
        observation: Observation,
    },
    /// Accounting has a row of the job's current run that has ended.
    AccountedEnd {
        /// Which job.
        of: Allocation,
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
    StopMarked {
        /// Which job.
        of: Allocation,
        /// What it says.
        marker: StopMarker,
    },
    /// The lease is to end. On disk before scancel is started.
    ReleaseWished {
        /// Why.
        cause: ReleaseCause,
    },
    /// scancel answered.
    CancelAnswered {
        /// Which job was to be cancelled.
        of: Allocation,
        /// What became of that.
        outcome: Cancelled,
    },
    /// The runner published where it listens.
    EndpointPublished {
        /// Which job's runner.
        of: Allocation,
        /// Where.
        endpoint: Endpoint,
    },
    /// The endpoint was given to the client.
    HandedOut {
        /// Which job's endpoint.
        of: Allocation,
    },
}

impl Event {
    /// Its name in the journal.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Opened(_) => "opened",
            Self::TailLost => "tail_lost",
            Self::Located(_) => "located",
            Self::SubmissionIntended { .. } => "submission_intended",
            Self::SubmissionAnswered { .. } => "submission_answered",
            Self::Adopted { .. } => "adopted",
            Self::NotFound { .. } => "not_found",
            Self::Observed { .. } => "observed",
            Self::AccountedEnd { .. } => "accounted_end",
            Self::StopMarked { .. } => "stop_marked",
            Self::ReleaseWished { .. } => "release_wished",
            Self::CancelAnswered { .. } => "cancel_answered",
            Self::EndpointPublished { .. } => "endpoint_published",
            Self::HandedOut { .. } => "handed_out",
        }
    }
}

impl Entry {
    /// An entry of this release's version.
    pub fn new(at: Timestamp, event: Event) -> Self {
        let v = VERSION;
        Self { v, at, event }
    }
}
