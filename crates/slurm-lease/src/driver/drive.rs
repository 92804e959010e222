//! Doing what a lease says is to be done next.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::command::{QUERY_LIMIT, SUBMIT_LIMIT, Submission};
use crate::driver::Leases;
use crate::driver::clock::{Deadline, now, pause};
use crate::driver::files::{self, Lock};
use crate::driver::process;
use crate::driver::store::{Held, LeaseDir, StoreError};
use crate::driver::watch::Watch;
use crate::endpoint::{Endpoint, StopMarker};
use crate::evidence::{self, Look, Observation, Over, Search};
use crate::id::{JobRef, Tag};
use crate::lease::{INTENTION_LIMIT, Step, Submitter};
use crate::parse::sbatch::{Refusal, Submitted};
use crate::parse::squeue::Queue;
use crate::record::Event;
use crate::resources::ResourceError;

/// How old a shared picture of the queue may be to say how a job is.
const GLANCE_AGE: SignedDuration = SignedDuration::from_secs(1);

/// How long to wait for another process to write down what it is about to submit.
const TURN: Duration = Duration::from_millis(2);

/// How long after its limit an sbatch is ended by others than the process that started it.
const OVERDUE: Duration = Duration::from_secs(10);

/// How to submit a job for a lease.
pub(super) type Submit<'a> = dyn Fn(Tag) -> Result<Submission, ResourceError> + 'a;

/// What one step came to.
pub(super) enum Driven {
    /// There is more to do.
    On,
    /// Nothing is to be done before this time.
    Wait(Timestamp),
    /// Nothing of the lease is left with the scheduler.
    Over(Over),
}

/// What belongs to driving one lease in one operation.
pub(super) struct Drive<'a> {
    pub(super) leases: &'a Leases,
    pub(super) held: Held,
    pub(super) deadline: Deadline,
    submitting: Option<Lock>,
    submitted_here: bool,
    not_recorded: Option<StoreError>,
    read_only: bool,
    glance_age: SignedDuration,
    patience: Option<(&'a Watch, Deadline)>,
}

impl<'a> Drive<'a> {
    pub(super) fn new(leases: &'a Leases, held: Held, deadline: Deadline) -> Self {
        Self {
            leases,
            held,
            deadline,
            submitting: None,
            submitted_here: false,
            not_recorded: None,
            read_only: false,
            glance_age: GLANCE_AGE,
            patience: None,
        }
    }

    /// Waits no longer for sbatch once this is interrupted, or has passed.
    pub(super) fn patient(mut self, watch: &'a Watch, until: Deadline) -> Self {
        self.patience = Some((watch, until));
        self
    }

    /// Has the lease seen now, not in a picture of a moment ago.
    pub(super) fn afresh(mut self) -> Self {
        self.glance_age = SignedDuration::ZERO;
        self
    }

    /// Writes nothing: what is learnt of a lease is shown and forgotten.
    pub(super) fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Whether the job, if there is one, was submitted here.
    pub(super) fn submitted_here(&self) -> bool {
        self.submitted_here
    }

    /// Why something that was learnt is not on disk, if it is not.
    pub(super) fn not_recorded(&self) -> Option<&StoreError> {
        self.not_recorded.as_ref()
    }

    /// Does the next thing. Without a way to submit, a lease that wants that only waits.
    pub(super) fn step(&mut self, submit: Option<&Submit<'_>>) -> Driven {
        let step = self.held.lease.poll(now());
        if !matches!(step, Step::Record | Step::Submit(_)) {
            // Where another process was first, nothing is submitted here.
            self.submitting = None;
        }
        match step {
            Step::Record => self.record(),
            Step::Submit(tag) => self.submit(tag, submit),
            Step::Search => self.search(),
            Step::Look(job) => self.look(&job),
            Step::Account(job) => {
                let answer = self.leases.slurm.accounting(&job, self.limit());
                self.held.lease.handle_accounting(now(), &answer);
            }
            Step::ForbidRequeue(job) => {
                // Whether it was taken, the next look shows.
                drop(self.leases.slurm.forbid_requeue(job, self.limit()));
                self.held.lease.handle_requeue_forbidden();
            }
            Step::Cancel(job) => {
                let limit = self.deadline.left().max(Duration::from_secs(1));
                let answer = self.leases.slurm.cancel(job, limit);
                self.held.lease.handle_cancel(now(), answer);
            }
            Step::Wait(until) => return Driven::Wait(until),
            Step::Over(proof) => return Driven::Over(proof),
        }
        Driven::On
    }

