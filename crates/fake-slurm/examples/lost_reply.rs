//! A client that submits twice when a reply is lost, caught by the fake.

use std::error::Error;
use std::io::Write;
use std::process::Command;

use fake_slurm::{Action, FakeCluster, Fault, Program};

/// The client: tries again until sbatch ends with 0. That is its mistake.
fn submit(cluster: &FakeCluster) -> Result<String, Box<dyn Error>> {
    loop {
        let mut sbatch = Command::new(cluster.bin_dir().join("sbatch"));
        let output = sbatch
            .args(["--parsable", "--wrap=true"])
            .env_clear()
            .output()?;
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout)?.trim().to_owned());
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::temp_dir().join(format!("fake-slurm-lost-{}", std::process::id()));
    let cluster = FakeCluster::new(&directory)?
        .fault(Fault::on(Program::Sbatch, Action::LoseReply).nth(1))?;
    let believed = submit(&cluster)?;
    let jobs: Vec<u32> = cluster.jobs()?.iter().map(|job| job.id).collect();
    writeln!(
        std::io::stdout(),
        "the client knows of job {believed}; there are {jobs:?}"
    )?;
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}
