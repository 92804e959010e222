//! How Slurm prints what it knows.

pub(crate) mod constant_fields;
pub(crate) mod fields;
pub(crate) mod format;
pub(crate) mod hostlist;
pub(crate) mod time;