    /// By when a search of the queue must be done.
    fn search_deadline(&self) -> Deadline {
        Deadline::after(self.limit())
    }

    /// No query takes longer than what the operation has left, or than a query may.
    fn limit(&self) -> Duration {
        self.deadline
            .left()
            .clamp(Duration::from_millis(500), QUERY_LIMIT)
    }

    fn record(&mut self) {
        if self.read_only {
            self.held.lease.handle_recorded();
            return;
        }
        let intends =
            |entry: &crate::record::Entry| matches!(entry.event, Event::SubmissionIntended { .. });
        if self.held.lease.unrecorded().iter().any(intends) {
            // The directory may not be there yet; without it nobody else can be submitting.
            let dir = self.held.dir();
            match dir.create().and_then(|()| dir.submitting()) {
                Ok(Some(lock)) => self.submitting = Some(lock),
                Ok(None) => {
                    // Another process is submitting: its intention is on disk or about to be, and
                    // takes the place of ours.
                    pause(TURN);
                    drop(self.held.refresh());
                    return;
                }
                Err(error) => {
                    self.not_recorded = Some(error.into());
                    self.held.lease.handle_not_recorded();
                    return;
                }
            }
        }
        if let Err(error) = self.held.commit() {
            self.not_recorded = Some(error);
        }
    }

    fn submit(&mut self, tag: Tag, submit: Option<&Submit<'_>>) {
        let lock = self.submitting.take();
        let submission = submit.map(|submission| submission(tag));
        let given_up = || {
            self.patience
                .is_some_and(|(watch, until)| watch.interruption().is_some() || until.has_passed())
        };
        let outcome = match (lock, submission) {
            (Some(lock), Some(Ok(submission))) => {
                self.forget_last_run();
                let slurm = &self.leases.slurm;
                match slurm.submit(&submission, &lock, &given_up) {
                    Some(outcome) => outcome,
                    // It holds the lock on, and what comes of it is searched for.
                    None => return,
                }
            }
            (_, Some(Err(error))) => Submitted::Refused(Refusal {
                said: error.to_string(),
            }),
            _ => Submitted::Refused(Refusal {
                said: "nothing was submitted".to_owned(),
            }),
        };
        self.submitted_here = true;
        self.held.lease.handle_submission(now(), outcome);
    }

    /// What an earlier run left behind says nothing of the next.
    fn forget_last_run(&self) {
        for name in ["endpoint.json", "stopped.json", "claimed", "release"] {
            // One that stays is refused for its job id and nonce.
            drop(files::remove(&self.held.dir().file(name)));
        }
    }

    fn search(&mut self) {
        let (found, submitter) = self.ask_for_all();
        let limit = self.limit();
        let lease = &mut self.held.lease;
        match &found {
            // The first submission goes where it was searched for.
            Search::Clean if lease.is_vacant() => self.leases.locate(lease, limit),
            Search::Found(found) if found.job.cluster.is_none() => self.leases.locate(lease, limit),
            _ => {}
        }
        lease.handle_search(now(), found, submitter);
    }

    /// Asks for all jobs of the user, wherever one of the lease can be.
    pub(super) fn ask_for_all(&self) -> (Search, Submitter) {
        let submitter = self.submitter();
        let lease = &self.held.lease;
        let claim = lease.claim();
        let found = match self.leases.elsewhere(lease, self.limit()) {
            Some(why) => Search::Unknown(why),
            None if lease.opened().cluster.is_none() && lease.has_lost_its_record() => {
                self.leases.search_everywhere(&claim, self.deadline)
            }
            None => {
                let own = lease.opened().cluster.clone();
                self.leases
                    .slurm
                    .search(&claim, &[own], self.search_deadline())
            }
        };
        (found, submitter)
    }

