//! Lease compute from Slurm without ever losing an allocation.
