//! A Slurm to test against.
