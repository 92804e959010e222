//! The record of a lease that is asked for, before anything is submitted.

use std::time::Duration;

use jiff::Timestamp;

use crate::driver::Leases;
use crate::driver::clock::{Deadline, now, pause};
use crate::driver::files;
use crate::driver::former;
use crate::driver::keeper::Presence;
use crate::driver::keys;
use crate::driver::order::{BUNDLED, Order, Runner};
use crate::driver::release::{ReleaseError, Released, Unproven};
use crate::driver::store::{Held, Loaded, StoreError};
use crate::driver::watch::Watch;
use crate::lease::Lease;
use crate::record::ReleaseCause;

use super::{AcquireError, Left};

/// How long a lease of the same id that is being released is waited for.
const PREDECESSOR_LIMIT: Duration = Duration::from_secs(20);

/// How long to wait before a record is read again that went while it was read.
const TURN: Duration = Duration::from_millis(2);

impl Leases {
    /// The record of the lease, on disk, and the sign that an acquire is at work on it.
    pub(super) fn start(
        &self,
        order: &Order,
        watch: &Watch,
        began: Timestamp,
    ) -> Result<(Held, Presence), AcquireError> {
        let grace = if order.keep {
            order.unclaimed_grace
        } else {
            Duration::ZERO
        };
        let limit = Deadline::after(PREDECESSOR_LIMIT);
        loop {
            let mut held = match self.begin(order, watch, began) {
                Err(AcquireError::Store(StoreError::Vanished(_))) if !limit.has_passed() => {
                    pause(TURN);
                    continue;
                }
                begun => begun?,
            };
            // Before the record: without a sign of the acquire a cleanup would take it for one
            // that was left.
            let presence =
                Presence::begin(held.dir(), self.keeper.as_ref(), grace).map_err(|source| {
                    drop(held.dir().remove_blank());
                    prepare_error(order, source)
                })?;
            let prepared = self.prepare(&mut held, order);
            // The lease that was there may have been ended since it was read.
            let vanished = matches!(prepared, Err(AcquireError::Store(StoreError::Vanished(_))));
            if let Some(error) = contradiction(&held, order) {
                presence.end();
                return Err(error);
            }
            let overtaken = vanished || held.was_removed() || held.lease.wish().is_some();
            match prepared {
                Ok(()) if !overtaken => return Ok((held, presence)),
                Err(error) if !overtaken || limit.has_passed() => {
                    presence.end();
                    drop(self.store.undo(&held));
                    return Err(error);
                }
                Ok(()) | Err(_) => {
                    presence.end();
                }
            }
        }
    }

    /// The record of the lease: the one there is, or a new one.
    fn begin(&self, order: &Order, watch: &Watch, began: Timestamp) -> Result<Held, AcquireError> {
        let dir = self.store.dir(&order.lease);
        let opened = order.opened(self.slurm.uid(), &self.store);
        let new = || Held::new(dir.clone(), opened.clone(), now(), self.policy());
        let held = match dir.load(self.policy())? {
            None => return Ok(new()),
            Some(Loaded::Lost) => match former::import(self, &dir) {
                Some(held) => held,
                None => {
                    let lease = Lease::reconstruct(opened, now(), self.policy());
                    return Ok(Held::lost(dir, lease));
                }
            },
            Some(Loaded::Held(held)) => *held,
        };
        if let Some(error) = contradiction(&held, order) {
            return Err(error);
        }
        match held.lease.wish() {
            None => return Ok(held),
            // Somebody who knew of this acquire, or of another one of the id that runs beside it.
            Some((at, ReleaseCause::Asked)) if at >= began => {
                return Err(AcquireError::Released(order.lease.clone()));
            }
            Some(_) => {}
        }
        let limit = Deadline::after(PREDECESSOR_LIMIT);
        match self.end_by(held, ReleaseCause::Asked, limit, watch) {
            Ok(Released::Over(_)) => Ok(new()),
            Ok(Released::Ending(job)) => Err(AcquireError::BeingReleased(Box::new(Unproven {
                lease: order.lease.clone(),
                job: Some(job),
                why: "it is ending".to_owned(),
                recorded: true,
            }))),
            Err(ReleaseError::Unproven(why)) if watch.interruption().is_some() => {
                let left = Left::Unproven(Box::new(why));
                Err(AcquireError::Interrupted { left })
            }
            Err(ReleaseError::Unproven(why)) => Err(AcquireError::BeingReleased(Box::new(why))),
            Err(ReleaseError::Unidentified { lease, why }) => {
                Err(AcquireError::BeingReleased(Box::new(Unproven {
                    lease,
                    job: None,
                    why,
                    recorded: false,
                })))
            }
            Err(ReleaseError::Store(error)) => Err(error.into()),
            Err(ReleaseError::NoSuchLease(_)) => Ok(new()),
        }
    }

    /// Everything that must be on disk before a job can be submitted.
    fn prepare(&self, held: &mut Held, order: &Order) -> Result<(), AcquireError> {
        held.commit()?;
        let failed = |source| prepare_error(order, source);
        let dir = held.dir();
        if order.access.key.is_none() {
            drop(keys::ensure(dir).map_err(failed)?);
        }
        if order.runner == Runner::Bundled {
            let path = dir.file("runner.sh");
            files::write_whole(&path, BUNDLED.as_bytes(), 0o700).map_err(failed)?;
        }
        Ok(())
    }
}

/// That the lease has another name than it is asked for by. Of two that are asked for at once, one
/// comes first, and it is known which when both are on disk.
fn contradiction(held: &Held, order: &Order) -> Option<AcquireError> {
    let known = held.lease.opened();
    let same = known.slug == order.slug && known.name == order.name;
    (!same).then(|| AcquireError::Contradiction {
        lease: order.lease.clone(),
        slug: known.slug.clone(),
        name: known.name.to_string(),
    })
}

pub(super) fn prepare_error(order: &Order, source: std::io::Error) -> AcquireError {
    AcquireError::Prepare {
        lease: order.lease.clone(),
        source,
    }
}
