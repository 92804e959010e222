//! What an answer proves, and what it does not. The only place where a proof is made.
//!
//! An answer becomes an [`Observation`]; observations of one job gather in its [`Evidence`]; and
//! evidence gives a [`JobGone`] or a [`JobEnding`], or nothing. `docs/evidence.md` lists the
//! rules with the transcripts that they rest on.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::id::{ClusterName, JobName, JobRef, LeaseId, Nonce, Tag, Uid};
use crate::job_state::{JobState, Meaning};
use crate::parse::sacct::AccountingRow;
use crate::parse::squeue::{Queue, QueueRow, QueueRows};
use crate::parse::{Unavailable, scancel::Cancelled};

/// How far a controller's clock may be off from ours when a submission is dated, in seconds.
/// munge refuses credentials that are older than five minutes, so clocks agree at least so far.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(300);

/// What a job of ours looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whose it is.
    pub uid: Uid,
    /// What it is called.
    pub name: JobName,
    /// Lease and nonce that its comment carries.
    pub tag: Tag,
    /// When its submission was begun.
    pub intended: Timestamp,
    /// When the controller says that it was submitted, known from the first sighting.
    pub submitted: Option<Timestamp>,
    /// Whether any submission of the lease will do, because which one it was is lost.
    pub any_nonce: bool,
}

/// Whose a row of the queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// Ours: name, user and nonce are right.
    Ours,
    /// Ours, but the site took our comment away: name, user and time of submission are right.
    OursWithoutTag,
    /// Not that of this submission.
    NotOurs,
}

impl Claim {
    fn whose(&self, row: &QueueRow) -> Whose {
        let tag = row.comment.parse::<Tag>();
        // The name may be lost with everything else; the tag then says enough.
        let named = row.name == self.name.as_str() || (self.any_nonce && tag.is_ok());
        if row.uid != self.uid || !named {
            return Whose::NotOurs;
        }
        match tag {
            Ok(tag) if self.covers(&tag) => Whose::Ours,
            Ok(_) => Whose::NotOurs,
            Err(_) if self.is_of_our_time(row) => Whose::OursWithoutTag,
            Err(_) => Whose::NotOurs,
        }
    }

    fn covers(&self, tag: &Tag) -> bool {
        tag.lease == self.tag.lease && (self.any_nonce || tag.nonce == self.tag.nonce)
    }

    /// Without a tag it is the time of submission that tells this attempt from an earlier one.
    fn is_of_our_time(&self, row: &QueueRow) -> bool {
        if self.any_nonce {
            return true;
        }
        match (row.submitted, self.submitted) {
            (Some(submitted), Some(known)) => submitted == known,
            (Some(submitted), None) => submitted >= self.intended - CLOCK_SKEW,
            (None, _) => false,
        }
    }
}

/// A job of ours as the controller showed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}

impl Sighting {
    fn of(row: &QueueRow, whose: Whose) -> Self {
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
}

/// What one look at a job showed. There is no Option and no bool for "is it there".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    fn is_definite(self) -> bool {
        match self {
            Self::InvalidJobId | Self::IdReused => true,
            Self::Unlisted => false,
        }
    }
}

/// A job that was seen to be ours in this very pass: name, user and nonce stood in a row that was
/// just parsed. Not Clone, not stored: what it permits must follow at once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an identification permits one command, now"]
pub struct Identified {
    job: JobRef,
}

impl Identified {
    pub(crate) fn into_job(self) -> JobRef {
        self.job
    }

    /// The job that was identified.
    pub fn job(&self) -> &JobRef {
        &self.job
    }
}

/// One look at a job whose number is known: what was observed, and the permission that goes with
/// having seen it.
#[derive(Debug)]
#[must_use = "what was seen must reach the lease"]
pub struct Look {
    /// What was observed.
    pub observation: Observation,
    /// Present where the job was seen.
    pub identified: Option<Identified>,
}

