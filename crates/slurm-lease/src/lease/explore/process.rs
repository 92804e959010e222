//! A process that drives the lease: what `driver` does, without a clock, a disk and Slurm.

use std::rc::Rc;
use std::time::Duration;

use super::disk::{Disk, Extent};
use super::scheduler::{
    DIRECTORY, Job, Life, Mood, NAME, RunId, Serial, UID, hung, moment, nonce, tag,
};
use super::world::World;
use super::{Mutant, Rule};
use crate::endpoint::{Endpoint, StopMarker};
use crate::evidence::{self, Identified, Search};
use crate::id::JobRef;
use crate::lease::{Lease, Policy, Step, Submitter};
use crate::parse::sacct::Accounting;
use crate::parse::sbatch::{Refusal, Submitted};
use crate::parse::scancel::Cancelled;
use crate::parse::squeue::{Queue, QueueRows};
use crate::record::{Access, Entry, Event, Opened, ReleaseCause};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Role {
    Acquires,
    /// Releases; a keeper, a list and a cleanup that pursue a release do the same.
    Releases,
}

#[derive(Clone)]
pub(super) struct Process {
    pub(super) lease: Rc<Lease>,
    pub(super) role: Role,
    /// What it knows of the journal.
    pub(super) known: Option<Extent>,
    /// Whether it holds the lock that its sbatch will inherit.
    pub(super) locks: bool,
    /// Whether it noticed that the controller hangs.
    pub(super) noticed: bool,
    /// Whether a write of it failed.
    pub(super) unrecorded: bool,
    /// Whether it was told of no stray job since the lease counts as over, so that the record may
    /// be removed.
    pub(super) searched: bool,
    /// What the mutant that writes too late has not written yet.
    pub(super) held_back: Vec<Entry>,
}

impl Process {
    pub(super) fn is_behind(&self, disk: Option<&Disk>) -> bool {
        self.known != disk.map(Disk::extent)
    }

    pub(super) fn next_step(&self, tick: u32) -> Step {
        Lease::clone(&self.lease).poll(moment(tick))
    }
}

/// How a commit goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Write {
    Whole,
    /// Nothing can be written.
    Fails,
    /// The process dies in the middle of the last line.
    Torn,
    /// The process dies before.
    Never,
}

/// Looks are as frequent as can be: when they are taken is explored.
fn policy(mutant: Option<Mutant>) -> Policy {
    let settles = mutant != Some(Mutant::NoSettling);
    Policy {
        settle: Duration::from_secs(if settles { 12 } else { 0 }),
        watch_first: Duration::ZERO,
        watch_most: Duration::ZERO,
        chase_first: Duration::ZERO,
        chase_most: Duration::ZERO,
        cancel_again: Duration::ZERO,
    }
}

fn opened() -> Opened {
    let tag = tag(0);
    Opened {
        lease: tag.lease,
        slug: "s".to_owned(),
        name: NAME.parse().unwrap(),
        uid: UID,
        store: tag.store,
        cluster: None,
        asked: String::new(),
        directory: Some(DIRECTORY.into()),
        access: Access::default(),
    }
}

fn refused() -> Submitted {
    let said = String::new();
    Submitted::Refused(Refusal { said })
}

impl World {
    /// A process begins: from the journal, from nothing, or from a lost record.
    pub(super) fn start(&mut self, slot: usize, role: Role) {
        let now = moment(self.tick);
        let policy = policy(self.mutant);
        let mut lease = match &self.disk {
            Some(disk) => Lease::replay(&disk.journal(self.mutant), policy)
                .unwrap()
                .unwrap(),
            None if role == Role::Acquires && !self.lost => Lease::open(opened(), now, policy),
            None => Lease::reconstruct(opened(), now, policy),
        };
        // An acquire ends a predecessor that is to end before anything else.
        let acquires = role == Role::Acquires && lease.wish().is_none();
        if acquires {
            self.serials += 1;
            lease.handle_acquire(nonce(self.serials));
        } else {
            lease.handle_release(now, ReleaseCause::Asked);
        }
        let process = Process {
            lease: Rc::new(lease),
            role: if acquires { role } else { Role::Releases },
            known: self.disk.as_ref().map(Disk::extent),
            locks: false,
            noticed: false,
            unrecorded: false,
            searched: false,
            held_back: Vec::new(),
        };
        if process.role == Role::Releases {
            self.go_on(slot, process, Write::Whole);
        } else {
            // Another may begin before this one has written that it did.
            self.processes[slot] = Some(process);
        }
    }

