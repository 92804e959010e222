//! Getting a lease: one job for it, and an sshd that answers.

mod error;
mod handover;
mod start;

use std::time::Duration;

use jiff::Timestamp;

use crate::driver::Leases;
use crate::driver::banner;
use crate::driver::clock::{Deadline, now};
use crate::driver::drive::{Drive, Driven};
use crate::driver::keeper::{Presence, leave_queued, offer};
use crate::driver::keys;
use crate::driver::order::Order;
use crate::driver::status::{Ended, GREETING_LIMIT, endpoint_fault};
use crate::driver::store::{LeaseDir, StoreError};
use crate::driver::strays::Strays;
use crate::driver::watch::{Files, Watch};
use crate::endpoint::Endpoint;
use crate::id::Nonce;
use crate::job_state::Meaning;
use crate::lease::Lease;
use crate::parse::{Cause, Unavailable};
use crate::record::ReleaseCause;

pub use error::{AcquireError, Left};
pub use handover::Acquired;
use handover::{end_job, is_used, take_back};
use start::prepare_error;

/// How long a controller that can't be asked is waited for before anything is submitted.
const SCOUT_LIMIT: Duration = Duration::from_secs(25);

/// How long an acquire whose time is over may go on with what it is about, such as an sbatch that
/// has not answered, or a look for the job of one that has.
const OVERTIME: Duration = Duration::from_secs(10);

impl Leases {
    /// Gets a lease: attaches to the job that it has, or submits one, and waits until an sshd
    /// answers there. `progress` is called whenever something may have changed. The lease counts
    /// as left behind until it is said to have been [delivered](Acquired::delivered).
    ///
    /// # Errors
    /// When that can't be, for whatever reason; what was submitted is taken back then, unless the
    /// order says to keep it.
    pub fn acquire(
        &self,
        order: &Order,
        watch: &Watch,
        progress: &mut dyn FnMut(&Lease),
    ) -> Result<Acquired, AcquireError> {
        order.resources.options()?;
        let faults = self.check_local(order);
        if !faults.is_empty() {
            return Err(AcquireError::Unfit { faults });
        }
        let began = now();
        match self.keeper {
            Some(_) => self.pursue_abandoned(Some(&order.lease)),
            None => self.end_abandoned(&order.lease),
        }
        self.learn_site(order.cluster.as_ref());
        let (mut held, presence) = self.start(order, watch, began)?;
        let nonce =
            getrandom::u64().map_err(|error| prepare_error(order, std::io::Error::other(error)))?;
        held.lease.handle_acquire(Nonce::from_bits(nonce));
        let deadline = Deadline::after(order.time_limit);
        let overtime = Deadline::after(order.time_limit.saturating_add(OVERTIME));
        let mut acquiring = Acquiring {
            leases: self,
            began,
            order,
            watch,
            drive: Drive::new(self, held, deadline).patient(watch, overtime),
            overtime,
            presence,
            scouting: Deadline::after(SCOUT_LIMIT),
        };
        let outcome = acquiring.run(progress);
        acquiring.conclude(outcome)
    }
}

/// What a job that runs lacks to be ready.
fn what_is_lacking(lease: &Lease, dir: &LeaseDir) -> String {
    match (endpoint_fault(dir), lease.endpoint()) {
        (Some(fault), _) => format!("what its runner published cannot be used: {fault}"),
        (None, Some(endpoint)) => format!("no sshd answers at {}:{}", endpoint.host, endpoint.port),
        (None, None) => "its runner has published no endpoint".to_owned(),
    }
}

/// Whether waiting does not change what keeps Slurm from being asked.
fn is_lasting(why: &Unavailable) -> bool {
    matches!(
        why.cause,
        Cause::UnknownCluster | Cause::OtherCluster | Cause::NotStarted | Cause::Doubtful
    )
}

/// One acquire, while it waits.
struct Acquiring<'a> {
    leases: &'a Leases,
    began: Timestamp,
    order: &'a Order,
    watch: &'a Watch,
    drive: Drive<'a>,
    overtime: Deadline,
    presence: Presence,
    scouting: Deadline,
}

/// Why the wait came to an end without an endpoint.
enum Halt {
    Over,
    NotRecorded,
    Unavailable(Unavailable),
    Elsewhere(Unavailable),
    TimedOut,
    Released,
    Vanished,
    Interrupted,
}

