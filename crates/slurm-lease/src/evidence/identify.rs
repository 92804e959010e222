//! Whose a row of the queue is.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::id::{JobName, JobRef, Nonce, Tag, Uid};
use crate::parse::squeue::QueueRow;

/// How far a controller's clock may be off from ours when a submission is dated, in seconds.
/// munge refuses credentials that are older than five minutes, so clocks agree at least so far.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(300);

/// A job as the submission that made it. A number alone can come back as another job's, to the
/// same lease even; what was learnt of one allocation is never applied to the next.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Allocation {
    /// Its number.
    pub job: JobRef,
    /// The submission that made it; zeros where its comment does not say.
    pub nonce: Nonce,
}

/// What a job of ours looks like.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Whose it is.
    pub uid: Uid,
    /// What it is called.
    pub name: JobName,
    /// Lease and nonce that its comment carries.
    pub tag: Tag,
    /// When its submission was begun.
    pub intended: Timestamp,
    /// When the controller says that it was submitted, known from the last sighting.
    pub submitted: Option<Timestamp>,
    /// How often it was put back into the queue, as last seen.
    pub restarts: u32,
    /// Whether any submission of the lease will do, because which one it was is lost.
    pub any_nonce: bool,
    /// Whether a job of the lease was seen with its comment: this site leaves comments alone, and
    /// a job of our name without one is somebody's own.
    pub comments_stay: bool,
}

/// Whose a row of the queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Ours: user and nonce are right.
    Ours,
    /// Ours, but the site took our comment away: user, name and time of submission are right.
    OursWithoutTag,
    /// Ours or not: nothing in the row tells.
    Doubtful,
    /// Not that of this submission.
    NotOurs,
}

impl Claim {
    /// Whose a row under the very number of our job is.
    ///
    /// The nonce decides where there is one: a job can be renamed. Without one, the controller's
    /// date of the submission does. A requeue changes that date and says so in the restart count;
    /// what it does not explain may still be our job, so it is no absence.
    pub(super) fn whose_number(&self, row: &QueueRow) -> Whose {
        if row.uid != self.uid {
            return Whose::NotOurs;
        }
        if let Some(tag) = Tag::in_comment(&row.comment) {
            return self.whose_tag(&tag);
        }
        if row.submitted.is_some() && row.submitted == self.submitted {
            return Whose::OursWithoutTag;
        }
        if row.name != self.name.as_str() {
            return Whose::NotOurs;
        }
        let requeued = row.restarts >= self.restarts.max(1);
        let ours = match (row.submitted, self.submitted) {
            // Only a requeue changes the date, and it is counted.
            (Some(_), Some(_)) if !requeued => return Whose::NotOurs,
            (Some(at), Some(known)) => at > known,
            (Some(at), None) => at >= self.earliest(),
            (None, _) => false,
        };
        if ours {
            Whose::OursWithoutTag
        } else {
            Whose::Doubtful
        }
    }

    /// Whose any row of the user's is, where the number of our job is not known. Without a tag
    /// the name stands for the lease and the time of submission for this attempt.
    pub(super) fn whose(&self, row: &QueueRow) -> Whose {
        if row.uid != self.uid {
            return Whose::NotOurs;
        }
        if let Some(tag) = Tag::in_comment(&row.comment) {
            return self.whose_tag(&tag);
        }
        if row.name != self.name.as_str() {
            return Whose::NotOurs;
        }
        match row.submitted {
            _ if self.any_nonce && self.comments_stay => Whose::NotOurs,
            _ if self.any_nonce => Whose::OursWithoutTag,
            Some(at) if at >= self.earliest() => Whose::OursWithoutTag,
            Some(_) => Whose::NotOurs,
            None => Whose::Doubtful,
        }
    }

    fn whose_tag(&self, tag: &Tag) -> Whose {
        let covered =
            tag.lease == self.tag.lease && (self.any_nonce || tag.nonce == self.tag.nonce);
        if covered { Whose::Ours } else { Whose::NotOurs }
    }

    /// The earliest time that the controller can have given our submission.
    fn earliest(&self) -> Timestamp {
        let earliest = self.intended.checked_sub(CLOCK_SKEW);
        earliest.unwrap_or(Timestamp::MIN)
    }
}

/// A job that was seen to be ours in this very pass: user and nonce stood in a row that was just
/// parsed. Not Clone, not stored: what it permits must follow at once.
///
/// There is no other way to cancel a job:
///
/// ```
/// use slurm_lease::{Command, cancel, evidence::Identified};
///
/// fn cancel_what_was_seen(job: Identified) -> Command {
///     cancel(job)
/// }
/// ```
///
/// ```compile_fail,E0308
/// use slurm_lease::{Command, JobRef, cancel};
///
/// fn cancel_by_number(job: JobRef) -> Command {
///     cancel(job)
/// }
/// ```
///
/// ```compile_fail,E0451
/// use slurm_lease::{JobRef, evidence::Identified};
///
/// fn identify_at_will(job: JobRef) -> Identified {
///     Identified { job }
/// }
/// ```
///
/// ```compile_fail,E0599
/// use slurm_lease::evidence::Identified;
///
/// fn keep_for_later(job: &Identified) -> Identified {
///     job.clone()
/// }
/// ```
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Clone, Hash))]
#[must_use = "an identification permits one command, now"]
pub struct Identified {
    job: JobRef,
}

impl Identified {
    pub(super) fn new(job: JobRef) -> Self {
        Self { job }
    }

    pub(crate) fn into_job(self) -> JobRef {
        self.job
    }

    /// The job that was identified.
    pub fn job(&self) -> &JobRef {
        &self.job
    }
}
