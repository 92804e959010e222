//! How a job goes from state to state.

use std::time::Duration;

use super::accounting::Record;
use super::cluster::Cluster;
use super::config::{Execution, Node, Partition};
use super::job::{Exit, Hold, Job, Share};
use super::state::{Base, Flag};
use crate::generation::Generation;
use crate::moment::Moment;

impl Cluster {
    /// The node of that name.
    pub(super) fn node(&self, name: &str) -> Option<&Node> {
        self.config.nodes.iter().find(|node| node.name == name)
    }

    fn free_cpus(&self, node: &Node) -> u32 {
        let here = |job: &&Job| job.holds_nodes() && job.nodes.contains(&node.name);
        let used: u32 = self
            .jobs
            .values()
            .filter(here)
            .map(|job| job.cpus_of(&node.name))
            .sum();
        node.cpus.saturating_sub(used)
    }

    /// MiB of a node that a job takes with so many of its CPUs.
    fn memory_on(&self, job: &Job, node: &Node, cpus: u32) -> u64 {
        match job.request.memory {
            // All that it has.
            Some(0) => node.memory,
            Some(memory) => memory,
            None => self.memory_per_cpu(job) * u64::from(cpus),
        }
    }

    pub(crate) fn memory_per_cpu(&self, job: &Job) -> u64 {
        let asked = job.request.memory_per_cpu;
        asked.unwrap_or(self.config.memory_per_cpu)
    }

    /// MiB of the node on which a job's script runs.
    pub(crate) fn memory_of_first_node(&self, job: &Job) -> u64 {
        let first = job.nodes.first().and_then(|name| self.node(name));
        first.map_or(0, |node| node.memory)
    }

    /// The CPUs of a node that a job could have now: those that are free and have memory.
    fn usable_cpus(&self, job: &Job, node: &Node) -> u32 {
        let here = |other: &&Job| other.holds_nodes() && other.nodes.contains(&node.name);
        let others = self.jobs.values().filter(here);
        let used: u64 = others
            .map(|other| self.memory_on(other, node, other.cpus_of(&node.name)))
            .sum();
        let (cpus, memory) = (self.free_cpus(node), node.memory.saturating_sub(used));
        if job.request.exclusive {
            return cpus;
        }
        if job.request.memory.is_some() {
            let enough = memory >= self.memory_on(job, node, 0);
            return if enough { cpus } else { 0 };
        }
        let fed = memory.checked_div(self.memory_per_cpu(job));
        cpus.min(fed.map_or(u32::MAX, |fed| u32::try_from(fed).unwrap_or(u32::MAX)))
    }

    fn cpus_each(&self, job: &Job, node: &Node) -> u32 {
        if job.request.exclusive {
            return node.cpus;
        }
        let nodes = job.request.nodes.max(1);
        job.wanted_cpus()
            .div_ceil(nodes)
            .max(job.request.cpus_per_task)
    }

    /// The nodes that a job may have, those that it named first. Others count only if it named
    /// fewer than it wants.
    pub(super) fn allowed_nodes(&self, job: &Job, partition: &Partition) -> Vec<&Node> {
        let list = |names: &Option<String>| -> Vec<String> {
            let names = names.iter().flat_map(|names| names.split(','));
            names.map(str::to_owned).collect()
        };
        let (wanted, unwanted) = (list(&job.request.nodelist), list(&job.request.exclude));
        let suffices = !wanted.is_empty() && wanted.len() >= job.request.nodes.max(1) as usize;
        let names = partition
            .nodes
            .iter()
            .filter(|name| !unwanted.contains(name) && (!suffices || wanted.contains(name)));
        let mut nodes: Vec<&Node> = names.filter_map(|name| self.node(name)).collect();
        nodes.sort_by_key(|node| !wanted.contains(&node.name));
        nodes
    }

    /// Whether there are nodes on which the job could start now.
    pub fn can_start(&self, job: &Job) -> bool {
        self.fitting_nodes(job).is_some()
    }

    /// The nodes on which the job could start now.
    pub(super) fn fitting_nodes(&self, job: &Job) -> Option<Vec<String>> {
        let partition = self
            .config
            .partitions
            .iter()
            .find(|known| known.name == job.partition)?;
        let request = &job.request;
        let wanted_nodes = request.nodes.max(1);
        let most = request.max_nodes.max(wanted_nodes);
        let mut cpus = 0;
        let mut chosen = Vec::new();
        for node in self.allowed_nodes(job, partition) {
            let each = self.cpus_each(job, node);
            let free = self.usable_cpus(job, node);
            if node.down || (free < each && wanted_nodes > 1) || free == 0 {
                continue;
            }
            // The CPUs of one node may not suffice: the job spreads, as Slurm does when only tasks
            // were named.
            let enough = free >= each;
            let spreads = request.max_nodes != 1 && !request.exclusive;
            if enough || request.cpus_per_task <= free && spreads {
                cpus += free.min(each);
                chosen.push((node.name.clone(), enough));
            }
            if let Some((name, true)) = chosen.last()
                && most == 1
            {
                return Some(vec![name.clone()]);
            }
            if chosen.len() as u32 >= most && cpus >= job.wanted_cpus() {
                break;
            }
        }
        let fits = chosen.len() as u32 >= wanted_nodes && cpus >= job.wanted_cpus();
        fits.then(|| chosen.into_iter().map(|(name, _)| name).collect())
    }

