//! What a lease decides by, and what it decides.

use std::time::Duration;

use jiff::Timestamp;

use crate::evidence::{Identified, Over};
use crate::id::{JobRef, Tag};
#[cfg(doc)]
use crate::lease::Lease;

/// The times that a lease's decisions depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// How far two looks must be apart for two absences to prove one. It must exceed the
    /// controller's `MessageTimeout` (10 s unless configured).
    pub settle: Duration,
    /// How soon a queued or running job is looked at again, at first.
    pub watch_first: Duration,
    /// How seldom it is looked at in the end.
    pub watch_most: Duration,
    /// How soon a job that is to end is looked at again, at first.
    pub chase_first: Duration,
    /// How seldom it is looked at in the end.
    pub chase_most: Duration,
    /// How long after a scancel that changed nothing another one is sent.
    pub cancel_again: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            settle: Duration::from_secs(12),
            watch_first: Duration::from_secs(2),
            watch_most: Duration::from_secs(30),
            chase_first: Duration::from_millis(40),
            chase_most: Duration::from_secs(2),
            cancel_again: Duration::from_secs(10),
        }
    }
}

/// Whether an sbatch of the submission in question may still be running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Submitter {
    /// It may: a search that does not find the job proves nothing yet.
    MayRun,
    /// It has ended, and had before the search was begun.
    Ended,
}

/// What is to be done next.
#[derive(Debug)]
#[must_use = "a lease that is not driven on is held for ever"]
pub enum Step {
    /// Put what is [`Lease::unrecorded`] on disk, then say [`Lease::handle_recorded`] or
    /// [`Lease::handle_not_recorded`].
    Record,
    /// Submit a job under this tag, then say [`Lease::handle_submission`].
    Submit(Tag),
    /// Ask for all jobs of the user, then say [`Lease::handle_search`].
    Search,
    /// Ask for this job by itself, then say [`Lease::handle_look`].
    Look(JobRef),
    /// Ask accounting for this job, then say [`Lease::handle_accounting`].
    Account(JobRef),
    /// Forbid the requeue of this job, then say [`Lease::handle_requeue_forbidden`].
    ForbidRequeue(Identified),
    /// Cancel this job, then say [`Lease::handle_cancel`].
    Cancel(Identified),
    /// Nothing before this time, unless something is heard from elsewhere.
    Wait(Timestamp),
    /// Nothing of the lease is left with the scheduler, and this proves it.
    Over(Over),
}
