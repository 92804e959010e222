//! Lease compute from Slurm without ever losing an allocation: one that was asked for is always
//! either known, or proven to be over.
//!
//! The crate has three rooms and one way through them. What Slurm's commands say becomes a typed
//! answer in [`parse`]; an answer becomes an observation, and observations become proofs, in
//! [`evidence`]; the [`Lease`] decides what to do next, and that is again a [`Command`] as data.
//! None of this reads a clock, a file or the environment, or starts a process: that is what the
//! `driver` feature adds, and what a program of your own can do instead.

// The recordings are read by tests inside and outside of the crate.
#[cfg(test)]
extern crate self as slurm_lease;

mod answer;
mod command;
#[cfg(feature = "driver")]
pub mod driver;
mod endpoint;
pub mod evidence;
mod id;
mod job_state;
mod lease;
pub mod parse;
mod record;
#[cfg(test)]
#[path = "../tests/it/recording.rs"]
#[expect(clippy::disallowed_methods, reason = "recordings are files")]
#[expect(dead_code, reason = "the tests in tests/it use more of it")]
mod recording;
mod resources;
#[cfg(feature = "proptest")]
pub mod strategies;

pub use answer::{Answer, Exit};
pub use command::{
    CANCEL_LIMIT, Command, PASSED_THROUGH, PASSED_TO_SBATCH, PING_LIMIT, PINNED,
    PINNED_FOR_QUERIES, Program, QUERY_LIMIT, QueueQuery, SUBMIT_LIMIT, Submission, accounting,
    cancel, configuration, forbid_requeue, ping, version,
};
pub use endpoint::{
    Endpoint, EndpointError, StopMarker, is_host_name, is_plain_path, is_user_name,
};
pub use id::{
    ClusterName, IdError, JobId, JobName, JobRef, LeaseId, Mark, Nonce, StoreId, Tag, Uid,
};
pub use job_state::{JobState, Meaning};
pub use lease::{INTENTION_LIMIT, IllegalEvent, Lease, Policy, Step, Submitter};
pub use record::{
    Access, Entry, Event, Home, Journal, JournalError, LineError, Login, Opened, ReleaseCause, Tip,
    VERSION,
};
pub use resources::{REFUSED_OPTIONS, ResourceError, Resources, check_script};
