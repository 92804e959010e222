//! The lease: a machine without input or output.
//!
//! A driver asks [`Lease::poll`] what to do next, does it, and hands what came back to the
//! `handle_` method of that name. Time is an argument. Every change is an event that
//! [`Step::Record`] puts on disk before the step that relies on it, and recovery replays those
//! events through the same transitions ([`Lease::replay`]).
//!
//! Whoever drives a lease does what it says until it says [`Step::Over`]:
//!
//! ```
//! use slurm_lease::evidence::{self, Over};
//! use slurm_lease::parse::{sacct, sbatch, scancel, squeue};
//! use slurm_lease::{
//!     Answer, Command, Entry, Lease, Mark, QueueQuery, Step, Submission, Submitter, Tag,
//!     accounting, cancel, forbid_requeue,
//! };
//!
//! /// The world: a clock, processes, a disk. In a test it is a script.
//! trait World {
//!     fn now(&self) -> jiff::Timestamp;
//!     fn mark(&self) -> Mark;
//!     fn run(&self, command: Command) -> Answer;
//!     fn append_and_sync(&self, entries: &[Entry]) -> bool;
//!     fn submission(&self, tag: Tag) -> Submission;
//!     fn sleep_until(&self, time: jiff::Timestamp);
//! }
//!
//! fn drive(lease: &mut Lease, world: &dyn World) -> Over {
//!     loop {
//!         match lease.poll(world.now()) {
//!             Step::Record => {
//!                 if world.append_and_sync(lease.unrecorded()) {
//!                     lease.handle_recorded();
//!                 } else {
//!                     lease.handle_not_recorded();
//!                 }
//!             }
//!             Step::Submit(tag) => {
//!                 let answer = world.run(world.submission(tag).command());
//!                 lease.handle_submission(world.now(), sbatch::parse(&answer));
//!             }
//!             Step::Search => {
//!                 let (uid, mark) = (lease.opened().uid, world.mark());
//!                 let answer = world.run(QueueQuery::User(uid, None).command(&mark));
//!                 let queue = squeue::parse(&answer, &mark);
//!                 let found = evidence::search(&lease.claim(), None, &queue);
//!                 lease.handle_search(world.now(), found, Submitter::Ended);
//!             }
//!             Step::Look(job) => {
//!                 let mark = world.mark();
//!                 let answer = world.run(QueueQuery::Job(job.clone()).command(&mark));
//!                 let queue = squeue::parse(&answer, &mark);
//!                 lease.handle_look(world.now(), evidence::look(&lease.claim(), &job, &queue));
//!             }
//!             Step::Account(job) => {
//!                 let mark = world.mark();
//!                 let answer = world.run(accounting(&job, &mark));
//!                 lease.handle_accounting(world.now(), &sacct::parse(&answer, &mark));
//!             }
//!             Step::ForbidRequeue(job) => {
//!                 world.run(forbid_requeue(job));
//!                 lease.handle_requeue_forbidden();
//!             }
//!             Step::Cancel(job) => {
//!                 let answer = world.run(cancel(job));
//!                 lease.handle_cancel(world.now(), scancel::parse(&answer));
//!             }
//!             Step::Wait(until) => world.sleep_until(until),
//!             Step::Over(proof) => return proof,
//!         }
//!     }
//! }
//! # let _ = drive;
//! ```

use jiff::{SignedDuration, Timestamp};

use crate::evidence::{Allocation, Identified, SearchEvidence};
use crate::id::{JobRef, Nonce};
use crate::job_state::Meaning;
use crate::parse::Unavailable;
use crate::parse::sbatch::{Refusal, Submitted};
use crate::record::{Entry, Event, Journal, Opened, ReleaseCause};

mod attempt;
#[cfg(test)]
mod diagram;
#[cfg(test)]
mod explore;
mod hear;
mod illegal;
mod known;
mod pace;
mod policy;
mod state;

use pace::Pace;
use state::State;

pub use illegal::IllegalEvent;
pub use policy::{Policy, Step, Submitter};

/// How long an identification permits a command, in seconds.
const FRESH: SignedDuration = SignedDuration::from_secs(5);

/// How long after it was written down a submission may still be begun, in seconds. A process that
/// was stopped in between does not send a job after everybody else has given it up.
pub const INTENTION_LIMIT: SignedDuration = SignedDuration::from_secs(60);