/// Looks for our job in what the controller said when it was asked for this number by itself.
pub fn look(claim: &Claim, job: &JobRef, answer: &Queue) -> Look {
    let rows = match answer {
        Queue::Rows(rows) => rows,
        Queue::InvalidJobId => return not_seen(NotVisible::InvalidJobId),
        Queue::Unavailable(why) => return unknown(why.clone()),
    };
    if !is_whole_for(rows, job) {
        return unknown(Unavailable::unreadable(
            "a row of the queue is not readable",
        ));
    }
    match rows.rows.iter().find(|row| row.id == job.id) {
        None => not_seen(NotVisible::Unlisted),
        Some(row) => match claim.whose(row) {
            Whose::NotOurs => not_seen(NotVisible::IdReused),
            whose => Look {
                observation: Observation::Seen(Sighting::of(row, whose)),
                identified: Some(Identified { job: job.clone() }),
            },
        },
    }
}

/// Looks for our job in the controller's answer about all jobs of the user. Good enough to show
/// a state; its absence there proves nothing.
pub fn glance(claim: &Claim, job: &JobRef, answer: &Queue) -> Observation {
    match look(claim, job, answer).observation {
        Observation::NotVisible(_) => Observation::NotVisible(NotVisible::Unlisted),
        seen_or_unknown => seen_or_unknown,
    }
}

fn is_whole_for(rows: &QueueRows, job: &JobRef) -> bool {
    let concerns = |id: &Option<_>| id.is_none_or(|id| id == job.id);
    !rows.unreadable.iter().any(concerns)
}

fn not_seen(how: NotVisible) -> Look {
    Look {
        observation: Observation::NotVisible(how),
        identified: None,
    }
}

fn unknown(why: Unavailable) -> Look {
    Look {
        observation: Observation::Unknown(why),
        identified: None,
    }
}

/// What a search for a submission whose job number is not known found.
#[derive(Debug)]
#[must_use = "what was found must reach the lease"]
pub enum Search {
    /// It became this job.
    Found(Box<Found>),
    /// The controller showed every job of the user, and none is of this submission.
    Clean,
    /// The answer says nothing.
    Unknown(Unavailable),
}

/// A job of ours that a search found.
#[derive(Debug)]
pub struct Found {
    /// The job.
    pub job: JobRef,
    /// The submission that made it, where its comment still says so.
    pub nonce: Option<Nonce>,
    /// As it was seen.
    pub sighting: Sighting,
    /// The permission that goes with having seen it.
    pub identified: Identified,
}

/// Searches all jobs of the user for one that this claim describes. Of several, which only a
/// claim on any submission of the lease can find, the one that is least over is taken.
pub fn search(claim: &Claim, cluster: Option<&ClusterName>, answer: &Queue) -> Search {
    let rows = match answer {
        Queue::Rows(rows) => rows,
        Queue::InvalidJobId => return Search::Unknown(Unavailable::unreadable("")),
        Queue::Unavailable(why) => return Search::Unknown(why.clone()),
    };
    let found = rows
        .rows
        .iter()
        .map(|row| (row, claim.whose(row)))
        .filter(|(_, whose)| *whose != Whose::NotOurs)
        .min_by_key(|(row, _)| row.state.meaning() == Meaning::Finished);
    match found {
        Some((row, whose)) => {
            let cluster = cluster.cloned();
            let job = JobRef {
                id: row.id,
                cluster,
            };
            Search::Found(Box::new(Found {
                nonce: row.comment.parse().ok().map(|tag: Tag| tag.nonce),
                sighting: Sighting::of(row, whose),
                identified: Identified { job: job.clone() },
                job,
            }))
        }
        None if rows.unreadable.is_empty() => Search::Clean,
        None => Search::Unknown(Unavailable::unreadable(
            "a row of the queue is not readable",
        )),
    }
}

/// Everything that is known about one job of ours.
#[derive(Clone, Debug)]
pub struct Evidence {
    job: JobRef,
    accepted: Timestamp,
    seen: Option<Sighting>,
    last_look: Option<Observation>,
    absent_since: Option<Timestamp>,
    absent_until: Option<Timestamp>,
    stopped: bool,
    accounted_end: bool,
    unknown_to_scancel: bool,
}

impl Evidence {
    /// Nothing but that the controller accepted the job.
    pub fn new(job: JobRef, accepted: Timestamp) -> Self {
        Self {
            job,
            accepted,
            seen: None,
            last_look: None,
            absent_since: None,
            absent_until: None,
            stopped: false,
            accounted_end: false,
            unknown_to_scancel: false,
        }
    }

    /// The job.
    pub fn job(&self) -> &JobRef {
        &self.job
    }

