//! What an answer of the controller shows of our job.

use super::identify::{Allocation, Claim, Identified, Whose};
use super::observation::{NotVisible, Observation, Sighting};
use crate::id::{ClusterName, JobRef, Nonce, Tag};
use crate::job_state::Meaning;
use crate::parse::Unavailable;
use crate::parse::squeue::{Queue, QueueRow, QueueRows};

/// One look at a job whose number is known: what was observed, and the permission that goes with
/// having seen it.
///
/// One that is looked away from is a lint's business, which has no code:
///
/// ```compile_fail
/// #![deny(unused_must_use)]
/// use slurm_lease::{JobRef, evidence::{Claim, look}, parse::squeue::Queue};
///
/// fn look_away(claim: &Claim, job: &JobRef, answer: &Queue) {
///     look(claim, job, answer);
/// }
/// ```
///
/// ```
/// #![deny(unused_must_use)]
/// use slurm_lease::{JobRef, Lease, evidence::{Claim, look}, parse::squeue::Queue};
///
/// fn look_and_tell(lease: &mut Lease, now: jiff::Timestamp, job: &JobRef, answer: &Queue) {
///     let look = look(&lease.claim(), job, answer);
///     lease.handle_look(now, look);
/// }
/// ```
#[derive(Debug)]
#[must_use = "what was seen must reach the lease"]
pub struct Look {
    of: Allocation,
    observation: Observation,
    identified: Option<Identified>,
    other: Option<Box<Other>>,
}

/// Another job that carries our tag and is not over, as the next task of an array is.
#[derive(Debug)]
pub(crate) struct Other {
    pub(crate) job: JobRef,
    pub(crate) sighting: Sighting,
}

impl Look {
    /// What was looked at.
    pub fn of(&self) -> &Allocation {
        &self.of
    }

    /// What was observed.
    pub fn observation(&self) -> &Observation {
        &self.observation
    }

    pub(crate) fn into_parts(
        self,
    ) -> (
        Allocation,
        Observation,
        Option<Identified>,
        Option<Box<Other>>,
    ) {
        (self.of, self.observation, self.identified, self.other)
    }
}

/// Looks for our job in what the controller said when it was asked for this number by itself.
pub fn look(claim: &Claim, job: &JobRef, answer: &Queue) -> Look {
    let observation = observe(claim, job, answer);
    let seen = matches!(observation, Observation::Seen(_));
    Look {
        of: Allocation {
            job: job.clone(),
            nonce: claim.tag.nonce.clone(),
        },
        identified: seen.then(|| Identified::new(job.clone())),
        observation,
        other: other(claim, job, answer).map(Box::new),
    }
}

/// Looks for our job in the controller's answer about all jobs of the user. Good enough to show
/// a state; it permits nothing, and an absence there proves nothing.
pub fn glance(claim: &Claim, job: &JobRef, answer: &Queue) -> Look {
    let mut look = look(claim, job, answer);
    look.identified = None;
    if let Observation::NotVisible(how) = &mut look.observation {
        *how = NotVisible::Unlisted;
    }
    look
}

fn observe(claim: &Claim, job: &JobRef, answer: &Queue) -> Observation {
    let rows = match answer {
        Queue::Rows(rows) => rows,
        Queue::InvalidJobId => return Observation::NotVisible(NotVisible::InvalidJobId),
        Queue::Unavailable(why) => return Observation::Unknown(why.clone()),
    };
    if !is_whole_for(rows, job) {
        return unreadable();
    }
    let Some(row) = rows.rows.iter().find(|row| row.id == job.id) else {
        return Observation::NotVisible(NotVisible::Unlisted);
    };
    match claim.whose_number(row) {
        Whose::NotOurs => Observation::NotVisible(NotVisible::IdReused),
        Whose::Doubtful => Observation::Unknown(Unavailable::doubtful(format!(
            "job {job} ({}) has our number, but somebody edited it or put it back into the queue",
            row.name
        ))),
        whose @ (Whose::Ours | Whose::OursWithoutTag) => {
            Observation::Seen(Sighting::of(claim, row, whose))
        }
    }
}

/// Whatever carries our tag is ours. What was submitted was one job; a script or a plugin of the
/// site can make an array of it, or a job of several components.
fn other(claim: &Claim, job: &JobRef, answer: &Queue) -> Option<Other> {
    let Queue::Rows(rows) = answer else {
        return None;
    };
    let mut rows = rows.rows.iter().filter(|row| row.id != job.id);
    rows.find_map(|row| {
        let sighting = Sighting::of(claim, row, claim.whose(row));
        let job = JobRef {
            id: row.id,
            cluster: job.cluster.clone(),
        };
        (sighting.tagged && !sighting.is_over()).then_some(Other { job, sighting })
    })
}