    /// An acquire takes back what it has submitted: it was told to stop, or waited too long.
    pub(super) fn give_up(&mut self, slot: usize) {
        let Some(mut process) = self.processes[slot].take() else {
            return;
        };
        process.role = Role::Releases;
        process.locks = false;
        let cause = ReleaseCause::TimedOut;
        Rc::make_mut(&mut process.lease).handle_release(moment(self.tick), cause);
        self.go_on(slot, process, Write::Whole);
    }

    /// A process takes in what others have written.
    pub(super) fn refresh(&mut self, slot: usize) {
        let Some(mut process) = self.processes[slot].take() else {
            return;
        };
        self.catch_up(&mut process);
        self.go_on(slot, process, Write::Whole);
    }

    fn catch_up(&mut self, process: &mut Process) {
        let Some(disk) = &self.disk else { return };
        if process.is_behind(Some(disk)) {
            let lease = Rc::make_mut(&mut process.lease);
            process.known = Some(disk.extent());
            if lease.handle_journal(&disk.journal(self.mutant)).is_err() {
                self.violated(Rule::Coherent);
            }
        }
    }

    /// Whether an acquire ends: somebody released the lease, or nothing can be written.
    fn has_lost_its_point(&self, process: &Process) -> bool {
        let lease = &process.lease;
        let released = lease.wish().is_some();
        process.role == Role::Acquires && (released || process.unrecorded && lease.job().is_none())
    }

    /// A process reads what the runner has written.
    pub(super) fn read_files(&mut self, slot: usize) {
        let now = moment(self.tick);
        let (marker, endpoint) = (self.marker, self.endpoint);
        let Some(mut process) = self.processes[slot].take() else {
            return;
        };
        let lease = Rc::make_mut(&mut process.lease);
        if let Some(run) = marker {
            lease.handle_stop_marker(now, stop_marker(run));
        }
        if let Some(run) = endpoint {
            let mut published = published(run);
            if self.mutant == Some(Mutant::EndpointOfAnyRun) {
                published.restart_count = lease.sighting().map_or(0, |seen| seen.restarts);
            }
            // One of another run is refused, and that is that.
            drop(lease.handle_endpoint(now, published));
        }
        self.go_on(slot, process, Write::Whole);
    }

    /// A process does the next thing.
    pub(super) fn step(&mut self, slot: usize, write: Write, reply: bool) {
        let Some(mut process) = self.processes[slot].take() else {
            return;
        };
        let step = Rc::make_mut(&mut process.lease).poll(moment(self.tick));
        if !matches!(step, Step::Record | Step::Submit(_)) {
            process.locks = false;
        }
        let alive = match step {
            Step::Record => true,
            Step::Over(proof) => {
                drop(proof);
                self.conclude(&mut process)
            }
            other => {
                self.ask(&mut process, slot, other, reply);
                true
            }
        };
        if alive {
            self.go_on(slot, process, write);
        }
    }

    /// A process writes down what it has learnt, if anything, and goes on, if it can.
    ///
    /// What others do between an answer of the scheduler and the commit that follows it they can
    /// as well do before or after both: so these are one step, which halves the work. What sbatch
    /// answers is written in a step of its own, for others can see that its lock is free.
    fn go_on(&mut self, slot: usize, mut process: Process, write: Write) {
        let wrote = !process.unrecorded && !process.lease.unrecorded().is_empty();
        let alive = if wrote {
            self.record(&mut process, write)
        } else {
            // An action that is about a write needs one.
            self.impossible |= write != Write::Whole;
            true
        };
        if alive && !self.has_lost_its_point(&process) {
            self.check_beliefs(&process);
            self.processes[slot] = Some(process);
        }
    }

