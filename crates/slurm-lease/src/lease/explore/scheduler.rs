//! A small scheduler: all that Slurm can do to a lease, and no more.

use jiff::Timestamp;

use crate::evidence::{Allocation, Identified};
use crate::id::{JobRef, Nonce, Tag, Uid};
use crate::job_state::JobState;
use crate::parse::squeue::{Queue, QueueRow, QueueRows};
use crate::parse::{Cause, Unavailable};

/// Whose all jobs are, strangers' included: another user's could not be cancelled anyway.
pub(super) const UID: Uid = Uid(1001);

/// A moment in virtual time, which passes in steps of the settle time.
pub(super) fn moment(tick: u32) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + i64::from(tick) * 12).unwrap()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Life {
    Pending,
    Running,
    /// Processes or an epilog are there; then it waits in the queue again, or is finished.
    Completing {
        again: bool,
    },
    Finished,
    /// It runs, and its controller has forgotten it. When the node registers, its processes are
    /// killed: on 22.05 that took four seconds, less than the settle time.
    Orphaned,
}

/// Which submission a job or a file is of, in the order of the exploration.
pub(super) type Serial = u32;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Job {
    pub(super) number: u32,
    /// The submission that made it; `None` for a stranger's.
    pub(super) serial: Option<Serial>,
    pub(super) life: Life,
    pub(super) restarts: u32,
    pub(super) requeueable: bool,
    /// When it was submitted or put back.
    submitted: u32,
    /// Whether somebody took its name and its comment.
    pub(super) edited: bool,
}

/// One run of one job of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RunId {
    pub(super) number: u32,
    pub(super) restarts: u32,
    pub(super) serial: Serial,
}

impl Job {
    /// Whether it is ours and may run, now or again.
    pub(super) fn may_live(&self) -> bool {
        self.serial.is_some() && (self.life != Life::Finished || self.requeueable)
    }

    pub(super) fn run(&self) -> Option<RunId> {
        Some(RunId {
            number: self.number,
            restarts: self.restarts,
            serial: self.serial?,
        })
    }

    /// Whether it is this one. Where comment and record are lost, so is the submission.
    pub(super) fn is(&self, of: &Allocation) -> bool {
        let ours = |serial| of.nonce == nonce(0) || of.nonce == nonce(serial);
        of.job.id.number() == self.number && self.serial.is_some_and(ours)
    }

    fn row(&self, strips: bool) -> QueueRow {
        let state = match self.life {
            Life::Pending => JobState::Pending,
            Life::Running | Life::Orphaned => JobState::Running,
            Life::Completing { .. } => JobState::Completing,
            Life::Finished => JobState::Cancelled,
        };
        let comment = self.serial.filter(|_| !self.edited && !strips).map(tag);
        // A stranger may have our name: anybody can give that to a job of his own. Not our
        // directory.
        let name = if self.edited { "edited" } else { NAME };
        let directory = self.serial.map_or("/home/alice", |_| DIRECTORY);
        QueueRow {
            id: self.number.to_string().parse().unwrap(),
            state,
            uid: UID,
            submitted: Some(moment(self.submitted)),
            started: None,
            ends: None,
            restarts: self.restarts,
            requeueable: self.requeueable,
            reason: String::new(),
            batch_host: None,
            nodes: None,
            exit: None,
            partition: String::new(),
            time_left: None,
            directory: Some(directory.to_owned()),
            name: name.to_owned(),
            comment: comment.map_or_else(String::new, |tag| tag.to_string()),
        }
    }

    /// scancel reached it; whether that changed anything.
    pub(super) fn cancel(&mut self) -> bool {
        let before = self.life;
        self.life = match before {
            Life::Pending => Life::Finished,
            Life::Running | Life::Completing { again: true } => Life::Completing { again: false },
            Life::Completing { again: false } | Life::Finished | Life::Orphaned => before,
        };
        self.life != before
    }

    /// Whether `scontrol update` can change it: from COMPLETING on that is refused.
    pub(super) fn can_be_updated(&self) -> bool {
        match self.life {
            Life::Pending | Life::Running | Life::Completing { again: true } => true,
            Life::Completing { again: false } | Life::Finished | Life::Orphaned => false,
        }
    }
}

/// Whether the controller answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Mood {
    Answers,
    /// Takes connections and says nothing.
    Hangs,
    /// Answers a question about one job with no rows and no error, as a filter makes it do.
    Mute,
}

/// A submission on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Request {
    pub(super) serial: Serial,
    /// The process that waits for sbatch; an sbatch can outlive it.
    pub(super) caller: Option<usize>,
    /// Whether sbatch is still running. What it has sent can arrive when it is not.
    pub(super) sbatch: bool,
    /// The job that it became.
    pub(super) became: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Scheduler {
    pub(super) mood: Mood,
    pub(super) jobs: Vec<Job>,
    pub(super) requests: Vec<Request>,
    next: u32,
    /// Whether the site's submit plugin strips comments.
    pub(super) strips: bool,
}