fn is_whole_for(rows: &QueueRows, job: &JobRef) -> bool {
    let concerns = |id: &Option<_>| id.is_none_or(|id| id == job.id);
    !rows.unreadable.iter().any(concerns)
}

fn unreadable() -> Observation {
    Observation::Unknown(Unavailable::unreadable(
        "a row of the queue is not readable",
    ))
}

/// What a search for a submission whose job number is not known found.
#[derive(Debug)]
#[must_use = "what was found must reach the lease"]
pub enum Search {
    /// It became this job.
    Found(Box<Found>),
    /// The controller showed every job of the user, and none of this submission may run. Nobody
    /// outside of this crate can say so:
    ///
    /// ```
    /// use slurm_lease::evidence::Search;
    ///
    /// fn is_clean(found: &Search) -> bool {
    ///     matches!(found, Search::Clean { .. })
    /// }
    /// ```
    ///
    /// ```compile_fail,E0603
    /// use slurm_lease::{Lease, Submitter, evidence::Search};
    ///
    /// fn find_nothing(lease: &mut Lease, now: jiff::Timestamp) {
    ///     lease.handle_search(now, Search::Clean, Submitter::Ended);
    /// }
    /// ```
    #[non_exhaustive]
    Clean,
    /// The answer says nothing.
    Unknown(Unavailable),
}

/// A job of ours that a search found.
///
/// ```
/// use slurm_lease::evidence::Found;
///
/// fn nodes(found: &Found) -> Option<&str> {
///     found.sighting().nodes.as_deref()
/// }
/// ```
///
/// ```compile_fail,E0616
/// use slurm_lease::{JobState, evidence::Found};
///
/// fn end(found: &mut Found) {
///     found.sighting.state = JobState::Cancelled;
/// }
/// ```
#[derive(Debug)]
pub struct Found {
    pub(crate) job: JobRef,
    pub(crate) nonce: Option<Nonce>,
    pub(crate) sighting: Sighting,
    pub(crate) identified: Identified,
}

impl Found {
    /// The job.
    pub fn job(&self) -> &JobRef {
        &self.job
    }

    /// The submission that made it, where its comment still says so.
    pub fn nonce(&self) -> Option<&Nonce> {
        self.nonce.as_ref()
    }

    /// As it was seen.
    pub fn sighting(&self) -> &Sighting {
        &self.sighting
    }

    /// The permission that goes with having seen it.
    pub fn into_identified(self) -> Identified {
        self.identified
    }
}

/// Searches all jobs of the user for one that this claim describes; of several, the one that is
/// least over.
///
/// A job that is over for good is found by its own nonce only. Without one it may be that of an
/// earlier submission, while the one in question is still on its way to the controller.
pub fn search(claim: &Claim, cluster: Option<&ClusterName>, answer: &Queue) -> Search {
    let rows = match answer {
        Queue::Rows(rows) => rows,
        Queue::InvalidJobId => return Search::Unknown(Unavailable::unreadable("")),
        Queue::Unavailable(why) => return Search::Unknown(why.clone()),
    };
    let candidates = rows
        .rows
        .iter()
        .map(|row| (row, claim.whose(row)))
        .filter(|(row, whose)| counts(claim, row, *whose));
    let best = candidates.min_by_key(|(row, whose)| {
        let doubtful = *whose == Whose::Doubtful;
        (doubtful, row.state.meaning() == Meaning::Finished)
    });
    match best {
        Some((row, Whose::Doubtful)) => Search::Unknown(doubt(claim, row)),
        Some((row, whose)) => Search::Found(Box::new(found(claim, row, whose, cluster))),
        None if rows.unreadable.is_empty() => Search::Clean,
        None => Search::Unknown(Unavailable::unreadable(
            "a row of the queue is not readable",
        )),
    }
}

/// Why it can't be told whose this row is.
fn doubt(claim: &Claim, row: &QueueRow) -> Unavailable {
    let (id, name) = (row.id, &row.name);
    Unavailable::doubtful(if claim.is_in_place(row) {
        format!(
            "job {id} ({name}) starts in the directory of this lease, but has neither the comment nor the name of its job"
        )
    } else {
        format!(
            "job {id} ({name}) has the name of this lease's job, but not its comment, and a submission may be unanswered"
        )
    })
}

fn counts(claim: &Claim, row: &QueueRow, whose: Whose) -> bool {
    let by_nonce = whose == Whose::Ours && !claim.any_nonce;
    whose != Whose::NotOurs && (by_nonce || !Sighting::of(claim, row, whose).is_over())
}

fn found(claim: &Claim, row: &QueueRow, whose: Whose, cluster: Option<&ClusterName>) -> Found {
    let job = JobRef {
        id: row.id,
        cluster: cluster.cloned(),
    };
    Found {
        nonce: Tag::in_comment(&row.comment).map(|tag| tag.nonce),
        sighting: Sighting::of(claim, row, whose),
        identified: Identified::new(job.clone()),
        job,
    }
}
