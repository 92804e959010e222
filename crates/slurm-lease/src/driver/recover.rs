//! Leases whose record is lost, and that are to end: what is known of them from elsewhere.
//!
//! A job of such a lease is known by its comment. Where the site has taken that away, the directory
//! that it starts in tells, together with its name or its number. A job that another program has
//! submitted starts anywhere; its name and its number together tell: neither alone says whose a job
//! is, and what the job would be called must be known before a queue without it says anything.

use jiff::Timestamp;

use crate::driver::Leases;
use crate::driver::clock::{Deadline, now};
use crate::driver::former;
use crate::driver::list::slug_of;
use crate::driver::release::{ReleaseError, Unproven};
use crate::driver::store::{Held, LeaseDir, Loaded, StoreError};
use crate::endpoint::Endpoint;
use crate::id::{ClusterName, JobId, JobName, JobRef, LeaseId, Tag};
use crate::job_state::Meaning;
use crate::lease::Lease;
use crate::parse::Unavailable;
use crate::parse::squeue::{Queue, QueueRow};

/// What whoever asks for the end of a lease knows of it. It matters where the record is lost.
#[derive(Clone, Debug, Default)]
pub struct Called {
    /// The short name that the client has for it.
    pub slug: Option<String>,
    /// The name of its job.
    pub name: Option<JobName>,
    /// Its job.
    pub job: Option<JobRef>,
}

/// What the queue shows that may be of a lost lease.
#[derive(Default)]
struct Traces {
    /// A job that is not over and has its comment, or starts where its jobs do: its name, and
    /// where it is.
    known: Option<(String, Option<ClusterName>)>,
    /// The name of one that is.
    ended: Option<String>,
    /// A job of its name and number that starts elsewhere, without a comment, and when it was
    /// submitted.
    named: Option<(JobRef, Timestamp)>,
    /// Jobs that nothing tells whose they are: what to say of each.
    doubtful: Vec<String>,
    /// Why not every job was shown.
    silent: Option<Unavailable>,
}

impl Traces {
    fn doubt(&mut self, row: &QueueRow, cluster: Option<&ClusterName>, told: &str) {
        let (id, cluster) = (row.id, cluster.cloned());
        let job = JobRef { id, cluster };
        self.doubtful
            .push(format!("job {job} ({}) may be its job: {told}", row.name));
    }
}

