//! What a lease is like: shown at once, never waited for.

use std::fmt;
use std::time::Duration;

use camino::Utf8PathBuf;
use thiserror::Error;

use crate::driver::Leases;
use crate::driver::banner;
use crate::driver::clock::{Deadline, now};
use crate::driver::drive::{Drive, Driven};
use crate::driver::files;
use crate::driver::former;
use crate::driver::keeper::{claim, is_being_acquired};
use crate::driver::keys;
use crate::driver::store::{Held, LeaseDir, Loaded, StoreError};
use crate::endpoint::{Endpoint, EndpointError, StopMarker};
use crate::id::{ClusterName, JobName, JobRef, LeaseId};
use crate::job_state::{JobState, Meaning};
use crate::lease::Lease;
use crate::parse::Unavailable;
use crate::record::{Access, Opened};

/// How long a status may take: a client that is told nothing for ten seconds gives up.
const STATUS_LIMIT: Duration = Duration::from_secs(7);
/// How long sshd has to greet.
pub(super) const GREETING_LIMIT: Duration = Duration::from_secs(2);
/// How much of a job's output is quoted, in bytes and in lines.
const OUTPUT_BYTES: u64 = 4096;
const OUTPUT_LINES: usize = 12;

/// The status of a lease can't be told.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StatusError {
    /// There is no such lease.
    #[error("there is no lease {0}")]
    NoSuchLease(LeaseId),
    /// Its record can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A lease as it was just seen.
#[derive(Debug)]
pub struct View {
    /// What is known of it.
    pub lease: Lease,
    /// Where its files are.
    pub dir: LeaseDir,
    /// Where somebody can log in, while the job runs.
    pub ready: Option<Endpoint>,
    /// Whether its record is lost, so that only what the controller shows is known.
    pub lost: bool,
    /// Whether it has no job because an acquire that is under way has not submitted one yet.
    pub awaited: bool,
}

impl View {
    /// A lease whose endpoint was just seen to answer.
    pub(super) fn of_ready(held: Held, endpoint: Endpoint) -> Self {
        let dir = held.dir().clone();
        Self {
            lease: held.lease,
            dir,
            ready: Some(endpoint),
            lost: false,
            awaited: false,
        }
    }

    /// The private key that opens the endpoint.
    pub fn key(&self) -> Utf8PathBuf {
        keys::path(&self.dir, &self.lease.opened().access, self.ready.as_ref())
    }

    /// Why what the runner published can't be used, where it can't.
    pub fn endpoint_fault(&self) -> Option<EndpointError> {
        endpoint_fault(&self.dir)
    }

    /// How its job ended, if it has.
    pub fn ended(&self) -> Option<Ended> {
        Ended::of(&self.lease, &self.dir)
    }
}

impl Leases {
    /// How a lease is now.
    ///
    /// # Errors
    /// When there is no such lease, nor a job of it in the queue, or its record can't be read. That Slurm does not answer is no
    /// error: see [`Lease::unknown`].
    pub fn status(&self, lease: &LeaseId) -> Result<View, StatusError> {
        let deadline = Deadline::after(STATUS_LIMIT);
        self.pursue_abandoned(Some(lease));
        let (held, lost) = match self.hold(lease, deadline) {
            Err(StatusError::NoSuchLease(lease)) => return self.unrecorded(lease, deadline),
            other => other?,
        };
        let drive = Drive::new(self, held, deadline).afresh();
        let mut view = Self::look_at(drive, lost);
        self.find_stray(&mut view, deadline);
        let limit = GREETING_LIMIT.min(deadline.left());
        let direct = view.lease.opened().access.is_direct();
        view.ready = view.ready.filter(|endpoint| {
            !direct || endpoint.proxy_command.is_some() || banner::answers(endpoint, limit)
        });
        if view.ready.is_none() {
            self.pursue_if_abandoned(lease, deadline);
        }
        Ok(view)
    }

    /// A lease without a record, if the queue shows a job with its comment, or shows nothing.
    fn unrecorded(&self, lease: LeaseId, deadline: Deadline) -> Result<View, StatusError> {
        let held = self.rebuild(self.store.dir(&lease), None, None);
        let view = self.view(held, true, deadline);
        if view.lease.job().is_none() && view.lease.unknown().is_none() {
            return Err(StatusError::NoSuchLease(lease));
        }
        Ok(view)
    }

    /// Says that the endpoint of a lease was given to a client, so that nobody takes the lease for
    /// abandoned.
    ///
    /// # Errors
    /// When that can't be written down.
    pub fn claim(&self, view: &View) -> Result<(), StoreError> {
        Ok(claim(&view.dir)?)
    }

    /// The record of a lease, made anew where it is lost.
    pub(super) fn hold(
        &self,
        lease: &LeaseId,
        deadline: Deadline,
    ) -> Result<(Held, bool), StatusError> {
        let dir = self.store.dir(lease).within(deadline);
        match dir.load(self.policy())? {
            Some(Loaded::Held(held)) => Ok((*held, false)),
            Some(Loaded::Lost) => match former::import(self, &dir) {
                Some(held) => Ok((held, false)),
                None => Ok((self.rebuild(dir, None, None), true)),
            },
            None => Err(StatusError::NoSuchLease(lease.clone())),
        }
    }

