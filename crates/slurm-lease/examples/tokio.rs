//! A lease driven from tokio, without the driver: the machine says what to do, and this does it.
//!
//! ```console
//! $ cargo run -p slurm-lease --no-default-features --example tokio -- /shared/example
//! ```
//!
//! It submits a job, waits until that runs, cancels it, and ends with the proof that it is over.
//! Killed in between and started again, it goes on where its journal ends.
#![expect(clippy::print_stdout, reason = "people read it")]
#![expect(
    clippy::disallowed_methods,
    reason = "clocks, files and the environment come in here"
)]

use std::error::Error;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use camino::Utf8PathBuf;
use jiff::Timestamp;
use slurm_lease::evidence::{self, Over};
use slurm_lease::parse::{sacct, sbatch, scancel, squeue};
use slurm_lease::{
    Access, Answer, Command, Exit, Journal, Lease, LeaseId, Mark, Meaning, Nonce, Opened,
    PASSED_THROUGH, PINNED, Policy, QueueQuery, ReleaseCause, Step, StoreId, Submission, Submitter,
    Tag, Tip, Uid, accounting, cancel, forbid_requeue,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("usage: tokio DIRECTORY")?;
    let directory = Utf8PathBuf::from(directory);
    std::fs::create_dir_all(&directory)?;
    let script = directory.join("job.sh");
    std::fs::write(&script, "#!/bin/sh\nexec sleep 600\n")?;
    let (mut lease, mut tip) = open(&directory)?;
    lease.handle_acquire(Nonce::from_bits(random()?));
    let over = drive(&mut lease, &mut tip, &directory).await?;
    println!("{}", over.describe());
    // Only with the proof in hand.
    std::fs::remove_file(directory.join("journal.jsonl"))?;
    Ok(())
}

/// The lease of the journal that is there, or a new one, and where its journal ends.
fn open(directory: &Utf8PathBuf) -> Result<(Lease, Tip), Box<dyn Error>> {
    let bytes = std::fs::read(directory.join("journal.jsonl")).unwrap_or_default();
    let journal = Journal::parse(&bytes)?;
    if let Some(lease) = Lease::replay(&journal, Policy::default())? {
        return Ok((lease, journal.tip));
    }
    let id: LeaseId = "cbx_00000000a5ce".parse()?;
    let opened = Opened {
        slug: "example".to_owned(),
        name: (&id).into(),
        lease: id,
        uid: Uid(std::fs::metadata("/proc/self")?.uid()),
        store: StoreId::of_path(directory.as_str()),
        cluster: None,
        asked: String::new(),
        directory: Some(directory.clone()),
        access: Access::default(),
    };
    let lease = Lease::open(opened, now(), Policy::default());
    Ok((lease, Tip::default()))
}