impl Leases {
    /// The record of a lease that is to end, made anew where it is lost.
    pub(super) fn hold_to_end(
        &self,
        lease: &LeaseId,
        called: &Called,
        deadline: Deadline,
    ) -> Result<Held, ReleaseError> {
        let dir = self.store.dir(lease).within(deadline);
        match dir.load(self.policy()) {
            Ok(Some(Loaded::Held(held))) => Ok(*held),
            Ok(Some(Loaded::Lost)) => match former::import(self, &dir) {
                Some(held) => Ok(held),
                None => self.recover(dir, called, deadline),
            },
            Ok(None) => self.recover(dir, called, deadline),
            // What can't be read may be whole: nothing is written in its place.
            Err(StoreError::Io(error)) => {
                let held = self.recover(dir, called, deadline)?;
                Ok(held.unreadable(&error))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A lease without a record, once it is known what its job looks like.
    fn recover(
        &self,
        dir: LeaseDir,
        called: &Called,
        deadline: Deadline,
    ) -> Result<Held, ReleaseError> {
        let traces = self.trace(&dir, called, deadline);
        let lease = dir.lease().clone();
        let slug = |name: &JobName| {
            let slug = called.slug.clone();
            slug.unwrap_or_else(|| slug_of(name.as_str()))
        };
        let held =
            |name: JobName, cluster| self.rebuild(dir.clone(), Some((slug(&name), name)), cluster);
        if let Some((name, cluster)) = traces.known {
            let name = name.parse().ok().or_else(|| called.name.clone());
            return Ok(held(name.unwrap_or_else(|| (&lease).into()), cluster));
        }
        if let Some(why) = traces.silent {
            return Err(ReleaseError::Unproven(Unproven {
                lease,
                job: called.job.clone(),
                why: why.to_string(),
                recorded: false,
            }));
        }
        if !traces.doubtful.is_empty() {
            let why = format!(
                "{}; nothing was cancelled, end it with scancel if it is",
                traces.doubtful.join("; ")
            );
            return Err(ReleaseError::Unidentified { lease, why });
        }
        if let (Some(name), Some((job, submitted))) = (&called.name, traces.named) {
            let called = Some((slug(name), name.clone()));
            let opened = self.reopened(&dir, called, job.cluster.clone());
            let lease = Lease::import(opened, submitted, job, self.policy());
            return Ok(Held::lost(dir, lease));
        }
        // Where an acquire was killed before it had written anything, that is left.
        if dir.remove_blank().is_ok() && !dir.exists() {
            return Err(ReleaseError::NoSuchLease(lease));
        }
        let ended = traces.ended.and_then(|name| name.parse().ok());
        if let Some(name) = called.name.clone().or(ended) {
            return Ok(held(name, None));
        }
        let why = format!(
            "no job in the queue has its comment or its directory, but what its job is called is not known here, and one that another program submitted has neither; name the job as well, or remove {} if there is none",
            dir.path()
        );
        Err(ReleaseError::Unidentified { lease, why })
    }

    fn trace(&self, dir: &LeaseDir, called: &Called, deadline: Deadline) -> Traces {
        let mut traces = Traces::default();
        let numbers = numbers(dir, called);
        let mut clusters = self.slurm.clusters();
        let told = called.job.as_ref().map(|job| job.cluster.clone());
        clusters.extend(told.filter(|told| !clusters.contains(told)));
        for (cluster, snapshot) in self.slurm.snapshots(&clusters, now(), deadline) {
            let rows = match snapshot.queue {
                Queue::Rows(rows) if rows.unreadable.is_empty() => rows.rows,
                Queue::Rows(rows) => {
                    let why = "a row of the queue is not readable";
                    traces.silent = Some(Unavailable::unreadable(why));
                    rows.rows
                }
                Queue::InvalidJobId => Vec::new(),
                Queue::Unavailable(why) => {
                    traces.silent = Some(why);
                    Vec::new()
                }
            };
            for row in rows.iter().filter(|row| row.uid == self.slurm.uid()) {
                self.note(&mut traces, dir, called, &numbers, row, cluster);
            }
        }
        if traces.silent.is_none() {
            traces.silent = self.out_of_reach(deadline.left());
        }
        traces
    }

    fn note(
        &self,
        traces: &mut Traces,
        dir: &LeaseDir,
        called: &Called,
        numbers: &[JobId],
        row: &QueueRow,
        cluster: Option<&ClusterName>,
    ) {
        let over = row.state.meaning() == Meaning::Finished && !row.requeueable;
        if let Some(tag) = Tag::in_comment(&row.comment) {
            let ours = tag.store == *self.store.id();
            match (tag.lease == *dir.lease(), ours, over) {
                (true, true, true) => traces.ended = Some(row.name.clone()),
                (true, true, false) => traces.known = Some((row.name.clone(), cluster.cloned())),
                // This directory may have another path elsewhere.
                (true, false, false) => {
                    let told = "its comment is of this lease, but of another state directory";
                    traces.doubt(row, cluster, told);
                }
                _ => {}
            }
            return;
        }
        if over {
            return;
        }
        let called = called.name.as_ref().map(JobName::as_str);
        let named = called == Some(row.name.as_str());
        let numbered = numbers.contains(&row.id);
        let likely = dir.lease().is_in_name(&row.name);
        let placed = row.directory.as_deref().map(|its| its == dir.path());
        match (placed, named, numbered) {
            (Some(true), _, _) if named || numbered || called.is_none() && likely => {
                // A comment says more.
                let known = (row.name.clone(), cluster.cloned());
                traces.known.get_or_insert(known);
            }
            (_, true, true) => {
                let (id, cluster) = (row.id, cluster.cloned());
                let submitted = row.submitted.unwrap_or_else(now);
                traces.named = Some((JobRef { id, cluster }, submitted));
            }
            (Some(true), _, _) => {
                let told = "it starts in its directory, but has neither its comment nor its name";
                traces.doubt(row, cluster, told);
            }
            (None, true, false) | (None, false, true) => {
                let told =
                    "it has no comment of ours, and only the name or only the number of that job";
                traces.doubt(row, cluster, told);
            }
            (Some(false), _, _) | (None, false, false) => {}
        }
    }
}

/// The numbers that the job of a lost lease may have, as its client and its runner tell them.
fn numbers(dir: &LeaseDir, called: &Called) -> Vec<JobId> {
    let told = called.job.as_ref().map(|job| job.id);
    let published = dir.read("endpoint.json").ok().flatten();
    let published = published.and_then(|bytes| Endpoint::parse(&bytes).ok()?.job_id);
    let outputs = dir.names().into_iter().filter_map(|name| {
        name.strip_prefix("slurm-")?
            .strip_suffix(".out")?
            .parse()
            .ok()
    });
    told.into_iter().chain(published).chain(outputs).collect()
}