    /// A lease of whose record nothing is left. What it was called may be lost too; its id finds
    /// its job.
    pub(super) fn rebuild(
        &self,
        dir: LeaseDir,
        called: Option<(String, JobName)>,
        cluster: Option<ClusterName>,
    ) -> Held {
        let opened = self.reopened(&dir, called, cluster);
        Held::lost(dir, Lease::reconstruct(opened, now(), self.policy()))
    }

    /// What a lease of whose record nothing is left was asked for as.
    pub(super) fn reopened(
        &self,
        dir: &LeaseDir,
        called: Option<(String, JobName)>,
        cluster: Option<ClusterName>,
    ) -> Opened {
        let id = dir.lease();
        let (slug, name) = called.unwrap_or_else(|| (id.to_string(), id.into()));
        Opened {
            lease: id.clone(),
            slug,
            name,
            uid: self.slurm.uid(),
            store: self.store.id().clone(),
            cluster,
            asked: String::new(),
            directory: Some(dir.path().to_owned()),
            access: Access::default(),
        }
    }

    /// Looks once, and as far as it goes a second time by itself where the first look did not
    /// find the job.
    pub(super) fn view(&self, held: Held, lost: bool, deadline: Deadline) -> View {
        Self::look_at(Drive::new(self, held, deadline), lost)
    }

    fn look_at(mut drive: Drive<'_>, lost: bool) -> View {
        // What a lost lease was called is for its client to say, not for a look at it.
        if lost {
            drive = drive.read_only();
        }
        drive.read_runner_files();
        while !drive.deadline.has_passed() {
            if let Driven::Wait(_) | Driven::Over(_) = drive.step(None) {
                break;
            }
            drive.read_runner_files();
        }
        if drive.held.lease.is_unseen() {
            let why = Unavailable::timed_out();
            drive.held.lease.handle_silence(now(), why);
        }
        let ready = drive.held.lease.ready().cloned();
        if let Some(endpoint) = &ready {
            // Without it ssh asks the key of the host on the first connection, as it always does.
            let access = &drive.held.lease.opened().access;
            drop(keys::admit(drive.held.dir(), access, endpoint));
        }
        let dir = drive.held.dir().clone();
        let lease = &drive.held.lease;
        View {
            awaited: lease.is_vacant() && lease.wish().is_none() && is_being_acquired(&dir),
            lease: drive.held.lease,
            dir,
            ready,
            lost,
        }
    }
}

/// Why what a runner published can't be used, where it can't.
pub(super) fn endpoint_fault(dir: &LeaseDir) -> Option<EndpointError> {
    let published = dir.read("endpoint.json").ok()??;
    Endpoint::parse(&published).err()
}

/// How a job ended, as far as that is known.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The job.
    pub job: JobRef,
    /// Its last state, where the controller or accounting told one.
    pub state: Option<JobState>,
    /// Its exit status and the signal that ended it.
    pub exit: Option<(i32, i32)>,
    /// What the runner said.
    pub marker: Option<StopMarker>,
    /// The end of its output.
    pub output: String,
}

impl Ended {
    pub(super) fn of(lease: &Lease, dir: &LeaseDir) -> Option<Self> {
        let job = lease.job()?.clone();
        let seen = lease.sighting();
        let finished = seen.filter(|seen| seen.state.meaning() == Meaning::Finished);
        let gone = lease.over().is_some();
        if finished.is_none() && !gone {
            return None;
        }
        let accounted = lease.accounted();
        let state = finished.map(|seen| seen.state.clone());
        let exit = finished.and_then(|seen| seen.exit);
        Some(Self {
            state: state.or_else(|| accounted.map(|(state, _)| state.clone())),
            exit: exit.or_else(|| accounted.and_then(|(_, exit)| *exit)),
            marker: lease.stop_marker().cloned(),
            output: last_lines(dir, &job),
            job,
        })
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job {} ended", self.job)?;
        match &self.state {
            Some(state) => write!(f, ": {state}")?,
            None => f.write_str(": Slurm no longer knows it")?,
        }
        match self.exit {
            Some((status, 0)) if status != 0 => write!(f, ", exit code {status}")?,
            Some((_, signal)) if signal != 0 => write!(f, ", signal {signal}")?,
            _ => {}
        }
        if let Some(marker) = &self.marker {
            let why = if marker.message.is_empty() {
                &marker.reason
            } else {
                &marker.message
            };
            write!(f, " ({why})")?;
        }
        if !self.output.is_empty() {
            write!(f, "\nits last lines:\n{}", self.output)?;
        }
        Ok(())
    }
}

/// The end of a job's output, indented, without control characters.
fn last_lines(dir: &LeaseDir, job: &JobRef) -> String {
    let path = dir.file(&format!("slurm-{}.out", job.id));
    let bytes = files::read_end(&path, OUTPUT_BYTES);
    let bytes = bytes.ok().flatten().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let from = lines.len().saturating_sub(OUTPUT_LINES);
    let clean = |line: &&str| -> String {
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        format!("  {}", line.chars().map(printable).collect::<String>())
    };
    lines[from..]
        .iter()
        .map(clean)
        .collect::<Vec<_>>()
        .join("\n")
}
