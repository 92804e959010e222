//! The lease: a machine without input or output.
//!
//! A driver asks [`Lease::poll`] what to do next, does it, and hands what came back to the
//! `handle_` method of that name. Time is an argument. Every change is an event that
//! [`Step::Record`] puts on disk before the step that relies on it, and recovery replays those
//! events through the same transitions ([`Lease::replay`]).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::endpoint::{Endpoint, EndpointError, StopMarker};
use crate::evidence::{
    Claim, Evidence, Found, Identified, JobEnding, Look, NotVisible, Observation, Over, Search,
    Sighting,
};
use crate::id::{JobRef, Nonce, Tag};
use crate::job_state::{JobState, Meaning};
use crate::parse::Unavailable;
use crate::parse::sacct::Accounting;
use crate::parse::sbatch::Submitted;
use crate::parse::scancel::Cancelled;
use crate::record::{Entry, Event, Journal, Opened, ReleaseCause};

mod pace;
mod state;

use pace::Pace;
use state::{Attempt, Stage, State};

pub use state::IllegalEvent;

/// The times that a lease's decisions depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// A lease. It can't be dropped by accident: what removes its record asks for an [`Over`].
#[derive(Debug)]
pub struct Lease {
    state: State,
    policy: Policy,
    outbox: Vec<Entry>,
    recordable: bool,
    wanted: Option<Nonce>,
    scouted: bool,
    may_submit: bool,
    identified: Option<(Timestamp, Identified)>,
    seen_at: Option<Timestamp>,
    unknown: Option<(Timestamp, Unavailable)>,
    pace: Pace,
    accounting_due: bool,
    requeue_forbidden: bool,
    cancelled_at: Option<Timestamp>,
}

/// How long an identification permits a command.
const FRESH: SignedDuration = SignedDuration::from_secs(5);

impl Lease {
    /// A lease that somebody asked for. Its first [`Step`] records that.
    pub fn open(opened: Opened, now: Timestamp, policy: Policy) -> Self {
        let state = State::new(opened.clone(), now, policy.settle);
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
        let mut state = State::new(opened.clone(), at, policy.settle);
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

    /// A lease whose job somebody else has submitted, without a tag.
    pub fn import(opened: Opened, submitted: Timestamp, job: JobRef, policy: Policy) -> Self {
        let nonce = Nonce::from_bits(0);
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
            wanted: None,
            scouted: false,
            may_submit: false,
            identified: None,
            seen_at: None,
            unknown: None,
            pace: Pace::default(),
            accounting_due: false,
            requeue_forbidden: false,
            cancelled_at: None,
        }
    }

    /// Takes the events that another process has put on disk meanwhile: the journal is replayed,
    /// and what this process has learnt since is kept as far as it still applies.
    ///
    /// # Errors
    /// When the events on disk contradict each other; the lease is unchanged then.
    pub fn handle_journal(&mut self, journal: &Journal) -> Result<(), IllegalEvent> {
        let Some(mut fresh) = Self::replay(journal, self.policy)? else {
            return Ok(());
        };
        for entry in self.outbox.drain(..) {
            if fresh.state.apply(&entry).is_ok() {
                fresh.outbox.push(entry);
            }
        }
        let intends = |entry: &Entry| matches!(entry.event, Event::SubmissionIntended { .. });
        self.may_submit = self.may_submit && fresh.outbox.iter().any(intends);
        self.outbox = fresh.outbox;
        self.state = fresh.state;
        self.pace.hurry();
        Ok(())
    }

    /// Somebody wants a job. If there is none, this nonce will be that of its submission.
    pub fn handle_acquire(&mut self, nonce: Nonce) {
        self.wanted = Some(nonce);
    }

    /// Somebody wants the lease to end, or it can't be kept.
    pub fn handle_release(&mut self, now: Timestamp, cause: ReleaseCause) {
        self.wanted = None;
        if self.state.wish.is_none() {
            self.learn(now, Event::ReleaseWished { cause });
        }
        self.pace.hurry();
    }

    /// What has been learnt and is not on disk yet.
    pub fn unrecorded(&self) -> &[Entry] {
        &self.outbox
    }

    /// What was to be recorded is on disk.
    pub fn handle_recorded(&mut self) {
        self.outbox.clear();
    }

