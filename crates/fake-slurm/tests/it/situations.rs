//! The situations in which the recordings were made, on the model.

mod jobs;
mod orders;
mod queries;
mod submissions;

use crate::stage::Setup;

/// Situations, and the recordings that show them: under `squeue/`, `squeue/…​.o` and `sacct/` where
/// the name has no slash.
pub(crate) fn situations() -> impl Iterator<Item = (&'static str, Setup)> {
    let tables = [
        jobs::JOBS,
        queries::QUERIES,
        submissions::SUBMISSIONS,
        orders::ORDERS,
    ];
    tables.into_iter().flatten().copied()
}
