//! slurm-cbx.

fn main() {}
