//! What the person who waits is told, on stderr.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use slurm_lease::{JobRef, Lease};

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
    job: Option<JobRef>,
    last: String,
    spoke: Option<Instant>,
    lines: u32,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
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
            self.job = Some(job.clone());
            self.say(&format!("job {job} is submitted"));
        }
        let Some(seen) = lease.sighting() else { return };
        let state = if lease.endpoint().is_some() {
            format!("{}, waiting for its sshd to answer", seen.state)
        } else {
            words::status(lease, false, Timestamp::now())
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
