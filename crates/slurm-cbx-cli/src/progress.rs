//! What the person who waits is told, on stderr.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use slurm_lease::{JobRef, Lease, Meaning};

use crate::words;

/// How soon another line may follow one.
const SHORTEST: Duration = Duration::from_secs(1);
/// How soon another line may follow one once many have been written.
const LONGEST: Duration = Duration::from_secs(60);
/// After how many lines that is.
const MANY: u32 = 100;
/// The longest line, in characters: Slurm's reason may name every node of a cluster.
const LINE: usize = 200;
/// After how many bytes nothing more is said of changes: the client kills an adapter that writes
/// 1 MiB, however long it has waited.
const BUDGET: usize = 512 << 10;

/// Lines about a lease that is waited for: one when something changes, never the same twice,
/// ever more seldom.
#[derive(Debug)]
pub(crate) struct Progress {
    started: Instant,
    /// What Ctrl-C does while the job is queued: said once, since nobody can say it then.
    ctrl_c: Option<String>,
    job: Option<JobRef>,
    changes: Changes,
}

impl Progress {
    pub(crate) fn new(ctrl_c: String) -> Self {
        Self {
            started: Instant::now(),
            ctrl_c: Some(ctrl_c),
            job: None,
            changes: Changes::default(),
        }
    }

    /// Says what has changed.
    pub(crate) fn tell(&mut self, lease: &Lease) {
        if let Some(job) = lease.job()
            && self.job.as_ref() != Some(job)
        {
            // One that was seen before it was told of was submitted by an earlier process.
            let known = self.job.is_none() && lease.sighting().is_some();
            self.job = Some(job.clone());
            self.say(&if known {
                format!("job {job} of this lease is there already")
            } else {
                format!("job {job} is submitted")
            });
        }
        let Some(seen) = lease.sighting() else { return };
        let is_queued = seen.state.meaning() == Meaning::Queued && lease.endpoint().is_none();
        if self.changes.are_worth_a_line(state(lease), Instant::now()) {
            let line = self.changes.last.clone();
            self.say(&line);
            // A lease that was handed out before is left as it is.
            let is_ours = is_queued && lease.handed_out().is_none();
            if let Some(ctrl_c) = self.ctrl_c.take_if(|_| is_ours) {
                self.say(&ctrl_c);
            }
        }
    }

    /// Whoever listened may be gone; that is no reason to stop.
    pub(crate) fn say(&mut self, what: &str) {
        let line = line(what, self.started.elapsed());
        self.changes.bytes += line.len();
        drop(io::stderr().write_all(line.as_bytes()));
    }
}

fn line(what: &str, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    let mut what: String = what.to_owned();
    if what.chars().count() > LINE {
        what = what.chars().take(LINE).chain(['…']).collect();
    }
    format!("slurm-cbx: {what} ({}:{:02})\n", seconds / 60, seconds % 60)
}

/// What a lease is like, without what changes with every look.
fn state(lease: &Lease) -> String {
    let meaning = lease.sighting().map(|seen| seen.state.meaning());
    let state = words::status(lease, false, Timestamp::now());
    let state = match (lease.endpoint(), meaning) {
        (Some(_), Some(Meaning::Live)) => format!("{state}, waiting for its sshd to answer"),
        // Its runner is quicker than Slurm's next answer.
        (Some(_), Some(Meaning::Queued | Meaning::Starting)) => {
            "started, waiting for its sshd to answer".to_owned()
        }
        _ => state,
    };
    let parts = state.split(", ").filter(|part| !part.ends_with(" left"));
    parts.collect::<Vec<_>>().join(", ")
}

/// Which changes are told of.
#[derive(Debug, Default)]
struct Changes {
    last: String,
    spoke: Option<Instant>,
    lines: u32,
    bytes: usize,
}

impl Changes {
    fn are_worth_a_line(&mut self, state: String, now: Instant) -> bool {
        let pause = if self.lines < MANY { SHORTEST } else { LONGEST };
        let soon = self
            .spoke
            .is_some_and(|spoke| now.duration_since(spoke) < pause);
        if state == self.last || soon || self.bytes >= BUDGET {
            return false;
        }
        self.last = state;
        self.spoke = Some(now);
        self.lines += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How much is said in so many days of a job that changes with every look, once a second.
    fn said_in(days: u64, state: impl Fn(u64) -> String) -> usize {
        let began = Instant::now();
        let mut changes = Changes::default();
        for second in 0..days * 86_400 {
            let elapsed = Duration::from_secs(second);
            if changes.are_worth_a_line(state(second), began + elapsed) {
                changes.bytes += line(&changes.last.clone(), elapsed).len();
            }
        }
        changes.bytes
    }

    #[test]
    fn the_client_never_reads_too_much() {
        let usual = |second: u64| format!("PENDING (Resources), starts ~{:02}:05", second % 24);
        let bytes = said_in(1, usual);
        assert!((50_000..150_000).contains(&bytes), "{bytes} in a day");
        let nodes = "n[1-9],".repeat(1000);
        let long =
            |second: u64| format!("PENDING (ReqNodeNotAvail, UnavailableNodes:{second},{nodes})");
        let bytes = said_in(1, long);
        assert!(bytes < 400_000, "{bytes} in a day of long reasons");
        let bytes = said_in(30, long);
        assert!(bytes < 600_000, "{bytes} in a month of long reasons");
    }

    #[test]
    fn the_same_is_not_said_twice() {
        assert!(said_in(2, |_| "PENDING (Priority)".to_owned()) < 40);
    }
}
