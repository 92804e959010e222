//! Slurm as the driver sees it: typed questions, typed answers, and one picture of the queue that
//! all processes of a state directory share.

use std::io;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Exit};
use crate::command::{self, Command, Program, QUERY_LIMIT, QueueQuery, Submission};
use crate::driver::clock::{Deadline, now, pause};
use crate::driver::files::{self, Lock};
use crate::driver::process::Programs;
use crate::driver::store::Store;
use crate::evidence::{self, Claim, Identified, Search};
use crate::id::{ClusterName, JobRef, Mark, Uid};
use crate::parse::sacct::Accounting;
use crate::parse::sbatch::Submitted;
use crate::parse::scancel::Cancelled;
use crate::parse::scontrol::Configuration;
use crate::parse::squeue::Queue;
use crate::parse::{Cause, Unavailable, sacct, sbatch, scancel, scontrol, squeue};

/// How often to look whether another process has finished asking.
const TICK: Duration = Duration::from_millis(5);

/// The least that a command is given that was waited to be asked for.
const LEAST: Duration = Duration::from_millis(500);

/// How long a cluster that does not answer any more may still have a job of ours.
pub(crate) const FORGOTTEN: Duration = Duration::from_secs(30 * 24 * 3600);

/// How the files of the configuration's own cluster begin, before what tells one configuration
/// from another. No name of a cluster holds the last character.
const LOCAL: &str = "local+";

/// Slurm's commands, as one user runs them.
#[derive(Clone, Debug)]
pub struct Slurm {
    programs: Programs,
    uid: Uid,
    queue_dir: Utf8PathBuf,
}

/// The queue at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// When it was asked for.
    pub(crate) at: Timestamp,
    /// What the controller said.
    pub(crate) queue: Queue,
}

/// A snapshot as it is shared: this line, and behind it squeue's own stdout, read again by
/// everybody who uses it.
#[derive(Serialize, Deserialize)]
struct Shared {
    v: u32,
    at: Timestamp,
    mark: u32,
    /// How many bytes follow.
    length: usize,
}

/// The version of that form.
const SHARED_VERSION: u32 = 2;

impl Slurm {
    /// Slurm as the present user reaches it.
    pub fn new(programs: Programs, store: &Store) -> Self {
        Self {
            programs,
            uid: Uid(rustix::process::getuid().as_raw()),
            queue_dir: store.queue_dir(),
        }
    }

    /// Whose jobs these are.
    pub fn uid(&self) -> Uid {
        self.uid
    }

    /// Where the commands are.
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// Submits a job. As long as any process of the submission lives, so does `lock`, and whoever
    /// finds it taken for too long ends them. Where it is given up on, it goes on by itself.
    pub(crate) fn submit(
        &self,
        submission: &Submission,
        lock: &Lock,
        give_up: &dyn Fn() -> bool,
    ) -> Option<Submitted> {
        let command = submission.command();
        let answer = self.programs.run_holding(&command, lock, give_up);
        answer.map(|answer| sbatch::parse(&answer))
    }

    /// Checks a submission without making one; what sbatch said, where it refuses.
    pub(crate) fn test(&self, submission: &Submission, limit: Duration) -> Answer {
        self.run(&submission.test_command().within(limit))
    }

    /// Asks for one job by itself.
    pub(crate) fn job(&self, job: &JobRef, limit: Duration) -> Queue {
        self.queue(&QueueQuery::Job(job.clone()), random_bits(), limit)
            .0
    }

    /// Asks accounting for one job.
    pub(crate) fn accounting(&self, job: &JobRef, limit: Duration) -> Accounting {
        let mark = Mark::from_bits(random_bits());
        sacct::parse(
            &self.run(&command::accounting(job, &mark).within(limit)),
            &mark,
        )
    }

    /// Ends a job that was just identified.
    pub(crate) fn cancel(&self, job: Identified, limit: Duration) -> Cancelled {
        scancel::parse(&self.run(&command::cancel(job).within(limit)))
    }

    /// Forbids the requeue of a job that was just identified.
    pub(crate) fn forbid_requeue(&self, job: Identified, limit: Duration) -> Answer {
        self.run(&command::forbid_requeue(job).within(limit))
    }

    /// The controller's settings.
    ///
    /// # Errors
    /// What Slurm said instead.
    pub fn configuration(
        &self,
        cluster: Option<&ClusterName>,
        limit: Duration,
    ) -> Result<Configuration, Unavailable> {
        scontrol::parse(&self.run(&command::configuration(cluster).within(limit)))
            .map_err(|why| self.explained(why, cluster))
    }

