//! What a call of the stub costs, and a queue of 10,000 jobs.
//!
//! `cargo run --release -p fake-slurm --example speed` exits with 1 if a call of a small cluster
//! takes 3 ms or more, or a squeue of 10,000 jobs 50 ms or more (medians).

use std::error::Error;
use std::io::Write;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use fake_slurm::{FakeCluster, Job, Request};

const FORM: &str = "JobID:0|~m~|,State:0|~m~|,UserID:0|~m~|,SubmitTime:0|~m~|,StartTime:0|~m~|,\
    EndTime:0|~m~|,RestartCnt:0|~m~|,Requeue:0|~m~|,Reason:0|~m~|,BatchHost:0|~m~|,\
    NodeList:0|~m~|,exit_code:0|~m~|,Partition:0|~m~|,TimeLeft:0|~m~|,WorkDir:0|~m~|,Name:0|~m~|,Comment:0|~m~|";

fn median(
    cluster: &FakeCluster,
    program: &str,
    arguments: &[&str],
) -> Result<Duration, Box<dyn Error>> {
    let path = cluster.bin_dir().join(program);
    let mut times = Vec::new();
    for _ in 0..51 {
        let mut command = Command::new(&path);
        command
            .args(arguments)
            .env_clear()
            .env("SLURM_TIME_FORMAT", "%s");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let begun = Instant::now();
        command.status()?;
        times.push(begun.elapsed());
    }
    times.sort();
    Ok(times[times.len() / 2])
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let directory = std::env::temp_dir().join(format!("fake-slurm-speed-{}", std::process::id()));
    let cluster = FakeCluster::new(&directory)?;
    let squeue = ["--local", "-h", "-a", "-t", "all", "-u", "0", "-O", FORM];
    let mut rows = Vec::new();
    for (program, arguments) in [
        ("sbatch", vec!["--parsable", "--wrap=true"]),
        ("squeue", squeue.to_vec()),
        (
            "sacct",
            vec!["-X", "-n", "-P", "-D", "-j", "1", "-o", "JobIDRaw,State"],
        ),
        ("scancel", vec!["-v", "1"]),
    ] {
        let limit = Duration::from_millis(3);
        rows.push((program, median(&cluster, program, &arguments)?, limit));
    }
    cluster.change(|cluster, now| {
        let id = cluster
            .submit(Request::default(), now)
            .map_err(|refusal| refusal.text())?;
        let one = cluster.jobs.remove(&id).ok_or("the job is gone")?;
        cluster.jobs = (1..=10_000)
            .map(|id| (id, Job { id, ..one.clone() }))
            .collect();
        Ok::<(), &str>(())
    })??;
    let limit = Duration::from_millis(50);
    rows.push((
        "squeue, 10,000 jobs",
        median(&cluster, "squeue", &squeue)?,
        limit,
    ));
    let mut output = std::io::stdout().lock();
    let mut slow = false;
    for (what, time, limit) in rows {
        writeln!(output, "{what:<20} {:>8.2} ms", time.as_secs_f64() * 1000.0)?;
        slow |= time >= limit;
    }
    std::fs::remove_dir_all(&directory)?;
    Ok(ExitCode::from(u8::from(slow)))
}