    fn ask(&mut self, process: &mut Process, slot: usize, step: Step, reply: bool) {
        let now = moment(self.tick);
        process.noticed = self.scheduler.mood == Mood::Hangs;
        match step {
            Step::Submit(tag) if process.locks => {
                // The lock is sbatch's from now on.
                process.locks = false;
                let serial = (1..=self.serials).find(|serial| nonce(*serial) == tag.nonce);
                self.scheduler.submit(serial.unwrap(), slot);
            }
            Step::Submit(_) => Rc::make_mut(&mut process.lease).handle_submission(now, refused()),
            Step::Search => {
                self.search(process);
            }
            Step::Look(job) => {
                let lease = Rc::make_mut(&mut process.lease);
                let answer = mutated(self.scheduler.ask(Some(&job)), true, lease, self.mutant);
                let look = evidence::look(&lease.claim(), &job, &answer);
                lease.handle_look(now, look);
            }
            // It is never a witness; one that says nothing at all makes the hardest case.
            Step::Account(_) => Rc::make_mut(&mut process.lease)
                .handle_accounting(now, &Accounting::Unavailable(hung())),
            Step::ForbidRequeue(job) => {
                self.forbid_requeue(job);
                Rc::make_mut(&mut process.lease).handle_requeue_forbidden();
            }
            Step::Cancel(job) => {
                let outcome = self.cancel(job);
                let taken = outcome == Cancelled::Taken;
                let unclear = || Cancelled::Unclear(hung());
                let outcome = if reply { outcome } else { unclear() };
                Rc::make_mut(&mut process.lease).handle_cancel(now, outcome);
                if taken && self.mutant == Some(Mutant::CancelledIsOver) {
                    self.remove();
                }
            }
            Step::Wait(_) | Step::Record | Step::Over(_) => {}
        }
    }

    /// Searches for jobs of the lease; whether that was answered.
    fn search(&mut self, process: &mut Process) -> bool {
        let submitter = if self.is_submitting() {
            Submitter::MayRun
        } else {
            Submitter::Ended
        };
        let lease = Rc::make_mut(&mut process.lease);
        let answer = mutated(self.scheduler.ask(None), false, lease, self.mutant);
        let found = evidence::search(&lease.claim(), None, &answer);
        let answered = !matches!(found, Search::Unknown(_));
        lease.handle_search(moment(self.tick), found, submitter);
        answered
    }

    /// Whether an sbatch may be running or about to be, by the lock that it holds.
    fn is_submitting(&self) -> bool {
        let locked = self.processes.iter().flatten().any(|other| other.locks);
        let running = self.scheduler.requests.iter().any(|request| request.sbatch);
        (locked || running) && self.mutant != Some(Mutant::SbatchIsNeverRunning)
    }

    /// Puts on disk what was learnt; false where the process did not survive that.
    fn record(&mut self, process: &mut Process, write: Write) -> bool {
        if write == Write::Never {
            return false;
        }
        let intends = |entry: &Entry| matches!(entry.event, Event::SubmissionIntended { .. });
        if process.lease.unrecorded().iter().any(intends) {
            if self.is_submitting() {
                // The intention of whoever is takes the place of ours.
                self.catch_up(process);
                return true;
            }
            process.locks = true;
        }
        let vanished = self.disk.is_none() && process.known.is_some();
        if write == Write::Fails || vanished {
            process.unrecorded = true;
            Rc::make_mut(&mut process.lease).handle_not_recorded();
            return true;
        }
        if self.mutant != Some(Mutant::CommitLooksAway) {
            self.catch_up(process);
        }
        let mut entries = std::mem::take(&mut process.held_back);
        entries.extend(process.lease.unrecorded().iter().cloned());
        let answers = |entry: &Entry| matches!(entry.event, Event::SubmissionAnswered { .. });
        if self.mutant == Some(Mutant::NothingWrittenBefore) && !entries.iter().any(answers) {
            process.held_back = std::mem::take(&mut entries);
        }
        if self.mutant == Some(Mutant::IntentionWrittenLate)
            && let Some(at) = entries.iter().position(intends)
        {
            process.held_back = entries.split_off(at);
        }
        if write == Write::Torn {
            entries.pop();
            self.write(&entries);
            self.lost |= self.disk.is_none();
            if let Some(disk) = &mut self.disk {
                disk.torn = true;
            }
            return false;
        }
        self.write(&entries);
        process.known = self.disk.as_ref().map(Disk::extent);
        Rc::make_mut(&mut process.lease).handle_recorded();
        true
    }

