//! What an answer proves, and what it does not. The only place where a proof is made.
//!
//! An answer becomes a [`Look`] at one job or a [`Search`] for one; what was observed gathers in
//! the [`Evidence`] about that job; and evidence gives a [`JobGone`] or a [`JobEnding`], or
//! nothing. `docs/evidence.md` lists the rules with the transcripts that they rest on.

mod gather;
mod identify;
mod look;
mod observation;
mod proof;

pub use gather::{Evidence, SearchEvidence};
pub use identify::{Allocation, Claim, Identified};
pub use look::{Found, Look, Search, glance, look, search};
pub use observation::{NotVisible, Observation, Sighting};
pub use proof::{GoneBecause, JobEnding, JobGone, NeverBecause, NeverSubmitted, Over};
