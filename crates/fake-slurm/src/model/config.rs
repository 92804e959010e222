//! What a cluster is made of and how it is set up.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::generation::Generation;

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// NodeName.
    pub name: String,
    /// CPUs.
    pub cpus: u32,
    /// RealMemory, in MiB.
    pub memory: u64,
    /// Features that `--constraint` may name.
    pub features: Vec<String>,
    /// Generic resources, as `gpu:2`.
    pub gres: Vec<String>,
    /// Whether it is down: nothing starts on it.
    pub down: bool,
}

impl Node {
    /// A node with `cpus` CPUs and 4000 MiB.
    pub fn new(name: impl Into<String>, cpus: u32) -> Self {
        Self {
            name: name.into(),
            cpus,
            memory: 4000,
            features: Vec::new(),
            gres: Vec::new(),
            down: false,
        }
    }
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// PartitionName.
    pub name: String,
    /// Its nodes, by name.
    pub nodes: Vec<String>,
    /// MaxTime in minutes; none is UNLIMITED.
    pub max_time: Option<u64>,
    /// MaxNodes; none is UNLIMITED.
    pub max_nodes: Option<u32>,
    /// DefaultTime in minutes; none is MaxTime.
    pub default_time: Option<u64>,
    /// State=UP.
    pub up: bool,
}

impl Partition {
    /// A partition that is up and sets no limit.
    pub fn new(name: impl Into<String>, nodes: &[&str]) -> Self {
        Self {
            name: name.into(),
            nodes: nodes.iter().map(|node| (*node).to_owned()).collect(),
            max_time: None,
            max_nodes: None,
            default_time: None,
            up: true,
        }
    }
}

/// What a job is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Execution {
    /// Nothing runs: the test says when a job ends, or its time limit does.
    #[default]
    Virtual,
    /// The script runs as processes of this host.
    Processes,
}

/// How a cluster is set up: the fields of `slurm.conf` that matter, and the fake's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterConfig {
    /// ClusterName.
    pub name: String,
    /// Which Slurm it plays.
    pub generation: Generation,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The partitions; the first is the default.
    pub partitions: Vec<Partition>,
    /// FirstJobId.
    pub first_job_id: u32,
    /// MaxJobId: at this number they start again; no job gets it.
    pub max_job_id: u32,
    /// MinJobAge: how long an ended job stays visible. Zero is for ever, as in slurm.conf.
    pub min_job_age: Duration,
    /// KillWait: from SIGTERM to SIGKILL.
    pub kill_wait: Duration,
    /// How long the epilog takes: COMPLETING lasts that long after the last process.
    pub epilog: Duration,
    /// From submission to start, on an idle cluster.
    pub start_delay: Duration,
    /// How long a started job is CONFIGURING.
    pub configuring: Duration,
    /// How long a requeued job waits (reason BeginTime); 120 s on a real one.
    pub requeue_delay: Duration,
    /// JobRequeue: whether a job may be requeued unless it says otherwise.
    pub job_requeue: bool,
    /// PrivateData=jobs: the controller shows nobody others' jobs. The database does: that it has
    /// a setting of its own is not played.
    pub private_jobs: bool,
    /// Whether jobs start by themselves. Without it, the test starts them.
    pub scheduling: bool,
    /// What a job is made of.
    pub execution: Execution,
    /// AccountingStorageType: whether there is a slurmdbd.
    pub accounting: bool,
    /// AccountingStoreFlags=job_comment.
    pub store_comment: bool,
    /// DefMemPerCPU in MiB: what a job gets that names no memory.
    pub memory_per_cpu: u64,
    /// MaxJobCount: how many jobs the controller knows at a time, those that are over and not yet
    /// forgotten included. Up to 24.11 it is one less than that.
    pub max_jobs: usize,
    /// MaxSubmitJobs of every user's association: how many unfinished jobs one may have.
    pub max_submit_jobs: Option<usize>,
    /// EnforcePartLimits=ALL: what a partition never allows is refused instead of waiting.
    pub enforce_part_limits: bool,
    /// AccountingStorageEnforce=associations: only these accounts are known. None: any will do.
    pub accounts: Option<Vec<String>>,
    /// AccountingStorageEnforce=qos: only these are known. None: any will do.
    pub qos: Option<Vec<String>>,
    /// How long a client waits for a controller that does not answer. A real one waits 10 to
    /// 20 s; the fake says the same words at once unless told otherwise.
    pub patience: Duration,
}

impl ClusterConfig {
    /// The number of the first job of a controller that knows of none: FirstJobId, and one more
    /// on 20.11. Where the numbers start again, FirstJobId is given out on all.
    pub(super) fn first_number(&self) -> u32 {
        self.first_job_id + u32::from(self.generation == Generation::V20_11)
    }

    /// Sets MaxJobCount so that there is room for so many jobs.
    pub fn limit_queue(&mut self, jobs: usize) {
        self.max_jobs = jobs + self.unused_room();
    }

    /// How many jobs it takes at a time.
    pub(super) fn room(&self) -> usize {
        self.max_jobs.saturating_sub(self.unused_room())
    }

    fn unused_room(&self) -> usize {
        usize::from(self.generation < Generation::V26_05)
    }
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            name: "cluster".to_owned(),
            generation: Generation::default(),
            nodes: vec![Node::new("n1", 8), Node::new("n2", 8)],
            partitions: vec![Partition::new("batch", &["n1", "n2"])],
            first_job_id: 1,
            max_job_id: 67_043_328,
            min_job_age: Duration::from_secs(300),
            kill_wait: Duration::from_secs(5),
            epilog: Duration::ZERO,
            start_delay: Duration::ZERO,
            configuring: Duration::ZERO,
            requeue_delay: Duration::from_secs(121),
            job_requeue: true,
            private_jobs: false,
            scheduling: true,
            execution: Execution::Virtual,
            accounting: true,
            store_comment: true,
            memory_per_cpu: 100,
            max_jobs: 10_000,
            max_submit_jobs: None,
            enforce_part_limits: false,
            accounts: None,
            qos: None,
            patience: Duration::ZERO,
        }
    }
}
