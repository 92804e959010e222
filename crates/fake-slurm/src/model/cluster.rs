//! One cluster: its jobs, its records, and the clock that drives them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::accounting::Record;
use super::condition::{Condition, Controller};
use super::config::ClusterConfig;
use super::job::{Job, Request};
use crate::generation::Generation;
use crate::moment::Moment;

/// Where the priorities begin to fall.
const FIRST_RANK: u32 = 4_294_901_760;

/// A submission that a hung controller has received and not yet looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Late {
    /// When it is taken up; never, as long as the controller hangs, if unset.
    pub at: Option<Moment>,
    /// What it asks for.
    pub request: Request,
    /// The batch script.
    pub script: String,
}

/// A cluster as its controller sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// How it is set up.
    pub config: ClusterConfig,
    /// What is wrong with it.
    pub condition: Condition,
    /// The number of the next job.
    pub next_id: u32,
    /// The number that the last job got that was due.
    pub last_rank: u32,
    /// How many jobs there ever were: what tells two of the same number apart.
    pub serial: u64,
    /// The jobs that the controller knows.
    pub jobs: BTreeMap<u32, Job>,
    /// What the database has.
    pub records: Vec<Record>,
    /// Submissions that are still on their way.
    pub late: Vec<Late>,
    /// What a stale backup shows.
    pub old_picture: Option<BTreeMap<u32, Job>>,
    /// Up to when everything that was due has happened.
    pub settled: Moment,
    /// Jobs that changed since the cluster was loaded.
    #[serde(skip)]
    pub(crate) touched: BTreeSet<u32>,
    /// Whether anything else changed since the cluster was loaded.
    #[serde(skip)]
    pub(crate) changed: bool,
    /// Late submissions that were taken up since the cluster was loaded: number and script.
    #[serde(skip)]
    pub(crate) taken_up: Vec<(u32, String)>,
}

impl Cluster {
    /// A cluster without jobs.
    pub fn new(config: ClusterConfig, now: Moment) -> Self {
        Self {
            next_id: config.first_number(),
            config,
            last_rank: FIRST_RANK,
            serial: 0,
            condition: Condition::default(),
            jobs: BTreeMap::new(),
            records: Vec::new(),
            late: Vec::new(),
            old_picture: None,
            settled: now,
            touched: BTreeSet::new(),
            changed: true,
            taken_up: Vec::new(),
        }
    }

    /// Changes the state of the controller. One that was hung and goes on takes up what it was
    /// sent meanwhile; one that becomes stale shows the jobs as they are now.
    pub fn set_controller(&mut self, controller: Controller, now: Moment) {
        self.old_picture = (controller == Controller::Stale).then(|| self.jobs.clone());
        if self.condition.controller == Controller::Hung {
            for late in self.late.iter_mut().filter(|late| late.at.is_none()) {
                late.at = Some(now);
            }
        }
        self.condition.controller = controller;
        self.changed = true;
        self.tick(now);
    }

    /// Changes how it is set up.
    pub fn configure(&mut self, change: impl FnOnce(&mut ClusterConfig)) {
        change(&mut self.config);
        let first = self.config.first_number();
        self.next_id = if self.serial == 0 {
            first
        } else {
            self.next_id.max(first)
        };
        self.changed = true;
    }

    /// The jobs as the controller shows them: a stale backup shows old ones.
    pub fn visible(&self) -> &BTreeMap<u32, Job> {
        self.old_picture.as_ref().unwrap_or(&self.jobs)
    }

    /// Forgets every job and starts again at FirstJobId, as a controller does that lost its
    /// StateSaveLocation. The database keeps its records.
    pub fn lose_state(&mut self) {
        self.touched.extend(self.jobs.keys());
        self.jobs.clear();
        self.late.clear();
        self.next_id = self.config.first_number();
        self.last_rank = FIRST_RANK;
        self.changed = true;
    }

    /// The next of the falling numbers.
    pub(super) fn take_rank(&mut self) -> u32 {
        self.last_rank = self.last_rank.saturating_sub(1);
        self.changed = true;
        self.last_rank
    }

    /// Whether anything changed since the cluster was loaded.
    pub(crate) fn is_dirty(&self) -> bool {
        self.changed || !self.touched.is_empty()
    }

    /// The number for a new job; numbers of known jobs are skipped.
    pub(super) fn take_id(&mut self) -> u32 {
        let known = self.jobs.len();
        for _ in 0..=known {
            let id = if self.next_id >= self.config.max_job_id {
                self.config.first_job_id
            } else {
                self.next_id
            };
            self.next_id = id + 1;
            if !self.jobs.contains_key(&id) {
                self.changed = true;
                return id;
            }
        }
        self.next_id
    }

    /// Writes a job's present state to its newest record.
    pub(super) fn account(&mut self, id: u32, state: String, now: Moment) {
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let newest = self.records.iter_mut().rev().find(|record| record.id == id);
        if let Some(record) = newest {
            record.note(job, state, now);
        }
        // From 24.11 on what a job named stays where it never ran.
        let never_ran = job.nodes.is_empty() && job.base.is_over();
        if !never_ran || self.config.generation < Generation::V24_11 {
            self.account_partition(id);
        }
        self.changed = true;
    }

    /// Writes the partition that a job is shown in to its newest record.
    pub(super) fn account_partition(&mut self, id: u32) {
        let newest = self.records.iter_mut().rev().find(|record| record.id == id);
        if let Some((job, record)) = self.jobs.get(&id).zip(newest) {
            job.shown_partition().clone_into(&mut record.partition);
        }
    }
}

/// Everything that one directory holds: clusters, of which one is the configuration's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct World {
    /// The cluster that a command means that names none.
    pub home: String,
    /// The clock.
    pub clock: Clock,
    /// The clusters, by name.
    pub clusters: BTreeMap<String, Cluster>,
}

impl World {
    /// One cluster.
    pub fn new(config: ClusterConfig, clock: Clock, now: Moment) -> Self {
        let home = config.name.clone();
        let cluster = Cluster::new(config, now);
        Self {
            clusters: BTreeMap::from([(home.clone(), cluster)]),
            home,
            clock,
        }
    }

    /// Whether anything changed since the clusters were loaded.
    pub(crate) fn is_dirty(&self) -> bool {
        self.clusters.values().any(Cluster::is_dirty)
    }
}

/// Where the time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Clock {
    /// It stands still until it is advanced.
    Manual(Moment),
    /// The host's clock, so many milliseconds ahead.
    Host {
        /// How far ahead, in milliseconds.
        ahead: i64,
    },
}

impl Clock {
    /// The time, when the host's clock says `host`.
    pub fn now(self, host: Moment) -> Moment {
        match self {
            Self::Manual(now) => now,
            Self::Host { ahead } => Moment::from_millis(host.millis().saturating_add(ahead)),
        }
    }
}