/// A lease. It can't be dropped by accident: what removes its record asks for an
/// [`Over`](crate::evidence::Over). Nor is a step of it, by a lint, which has no code:
///
/// ```compile_fail
/// #![deny(unused_must_use)]
/// use slurm_lease::Lease;
///
/// fn look_away(lease: &mut Lease, now: jiff::Timestamp) {
///     lease.poll(now);
/// }
/// ```
///
/// ```
/// #![deny(unused_must_use)]
/// use slurm_lease::{Lease, Step};
///
/// fn wait_for_the_proof(lease: &mut Lease, now: jiff::Timestamp) -> bool {
///     matches!(lease.poll(now), Step::Over(_))
/// }
/// ```
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub struct Lease {
    state: State,
    policy: Policy,
    outbox: Vec<Entry>,
    recordable: bool,
    /// A wish that could not be written down, and is to be carried out all the same.
    unwritten_wish: Option<(Timestamp, ReleaseCause)>,
    wanted: Option<Nonce>,
    /// Whether somebody here wants to have it.
    acquiring: bool,
    /// Whether no job of any submission was there when this process looked.
    scouted: bool,
    /// Whether a search was answered, whatever it was for.
    was_searched: bool,
    searched: Option<SearchEvidence>,
    /// The submission that was intended here and not begun.
    intended: Option<Nonce>,
    /// The submission that was begun here.
    submitting: Option<Nonce>,
    identified: Option<(Timestamp, Identified)>,
    cancelling: Option<Allocation>,
    seen_at: Option<Timestamp>,
    unknown: Option<(Timestamp, Unavailable)>,
    pace: Pace,
    /// The latest run that an endpoint was published for, as far as that made us look at the job.
    announced: u32,
    accounting_due: bool,
    requeue_forbidden: bool,
    cancelled_at: Option<Timestamp>,
}

impl Lease {
    /// A lease that somebody asked for. Its first [`Step`] records that.
    pub fn open(opened: Opened, now: Timestamp, policy: Policy) -> Self {
        let state = State::new(opened.clone(), now);
        let mut lease = Self::with_state(state, policy);
        lease.outbox.push(Entry::new(now, Event::Opened(opened)));
        lease
    }

    /// The lease that this journal tells of; `None` for a journal without a first line.
    ///
    /// Where the end of the journal is missing, whatever stood there may have been a submission:
    /// such a lease is searched for in the queue before it is believed to have none.
    ///
    /// # Errors
    /// When the events contradict each other.
    pub fn replay(journal: &Journal, policy: Policy) -> Result<Option<Self>, IllegalEvent> {
        let mut entries = journal.entries.iter();
        let Some((at, Event::Opened(opened))) =
            entries.next().map(|first| (first.at, &first.event))
        else {
            return Ok(None);
        };
        let mut state = State::new(opened.clone(), at);
        for entry in entries {
            state.apply(entry)?;
        }
        let mut lease = Self::with_state(state, policy);
        if journal.torn {
            let last = journal.entries.last().map_or(at, |entry| entry.at);
            lease.learn(last, Event::TailLost);
        }
        Ok(Some(lease))
    }

    /// A lease of which nothing is left on disk: any job with its tag is its job.
    pub fn reconstruct(opened: Opened, now: Timestamp, policy: Policy) -> Self {
        let mut lease = Self::open(opened, now, policy);
        lease.learn(now, Event::TailLost);
        lease
    }

    /// A lease whose job somebody else has submitted, without a tag and wherever it starts.
    pub fn import(opened: Opened, submitted: Timestamp, job: JobRef, policy: Policy) -> Self {
        let nonce = Nonce::from_bits(0);
        let opened = Opened {
            directory: None,
            ..opened
        };
        let mut lease = Self::open(opened, submitted, policy);
        let intended = Event::SubmissionIntended {
            nonce: nonce.clone(),
        };
        lease.learn(submitted, intended);
        let outcome = Submitted::Accepted(job);
        lease.learn(submitted, Event::SubmissionAnswered { nonce, outcome });
        lease
    }

