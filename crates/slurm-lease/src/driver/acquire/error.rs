//! What an acquire that fails says.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::driver::release::Unproven;
use crate::driver::status::Ended;
use crate::driver::store::StoreError;
use crate::id::{JobRef, LeaseId};
use crate::parse::Unavailable;
use crate::resources::ResourceError;

/// A lease that did not become ready.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AcquireError {
    /// What is asked for can't be asked of sbatch.
    #[error(transparent)]
    Resources(#[from] ResourceError),
    /// The state directory can't be used; nothing was submitted.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file that the lease needs can't be made; nothing was submitted.
    #[error("cannot prepare lease {lease}: {source}")]
    Prepare {
        /// The lease.
        lease: LeaseId,
        /// What failed.
        source: std::io::Error,
    },
    /// A lease of this id exists under another name.
    #[error("lease {lease} exists already as {slug} ({name}): an id can't be used for two")]
    Contradiction {
        /// The lease.
        lease: LeaseId,
        /// The slug it has.
        slug: String,
        /// The name it has.
        name: String,
    },
    /// Something that the job would need can't be used. Nothing was submitted.
    #[error("nothing was submitted: {}", faults.join("; "))]
    Unfit {
        /// What, one each.
        faults: Vec<String>,
    },
    /// Slurm refused the submission. There is no job.
    #[error("Slurm refused the job, so there is none: {said}")]
    Refused {
        /// In Slurm's words.
        said: String,
    },
    /// Slurm did not say what became of the submission, and no job came of it.
    #[error("no job came of the submission; sbatch said: {said}")]
    NoJob {
        /// In Slurm's words.
        said: String,
    },
    /// Slurm can't be asked. Nothing was submitted.
    #[error("nothing was submitted: {0}")]
    Unavailable(Unavailable),
    /// The configuration does not lead to the cluster that the lease is on.
    #[error("{why}; {left}")]
    Elsewhere {
        /// Where it leads.
        why: Unavailable,
        /// What became of the job.
        left: Left,
    },
    /// The job ended before its sshd answered.
    #[error("{0}")]
    Ended(Box<Ended>),
    /// The job did not become ready in time.
    #[error("{}", timed_out(lease, *limit, state, left))]
    TimedOut {
        /// The lease.
        lease: LeaseId,
        /// How long it was waited for.
        limit: Duration,
        /// What it was when the time was over.
        state: String,
        /// What became of the job.
        left: Left,
    },
    /// Another process released the lease.
    #[error("lease {0} was released while it was waited for")]
    Released(LeaseId),
    /// Somebody removed the record of the lease, which was not released.
    #[error("the record of lease {lease} was removed while it was waited for; {left}")]
    RecordRemoved {
        /// The lease.
        lease: LeaseId,
        /// What became of the job.
        left: Left,
    },
    /// A release of the lease of this id is not finished.
    #[error("the last lease of this id is still being released: {0}")]
    BeingReleased(Box<Unproven>),
    /// The caller went away or was told to stop.
    #[error("interrupted while waiting; {left}")]
    Interrupted {
        /// What became of the job.
        left: Left,
    },
}

/// What an acquire that came to nothing left of the job.
#[derive(Debug)]
#[non_exhaustive]
pub enum Left {
    /// There was none.
    Nothing,
    /// It was cancelled.
    Cancelled,
    /// It stays in the queue, as was asked for.
    Kept(JobRef),
    /// It stays until the grace is over, for the same lease to be asked for again.
    ForAWhile,
    /// It stays as it was: the lease was handed out before, so somebody may be using it.
    InUse,
    /// It stays as it is: another acquire waits for it.
    Awaited,
    /// What stood in the way of taking it back.
    Unproven(Box<Unproven>),
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "there is no job",
            Self::Cancelled => "the job was cancelled",
            Self::Kept(job) => return write!(f, "job {job} is kept"),
            Self::ForAWhile => {
                "the job is kept for a while, for the same lease to be asked for again"
            }
            Self::InUse => "the lease was handed out before, so its job is left as it is",
            Self::Awaited => "another process waits for this lease, so its job is left to that one",
            Self::Unproven(unproven) => return unproven.fmt(f),
        })
    }
}

fn timed_out(lease: &LeaseId, limit: Duration, state: &str, left: &Left) -> String {
    let seconds = limit.as_secs();
    let hint = match left {
        Left::Nothing => return format!("no job could be submitted within {seconds} s ({state})"),
        Left::Kept(_) => {
            format!(": ask for lease {lease} again to go on waiting, release it to end it")
        }
        _ => String::new(),
    };
    format!("the job was not ready after {seconds} s ({state}); {left}{hint}")
}