    /// The last sighting, if there was one.
    pub fn seen(&self) -> Option<&Sighting> {
        self.seen.as_ref()
    }

    /// What the last look showed.
    pub fn last_look(&self) -> Option<&Observation> {
        self.last_look.as_ref()
    }

    /// Takes in one observation. A sighting ends every run of absences: a controller that forgot
    /// a job does not show it again.
    pub fn note(&mut self, at: Timestamp, observation: &Observation, settle: Duration) {
        match observation {
            Observation::Seen(sighting) => {
                let new_run = self
                    .seen
                    .as_ref()
                    .is_none_or(|seen| seen.restarts != sighting.restarts);
                if new_run {
                    self.stopped = false;
                    self.accounted_end = false;
                }
                self.seen = Some(sighting.clone());
                self.absent_since = None;
                self.absent_until = None;
                self.unknown_to_scancel = false;
            }
            Observation::NotVisible(how) if how.is_definite() && self.counts(at, settle) => {
                self.absent_since.get_or_insert(at);
                self.absent_until = Some(at);
            }
            Observation::NotVisible(_) | Observation::Unknown(_) => {}
        }
        self.last_look = Some(observation.clone());
    }

    /// An absence counts once the job had been visible, or had the time to become so.
    fn counts(&self, at: Timestamp, settle: Duration) -> bool {
        self.seen.is_some() || apart(self.accepted, at, settle)
    }

    /// Whether an absence at this time would be the first that counts.
    pub(crate) fn is_first_absence(&self, at: Timestamp, settle: Duration) -> bool {
        self.absent_since.is_none() && self.counts(at, settle)
    }

    /// The runner of this run left its stop marker.
    pub fn note_stop_marker(&mut self, restarts: u32) {
        let current = self.seen.as_ref().map_or(0, |seen| seen.restarts);
        self.stopped |= restarts == current;
    }

    /// What accounting said of this job. A row that has ended corroborates an absence; by itself
    /// it proves nothing, since it is written before the processes die.
    pub fn note_accounting(&mut self, row: &AccountingRow) {
        let submitted = self.seen.as_ref().and_then(|seen| seen.submitted);
        let same_run = submitted.is_some() && row.submitted == submitted;
        let ended = row.state.meaning() == Meaning::Finished && row.ended.is_some();
        self.accounted_end |= row.id == self.job.id && same_run && ended;
    }

    /// What scancel said of this job.
    pub fn note_cancel(&mut self, answer: &Cancelled) {
        self.unknown_to_scancel |= *answer == Cancelled::UnknownId;
    }

    /// The proof that this job is over, where there is one.
    pub fn gone(&self, claim: &Claim, settle: Duration) -> Option<JobGone> {
        let how = if let (Some(since), Some(until)) = (self.absent_since, self.absent_until) {
            let corroborated = self.stopped || self.accounted_end || self.unknown_to_scancel;
            match () {
                () if apart(since, until, settle) => GoneBecause::TwiceUnknown,
                () if corroborated => GoneBecause::UnknownAndCorroborated,
                () => return None,
            }
        } else {
            self.seen.as_ref().filter(|seen| is_over(seen))?;
            GoneBecause::Finished
        };
        Some(JobGone {
            lease: claim.tag.lease.clone(),
            nonce: claim.tag.nonce.clone(),
            job: self.job.clone(),
            how,
        })
    }

    /// The proof that this job is ending and can't come back, where there is one.
    pub fn ending(&self) -> Option<JobEnding> {
        let Some(Observation::Seen(seen)) = &self.last_look else {
            return None;
        };
        let ending = seen.state == JobState::Completing && !seen.requeueable;
        ending.then(|| JobEnding {
            job: self.job.clone(),
        })
    }
}

fn is_over(seen: &Sighting) -> bool {
    seen.state.meaning() == Meaning::Finished && !seen.requeueable
}

/// Whether `later` is at least `settle` after `earlier`. A clock that was set back makes this
/// false, never true.
fn apart(earlier: Timestamp, later: Timestamp, settle: Duration) -> bool {
    later.duration_since(earlier) >= SignedDuration::try_from(settle).unwrap_or(SignedDuration::MAX)
}

/// Evidence about a submission of which no job number is known.
#[derive(Clone, Debug)]
pub struct SearchEvidence {
    clean_since: Option<Timestamp>,
    clean_until: Option<Timestamp>,
}