    /// Whether the sbatch of the last submission may still run.
    fn submitter(&self) -> Submitter {
        let Some((intended, _)) = self.held.lease.unanswered() else {
            return Submitter::Ended;
        };
        let dir = self.held.dir();
        end_overdue(dir);
        // A directory that is gone has no lock that anybody could hold.
        if !dir.exists() {
            return Submitter::Ended;
        }
        if files::locks_are_inherited(dir.path()) {
            return match dir.submitting() {
                Ok(Some(_free)) => Submitter::Ended,
                Ok(None) | Err(_) => Submitter::MayRun,
            };
        }
        let longest = SignedDuration::try_from(SUBMIT_LIMIT).unwrap_or(SignedDuration::MAX);
        let long_ago = now().duration_since(intended) > longest + INTENTION_LIMIT;
        if self.submitted_here || long_ago {
            Submitter::Ended
        } else {
            Submitter::MayRun
        }
    }

    fn look(&mut self, job: &JobRef) {
        let lease = &self.held.lease;
        let claim = lease.claim();
        if let Some(why) = self.leases.elsewhere(lease, self.limit()) {
            let look = evidence::look(&claim, job, &Queue::Unavailable(why));
            self.held.lease.handle_look(now(), look);
            return;
        }
        if !lease.is_to_be_identified() {
            let not_before = self.not_before();
            let cluster = job.cluster.as_ref();
            let snapshot = self
                .leases
                .slurm
                .snapshot(cluster, not_before, self.limit());
            let look = evidence::glance(&claim, job, &snapshot.queue);
            if !matches!(look.observation(), Observation::NotVisible(_)) {
                self.locate(&look);
                self.held.lease.handle_look(snapshot.at, look);
                return;
            }
        }
        let answer = self.leases.slurm.job(job, self.limit());
        let look = evidence::look(&claim, job, &answer);
        self.locate(&look);
        self.held.lease.handle_look(now(), look);
    }

    /// Where a job is seen, there its lease is.
    fn locate(&mut self, look: &Look) {
        if matches!(look.observation(), Observation::Seen(_)) {
            let limit = self.limit();
            self.leases.locate(&mut self.held.lease, limit);
        }
    }

    /// How old a picture may be: a job must be seen after its endpoint was.
    fn not_before(&self) -> Timestamp {
        let recent = now() - self.glance_age;
        let published = self.held.lease.published_at();
        published.map_or(recent, |published| published.max(recent))
    }

    /// Takes in what the runner has written since.
    pub(super) fn read_runner_files(&mut self) {
        let dir = self.held.dir().clone();
        if let Ok(Some(bytes)) = dir.read("stopped.json")
            && let Ok(marker) = StopMarker::parse(&bytes)
        {
            self.held.lease.handle_stop_marker(now(), marker);
        }
        if let Some(endpoint) = self.read_endpoint() {
            // One of another run is looked at again when the job is.
            drop(self.held.lease.handle_endpoint(now(), endpoint));
        }
    }

    /// What is published, if it may be of the present run.
    fn read_endpoint(&self) -> Option<Endpoint> {
        let dir = self.held.dir();
        let bytes = dir.read("endpoint.json").ok()??;
        let endpoint = Endpoint::parse(&bytes).ok()?;
        let job = self.held.lease.job()?;
        match endpoint.job_id {
            Some(id) => (id == job.id).then_some(endpoint),
            // A runner that does not say whose endpoint it is: the file must be younger than the
            // start of the job.
            None => {
                let started = self.held.lease.sighting()?.started?;
                let written = files::modified(&dir.file("endpoint.json")).ok()?;
                let written = Timestamp::try_from(written).ok()?;
                (written >= started).then_some(endpoint)
            }
        }
    }
}

/// Ends an sbatch that has had its time, where the process that would have done that was killed.
fn end_overdue(dir: &LeaseDir) {
    let lock = dir.submit_lock();
    let began = files::modified(&lock).ok();
    let age = began.and_then(|began| began.elapsed().ok());
    if age.is_some_and(|age| age > SUBMIT_LIMIT + OVERDUE)
        && let Ok(Some(signed)) = files::read(&lock)
        && let Ok(group) = String::from_utf8_lossy(&signed).trim().parse()
    {
        process::kill_holders(group, &lock);
    }
}