    /// What was to be recorded could not be. No submission is begun then; a release goes on,
    /// since its wish is worth more carried out than written down.
    pub fn handle_not_recorded(&mut self) {
        self.outbox.clear();
        self.recordable = false;
        self.wanted = None;
        if self.may_submit {
            self.may_submit = false;
            self.state.attempt = None;
        }
    }

    /// sbatch answered.
    pub fn handle_submission(&mut self, now: Timestamp, outcome: Submitted) {
        let Some(attempt) = &self.state.attempt else {
            return;
        };
        let nonce = attempt.claim.tag.nonce.clone();
        self.learn(now, Event::SubmissionAnswered { nonce, outcome });
        self.pace.restart(now, self.policy.watch_first);
    }

    /// The queue was searched.
    pub fn handle_search(&mut self, now: Timestamp, found: Search, submitter: Submitter) {
        self.pace.step(now, self.bounds());
        match found {
            Search::Unknown(why) => self.silence(now, why),
            Search::Clean => {
                self.unknown = None;
                self.scouted = true;
                if let (Some(nonce), Submitter::Ended) = (self.searched_for(), submitter) {
                    self.learn(now, Event::SearchedClean { nonce });
                }
            }
            Search::Found(found) => self.handle_found(now, *found),
        }
    }

    fn handle_found(&mut self, now: Timestamp, found: Found) {
        self.unknown = None;
        self.scouted = true;
        // A job of an earlier submission that is over is not what was searched for.
        let searched_for = self.searched_for();
        if searched_for.is_none() && found.sighting.state.meaning() == Meaning::Finished {
            return;
        }
        let event = Event::Adopted {
            nonce: found.nonce.or(searched_for).unwrap_or(Nonce::from_bits(0)),
            job: found.job,
            sighting: found.sighting,
        };
        if self.learn(now, event) {
            self.identified = Some((now, found.identified));
            self.seen_at = Some(now);
        }
    }

    /// The job was asked for by itself.
    pub fn handle_look(&mut self, now: Timestamp, look: Look) {
        self.identified = look.identified.map(|identified| (now, identified));
        self.handle_glance(now, look.observation);
        self.pace.step(now, self.bounds());
    }

    /// The job was looked for in an answer about many. That shows a state but permits nothing.
    pub fn handle_glance(&mut self, now: Timestamp, observation: Observation) {
        match &observation {
            Observation::Unknown(why) => {
                self.silence(now, why.clone());
                return;
            }
            Observation::NotVisible(NotVisible::Unlisted) => {}
            Observation::NotVisible(_) => self.accounting_due = true,
            Observation::Seen(_) => self.seen_at = Some(now),
        }
        self.unknown = None;
        if self.is_news(now, &observation) {
            self.learn(now, Event::Observed(observation));
        }
    }

    /// Accounting was asked.
    pub fn handle_accounting(&mut self, now: Timestamp, answer: &Accounting) {
        self.accounting_due = false;
        let opened = &self.state.opened;
        let Some(job) = self.job() else { return };
        let Some(row) = answer.newest(job.id, opened.uid, opened.name.as_str()) else {
            return;
        };
        if row.state.meaning() == Meaning::Finished {
            let event = Event::AccountedEnd {
                state: row.state.clone(),
                submitted: row.submitted,
                ended: row.ended,
                exit: row.exit,
            };
            self.learn(now, event);
        }
    }

    /// `scontrol update … Requeue=0` was tried. Whether it helped, the next look shows.
    pub fn handle_requeue_forbidden(&mut self) {
        self.requeue_forbidden = true;
        self.pace.hurry();
    }

    /// scancel answered.
    pub fn handle_cancel(&mut self, now: Timestamp, outcome: Cancelled) {
        self.cancelled_at = Some(now);
        self.learn(now, Event::CancelAnswered(outcome));
        self.pace.restart(now, self.policy.chase_first);
    }

    /// The runner's stop marker was found.
    pub fn handle_stop_marker(&mut self, now: Timestamp, marker: StopMarker) {
        let known = self
            .state
            .attempt
            .as_ref()
            .and_then(|attempt| attempt.marker.as_ref());
        let restarts = self.sighting().map_or(0, |seen| seen.restarts);
        if known != Some(&marker) && marker.restart_count == restarts {
            self.learn(now, Event::StopMarked(marker));
            self.pace.hurry();
        }
    }

