//! The proofs. Each has private fields and is made in [`evidence`](super) only.

use super::identify::{Allocation, Claim};
use crate::id::{JobRef, LeaseId, Nonce};

/// Declares the reasons of a proof. What names them in a document goes through all of them, so
/// that none can be left out.
macro_rules! reasons {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident: $words:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            /// Every reason that there is.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// In a few words.
            pub fn words(self) -> &'static str {
                match self {
                    $(Self::$variant => $words,)*
                }
            }
        }
    };
}

reasons! {
    /// Why a job counts as over.
    GoneBecause {
        /// The controller shows it as finished, and it can't be requeued.
        Finished: "finished and can't be requeued",
        /// The controller twice knew no such job, the settle time apart.
        TwiceUnknown: "no longer known to the controller, asked twice",
        /// The controller once knew no such job, and the runner of its last run had said that it
        /// stopped.
        UnknownAndStopped: "no longer known to the controller, and its runner had stopped",
    }
}

reasons! {
    /// Why a lease counts as never having had a job.
    NeverBecause {
        /// The controller refused the submission in words that mean just that.
        Refused: "the submission was refused",
        /// Two searches of the queue, the settle time apart, found nothing of it.
        NotFound: "no job came of the submission",
        /// A whole journal holds no intention to submit.
        NotBegun: "nothing was submitted",
    }
}

/// Proof that a job of ours is over. Made in this module only, and only of what was seen.
///
/// ```
/// use slurm_lease::evidence::{JobGone, Over};
///
/// fn what_a_proof_says(proof: &JobGone) -> String {
///     format!("{} is over: {:?}", proof.job(), proof.how())
/// }
/// ```
///
/// ```compile_fail,E0451
/// use slurm_lease::{LeaseId, evidence::{Allocation, GoneBecause, JobGone}};
///
/// fn forge(lease: LeaseId, of: Allocation) -> JobGone {
///     JobGone { lease, of, how: GoneBecause::Finished }
/// }
/// ```
///
/// ```compile_fail,E0277
/// fn read_from_disk<T: serde::de::DeserializeOwned>() {}
/// read_from_disk::<slurm_lease::evidence::JobGone>();
/// ```
///
/// ```
/// fn read_from_disk<T: serde::de::DeserializeOwned>() {}
/// read_from_disk::<slurm_lease::evidence::Observation>();
/// ```
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a proof that is dropped must be found again"]
pub struct JobGone {
    lease: LeaseId,
    of: Allocation,
    how: GoneBecause,
}

impl JobGone {
    pub(super) fn new(claim: &Claim, of: Allocation, how: GoneBecause) -> Self {
        let lease = claim.tag.lease.clone();
        Self { lease, of, how }
    }

    /// The job that is over.
    pub fn job(&self) -> &JobRef {
        &self.of.job
    }

    /// The submission that made it.
    pub fn nonce(&self) -> &Nonce {
        &self.of.nonce
    }

    /// How it is known.
    pub fn how(&self) -> GoneBecause {
        self.how
    }
}

/// Proof that a job of ours is ending: COMPLETING, and a requeue is refused. Nothing of it will
/// run again, but processes and an epilog still may, so the record of it stays.
///
/// ```compile_fail,E0308
/// use slurm_lease::evidence::{JobEnding, Over};
///
/// fn ending_is_not_over(proof: JobEnding) -> Over {
///     Over::JobGone(proof)
/// }
/// ```
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a proof that is dropped must be found again"]
pub struct JobEnding {
    job: JobRef,
}

impl JobEnding {
    pub(super) fn new(job: JobRef) -> Self {
        Self { job }
    }

    /// The job that is ending.
    pub fn job(&self) -> &JobRef {
        &self.job
    }
}

/// Proof that a submission made no job.
///
/// ```
/// use slurm_lease::evidence::{NeverSubmitted, Over};
///
/// fn what_a_proof_says(proof: NeverSubmitted) -> String {
///     format!("{:?}: {}", proof.how(), Over::NeverSubmitted(proof).describe())
/// }
/// ```
///
/// ```compile_fail,E0451
/// use slurm_lease::{LeaseId, evidence::{NeverBecause, NeverSubmitted}};
///
/// fn forge(lease: LeaseId) -> NeverSubmitted {
///     NeverSubmitted { lease, how: NeverBecause::NotBegun }
/// }
/// ```
///
/// ```compile_fail,E0624
/// use slurm_lease::{LeaseId, evidence::NeverSubmitted};
///
/// fn forge(lease: &LeaseId) -> NeverSubmitted {
///     NeverSubmitted::not_begun(lease)
/// }
/// ```
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a proof that is dropped must be found again"]
pub struct NeverSubmitted {
    lease: LeaseId,
    how: NeverBecause,
}

impl NeverSubmitted {
    pub(crate) fn refused(claim: &Claim) -> Self {
        Self::new(&claim.tag.lease, NeverBecause::Refused)
    }

    pub(crate) fn not_found(claim: &Claim) -> Self {
        Self::new(&claim.tag.lease, NeverBecause::NotFound)
    }

    pub(crate) fn not_begun(lease: &LeaseId) -> Self {
        Self::new(lease, NeverBecause::NotBegun)
    }

    fn new(lease: &LeaseId, how: NeverBecause) -> Self {
        let lease = lease.clone();
        Self { lease, how }
    }

    /// How it is known.
    pub fn how(&self) -> NeverBecause {
        self.how
    }
}

/// Proof that nothing of a lease is left with the scheduler.
///
/// ```compile_fail,E0599
/// let over = slurm_lease::evidence::Over::default();
/// ```
///
/// ```
/// use slurm_lease::evidence::{JobGone, Over};
///
/// fn over(proof: JobGone) -> Over {
///     Over::JobGone(proof)
/// }
/// ```
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
            Self::JobGone(gone) => format!("job {} is over: {}", gone.of.job, gone.how.words()),
            Self::NeverSubmitted(never) => never.how.words().to_owned(),
        }
    }
}