    fn write(&mut self, entries: &[Entry]) {
        let written = match &mut self.disk {
            Some(disk) => disk.append(entries),
            None if entries.is_empty() => Ok(()),
            none => {
                self.records += 1;
                Disk::begin(self.records, entries).map(|disk| *none = Some(disk))
            }
        };
        if written.is_err() {
            self.violated(Rule::Coherent);
        }
    }

    /// The lease says that it is over. Its record goes, unless others have written to it.
    fn conclude(&mut self, process: &mut Process) -> bool {
        let hasty = self.mutant == Some(Mutant::UnansweredIsClean);
        if process.role == Role::Releases && !process.searched {
            process.noticed = self.scheduler.mood == Mood::Hangs;
            process.searched = self.search(process) || hasty;
            // Behind the one that was found there may be another.
            process.searched &= process.lease.over().is_some();
            return true;
        }
        let looks_away = self.mutant == Some(Mutant::RemovalLooksAway);
        if self.disk.is_some() && process.is_behind(self.disk.as_ref()) && !looks_away {
            self.catch_up(process);
            return true;
        }
        self.remove();
        false
    }

    /// What a process believes must be so. It can't know what has happened since it looked.
    fn check_beliefs(&mut self, process: &Process) {
        let lease = &process.lease;
        let Some(of) = lease.allocation() else { return };
        let seen = lease.sighting().map(|seen| seen.restarts);
        if let (Some(endpoint), Some(restarts)) = (lease.ready(), seen) {
            let believed = endpoint.host.as_str();
            let of_run = |serial: &Serial| {
                let (number, serial) = (of.job.id.number(), *serial);
                let known = of.nonce == nonce(0) || of.nonce == nonce(serial);
                known
                    && believed
                        == host(RunId {
                            number,
                            restarts,
                            serial,
                        })
            };
            if !(1..=self.serials).any(|serial| of_run(&serial)) {
                self.violated(Rule::OwnEndpoint);
            }
        }
        let comes_back = |job: &Job| match job.life {
            Life::Pending | Life::Running | Life::Completing { again: true } => true,
            Life::Finished => job.requeueable,
            Life::Completing { again: false } | Life::Orphaned => false,
        };
        let mut jobs = self.scheduler.jobs.iter();
        let returns = jobs.any(|job| job.is(&of) && comes_back(job));
        if lease.ending().is_some() && returns {
            self.violated(Rule::EndingEnds);
        }
    }

    fn forbid_requeue(&mut self, job: Identified) {
        if self.scheduler.mood == Mood::Hangs {
            return;
        }
        let Some(job) = self.scheduler.identified(job) else {
            return;
        };
        let stranger = job.serial.is_none();
        job.requeueable &= !job.can_be_updated();
        if stranger {
            self.violated(Rule::OursOnly);
        }
    }

    fn cancel(&mut self, job: Identified) -> Cancelled {
        if self.scheduler.mood == Mood::Hangs {
            return Cancelled::Unclear(hung());
        }
        let Some(job) = self.scheduler.identified(job) else {
            return Cancelled::UnknownId;
        };
        let before = *job;
        let changed = job.cancel();
        if before.serial.is_none() {
            self.violated(Rule::OursOnly);
        }
        if before.life == Life::Running {
            self.marker = before.run();
        }
        if changed {
            Cancelled::Taken
        } else {
            Cancelled::AlreadyEnding
        }
    }