    /// A published endpoint was found.
    ///
    /// # Errors
    /// When it belongs to another run than the one last seen.
    pub fn handle_endpoint(
        &mut self,
        now: Timestamp,
        endpoint: Endpoint,
    ) -> Result<(), EndpointError> {
        if self.endpoint() == Some(&endpoint) {
            return Ok(());
        }
        let restarts = self.sighting().map_or(0, |seen| seen.restarts);
        let newer = endpoint.restart_count > restarts;
        let of_run = endpoint.job_id.is_none() || endpoint.restart_count == restarts;
        if !of_run || !self.learn(now, Event::EndpointPublished(endpoint)) {
            if newer {
                self.pace.hurry();
            }
            return Err(EndpointError::OtherRun);
        }
        self.pace.hurry();
        Ok(())
    }

    /// The endpoint is about to be given to the client.
    pub fn handle_handed_out(&mut self, now: Timestamp) {
        if self.handed_out().is_none() {
            self.learn(now, Event::HandedOut);
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
        if let Some(over) = self.state.over() {
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
        if self.may_submit {
            self.may_submit = false;
            let attempt = self.state.attempt.as_ref()?;
            return Some(Step::Submit(attempt.claim.tag.clone()));
        }
        if self.state.wish.is_some() || self.wanted.is_none() || self.state.over().is_none() {
            return None;
        }
        if !self.scouted {
            let wait = self.pace.not_before(now).map(Step::Wait);
            return Some(wait.unwrap_or(Step::Search));
        }
        let nonce = self.wanted.take()?;
        self.may_submit = self.learn(now, Event::SubmissionIntended { nonce });
        self.may_submit.then_some(Step::Record)
    }

    /// What the identification of this very pass permits, where the lease is to end.
    fn poll_permitted(&mut self, now: Timestamp) -> Option<Step> {
        let (at, identified) = self.identified.take()?;
        let fresh = now.duration_since(at) <= FRESH;
        let current = self.job() == Some(identified.job());
        if self.state.wish.is_none() || !fresh || !current || self.ending().is_some() {
            return None;
        }
        let sighting = self.sighting()?;
        if sighting.requeueable && !self.requeue_forbidden {
            return Some(Step::ForbidRequeue(identified));
        }
        let is_there = sighting.state.meaning() != Meaning::Finished;
        let due = self.cancelled_at.is_none_or(|cancelled| {
            now.duration_since(cancelled).unsigned_abs() >= self.policy.cancel_again
        });
        (is_there && due).then_some(Step::Cancel(identified))
    }

    fn bounds(&self) -> (Duration, Duration) {
        if self.state.wish.is_some() {
            (self.policy.chase_first, self.policy.chase_most)
        } else {
            (self.policy.watch_first, self.policy.watch_most)
        }
    }

    /// Applies an event and puts it in the outbox; false where it does not apply.
    fn learn(&mut self, now: Timestamp, event: Event) -> bool {
        let entry = Entry::new(now, event);
        let applied = self.state.apply(&entry).is_ok();
        if applied {
            self.outbox.push(entry);
        }
        applied
    }

    fn silence(&mut self, now: Timestamp, why: Unavailable) {
        let since = self.unknown.take().map_or(now, |(since, _)| since);
        self.unknown = Some((since, why));
    }

    /// Whether an observation says more than the journal holds.
    fn is_news(&self, now: Timestamp, observation: &Observation) -> bool {
        let Some(evidence) = self.state.evidence() else {
            return false;
        };
        match (observation, evidence.last_look()) {
            (Observation::Seen(new), Some(Observation::Seen(old))) => !new.agrees_with(old),
            (Observation::NotVisible(new), Some(Observation::NotVisible(old))) if new == old => {
                // The second of two absences matters once it is far enough from the first.
                let entry = Entry::new(now, Event::Observed(observation.clone()));
                let mut then = self.state.clone();
                then.apply(&entry).is_ok() && then.over().is_some() != self.state.over().is_some()
                    || evidence.is_first_absence(now, self.policy.settle)
            }
            _ => true,
        }
    }

    fn searched_for(&self) -> Option<Nonce> {
        match &self.state.attempt {
            Some(Attempt {
                claim,
                stage: Stage::Unanswered { .. },
                ..
            }) => Some(claim.tag.nonce.clone()),
            _ => None,
        }
    }
}

/// What is known.
impl Lease {
    /// Who asked for it and what as.
    pub fn opened(&self) -> &Opened {
        &self.state.opened
    }

    /// When it was asked for.
    pub fn opened_at(&self) -> Timestamp {
        self.state.opened_at
    }

    /// The wish to end it, since when and why.
    pub fn wish(&self) -> Option<(Timestamp, ReleaseCause)> {
        self.state.wish
    }

    /// What a job of its present submission looks like; of any submission where there is none.
    pub fn claim(&self) -> Claim {
        match &self.state.attempt {
            Some(attempt) if self.state.over().is_none() => attempt.claim.clone(),
            _ => {
                let claim = self
                    .state
                    .claim_of(self.state.opened_at, Nonce::from_bits(0));
                Claim {
                    any_nonce: true,
                    ..claim
                }
            }
        }
    }

    /// Whether nothing was submitted for it, or nothing of what was is left.
    pub fn is_vacant(&self) -> bool {
        self.state.over().is_some()
    }

    /// Whether the last look at its job did not find it, which does not prove it gone.
    pub fn is_missing(&self) -> bool {
        let last = self.state.evidence().and_then(Evidence::last_look);
        matches!(last, Some(Observation::NotVisible(_)))
    }

    /// Whether it may have a job that this process has not got to ask for.
    pub fn is_unseen(&self) -> bool {
        self.state.over().is_none()
            && self.seen_at.is_none()
            && self.unknown.is_none()
            && !self.is_missing()
    }

    /// Its job, once that is known.
    pub fn job(&self) -> Option<&JobRef> {
        self.state.evidence().map(Evidence::job)
    }

    /// The job as it was last seen.
    pub fn sighting(&self) -> Option<&Sighting> {
        self.state.evidence()?.seen()
    }

    /// When this process last saw the job.
    pub fn seen_at(&self) -> Option<Timestamp> {
        self.seen_at
    }

    /// What the scheduler last failed to say, and since when it has.
    pub fn unknown(&self) -> Option<&(Timestamp, Unavailable)> {
        self.unknown.as_ref()
    }

    /// Why the last submission was refused.
    pub fn refusal(&self) -> Option<&str> {
        match &self.state.attempt.as_ref()?.stage {
            Stage::Refused(refusal) => Some(&refusal.said),
            Stage::Unanswered { .. } | Stage::Job(_) => None,
        }
    }

    /// Since when a submission is unanswered, and what sbatch said instead of an answer.
    pub fn unanswered(&self) -> Option<(Timestamp, Option<&Unavailable>)> {
        let attempt = self.state.attempt.as_ref()?;
        match &attempt.stage {
            Stage::Unanswered { said, .. } => Some((attempt.claim.intended, said.as_ref())),
            Stage::Refused(_) | Stage::Job(_) => None,
        }
    }

    /// The endpoint of the present run.
    pub fn endpoint(&self) -> Option<&Endpoint> {
        let attempt = self.state.attempt.as_ref()?;
        attempt.endpoint.as_ref().map(|(_, endpoint)| endpoint)
    }

    /// When the endpoint of the present run was first seen.
    pub fn published_at(&self) -> Option<Timestamp> {
        let attempt = self.state.attempt.as_ref()?;
        attempt.endpoint.as_ref().map(|(at, _)| *at)
    }

    /// The endpoint, where the job was seen running since it was published.
    pub fn ready(&self) -> Option<&Endpoint> {
        let (published, endpoint) = self.state.attempt.as_ref()?.endpoint.as_ref()?;
        let running = matches!(
            self.state.evidence()?.last_look()?,
            Observation::Seen(seen) if seen.state == JobState::Running
        );
        let since = self.seen_at? >= *published;
        (running && since && self.unknown.is_none() && self.state.wish.is_none())
            .then_some(endpoint)
    }

    /// When the endpoint was first given to a client.
    pub fn handed_out(&self) -> Option<Timestamp> {
        self.state.attempt.as_ref()?.handed_out
    }

    /// How the runner said that it stopped.
    pub fn stop_marker(&self) -> Option<&StopMarker> {
        self.state.attempt.as_ref()?.marker.as_ref()
    }

    /// How accounting says that the job ended: its state, exit status and signal.
    pub fn accounted(&self) -> Option<&(JobState, Option<(i32, i32)>)> {
        self.state.attempt.as_ref()?.accounted.as_ref()
    }

    /// The proof that the job is ending and can't come back, where there is one.
    pub fn ending(&self) -> Option<JobEnding> {
        self.state.evidence()?.ending()
    }

    /// The proof that nothing of the lease is left with the scheduler, where there is one.
    pub fn over(&self) -> Option<Over> {
        self.state.over()
    }
}
