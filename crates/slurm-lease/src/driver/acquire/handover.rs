//! From a lease that is ready to one that somebody has, and back.

use std::time::Duration;

use crate::driver::Leases;
use crate::driver::clock::{Deadline, now};
use crate::driver::keeper::{Presence, claim, is_claimed};
use crate::driver::recover::Called;
use crate::driver::release::{ReleaseError, Released, Unproven};
use crate::driver::status::View;
use crate::driver::store::{Held, StoreError};
use crate::endpoint::Endpoint;
use crate::id::LeaseId;
use crate::record::ReleaseCause;

use super::Left;

/// How long a failed acquire tries to take back what it has submitted.
const ROLLBACK_LIMIT: Duration = Duration::from_secs(20);
/// How long an acquire that has answered waits for a record that another process writes to.
const RECORD_LIMIT: Duration = Duration::from_secs(1);

/// A lease that is ready, and that nobody has been told of yet. Where its process ends before it
/// has been [delivered](Self::delivered), or drops this, the lease is ended like that of an
/// acquire that was killed.
#[must_use = "a lease that is not said to be delivered is ended"]
#[derive(Debug)]
pub struct Acquired {
    leases: Leases,
    view: View,
    presence: Presence,
}

impl Acquired {
    pub(super) fn new(leases: &Leases, held: Held, endpoint: Endpoint, presence: Presence) -> Self {
        Self {
            leases: leases.clone(),
            view: View::of_ready(held, endpoint),
            presence,
        }
    }

    /// What the lease is like.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Says that whoever asked for the lease has it now.
    ///
    /// # Errors
    /// When that can't be written down. The lease is ended then, as if nobody had been told.
    pub fn delivered(self) -> Result<View, StoreError> {
        let Self {
            leases,
            view,
            presence,
        } = self;
        let lease = &view.lease.opened().lease;
        // For whoever reads the record; that the lease is in use does not depend on it.
        if let Ok((mut held, false)) = leases.hold(lease, Deadline::after(RECORD_LIMIT)) {
            held.lease.handle_handed_out(now());
            drop(held.commit());
        }
        // Last, since whoever is killed before has told nobody.
        claim(&view.dir)?;
        presence.end();
        Ok(view)
    }

    /// Ends the lease, since nobody could be told of it: unless somebody has it from another
    /// acquire, or waits for it.
    pub fn take_back(self) -> Left {
        let Self {
            leases,
            view,
            presence,
        } = self;
        let lease = &view.lease.opened().lease;
        let deadline = Deadline::after(ROLLBACK_LIMIT);
        match leases.hold_to_end(lease, &Called::default(), deadline) {
            Ok(held) => take_back(&leases, held, presence, ReleaseCause::Abandoned),
            Err(error) => left_by(Err(error), lease, presence),
        }
    }
}

/// Whether the job is not ours to end: its lease was handed out before this acquire began, or
/// meanwhile by another.
pub(super) fn is_used(held: &mut Held) -> bool {
    // What can't be read now says what it did.
    drop(held.refresh());
    let given = held.lease.handed_out().is_some() || is_claimed(held.dir());
    given && !held.lease.is_vacant()
}

/// Ends the lease, unless somebody else has it or waits for it. Where its end is not proven in
/// time, the keeper goes on.
pub(super) fn take_back(
    leases: &Leases,
    mut held: Held,
    mut presence: Presence,
    cause: ReleaseCause,
) -> Left {
    if is_used(&mut held) {
        presence.end();
        return Left::InUse;
    }
    if !presence.is_alone() {
        // Should the other be gone by the time that we are, the keeper sees that.
        return Left::Awaited;
    }
    end_job(leases, held, presence, cause)
}

/// Ends the lease. Where that is not proven in time, the keeper goes on.
pub(super) fn end_job(
    leases: &Leases,
    held: Held,
    presence: Presence,
    cause: ReleaseCause,
) -> Left {
    let lease = held.dir().lease().clone();
    left_by(leases.end(held, cause, ROLLBACK_LIMIT), &lease, presence)
}

fn left_by(ended: Result<Released, ReleaseError>, lease: &LeaseId, presence: Presence) -> Left {
    let unproven = match ended {
        // Somebody else may have been first.
        Ok(_) | Err(ReleaseError::NoSuchLease(_)) => {
            presence.end();
            return Left::Cancelled;
        }
        Err(ReleaseError::Unproven(unproven)) => unproven,
        Err(error) => Unproven {
            lease: lease.clone(),
            job: None,
            why: error.to_string(),
            recorded: false,
        },
    };
    Left::Unproven(Box::new(unproven))
}
