//! The stub executable: sbatch, squeue, sacct, scancel, scontrol or sinfo by the name it is
//! called with, and the keeper of fake clusters by its own.

fn main() -> std::process::ExitCode {
    fake_slurm::play()
}