    /// Why a query was not answered in time, as far as a ping tells at once.
    fn explained(&self, why: Unavailable, cluster: Option<&ClusterName>) -> Unavailable {
        if why.cause != Cause::TimedOut || cluster.is_some() {
            return why;
        }
        let pinged = self.run(&command::ping());
        scontrol::parse_ping(&pinged).unwrap_or(why)
    }

    /// The queue of the user, not older than `not_before`. Whoever needs a newer picture than
    /// there is asks for it, once, while the others wait for what comes back: half of their time
    /// at most, so that one that is stuck does not cost them all of it.
    pub(crate) fn snapshot(
        &self,
        cluster: Option<&ClusterName>,
        not_before: Timestamp,
        limit: Duration,
    ) -> Snapshot {
        let file = self.file(cluster, "squeue");
        let lock = self.file(cluster, "lock");
        let deadline = Deadline::after(limit);
        let patience = Deadline::after(limit / 2);
        let left = || deadline.left().max(LEAST);
        let shared = || {
            let recent = |shared: &Snapshot| shared.at >= not_before && shared.at <= now();
            Shared::read(&file).filter(recent)
        };
        loop {
            if let Some(snapshot) = shared() {
                return snapshot;
            }
            match Lock::try_take(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(None) if !patience.has_passed() => pause(TICK),
                Ok(Some(_held)) => return self.ask(cluster, left(), &file),
                // Where nothing can be shared, or the holder is stuck, everybody asks alone.
                Ok(None) | Err(_) => {
                    let own = self.ask(cluster, left(), &file);
                    return match own.queue {
                        // The holder may have been answered all the same.
                        Queue::Unavailable(_) => shared().unwrap_or(own),
                        Queue::Rows(_) | Queue::InvalidJobId => own,
                    };
                }
            }
        }
    }

    /// A file about one cluster, shared by all processes that reach it in the same way.
    pub(crate) fn file(&self, cluster: Option<&ClusterName>, kind: &str) -> Utf8PathBuf {
        let name = match cluster {
            Some(cluster) => cluster.to_string(),
            // Looked at each time: a process may live to see it lead elsewhere.
            None => {
                let version = self.programs.way().version;
                format!("{}-{version}", self.way())
            }
        };
        self.queue_dir.join(format!("{name}.{kind}"))
    }

    /// The way to the configuration's own cluster, whatever version it has.
    pub(crate) fn way(&self) -> String {
        format!("{LOCAL}{}", self.programs.way().path)
    }

    /// Every version of every way on which a controller answered in the last thirty days.
    pub(crate) fn ways(&self) -> impl Iterator<Item = String> {
        self.answered().filter(|name| name.starts_with(LOCAL))
    }

    /// Every cluster on which a job of ours can be: the configuration's own first, then those by
    /// name that answered in the last thirty days. Nothing is submitted where nothing answers.
    pub(crate) fn clusters(&self) -> Vec<Option<ClusterName>> {
        let names = self.answered().filter_map(|name| name.parse().ok());
        std::iter::once(None).chain(names.map(Some)).collect()
    }

    /// What answered lately: it has a picture here.
    fn answered(&self) -> impl Iterator<Item = String> {
        let entries = self.queue_dir.read_dir_utf8().into_iter().flatten();
        entries.filter_map(|entry| {
            let picture = entry.ok()?.into_path();
            let name = picture.file_name()?.strip_suffix(".squeue")?.to_owned();
            let age = files::modified(&picture)
                .ok()?
                .elapsed()
                .unwrap_or_default();
            (age < FORGOTTEN).then_some(name)
        })
    }

