//! What an answer proves, and what it does not. The only place where a proof is made.
//!
//! An answer becomes a [`Look`] at one job or a [`Search`] for one; what was observed gathers in
//! the [`Lease`](crate::Lease) as evidence about that job; and evidence gives a [`JobGone`] or a
//! [`JobEnding`], or nothing. `docs/evidence.md` lists the rules with the transcripts that they
//! rest on.
//!
//! Evidence is gathered inside of this crate only. What was observed can be read and copied by
//! anybody, and leads nowhere:
//!
//! ```
//! use slurm_lease::evidence::{Observation, Sighting};
//!
//! fn copy(seen: &Sighting) -> Observation {
//!     Observation::Seen(seen.clone())
//! }
//! ```
//!
//! ```compile_fail,E0603
//! use slurm_lease::evidence::Evidence;
//! ```
//!
//! ```compile_fail,E0603
//! use slurm_lease::evidence::SearchEvidence;
//! ```

mod gather;
mod identify;
mod look;
mod observation;
mod proof;
#[cfg(test)]
mod tests;

pub(crate) use gather::{Evidence, SearchEvidence};
pub use identify::{Allocation, Claim, Identified, Outstanding};
pub(crate) use look::Other;
pub use look::{Found, Look, Search, glance, look, search};
pub use observation::{NotVisible, Observation, Sighting};
pub use proof::{GoneBecause, JobEnding, JobGone, NeverBecause, NeverSubmitted, Over};
