//! A job's record in the controller, and what a submission asks for.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::dependency::Dependencies;
use super::state::{Base, Flag, Flags, shown};
use super::variables::Variables;
use crate::generation::Generation;
use crate::moment::Moment;

/// What a submission asks for. A byte of a name, comment or path that is no UTF-8 is the character
/// U+10FE00 + byte here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named after sbatch's options")]
pub struct Request {
    pub uid: u32,
    pub gid: u32,
    pub user: String,
    pub group: String,
    pub name: String,
    pub comment: Option<String>,
    pub account: Option<String>,
    pub partition: Option<String>,
    pub qos: Option<String>,
    pub reservation: Option<String>,
    pub features: Option<String>,
    pub gres: Option<String>,
    pub licenses: Option<String>,
    pub wckey: Option<String>,
    pub dependency: Option<String>,
    /// Minutes; none is the partition's default.
    pub time_limit: Option<u64>,
    pub nodes: u32,
    /// `--nodes=0`, which a held job may ask for.
    pub no_nodes: bool,
    /// The most nodes it takes where they are free (`--nodes=1-2`); zero is as many as its tasks
    /// need.
    pub max_nodes: u32,
    /// Zero where they are not named, as with the two that follow.
    pub tasks: u32,
    pub cpus_per_task: u32,
    pub ntasks_per_node: u32,
    /// MiB per node; zero is all that a node has.
    pub memory: Option<u64>,
    /// MiB per CPU, where that was asked for instead.
    pub memory_per_cpu: Option<u64>,
    pub exclusive: bool,
    pub nodelist: Option<String>,
    pub exclude: Option<String>,
    pub begin: Option<Moment>,
    pub deadline: Option<Moment>,
    pub hold: bool,
    pub nice: i64,
    /// `--mail-type`, as squeue and scontrol list its words; nobody is sent anything.
    pub mail_type: Option<String>,
    pub mail_user: Option<String>,
    /// `--requeue`, `--no-requeue`, or the cluster's JobRequeue.
    pub requeue: Option<bool>,
    pub workdir: String,
    /// Where the script came from, with its arguments; empty if from stdin.
    pub command: String,
    pub stdin: String,
    pub stdout: Option<String>,
    pub stderr: Option<String>,
    /// `--open-mode=append`.
    pub append: bool,
    /// What the script gets as its environment, without what slurmd adds.
    pub environment: Variables,
    pub arguments: Vec<String>,
}

impl Request {
    /// How many CPUs it needs on one node at least.
    pub(crate) fn least_cpus(&self) -> u32 {
        let tasks = self.ntasks_per_node.max(1);
        tasks.saturating_mul(self.cpus_per_task.max(1))
    }

    /// How many tasks it is for.
    pub(crate) fn all_tasks(&self) -> u32 {
        match (self.tasks, self.ntasks_per_node) {
            // Of a range of nodes only one is sure to have a task.
            (0, 0) if self.max_nodes > self.nodes => 1,
            (0, on_each) => on_each.max(1).saturating_mul(self.nodes.max(1)),
            (tasks, _) => tasks,
        }
    }

    /// How many CPUs all its tasks need together.
    pub(super) fn all_cpus(&self) -> u32 {
        self.all_tasks().saturating_mul(self.cpus_per_task.max(1))
    }
}

/// Why a job is not to be scheduled: its priority is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hold {
    /// JobHeldUser.
    User,
    /// JobHeldAdmin.
    Admin,
    /// `scontrol requeuehold`.
    Requeued,
    /// The launch failed.
    LaunchFailed,
}

impl Hold {
    /// What squeue shows as the reason.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::User => "JobHeldUser",
            Self::Admin => "JobHeldAdmin",
            Self::Requeued => "job requeued in held state",
            Self::LaunchFailed => "launch failed requeued held",
        }
    }
}

/// How a script ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Exit {
    /// Its exit status.
    pub status: u8,
    /// The signal that ended it, or zero.
    pub signal: u8,
}

impl Exit {
    /// It ended by itself.
    pub const fn status(status: u8) -> Self {
        Self { status, signal: 0 }
    }

    /// A signal ended it.
    pub const fn signal(signal: u8) -> Self {
        Self { status: 0, signal }
    }

    /// The output file could not be opened: error 4021 of `slurm_errno.h`, taken for a status of
    /// `wait`, is signal 53 with a core dump.
    pub const NO_OUTPUT: Self = Self {
        status: 15,
        signal: 0x80 | 53,
    };

    /// As `wait` has it, which is what squeue's `exit_code` shows.
    pub const fn wait_status(self) -> u32 {
        (self.status as u32) << 8 | self.signal as u32
    }
}

/// As sacct prints it: a script that a signal ended has no exit status.
impl fmt::Display for Exit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = if self.signal == 0 { self.status } else { 0 };
        write!(formatter, "{status}:{}", self.signal & 0x7f)
    }
}

/// What a job has of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "they say it")]
pub struct Share {
    pub tasks: u32,
    pub cpus: u32,
}

