//! Ending a lease: with proof, or not at all.

use std::time::Duration;

use jiff::Timestamp;
use thiserror::Error;

use crate::driver::Leases;
use crate::driver::clock::{Deadline, now};
use crate::driver::drive::{Drive, Driven};
use crate::driver::recover::Called;
use crate::driver::store::{Held, RemoveError, StoreError, Tombstone};
use crate::driver::strays::Strays;
use crate::driver::watch::{Files, Watch};
use crate::id::{JobRef, LeaseId};
use crate::job_state::Meaning;
use crate::parse::Cause;
use crate::record::ReleaseCause;

/// How long a release tries: the client kills it after 30 s.
const RELEASE_LIMIT: Duration = Duration::from_secs(22);
/// How long a job that is ending is waited for. Most end within a second of scancel; an epilog
/// of a minute is no reason to make anybody wait.
const ENDING_PATIENCE: Duration = Duration::from_millis(2500);
/// How soon the queue is asked again that did not say whether a job of the lease is left.
const SEARCH_AGAIN: Duration = Duration::from_millis(500);

/// A release that came to a good end.
#[derive(Debug)]
pub enum Released {
    /// Nothing of the lease is left.
    Over(Tombstone),
    /// Its job is ending and can't come back; the record stays until it has.
    Ending(JobRef),
}

/// A release that did not. Everything is kept, and it can be repeated.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// There is no such lease, or no longer: another process has ended it.
    #[error("there is no lease {0}")]
    NoSuchLease(LeaseId),
    /// Its record can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its record is lost, and which job is its own can't be told.
    #[error("lease {lease} is not released: its record here is lost; {why}")]
    Unidentified {
        /// The lease.
        lease: LeaseId,
        /// What is not known, and what to do.
        why: String,
    },
    /// Its job may still exist.
    #[error("{0}")]
    Unproven(Unproven),
}

/// What is known of a lease whose end could not be proven in time.
#[derive(Clone, Debug)]
pub struct Unproven {
    /// The lease.
    pub lease: LeaseId,
    /// Its job, where one is known.
    pub job: Option<JobRef>,
    /// What stood in the way.
    pub why: String,
    /// Whether the wish to end it is on disk, so that the next call pursues it.
    pub recorded: bool,
}

impl std::fmt::Display for Unproven {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { lease, why, .. } = self;
        match &self.job {
            Some(job) => write!(
                f,
                "lease {lease} is not released yet: job {job} may still exist: {why}"
            )?,
            None => write!(f, "lease {lease} is not released yet: {why}")?,
        }
        if self.recorded {
            f.write_str("; nothing is lost: the release is remembered, and the next list, cleanup or release goes on with it")
        } else {
            f.write_str("; the release could not be written down, so repeat it")
        }
    }
}

impl Leases {
    /// Ends a lease. It is well ended once its job is proven over, or proven to be ending; for
    /// anything less this is an error, and the lease is kept.
    ///
    /// # Errors
    /// When there is no such lease and the queue, which was asked, shows no job of it; when its
    /// record can't be read, or its end could not be proven within 22 s.
    pub fn release(&self, lease: &LeaseId) -> Result<Released, ReleaseError> {
        self.release_called(lease, &Called::default())
    }

    /// Ends a lease of which the caller knows more than its id: where the record is lost, that
    /// finds its job.
    ///
    /// # Errors
    /// As [`Leases::release`], and when it can't be told which job is that of a lease whose
    /// record is lost.
    pub fn release_called(
        &self,
        lease: &LeaseId,
        called: &Called,
    ) -> Result<Released, ReleaseError> {
        self.pursue_abandoned(Some(lease));
        let deadline = Deadline::after(RELEASE_LIMIT);
        let held = self.hold_to_end(lease, called, deadline)?;
        self.end_by(held, ReleaseCause::Asked, deadline, &Watch::nothing())
    }

    /// Ends a lease that is held.
    pub(super) fn end(
        &self,
        held: Held,
        cause: ReleaseCause,
        limit: Duration,
    ) -> Result<Released, ReleaseError> {
        self.end_by(held, cause, Deadline::after(limit), &Watch::nothing())
    }

    /// Ends a lease that is held, and gives up when interrupted: then the wish is all that is left.
    pub(super) fn end_by(
        &self,
        mut held: Held,
        cause: ReleaseCause,
        deadline: Deadline,
        watch: &Watch,
    ) -> Result<Released, ReleaseError> {
        held.lease.handle_release(now(), cause);
        let recorded = held.commit();
        let drive = Drive::new(self, held, deadline);
        self.pursue(drive, recorded.err(), watch)
    }