impl Acquiring<'_> {
    fn run(&mut self, progress: &mut dyn FnMut(&Lease)) -> Result<Endpoint, Halt> {
        let (order, store) = (self.order, &self.leases.store);
        let dir = self.drive.held.dir().clone();
        let files = Files::in_dir(dir.path());
        let submit = move |tag| order.submission(store, &dir, tag);
        let mut searched = false;
        loop {
            if self.watch.interruption().is_some() {
                return Err(Halt::Interrupted);
            }
            if self.overtime.has_passed() {
                return Err(Halt::TimedOut);
            }
            self.drive.read_runner_files();
            let step = self.drive.step(Some(&submit));
            progress(&self.drive.held.lease);
            self.check()?;
            let pause = match step {
                Driven::On => continue,
                Driven::Over(_)
                    if self.drive.held.lease.job().is_some()
                        && !std::mem::replace(&mut searched, true) =>
                {
                    // What is found is attached to; what is not known keeps the record.
                    let _strays = self.drive.search_for_strays();
                    continue;
                }
                Driven::Over(_) => return Err(Halt::Over),
                Driven::Wait(until) => until.duration_since(now()).unsigned_abs(),
            };
            if let Some(endpoint) = self.ready() {
                return Ok(endpoint);
            }
            if self.drive.deadline.has_passed() {
                return Err(Halt::TimedOut);
            }
            let pause = pause.min(self.drive.deadline.left());
            if self.watch.wait(Some(&files), pause).is_some() {
                return Err(Halt::Interrupted);
            }
            // What others have learnt or wished meanwhile; what can't be read now, is later.
            if let Err(StoreError::Vanished(_)) = self.drive.held.refresh()
                && let Some(halt) = self.vanished()
            {
                return Err(halt);
            }
            // A sign of life that can't be given only makes the lease look abandoned sooner.
            drop(self.presence.show());
        }
    }

    /// What it means that the record is gone: without word of an end, only we know of the job.
    fn vanished(&mut self) -> Option<Halt> {
        let tombstone = self.leases.store.tombstone(&self.order.lease);
        let tombstone = tombstone.ok().flatten();
        if tombstone.is_some_and(|tombstone| tombstone.at >= self.began) {
            return Some(Halt::Released);
        }
        // Another acquire may have made a new record between the two looks.
        let again = self.drive.held.refresh();
        matches!(again, Err(StoreError::Vanished(_))).then_some(Halt::Vanished)
    }

    /// Whether the wait has lost its point.
    fn check(&mut self) -> Result<(), Halt> {
        let lease = &self.drive.held.lease;
        if lease.wish().is_some() {
            return Err(Halt::Released);
        }
        if lease.job().is_none()
            && let Some(why) = self.drive.not_recorded()
        {
            let vanished = matches!(why, StoreError::Vanished(_));
            let halt = vanished.then(|| self.vanished()).flatten();
            return Err(halt.unwrap_or(Halt::NotRecorded));
        }
        match lease.unknown() {
            Some((_, why))
                if lease.is_vacant() && (self.scouting.has_passed() || is_lasting(why)) =>
            {
                Err(Halt::Unavailable(why.clone()))
            }
            Some((_, why)) if why.cause == Cause::OtherCluster => Err(Halt::Elsewhere(why.clone())),
            _ => Ok(()),
        }
    }

    /// The endpoint, once its sshd has answered and it is on disk that we are about to give it.
    fn ready(&mut self) -> Option<Endpoint> {
        let endpoint = self.drive.held.lease.ready()?.clone();
        let direct = self.order.access.is_direct() && endpoint.proxy_command.is_none();
        if direct && !banner::answers(&endpoint, GREETING_LIMIT) {
            return None;
        }
        let dir = self.drive.held.dir().clone();
        let access = &self.drive.held.lease.opened().access;
        keys::admit(&dir, access, &endpoint).ok()?;
        offer(&dir).ok()?;
        Some(endpoint)
    }

    /// Answers for how the wait ended, and takes back what is not to be kept.
    fn conclude(mut self, outcome: Result<Endpoint, Halt>) -> Result<Acquired, AcquireError> {
        let lease = self.order.lease.clone();
        let halt = match outcome {
            Ok(endpoint) => {
                let Self {
                    leases,
                    drive,
                    presence,
                    ..
                } = self;
                return Ok(Acquired::new(leases, drive.held, endpoint, presence));
            }
            Err(halt) => halt,
        };
        match halt {
            Halt::Released => {
                self.presence.end();
                Err(AcquireError::Released(lease))
            }
            Halt::Vanished => {
                // Where others wait too, each of them knows of the job.
                let left = match (self.drive.held.lease.is_vacant(), self.is_used()) {
                    (false, false) => self.end_job(ReleaseCause::Abandoned),
                    (vacant, _) => {
                        self.presence.end();
                        if vacant { Left::Nothing } else { Left::InUse }
                    }
                };
                Err(AcquireError::RecordRemoved { lease, left })
            }
            Halt::Over => Err(self.over()),
            Halt::Unavailable(why) => {
                self.discard();
                Err(AcquireError::Unavailable(why))
            }
            Halt::Elsewhere(why) => {
                let left = self.leave_elsewhere();
                Err(AcquireError::Elsewhere { why, left })
            }
            Halt::NotRecorded => {
                let source = std::io::Error::other(self.not_recorded());
                self.discard();
                Err(StoreError::Io(source).into())
            }
            Halt::TimedOut => Err(self.time_out()),
            Halt::Interrupted if self.order.keep => {
                // The keeper ends the lease unless somebody attaches to it in time.
                let used = self.is_used().then_some(Left::InUse);
                let left = used.unwrap_or(Left::ForAWhile);
                Err(AcquireError::Interrupted { left })
            }
            Halt::Interrupted => {
                let left = self.take_back(ReleaseCause::Abandoned);
                Err(AcquireError::Interrupted { left })
            }
        }
    }

    /// Ends what was submitted here, as soon as the configuration leads there again. What was there
    /// before stays as it was.
    fn leave_elsewhere(self) -> Left {
        match self.drive.held.lease.job().cloned() {
            Some(job) if !self.drive.submitted_here() => {
                drop(leave_queued(self.drive.held.dir()));
                self.presence.end();
                Left::Kept(job)
            }
            _ => self.take_back(ReleaseCause::Abandoned),
        }
    }

    fn not_recorded(&self) -> String {
        let error = self.drive.not_recorded();
        error.map_or_else(String::new, ToString::to_string)
    }

    /// The job is over, or there never was one.
    fn over(self) -> AcquireError {
        let lease = &self.drive.held.lease;
        let refusal = lease.refusal().map(str::to_owned);
        let unclear = lease.unclear().map(ToString::to_string);
        let ended = Ended::of(lease, self.drive.held.dir());
        let id = self.order.lease.clone();
        self.discard();
        match (refusal, ended, unclear) {
            (Some(said), _, _) => AcquireError::Refused { said },
            (None, Some(ended), _) => AcquireError::Ended(Box::new(ended)),
            (None, None, Some(said)) => AcquireError::NoJob { said },
            (None, None, None) => AcquireError::Released(id),
        }
    }

    /// Removes the record of a lease that has no job, unless another process has found a use for
    /// it. Where that fails, or whether there is a job is not known, the next cleanup does it.
    fn discard(self) {
        let Self {
            leases,
            mut drive,
            presence,
            ..
        } = self;
        if drive.held.is_unused() {
            // Another process may have attached to it.
            if presence.end() {
                drop(leases.store.undo(&drive.held));
            }
            return;
        }
        if drive.held.refresh().is_err() || drive.held.lease.over().is_none() {
            presence.end();
            return;
        }
        let strays = drive.search_for_strays();
        if matches!(strays, Strays::Found) {
            // The keeper ends what is found here.
            return;
        }
        // An acquire that still waits is to find out by itself why it can't have a job.
        if presence.end()
            && let (Strays::None(searched), Some(proof)) = (strays, drive.held.lease.over())
        {
            drop(leases.store.remove(drive.held, proof, searched, now()));
        }
    }

    fn time_out(self) -> AcquireError {
        let limit = self.order.time_limit;
        let lease = &self.drive.held.lease;
        let state = match (lease.unknown(), lease.sighting()) {
            (Some((_, why)), _) => why.to_string(),
            (None, Some(seen)) if seen.state.meaning() == Meaning::Live => {
                let lacks = what_is_lacking(lease, self.drive.held.dir());
                format!("{}, but {lacks}", seen.state)
            }
            (None, Some(seen)) if seen.reason.is_empty() => seen.state.to_string(),
            (None, Some(seen)) => format!("{}, {}", seen.state, seen.reason),
            (None, None) => "Slurm has not shown it yet".to_owned(),
        };
        let submitted = !lease.is_vacant();
        let id = self.order.lease.clone();
        let kept = lease
            .job()
            .filter(|_| submitted && self.order.keep)
            .cloned();
        let left = match kept {
            Some(job) => {
                // Its runner and its keeper are not to take it for abandoned.
                drop(leave_queued(self.drive.held.dir()));
                self.presence.end();
                Left::Kept(job)
            }
            None if submitted => self.take_back(ReleaseCause::TimedOut),
            None => {
                self.discard();
                Left::Nothing
            }
        };
        AcquireError::TimedOut {
            lease: id,
            limit,
            state,
            left,
        }
    }

    fn is_used(&mut self) -> bool {
        is_used(&mut self.drive.held)
    }

    fn take_back(self, cause: ReleaseCause) -> Left {
        take_back(self.leases, self.drive.held, self.presence, cause)
    }

    fn end_job(self, cause: ReleaseCause) -> Left {
        end_job(self.leases, self.drive.held, self.presence, cause)
    }
}