    fn with_state(state: State, policy: Policy) -> Self {
        Self {
            state,
            policy,
            outbox: Vec::new(),
            recordable: true,
            unwritten_wish: None,
            wanted: None,
            acquiring: false,
            scouted: false,
            was_searched: false,
            searched: None,
            intended: None,
            submitting: None,
            identified: None,
            cancelling: None,
            seen_at: None,
            unknown: None,
            pace: Pace::default(),
            announced: 0,
            accounting_due: false,
            requeue_forbidden: false,
            cancelled_at: None,
        }
    }

    /// What to do next.
    pub fn poll(&mut self, now: Timestamp) -> Step {
        if self.recordable && !self.outbox.is_empty() {
            return Step::Record;
        }
        self.outbox.clear();
        if let Some(step) = self.poll_submission(now) {
            return step;
        }
        if let Some(over) = self.over() {
            return Step::Over(over);
        }
        if let Some(at) = self.pace.not_before(now) {
            return self.poll_permitted(now).unwrap_or(Step::Wait(at));
        }
        let Some(job) = self.job().cloned() else {
            return Step::Search;
        };
        if let Some(step) = self.poll_permitted(now) {
            return step;
        }
        if std::mem::take(&mut self.accounting_due) {
            return Step::Account(job);
        }
        Step::Look(job)
    }

    /// Makes a submission, where one is wanted and nothing is in its way.
    fn poll_submission(&mut self, now: Timestamp) -> Option<Step> {
        if self.intended.is_some() {
            return Some(self.begin_submission(now));
        }
        if self.state.wish.is_some() || self.wanted.is_none() || self.over().is_none() {
            return None;
        }
        if !self.scouted {
            let wait = self.pace.not_before(now).map(Step::Wait);
            return Some(wait.unwrap_or(Step::Search));
        }
        let nonce = self.wanted.take()?;
        let intended = nonce.clone();
        if !self.learn(now, Event::SubmissionIntended { nonce }) {
            return None;
        }
        self.intended = Some(intended);
        Some(Step::Record)
    }

    /// Begins the submission that is on disk, if it still may be begun.
    fn begin_submission(&mut self, now: Timestamp) -> Step {
        let current = self.state.searched_for();
        let (since, tag) = match &self.state.attempt {
            Some(attempt) => (attempt.claim.intended, attempt.claim.tag.clone()),
            None => (now, self.claim().tag),
        };
        let in_time = now.duration_since(since).abs() <= INTENTION_LIMIT;
        if self.state.wish.is_some() || !in_time || current != self.intended {
            self.withdraw(now);
            return Step::Record;
        }
        self.submitting = self.intended.take();
        Step::Submit(tag)
    }

    /// Takes back a submission that was intended and that only this process could have begun.
    fn withdraw(&mut self, now: Timestamp) {
        let Some(nonce) = self.intended.take() else {
            return;
        };
        let outcome = Submitted::Refused(Refusal {
            said: "the submission was not begun".to_owned(),
        });
        self.learn(now, Event::SubmissionAnswered { nonce, outcome });
    }

    /// What the identification of this very pass permits: that the job can't be put back, where
    /// the lease is to begin or to end, and its end.
    fn poll_permitted(&mut self, now: Timestamp) -> Option<Step> {
        let (at, identified) = self.identified.take()?;
        let fresh = now.duration_since(at).abs() <= FRESH;
        let current = self.job() == Some(identified.job());
        if !self.is_to_be_identified() || !fresh || !current || self.ending().is_some() {
            return None;
        }
        let sighting = self.sighting()?;
        if self.may_be_put_back() {
            return Some(Step::ForbidRequeue(identified));
        }
        self.state.wish?;
        let is_there = sighting.state.meaning() != Meaning::Finished;
        let due = self.cancelled_at.is_none_or(|cancelled| {
            now.duration_since(cancelled).unsigned_abs() >= self.policy.cancel_again
        });
        if !(is_there && due) {
            return None;
        }
        self.cancelling = self.allocation();
        Some(Step::Cancel(identified))
    }

    /// Applies an event that is possible now and puts it in the outbox; false where it is not.
    fn learn(&mut self, now: Timestamp, event: Event) -> bool {
        let entry = Entry::new(now, event);
        let possible =
            self.state.admits(&entry.event, self.policy.settle) && self.state.apply(&entry).is_ok();
        if possible {
            self.outbox.push(entry);
        }
        possible
    }
}