    /// Drives a lease that is to end until it has, is ending, or the time is over.
    fn pursue(
        &self,
        mut drive: Drive<'_>,
        not_recorded: Option<StoreError>,
        watch: &Watch,
    ) -> Result<Released, ReleaseError> {
        let files = Files::in_dir(drive.held.dir().path());
        let began = now();
        let mut ending: Option<Deadline> = None;
        let mut told = false;
        loop {
            // The runner reads the wish too, so that a release works where the controller does not;
            // but not before the controller has been asked not to put the job back. Where it can't
            // be written there is still scancel.
            let lease = &drive.held.lease;
            if !told && (!lease.may_be_put_back() || lease.unknown().is_some()) {
                told = true;
                drop(drive.held.dir().write("release", b""));
            }
            drive.read_runner_files();
            let pause = match drive.step(None) {
                Driven::Over(proof) => match drive.search_for_strays() {
                    Strays::Found => Duration::ZERO,
                    Strays::Unknown => SEARCH_AGAIN,
                    Strays::None(searched) => {
                        let removed = self.store.remove(drive.held, proof, searched, now());
                        match removed {
                            Ok(tombstone) => return Ok(Released::Over(tombstone)),
                            Err(refused) => {
                                drive.held = self.reread(refused, began, &not_recorded)?
                            }
                        }
                        Duration::ZERO
                    }
                },
                Driven::On => Duration::ZERO,
                Driven::Wait(until) => until.duration_since(now()).unsigned_abs(),
            };
            if drive.held.lease.wish().is_none() {
                // Another process has ended it, and this is the next of its id.
                return Err(ReleaseError::NoSuchLease(drive.held.dir().lease().clone()));
            }
            if let Some(proof) = drive.held.lease.ending() {
                let patience = *ending.get_or_insert_with(|| Deadline::after(ENDING_PATIENCE));
                if patience.has_passed() || drive.deadline.has_passed() {
                    return Ok(Released::Ending(proof.job().clone()));
                }
            } else {
                ending = None;
            }
            // Where the configuration leads to another cluster, it will in a moment too.
            let unknown = drive.held.lease.unknown();
            let elsewhere = unknown.is_some_and(|(_, why)| why.cause == Cause::OtherCluster);
            if drive.deadline.has_passed() || elsewhere || watch.interruption().is_some() {
                let recorded = not_recorded.is_none() && drive.not_recorded().is_none();
                let why = why_unproven(&drive.held, not_recorded.as_ref());
                return Err(unproven(&drive.held, why, recorded));
            }
            if !pause.is_zero() {
                watch.wait(Some(&files), pause.min(drive.deadline.left()));
                if self.was_ended_since(&drive.held, began) {
                    return Err(ReleaseError::NoSuchLease(drive.held.dir().lease().clone()));
                }
            }
        }
    }

    /// The lease whose record was not removed, with what another process has learnt of its end.
    fn reread(
        &self,
        refused: RemoveError,
        began: Timestamp,
        not_recorded: &Option<StoreError>,
    ) -> Result<Held, ReleaseError> {
        let (outdated, why) = (refused.is_outdated(), refused.to_string());
        let mut held = refused.into_held();
        match held.refresh() {
            Ok(true) if outdated => Ok(held),
            Err(StoreError::Vanished(lease)) if self.was_ended_since(&held, began) => {
                Err(ReleaseError::NoSuchLease(lease))
            }
            Ok(_) | Err(_) => Err(unproven(&held, why, not_recorded.is_none())),
        }
    }

    /// Whether another process has proven the lease over since then and removed its record. That
    /// the record is gone says nothing: anybody may have removed it.
    fn was_ended_since(&self, held: &Held, began: Timestamp) -> bool {
        let tombstone = self.store.tombstone(held.dir().lease()).ok().flatten();
        held.was_removed() && tombstone.is_some_and(|tombstone| tombstone.at >= began)
    }
}

fn unproven(held: &Held, why: String, recorded: bool) -> ReleaseError {
    ReleaseError::Unproven(Unproven {
        lease: held.lease.opened().lease.clone(),
        // One that is over is not what stands in the way.
        job: held
            .lease
            .job()
            .filter(|_| !held.lease.is_vacant())
            .cloned(),
        why,
        recorded,
    })
}

fn why_unproven(held: &Held, not_recorded: Option<&StoreError>) -> String {
    let lease = &held.lease;
    match lease.unknown() {
        Some((_, why)) if lease.is_vacant() => {
            return format!("whether another job of it is left cannot be told: {why}");
        }
        Some((_, why)) => return why.to_string(),
        None => {}
    }
    if let Some(error) = not_recorded {
        return error.to_string();
    }
    if let Some(since) = lease.unanswered().map(|(since, _)| since) {
        let since = since.strftime("%H:%M:%S UTC");
        return format!(
            "the submission begun at {since} was never answered, and its job may still appear"
        );
    }
    match lease.sighting() {
        Some(seen) if seen.state.meaning() == Meaning::Finished => format!(
            "it is {}, but it was submitted without --no-requeue and can come back until Slurm forgets it (MinJobAge)",
            seen.state
        ),
        Some(seen) if lease.is_missing() => format!(
            "Slurm does not show it just now; it was {} when last seen",
            seen.state
        ),
        Some(seen) => format!("it is {} after scancel", seen.state),
        None => "Slurm has not shown it yet".to_owned(),
    }
}