    /// Starts a waiting job: on nodes that fit, or on the first ones of its partition.
    pub fn start(&mut self, id: u32, now: Moment) {
        let Some(job) = self.jobs.get(&id).filter(|job| job.is_waiting()) else {
            return;
        };
        let mut nodes = self
            .fitting_nodes(job)
            .unwrap_or_else(|| self.first_nodes(job));
        // The script runs on the first of them, whichever the job named.
        let place = |name: &String| self.config.nodes.iter().position(|node| node.name == *name);
        nodes.sort_by_key(place);
        let shares = self.shares(job, &nodes);
        let configuring = self.config.configuring;
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        job.base = Base::Running;
        job.flags.clear_all();
        if !configuring.is_zero() {
            job.flags.set(Flag::Configuring);
            job.configured = Some(now + configuring);
        }
        "None".clone_into(&mut job.reason);
        job.hold = None;
        job.start = Some(now);
        job.end = None;
        job.idle = Duration::ZERO;
        job.exit = Exit::default();
        job.batch_host = nodes.first().cloned();
        job.nodes = nodes;
        job.shares = shares;
        self.touched.insert(id);
        self.account(id, "RUNNING".to_owned(), now);
    }

    /// How a job's tasks are laid out on nodes. Each gets one, or as many as it is to have; of what
    /// is left 20.11 gives every node the same, and those that follow fill one node after the other.
    pub(super) fn shares(&self, job: &Job, nodes: &[String]) -> Vec<Share> {
        let request = &job.request;
        let each = request.cpus_per_task.max(1);
        let nodes: Vec<&Node> = nodes.iter().filter_map(|name| self.node(name)).collect();
        let room: Vec<u32> = nodes
            .iter()
            .map(|node| self.usable_cpus(job, node) / each)
            .collect();
        let fills = self.config.generation >= Generation::V22_05;
        let mut tasks = vec![request.ntasks_per_node.max(1); nodes.len()];
        let given = tasks.iter().sum();
        for left in (1..=request.all_tasks().saturating_sub(given)).rev() {
            let mut roomy = (0..tasks.len()).filter(|at| tasks[*at] < room[*at]);
            let next = if fills {
                roomy.next()
            } else {
                roomy.min_by_key(|at| tasks[*at])
            };
            match (next, tasks.first_mut()) {
                (Some(next), _) => tasks[next] += 1,
                // A test may start what does not fit.
                (None, Some(first)) => {
                    *first += left;
                    break;
                }
                (None, None) => break,
            }
        }
        let unnamed = request.tasks == 0 && request.ntasks_per_node == 0;
        let shares = nodes.iter().zip(tasks).map(|(node, tasks)| {
            let (tasks, cpus) = match request.exclusive {
                true if unnamed => (node.cpus / each, node.cpus),
                true => (tasks, node.cpus),
                false => (tasks, tasks.saturating_mul(each)),
            };
            Share { tasks, cpus }
        });
        shares.collect()
    }

    fn first_nodes(&self, job: &Job) -> Vec<String> {
        let same = self
            .config
            .partitions
            .iter()
            .find(|known| known.name == job.partition);
        let nodes = same.into_iter().flat_map(|partition| &partition.nodes);
        nodes
            .take(job.request.nodes.max(1) as usize)
            .cloned()
            .collect()
    }

    /// The script of a running job ended.
    pub fn finish(&mut self, id: u32, exit: Exit, now: Moment) {
        let (base, reason) = match exit {
            Exit {
                status: 0,
                signal: 0,
            } => (Base::Completed, "None".to_owned()),
            Exit { signal: 0, .. } => (Base::Failed, "NonZeroExitCode".to_owned()),
            _ => (Base::Failed, self.signal_reason(exit)),
        };
        self.stop(id, base, &reason, exit, now);
    }

    /// What a generation calls the end by a signal.
    fn signal_reason(&self, exit: Exit) -> String {
        if self.config.generation < Generation::V24_11 {
            return "JobLaunchFailure".to_owned();
        }
        let signal = exit.signal & 0x7f;
        let name = match signal {
            6 => "Aborted".to_owned(),
            9 => "Killed".to_owned(),
            11 => "Segmentation fault".to_owned(),
            15 => "Terminated".to_owned(),
            signal @ 34.. => format!("Real-time signal {}", signal - 34),
            signal => format!("Signal {signal}"),
        };
        format!("RaisedSignal:{signal}({name})")
    }