    /// The queues of these clusters, none older than `not_before`. Once the time is over, the rest
    /// has not answered.
    pub(crate) fn snapshots<'a>(
        &'a self,
        clusters: &'a [Option<ClusterName>],
        not_before: Timestamp,
        deadline: Deadline,
    ) -> impl Iterator<Item = (Option<&'a ClusterName>, Snapshot)> {
        clusters.iter().map(move |cluster| {
            let cluster = cluster.as_ref();
            let snapshot = if deadline.has_passed() {
                Snapshot {
                    at: now(),
                    queue: Queue::Unavailable(Unavailable::timed_out()),
                }
            } else {
                self.snapshot(cluster, not_before, QUERY_LIMIT.min(deadline.left()))
            };
            (cluster, snapshot)
        })
    }

    /// Searches these clusters for a job that the claim describes. Absent is only what is on none
    /// of them.
    pub(crate) fn search(
        &self,
        claim: &Claim,
        clusters: &[Option<ClusterName>],
        deadline: Deadline,
    ) -> Search {
        let mut result = Search::Clean;
        for (cluster, snapshot) in self.snapshots(clusters, now(), deadline) {
            match evidence::search(claim, cluster, &snapshot.queue) {
                Search::Clean => {}
                found @ Search::Found(_) => return found,
                unknown @ Search::Unknown(_) => result = unknown,
            }
        }
        result
    }

    fn ask(&self, cluster: Option<&ClusterName>, limit: Duration, file: &Utf8Path) -> Snapshot {
        let at = now();
        let bits = random_bits();
        let query = QueueQuery::User(self.uid, cluster.cloned());
        let (queue, answer) = self.queue(&query, bits, limit);
        if matches!(queue, Queue::Rows(_)) {
            let shared = Shared {
                v: SHARED_VERSION,
                at,
                mark: bits,
                length: answer.stdout.len(),
            };
            // A picture that can't be shared is asked for again by the next.
            drop(shared.write(&answer.stdout, file));
        }
        Snapshot { at, queue }
    }

    fn queue(&self, query: &QueueQuery, bits: u32, limit: Duration) -> (Queue, Answer) {
        let mark = Mark::from_bits(bits);
        let answer = self.run(&query.command(&mark).within(limit));
        let queue = match squeue::parse(&answer, &mark) {
            Queue::Unavailable(why) => Queue::Unavailable(self.explained(why, query.cluster())),
            known @ (Queue::Rows(_) | Queue::InvalidJobId) => known,
        };
        (queue, answer)
    }

    fn run(&self, command: &Command) -> Answer {
        self.programs.run(command, None)
    }

    /// Which of the programs that a lease can't do without is missing.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        [Program::Sbatch, Program::Squeue, Program::Scancel]
            .into_iter()
            .filter(|&program| self.programs.find(program).is_err())
            .map(Program::name)
            .collect()
    }
}

impl Shared {
    fn write(&self, stdout: &[u8], file: &Utf8Path) -> io::Result<()> {
        files::write_whole(file, &self.render(stdout)?, 0o600)
    }

    fn render(&self, stdout: &[u8]) -> io::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        bytes.extend_from_slice(stdout);
        Ok(bytes)
    }

    /// The picture in this file, if it is whole and of this form.
    fn read(file: &Utf8Path) -> Option<Snapshot> {
        Self::parse(&files::read(file).ok()??)
    }

    fn parse(bytes: &[u8]) -> Option<Snapshot> {
        let end = bytes.iter().position(|&byte| byte == b'\n')?;
        let shared: Self = serde_json::from_slice(&bytes[..end]).ok()?;
        let stdout = &bytes[end + 1..];
        if shared.v != SHARED_VERSION || shared.length != stdout.len() {
            return None;
        }
        let answer = Answer {
            exit: Exit::Status(0),
            stdout: stdout.to_vec(),
            stderr: Vec::new(),
        };
        Some(Snapshot {
            at: shared.at,
            queue: squeue::parse(&answer, &Mark::from_bits(shared.mark)),
        })
    }
}

/// Random bits from the kernel; where it has none to give, the time will do, since a mark only
/// has to be unknown to whoever named a job before.
pub(crate) fn random_bits() -> u32 {
    getrandom::u32().unwrap_or_else(|_| now().subsec_nanosecond().unsigned_abs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::strategies;

    proptest! {
        #[test]
        fn any_shared_picture_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Shared::parse(&bytes).is_none());
        }

        #[test]
        fn a_picture_is_read_back_whole_or_not_at_all(
            rows in strategies::queue_rows(), at in strategies::timestamp(), mark in any::<u32>(),
            cut in any::<Index>(),
        ) {
            let stdout = strategies::render_queue(&rows, &Mark::from_bits(mark));
            let shared = Shared { v: SHARED_VERSION, at, mark, length: stdout.len() };
            let whole = shared.render(&stdout).unwrap();
            let read = Shared::parse(&whole).unwrap();
            prop_assert_eq!(read.at, at);
            let answer = Answer { exit: Exit::Status(0), stdout, stderr: Vec::new() };
            prop_assert_eq!(read.queue, squeue::parse(&answer, &Mark::from_bits(mark)));
            prop_assert!(Shared::parse(&whole[..cut.index(whole.len())]).is_none());
        }
    }
}
