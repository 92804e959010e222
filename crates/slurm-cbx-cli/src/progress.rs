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

/// Lines about a lease that is waited for: one when something changes, never the same twice,
/// ever more seldom, so that a day of waiting stays far below the client's limit of 1 MiB.
#[derive(Debug)]
pub(crate) struct Progress {
    started: Instant,
    /// What Ctrl-C does while the job is queued: said once, since nobody can say it then.
    ctrl_c: Option<String>,
    job: Option<JobRef>,
    last: String,
    spoke: Option<Instant>,
    lines: u32,
}

impl Progress {
    pub(crate) fn new(ctrl_c: String) -> Self {
        Self {
            started: Instant::now(),
            ctrl_c: Some(ctrl_c),
            job: None,
            last: String::new(),
            spoke: None,
            lines: 0,
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
        let meaning = seen.state.meaning();
        let state = match (lease.endpoint(), meaning) {
            (Some(_), Meaning::Live) => {
                let state = words::status(lease, false, Timestamp::now());
                format!("{state}, waiting for its sshd to answer")
            }
            // Its runner is quicker than Slurm's next answer.
            (Some(_), Meaning::Queued | Meaning::Starting) => {
                "started, waiting for its sshd to answer".to_owned()
            }
            _ => words::status(lease, false, Timestamp::now()),
        };
        // What is left of the time changes with every look and is no news.
        let state = state
            .split(", ")
            .filter(|part| !part.ends_with(" left"))
            .collect::<Vec<_>>();
        let state = state.join(", ");
        if state != self.last && self.may_speak() {
            self.say(&state);
            self.last = state;
            let is_queued = meaning == Meaning::Queued && lease.endpoint().is_none();
            if let Some(ctrl_c) = self.ctrl_c.take_if(|_| is_queued) {
                self.say(&ctrl_c);
            }
        }
    }

    fn may_speak(&self) -> bool {
        let pause = if self.lines < MANY { SHORTEST } else { LONGEST };
        self.spoke.is_none_or(|spoke| spoke.elapsed() >= pause)
    }

    /// Whoever listened may be gone; that is no reason to stop.
    pub(crate) fn say(&mut self, what: &str) {
        let elapsed = self.started.elapsed().as_secs();
        let line = format!("slurm-cbx: {what} ({}:{:02})\n", elapsed / 60, elapsed % 60);
        drop(io::stderr().write_all(line.as_bytes()));
        if what.starts_with("job ") {
            return;
        }
        self.spoke = Some(Instant::now());
        self.lines += 1;
    }
}