    /// Ends a started job: it is COMPLETING until its processes and its epilog are done.
    pub fn stop(&mut self, id: u32, base: Base, reason: &str, exit: Exit, now: Moment) {
        let processes = self.config.execution == Execution::Processes;
        let generation = self.config.generation;
        let Some(job) = self.jobs.get_mut(&id).filter(|job| job.base.is_started()) else {
            return;
        };
        job.base = base;
        job.flags.clear_all();
        job.flags.set(Flag::Completing);
        reason.clone_into(&mut job.reason);
        // The exit code of a job that is being ended is known when its processes are gone.
        let ended_by_itself = matches!(base, Base::Completed | Base::Failed);
        let early = ended_by_itself || base == Base::Cancelled && generation == Generation::V20_11;
        job.exit = if early { exit } else { Exit::default() };
        job.last_exit = exit;
        job.end = Some(now);
        job.configured = None;
        let since = job.suspended.take();
        job.idle += since.map_or(Duration::ZERO, |since| now.since(since));
        job.cleared = (!processes).then_some(now);
        self.touched.insert(id);
        self.account(id, base.names().0.to_owned(), now);
        if !processes && self.config.epilog.is_zero() {
            self.end_epilog(id, now);
        }
    }

    /// The script of a job that is being ended has ended, in this way.
    pub fn exited(&mut self, id: u32, exit: Exit, now: Moment) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        if job.base.is_started() {
            self.finish(id, exit, now);
        } else if job.is_completing() {
            job.last_exit = exit;
            self.touched.insert(id);
        }
    }

    /// The last process of an ended job is gone: the epilog begins.
    pub fn cleared(&mut self, id: u32, now: Moment) {
        let completing = self.jobs.get_mut(&id).filter(|job| job.is_completing());
        let Some(job) = completing.filter(|job| job.cleared.is_none()) else {
            return;
        };
        job.cleared = Some(now);
        self.touched.insert(id);
        self.tick(now);
    }

    /// The epilog is done: COMPLETING is over, and a requeued job is in the queue again.
    pub(super) fn end_epilog(&mut self, id: u32, now: Moment) {
        let generation = self.config.generation;
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        job.flags.clear(Flag::Completing);
        job.cleared = None;
        job.exit = match (job.base, generation) {
            // There is nobody left to say how the script ended.
            (Base::NodeFail, Generation::V20_11) => Exit::signal(15),
            (Base::NodeFail, Generation::V22_05) => Exit::default(),
            (Base::NodeFail, _) => Exit::signal(1),
            _ => job.last_exit,
        };
        self.touched.insert(id);
        if job.base == Base::Pending {
            self.wait_again(id, now);
        }
        self.schedule(now);
    }

    /// A requeued job takes its place in the queue.
    pub(super) fn wait_again(&mut self, id: u32, now: Moment) {
        let delay = self.config.requeue_delay;
        let keeps_host = self.config.generation == Generation::V20_11;
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        job.flags.clear(Flag::Requeued);
        job.base = Base::Pending;
        job.submit = now;
        job.start = None;
        job.end = None;
        job.exit = Exit::default();
        job.nodes.clear();
        job.shares.clear();
        // 20.11 goes on showing the host of the last run.
        if !keeps_host {
            job.batch_host = None;
        }
        job.eligible = now + delay;
        job.hold
            .map_or("BeginTime", Hold::reason)
            .clone_into(&mut job.reason);
        let record = Record::new(job, now);
        self.records.push(record);
        self.touched.insert(id);
    }

    /// Ends a waiting job: nothing of it ever ran, so it is over at once.
    pub(super) fn end_waiting(&mut self, id: u32, base: Base, now: Moment) {
        let Some(job) = self.jobs.get_mut(&id).filter(|job| job.is_waiting()) else {
            return;
        };
        job.base = base;
        job.flags.clear_all();
        job.start = Some(now);
        job.end = Some(now);
        if base == Base::Deadline {
            "DeadLine".clone_into(&mut job.reason);
            job.exit = Exit::signal(1);
        }
        self.touched.insert(id);
        self.account(id, base.names().0.to_owned(), now);
    }

    /// Gives a job any state, for what no operation brings about.
    pub fn force_state(&mut self, id: u32, base: Base, flags: &[Flag], now: Moment) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        job.base = base;
        job.flags.clear_all();
        flags.iter().for_each(|flag| job.flags.set(*flag));
        job.cleared = None;
        if base.is_over() && job.end.is_none() {
            job.end = Some(now);
        }
        if base.is_started() && job.start.is_none() {
            job.start = Some(now);
        }
        self.touched.insert(id);
        self.account(id, base.names().0.to_owned(), now);
    }
}