impl Scheduler {
    pub(super) fn new(strips: bool) -> Self {
        Self {
            mood: Mood::Answers,
            jobs: Vec::new(),
            requests: Vec::new(),
            next: 1,
            strips,
        }
    }

    pub(super) fn next_number(&self) -> u32 {
        self.next
    }

    pub(super) fn submit(&mut self, serial: Serial, caller: usize) {
        self.requests.push(Request {
            serial,
            caller: Some(caller),
            sbatch: true,
            became: None,
        });
    }

    /// The controller takes a submission.
    pub(super) fn accept(&mut self, request: usize, tick: u32) {
        let number = self.next;
        self.next += 1;
        let request = &mut self.requests[request];
        request.became = Some(number);
        self.jobs.push(Job {
            number,
            serial: Some(request.serial),
            life: Life::Pending,
            restarts: 0,
            requeueable: false,
            submitted: tick,
            edited: false,
        });
        self.requests
            .retain(|request| request.became.is_none() || request.sbatch);
    }

    /// Somebody else's job takes the next number.
    pub(super) fn admit_stranger(&mut self, tick: u32) {
        self.jobs.push(Job {
            number: self.next,
            serial: None,
            life: Life::Running,
            restarts: 0,
            requeueable: true,
            submitted: tick,
            edited: false,
        });
        self.next += 1;
    }

    /// The controller starts anew, with its state or without. Connections are gone; an sbatch
    /// that is running tries again.
    pub(super) fn restart(&mut self) {
        self.mood = Mood::Answers;
        self.requests.retain(|request| request.sbatch);
    }

    /// The controller loses its state. Of its jobs, those that run and that we know of count as
    /// alive for a while.
    pub(super) fn forget(&mut self, is_known: impl Fn(&Job) -> bool) {
        self.jobs
            .retain(|job| job.life == Life::Running && is_known(job));
        for job in &mut self.jobs {
            job.life = Life::Orphaned;
        }
        self.next = 1;
    }

    /// The settle time passes: nodes have registered.
    pub(super) fn pass(&mut self) {
        self.jobs.retain(|job| job.life != Life::Orphaned);
    }

    pub(super) fn requeue(&mut self, job: usize, tick: u32) {
        let job = &mut self.jobs[job];
        job.restarts += 1;
        if job.life == Life::Running {
            job.life = Life::Completing { again: true };
        } else {
            job.life = Life::Pending;
            job.submitted = tick;
        }
    }

    /// A job gets on with what it is at.
    pub(super) fn advance(&mut self, job: usize, tick: u32) {
        let job = &mut self.jobs[job];
        job.life = match job.life {
            Life::Pending => Life::Running,
            Life::Running => Life::Completing { again: false },
            Life::Completing { again: true } => {
                job.submitted = tick;
                Life::Pending
            }
            Life::Completing { again: false } => Life::Finished,
            done @ (Life::Finished | Life::Orphaned) => done,
        };
    }

    /// What squeue answers about one job or all.
    pub(super) fn ask(&self, job: Option<&JobRef>) -> Queue {
        match self.mood {
            Mood::Hangs => return Queue::Unavailable(hung()),
            Mood::Mute if job.is_some() => return Queue::Rows(QueueRows::default()),
            Mood::Mute | Mood::Answers => {}
        }
        let asked = |row: &&Job| job.is_none_or(|job| job.id.number() == row.number);
        let known = self.jobs.iter().filter(|job| job.life != Life::Orphaned);
        let rows: Vec<QueueRow> = known
            .filter(asked)
            .map(|job| job.row(self.strips))
            .collect();
        if job.is_some() && rows.is_empty() {
            return Queue::InvalidJobId;
        }
        Queue::Rows(QueueRows {
            rows,
            unreadable: Vec::new(),
        })
    }

    /// The job under the number of one that was identified.
    pub(super) fn identified(&mut self, identified: Identified) -> Option<&mut Job> {
        let number = identified.into_job().id.number();
        let mut jobs = self.jobs.iter_mut();
        jobs.find(|job| job.number == number && job.life != Life::Orphaned)
    }
}

pub(super) fn hung() -> Unavailable {
    Unavailable {
        cause: Cause::Hung,
        said: String::new(),
    }
}

/// The name of the lease's jobs.
pub(super) const NAME: &str = "crabbox-s-01234567";

/// Where they start.
pub(super) const DIRECTORY: &str = "/home/alice/state/jobs/cbx_0123456789ab";

/// What the job of a submission carries as its comment.
pub(super) fn tag(serial: Serial) -> Tag {
    Tag {
        store: "0a1b2c3d".parse().unwrap(),
        lease: "cbx_0123456789ab".parse().unwrap(),
        nonce: nonce(serial),
    }
}

/// Zeros stand for a nonce that is not known, so serials begin at one.
pub(super) fn nonce(serial: Serial) -> Nonce {
    Nonce::from_bits(u64::from(serial))
}
