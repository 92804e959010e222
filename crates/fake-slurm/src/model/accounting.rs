//! What slurmdbd stores: one record for each run of a job, and each change of it with the time
//! from which sacct shows it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::job::{Exit, Job};
use super::state::Base;
use crate::moment::Moment;

/// A job's record as sacct shows it from some time on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When slurmctld sent it.
    pub at: Moment,
    /// `COMPLETED`, `CANCELLED by 1000`, `REQUEUED` …
    pub state: String,
    /// When it was eligible to start, as far as that is known.
    pub eligible: Option<Moment>,
    /// When it started.
    pub start: Option<Moment>,
    /// When it ended.
    pub end: Option<Moment>,
    /// How it ended.
    pub exit: Exit,
    /// Where it ran.
    pub nodes: Vec<String>,
    /// Why it waits or failed.
    pub reason: String,
    /// CPUs it has or had.
    pub cpus: u32,
    /// How long it was suspended, up to the last resume.
    pub idle: Duration,
    /// Since when it is suspended.
    pub suspended: Option<Moment>,
}

/// One run of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named after sacct's fields")]
pub struct Record {
    pub id: u32,
    pub uid: u32,
    pub gid: u32,
    pub user: String,
    pub group: String,
    pub name: String,
    pub comment: Option<String>,
    pub account: Option<String>,
    pub partition: String,
    pub qos: Option<String>,
    pub cpus: u32,
    pub node_count: u32,
    /// MiB per node; zero is all.
    pub memory: Option<u64>,
    /// MiB per CPU; without either it is the cluster's.
    pub memory_per_cpu: Option<u64>,
    pub features: Option<String>,
    pub time_limit: Option<u64>,
    /// Neither the job nor its partition's DefaultTime said how long it may run.
    pub limited_by_partition: bool,
    pub workdir: String,
    pub submit: Moment,
    /// Its history, oldest first.
    pub entries: Vec<Entry>,
}

impl Record {
    /// The record of a job that was just submitted or requeued.
    pub fn new(job: &Job, now: Moment) -> Self {
        let request = &job.request;
        let mut record = Self {
            id: job.id,
            uid: request.uid,
            gid: request.gid,
            user: request.user.clone(),
            group: request.group.clone(),
            name: request.name.clone(),
            comment: request.comment.clone(),
            account: job.account.clone(),
            partition: job.shown_partition().to_owned(),
            qos: request.qos.clone(),
            cpus: job.cpus_on(0),
            node_count: if request.no_nodes {
                0
            } else {
                request.nodes.max(1)
            },
            memory: request.memory,
            memory_per_cpu: request.memory_per_cpu,
            features: request.features.clone(),
            time_limit: job.time_limit,
            limited_by_partition: job.limited_by_partition,
            workdir: request.workdir.clone(),
            submit: job.submit,
            entries: Vec::new(),
        };
        record.note(job, job.base.names().0.to_owned(), now);
        record
    }

    /// Adds the job's present state under the name `state`.
    pub fn note(&mut self, job: &Job, state: String, now: Moment) {
        let ended = matches!(job.base, Base::Cancelled | Base::Deadline);
        let never_started = ended && job.nodes.is_empty();
        self.entries.push(Entry {
            at: now,
            state,
            eligible: job.known_eligible(),
            start: job.start.filter(|_| !never_started),
            end: job.end,
            exit: job.exit,
            nodes: job.nodes.clone(),
            reason: job.reason.clone(),
            cpus: job.had_cpus(),
            idle: job.idle,
            suspended: job.suspended,
        });
    }

    /// What sacct shows of it, if it shows only what was sent up to `until`.
    pub fn as_of(&self, until: Moment) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.at <= until)
    }
}