    /// sbatch ends; its caller, where it lives, is told this much.
    pub(super) fn end_sbatch(&mut self, request: usize, outcome: Submitted) {
        let now = moment(self.tick);
        let asked = &mut self.scheduler.requests[request];
        let caller = asked.caller.take();
        asked.sbatch = false;
        if asked.became.is_some() || matches!(outcome, Submitted::Refused(_)) {
            self.scheduler.requests.remove(request);
        }
        let outcome = match outcome {
            Submitted::Unclear(_) if self.mutant == Some(Mutant::UnclearIsRefused) => refused(),
            other => other,
        };
        if let Some(process) = caller.and_then(|slot| self.processes[slot].as_mut()) {
            Rc::make_mut(&mut process.lease).handle_submission(now, outcome);
        }
    }

    /// What sbatch says where its reply arrives.
    pub(super) fn reply(&self, request: usize) -> Submitted {
        let number = self.scheduler.requests[request].became;
        number.map_or_else(refused, |number| {
            let id = number.to_string().parse().unwrap();
            Submitted::Accepted(JobRef { id, cluster: None })
        })
    }
}

/// What a mutant makes of an answer about one job alone, or about all.
fn mutated(answer: Queue, alone: bool, lease: &Lease, mutant: Option<Mutant>) -> Queue {
    match (mutant, answer) {
        (Some(Mutant::UnlistedIsAbsence), Queue::Rows(rows)) if alone && rows.rows.is_empty() => {
            Queue::InvalidJobId
        }
        (Some(Mutant::UnknownIdIsNothing), Queue::InvalidJobId) => {
            Queue::Rows(QueueRows::default())
        }
        (Some(Mutant::SilenceIsAbsence), Queue::Unavailable(_)) if alone => Queue::InvalidJobId,
        (Some(Mutant::SilenceIsAbsence), Queue::Unavailable(_)) => {
            Queue::Rows(QueueRows::default())
        }
        (Some(mutant), Queue::Rows(mut rows)) => {
            for row in &mut rows.rows {
                match mutant {
                    Mutant::RequeueableIsOver => row.requeueable = false,
                    Mutant::StrayIsOver if !alone => row.requeueable = false,
                    Mutant::EditedIsStranger if row.name != NAME && lease.sighting().is_some() => {
                        row.directory = None;
                        row.submitted = None;
                        row.restarts = 0;
                    }
                    Mutant::NameIsIdentity if row.name == NAME => {
                        row.directory = Some(DIRECTORY.to_owned());
                    }
                    Mutant::CompletingIsEnding => row.restarts = 0,
                    Mutant::NumberIsIdentity if alone => {
                        row.comment = lease.claim().tag.to_string();
                    }
                    _ => {}
                }
            }
            Queue::Rows(rows)
        }
        (_, answer) => answer,
    }
}

fn stop_marker(run: RunId) -> StopMarker {
    StopMarker {
        job_id: run.number.to_string().parse().unwrap(),
        restart_count: run.restarts,
        nonce: Some(nonce(run.serial)),
        exit_code: 0,
        reason: "terminated".to_owned(),
        message: String::new(),
    }
}

fn host(run: RunId) -> String {
    format!("{}.{}.{}", run.number, run.restarts, run.serial)
}

/// An endpoint whose host says which run published it.
fn published(run: RunId) -> Endpoint {
    let nonce = nonce(run.serial);
    Endpoint {
        host: host(run),
        port: 22,
        user: "u".to_owned(),
        ready_check: String::new(),
        job_id: run.number.to_string().parse().ok(),
        restart_count: run.restarts,
        nonce: Some(nonce),
        host_key: None,
        key: None,
        proxy_command: None,
        login_host: None,
        login_user: None,
    }
}