/// A job that the controller knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its number.
    pub id: u32,
    /// What tells it apart from another job of the same number.
    pub serial: u64,
    /// What it asked for. In a box, so that a table of jobs is not mostly moved about.
    pub request: Box<Request>,
    /// The account it is charged to, which need not be the one that was asked for.
    pub account: Option<String>,
    /// The QOS it is in, as the controller names it.
    pub qos: String,
    /// The partition it is in.
    pub partition: String,
    /// Whether it may be requeued.
    pub requeue: bool,
    /// Its base state.
    pub base: Base,
    /// Its state flags.
    pub flags: Flags,
    /// Why it waits, or why it failed.
    pub reason: String,
    /// What it still waits for.
    pub dependencies: Dependencies,
    /// The falling number that it got when it was submitted, released or resumed: its priority
    /// under priority/basic. Zero if it was never due.
    pub rank: u32,
    /// Why it is held.
    pub hold: Option<Hold>,
    /// When it was submitted, or last requeued.
    pub submit: Moment,
    /// Before this it is not eligible.
    pub eligible: Moment,
    /// When it last started.
    pub start: Option<Moment>,
    /// When it ended.
    pub end: Option<Moment>,
    /// Its time limit in minutes; none is UNLIMITED.
    pub time_limit: Option<u64>,
    /// Neither it nor its partition's DefaultTime said so.
    pub limited_by_partition: bool,
    /// How often it was requeued.
    pub restarts: u32,
    /// The nodes that it has or had.
    pub nodes: Vec<String>,
    /// How many tasks and CPUs it has on each of them.
    pub shares: Vec<Share>,
    /// The node on which its script runs or ran.
    pub batch_host: Option<String>,
    /// How its script ended, as the controller shows it.
    pub exit: Exit,
    /// How its script ended: shown when the job is not COMPLETING any more.
    pub last_exit: Exit,
    /// When a virtual job ends by itself, and how.
    pub plan: Option<(Duration, Exit)>,
    /// When CONFIGURING is over.
    pub configured: Option<Moment>,
    /// When its last process ended, if it is COMPLETING: the epilog runs from there.
    pub cleared: Option<Moment>,
    /// When it was suspended.
    pub suspended: Option<Moment>,
    /// How long it was suspended before, in this run.
    pub idle: Duration,
}

impl Job {
    /// What squeue prints as its state: long and compact.
    pub fn shown(&self, generation: Generation) -> (&'static str, &'static str) {
        shown(self.base, self.flags, generation)
    }

    /// Whether processes of it, or its epilog, may still run.
    pub fn is_completing(&self) -> bool {
        self.flags.has(Flag::Completing)
    }

    /// Whether it holds nodes.
    pub fn holds_nodes(&self) -> bool {
        self.base.is_started() || self.is_completing()
    }

    /// Whether it waits for a start.
    pub fn is_waiting(&self) -> bool {
        self.base == Base::Pending && !self.is_completing()
    }

    /// Whether it is over and cleaned up: only its record remains.
    pub fn is_settled(&self) -> bool {
        self.base.is_over() && !self.is_completing()
    }

    /// Since when, or from when on, it may start. Of a job that is held or waits for another that is
    /// not known, unless a time was named.
    pub fn known_eligible(&self) -> Option<Moment> {
        let depends = self.nodes.is_empty() && self.reason.starts_with("Dependency");
        let waits = self.hold.is_some() || depends;
        Some(self.eligible).filter(|at| !waits || *at > self.submit)
    }

    /// When its time limit ends it.
    pub fn limit(&self) -> Option<Moment> {
        let minutes = self.time_limit?;
        Some(self.start? + Duration::from_secs(minutes.saturating_mul(60)) + self.idle)
    }

    /// How many CPUs it asks for in all.
    pub fn wanted_cpus(&self) -> u32 {
        if self.request.no_nodes {
            return 0;
        }
        self.request.all_cpus().max(self.request.nodes)
    }

    /// How many CPUs it gets on so many nodes: each of them runs something.
    pub fn cpus_on(&self, nodes: u32) -> u32 {
        let request = &self.request;
        if nodes == 0 && request.max_nodes > request.nodes {
            // How many nodes it will be is not known yet.
            return request.all_cpus();
        }
        let least = nodes.saturating_mul(self.request.cpus_per_task.max(1));
        self.wanted_cpus().max(least)
    }

    /// How many CPUs it has or had.
    pub fn had_cpus(&self) -> u32 {
        let nodes = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        match nodes {
            0 => 0,
            _ if self.request.exclusive => self.shares.iter().map(|share| share.cpus).sum(),
            nodes => self.cpus_on(nodes),
        }
    }

    /// How many CPUs of a node it has.
    pub fn cpus_of(&self, node: &str) -> u32 {
        let mut pairs = self.nodes.iter().zip(&self.shares);
        pairs
            .find(|(name, _)| *name == node)
            .map_or(0, |(_, share)| share.cpus)
    }

    /// The partition that it is shown in: while it waits, all that it named.
    pub fn shown_partition(&self) -> &str {
        let named = self.request.partition.as_deref();
        let waiting = named.filter(|_| self.base == Base::Pending);
        waiting.unwrap_or(&self.partition)
    }

    /// Its priority: zero if held or suspended. priority/basic, the default of old, gives falling
    /// ones, less what the job gives way (`--nice`); priority/multifactor, the default of 24.11,
    /// gives all the same where nothing has a weight.
    pub fn priority(&self, generation: Generation) -> u32 {
        if self.hold.is_some() || self.base == Base::Suspended {
            return 0;
        }
        if generation >= Generation::V24_11 {
            return 1;
        }
        let shown = i64::from(self.rank) - self.request.nice;
        u32::try_from(shown).unwrap_or(1)
    }
}