async fn drive(
    lease: &mut Lease,
    tip: &mut Tip,
    directory: &Utf8PathBuf,
) -> Result<Over, Box<dyn Error>> {
    loop {
        let step = lease.poll(now());
        println!("{step:?}");
        match step {
            Step::Record => match record(lease, tip, directory) {
                Ok(()) => lease.handle_recorded(),
                Err(_) => lease.handle_not_recorded(),
            },
            Step::Submit(tag) => {
                let answer = run(&submission(lease, directory, tag).command()).await;
                lease.handle_submission(now(), sbatch::parse(&answer));
            }
            Step::Search => {
                let mark = Mark::from_bits(random()? as u32);
                let query = QueueQuery::User(lease.opened().uid, None);
                let queue = squeue::parse(&run(&query.command(&mark)).await, &mark);
                let found = evidence::search(&lease.claim(), None, &queue);
                // One process, one lease: no sbatch of it runs while this is awaited. After a
                // crash one might, so a real program holds a lock across it, as the driver does.
                lease.handle_search(now(), found, Submitter::Ended);
            }
            Step::Look(job) => {
                let mark = Mark::from_bits(random()? as u32);
                let query = QueueQuery::Job(job.clone());
                let queue = squeue::parse(&run(&query.command(&mark)).await, &mark);
                let look = evidence::look(&lease.claim(), &job, &queue);
                lease.handle_look(now(), look);
                let runs = |seen: &evidence::Sighting| seen.state.meaning() == Meaning::Live;
                if lease.sighting().is_some_and(runs) && lease.wish().is_none() {
                    println!("it runs; that was all");
                    lease.handle_release(now(), ReleaseCause::Asked);
                }
            }
            Step::Account(job) => {
                let mark = Mark::from_bits(random()? as u32);
                let answer = run(&accounting(&job, &mark)).await;
                lease.handle_accounting(now(), &sacct::parse(&answer, &mark));
            }
            Step::ForbidRequeue(job) => {
                run(&forbid_requeue(job)).await;
                lease.handle_requeue_forbidden();
            }
            Step::Cancel(job) => {
                let answer = run(&cancel(job)).await;
                lease.handle_cancel(now(), scancel::parse(&answer));
            }
            Step::Wait(until) => {
                let pause = until.duration_since(now()).max(jiff::SignedDuration::ZERO);
                tokio::time::sleep(pause.unsigned_abs()).await;
            }
            Step::Over(proof) => return Ok(proof),
        }
    }
}

/// Appends what was learnt, and has it on disk before anything relies on it. What a crash left of
/// a line is cut off.
fn record(lease: &Lease, tip: &mut Tip, directory: &Utf8PathBuf) -> Result<(), Box<dyn Error>> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(directory.join("journal.jsonl"))?;
    file.set_len(tip.length() as u64)?;
    file.seek(SeekFrom::End(0))?;
    let mut end = *tip;
    for entry in lease.unrecorded() {
        file.write_all(&end.append(entry)?)?;
    }
    file.sync_all()?;
    std::fs::File::open(directory)?.sync_all()?;
    *tip = end;
    Ok(())
}

fn submission(lease: &Lease, directory: &Utf8PathBuf, tag: Tag) -> Submission {
    Submission {
        script: directory.join("job.sh"),
        name: lease.opened().name.clone(),
        tag,
        cluster: None,
        options: vec!["--time=10".to_owned()],
        directory: directory.clone(),
        output: directory.join("slurm-%j.out"),
        environment: Vec::new(),
        exported: Vec::new(),
    }
}

/// Runs a command as data: its own environment, its own process group, its time limit.
async fn run(command: &Command) -> Answer {
    let inherited = PASSED_THROUGH
        .into_iter()
        .chain(command.inherited.iter().map(String::as_str))
        .filter_map(|name| Some((name, std::env::var_os(name)?)))
        .filter(|(_, value)| !value.is_empty());
    let child = tokio::process::Command::new(command.program.name())
        .args(&command.arguments)
        .env_clear()
        .envs(inherited)
        .envs(PINNED)
        .envs(command.environment.iter().cloned())
        .stdin(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .output();
    let (exit, stdout, stderr) = match tokio::time::timeout(command.time_limit, child).await {
        Err(_) => (Exit::TimedOut, Vec::new(), Vec::new()),
        Ok(Err(error)) => (Exit::NotStarted(error.to_string()), Vec::new(), Vec::new()),
        Ok(Ok(output)) => {
            let exit = output.status.code().map_or(Exit::Signal(0), Exit::Status);
            (exit, output.stdout, output.stderr)
        }
    };
    Answer {
        exit,
        stdout,
        stderr,
    }
}

fn random() -> std::io::Result<u64> {
    use std::io::Read;
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// The time, without what only the driver has of jiff.
fn now() -> Timestamp {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    let nanoseconds = i32::try_from(since.subsec_nanos()).unwrap_or(0);
    Timestamp::new(seconds, nanoseconds).unwrap_or(Timestamp::MAX)
}
