//! [proptest] strategies for what Slurm may say, and for what is kept of a lease.
//!
//! An answer comes as a [`Transcript`]: the bytes, and the value that they must be read as. The
//! renderers here share nothing with the parsers but the types, so that one does not repeat the
//! other's mistakes.
//!
//! ```
//! use proptest::prelude::*;
//! use slurm_lease::{parse::squeue, strategies};
//!
//! proptest!(|(transcript in strategies::squeue())| {
//!     let read = squeue::parse(&transcript.answer, &transcript.mark);
//!     prop_assert_eq!(read, transcript.expected);
//! });
//! ```
//!
//! [proptest]: https://docs.rs/proptest

mod accounting;
mod journal;
mod names;
mod queue;
mod replies;
mod runner;

pub use accounting::{accounting_row, sacct};
pub use journal::{entries, entry, event, history, journal, render_journal};
pub use names::{
    cluster_name, free_text, job_id, job_name, job_ref, job_state, lease_id, mark, nonce, store_id,
    tag, timestamp, uid,
};
pub use queue::{queue_row, queue_rows, render_queue, squeue};
pub use replies::{sbatch, scancel, scontrol};
pub use runner::{endpoint, stop_marker};

use crate::answer::{Answer, Exit};
use crate::id::Mark;

/// An answer of one of Slurm's commands, and what it must be read as.
#[derive(Clone, Debug)]
pub struct Transcript<T> {
    /// What came back.
    pub answer: Answer,
    /// The mark that the query was made with, where the command has one.
    pub mark: Mark,
    /// What the parser of the command makes of it.
    pub expected: T,
}

fn answer(status: i32, stdout: impl Into<Vec<u8>>, stderr: impl Into<Vec<u8>>) -> Answer {
    Answer {
        exit: Exit::Status(status),
        stdout: stdout.into(),
        stderr: stderr.into(),
    }
}
