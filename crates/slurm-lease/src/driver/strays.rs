//! The last look before a record goes: for jobs of the lease that it does not know of.
//!
//! A journal that was cut between two lines looks whole, and a program in sbatch's place may
//! submit more than once. So a proof about the job that is known is not enough.

use crate::driver::clock::now;
use crate::driver::drive::Drive;
use crate::evidence::Search;
use crate::id::LeaseId;

/// The controller showed every job of the user, once nothing of a lease was known to be left, and
/// none of them was of this lease. Made here only, and never from silence.
///
/// ```
/// use slurm_lease::{LeaseId, driver::Searched};
///
/// fn whose(searched: &Searched) -> &LeaseId {
///     searched.lease()
/// }
/// ```
///
/// ```compile_fail,E0451
/// use slurm_lease::{LeaseId, driver::Searched};
///
/// fn forge(lease: LeaseId) -> Searched {
///     Searched { lease }
/// }
/// ```
#[derive(Debug)]
#[must_use = "a record is removed for it, now or not at all"]
pub struct Searched {
    lease: LeaseId,
}

impl Searched {
    /// The lease that was searched for.
    pub fn lease(&self) -> &LeaseId {
        &self.lease
    }
}

/// What a search for strays came to.
#[derive(Debug)]
#[must_use = "silence is no answer"]
pub(super) enum Strays {
    /// There are none.
    None(Searched),
    /// There is one, and the lease knows of it now.
    Found,
    /// Nobody can tell.
    Unknown,
}

impl Drive<'_> {
    /// Looks for a live job under the tag of a lease that counts as over.
    pub(super) fn search_for_strays(&mut self) -> Strays {
        let (found, submitter) = self.ask_for_all();
        let unknown = matches!(found, Search::Unknown(_));
        self.held.lease.handle_search(now(), found, submitter);
        match self.held.lease.over() {
            None => Strays::Found,
            Some(_) if unknown => Strays::Unknown,
            Some(over) => Strays::None(Searched {
                lease: over.lease().clone(),
            }),
        }
    }
}