impl SearchEvidence {
    /// Nothing is known.
    pub fn new() -> Self {
        Self {
            clean_since: None,
            clean_until: None,
        }
    }

    /// A search came back clean. The caller vouches that no sbatch of this submission was running
    /// any more when the search was begun.
    pub fn note_clean(&mut self, at: Timestamp) {
        self.clean_since.get_or_insert(at);
        self.clean_until = Some(at);
    }

    /// The proof that the submission made no job that still exists: two clean searches, the
    /// settle time apart. A controller that hung when it was asked to take the job, and answers
    /// both, has dealt with the request by the second.
    pub fn never_submitted(&self, claim: &Claim, settle: Duration) -> Option<NeverSubmitted> {
        let (since, until) = (self.clean_since?, self.clean_until?);
        apart(since, until, settle).then(|| NeverSubmitted {
            lease: claim.tag.lease.clone(),
            how: NeverBecause::NotFound,
        })
    }
}

impl Default for SearchEvidence {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a job counts as over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoneBecause {
    /// The controller shows it as finished, and it can't be requeued.
    Finished,
    /// The controller twice knew no such job, the settle time apart.
    TwiceUnknown,
    /// The controller once knew no such job, and the runner's stop marker, an ended row in
    /// accounting or scancel says the same.
    UnknownAndCorroborated,
}

/// Proof that a job of ours is over. Made in this module only, and only of what was seen.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a proof that is dropped must be found again"]
pub struct JobGone {
    lease: LeaseId,
    nonce: Nonce,
    job: JobRef,
    how: GoneBecause,
}

impl JobGone {
    /// The job that is over.
    pub fn job(&self) -> &JobRef {
        &self.job
    }

    /// The submission that made it.
    pub fn nonce(&self) -> &Nonce {
        &self.nonce
    }

    /// How it is known.
    pub fn how(&self) -> GoneBecause {
        self.how
    }
}

/// Proof that a job of ours is ending: COMPLETING, and a requeue is refused. Nothing of it will
/// run again, but processes and an epilog still may, so the record of it stays.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a proof that is dropped must be found again"]
pub struct JobEnding {
    job: JobRef,
}

impl JobEnding {
    /// The job that is ending.
    pub fn job(&self) -> &JobRef {
        &self.job
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NeverBecause {
    Refused,
    NotFound,
    NotBegun,
}

/// Proof that a submission made no job.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a proof that is dropped must be found again"]
pub struct NeverSubmitted {
    lease: LeaseId,
    how: NeverBecause,
}

impl NeverSubmitted {
    /// The controller refused the submission in words that mean just that.
    pub(crate) fn refused(claim: &Claim) -> Self {
        Self {
            lease: claim.tag.lease.clone(),
            how: NeverBecause::Refused,
        }
    }

    /// A whole journal holds no intention to submit.
    pub(crate) fn not_begun(lease: &LeaseId) -> Self {
        Self {
            lease: lease.clone(),
            how: NeverBecause::NotBegun,
        }
    }
}

/// Proof that nothing of a lease is left with the scheduler.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a proof that is dropped must be found again"]
pub enum Over {
    /// Its job is over.
    JobGone(JobGone),
    /// It never had one.
    NeverSubmitted(NeverSubmitted),
}

impl Over {
    /// The lease that this is about.
    pub fn lease(&self) -> &LeaseId {
        match self {
            Self::JobGone(gone) => &gone.lease,
            Self::NeverSubmitted(never) => &never.lease,
        }
    }

    /// In a few words, for messages and logs.
    pub fn describe(&self) -> String {
        match self {
            Self::JobGone(gone) => {
                let how = match gone.how {
                    GoneBecause::Finished => "finished and can't be requeued",
                    GoneBecause::TwiceUnknown => "no longer known to the controller, asked twice",
                    GoneBecause::UnknownAndCorroborated => "no longer known to the controller",
                };
                format!("job {} is over: {how}", gone.job)
            }
            Self::NeverSubmitted(never) => match never.how {
                NeverBecause::Refused => "the submission was refused".to_owned(),
                NeverBecause::NotFound => "no job came of the submission".to_owned(),
                NeverBecause::NotBegun => "nothing was submitted".to_owned(),
            },
        }
    }
}
