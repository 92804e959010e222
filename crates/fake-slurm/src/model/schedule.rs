//! What happens by itself: starts, ends, time limits, epilogs, purges.

use super::cluster::Cluster;
use super::job::{Exit, Job};
use super::state::{Base, Flag};
use crate::moment::Moment;

impl Cluster {
    /// Lets everything happen that is due up to `now`, in the order of time.
    pub fn tick(&mut self, now: Moment) {
        while let Some(at) = self.next_event().filter(|at| *at <= now) {
            // An event may have become due in the past, by a change of the configuration.
            let at = at.max(self.settled);
            self.apply_due(at);
            self.settled = at;
        }
        self.settled = self.settled.max(now);
    }

    /// When something happens next by itself. None: nothing will.
    pub fn next_event(&self) -> Option<Moment> {
        let jobs = self.jobs.values().filter_map(|job| self.next_of(job));
        jobs.chain(self.late.iter().filter_map(|late| late.at))
            .min()
    }

    fn next_of(&self, job: &Job) -> Option<Moment> {
        if job.is_completing() {
            return Some(job.cleared? + self.config.epilog);
        }
        match job.base {
            Base::Pending => self.next_of_waiting(job),
            Base::Running => self.next_of_running(job),
            Base::Suspended => None,
            _ => self.purge_time(job),
        }
    }

    fn next_of_waiting(&self, job: &Job) -> Option<Moment> {
        let startable = self.startable(job);
        let start = (self.config.scheduling && job.hold.is_none() && startable > self.settled)
            .then_some(startable);
        start.into_iter().chain(job.request.deadline).min()
    }

    fn next_of_running(&self, job: &Job) -> Option<Moment> {
        let planned = job
            .plan
            .zip(job.start)
            .map(|((after, _), start)| start + after);
        planned
            .into_iter()
            .chain(job.limit())
            .chain(job.configured)
            .min()
    }

    fn purge_time(&self, job: &Job) -> Option<Moment> {
        let age = self.config.min_job_age;
        (!age.is_zero()).then_some(job.end? + age)
    }

    fn apply_due(&mut self, at: Moment) {
        let is_due = |job: &&Job| self.next_of(job).is_some_and(|due| due <= at);
        let due: Vec<u32> = self
            .jobs
            .values()
            .filter(is_due)
            .map(|job| job.id)
            .collect();
        for id in due {
            self.apply_to(id, at);
        }
        self.take_up_late(at);
        self.settled = at;
        self.schedule(at);
    }

    fn apply_to(&mut self, id: u32, at: Moment) {
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let reached = |when: Option<Moment>| when.is_some_and(|when| when <= at);
        if job.is_completing() {
            self.end_epilog(id, at);
        } else if job.is_settled() {
            self.jobs.remove(&id);
            self.touched.insert(id);
        } else if job.base == Base::Pending {
            if reached(job.request.deadline) {
                self.end_waiting(id, Base::Deadline, at);
            }
        } else if let Some((after, exit)) = job.plan
            && reached(job.start.map(|start| start + after))
        {
            self.finish(id, exit, at);
        } else if reached(job.limit()) {
            self.stop(id, Base::Timeout, "TimeLimit", Exit::default(), at);
        } else if let Some(job) = self.jobs.get_mut(&id) {
            job.configured = None;
            job.flags.clear(Flag::Configuring);
            self.touched.insert(id);
        }
    }

    fn take_up_late(&mut self, at: Moment) {
        let due = |late: &super::cluster::Late| late.at.is_some_and(|when| when <= at);
        let (now, later) = std::mem::take(&mut self.late).into_iter().partition(due);
        self.late = later;
        let arrived: Vec<super::cluster::Late> = now;
        for late in arrived {
            self.settled = at;
            self.changed = true;
            if let Ok(id) = self.submit(late.request, at) {
                self.taken_up.push((id, late.script));
            }
        }
    }

    /// Starts every waiting job that can start, the oldest first, and says of the others why not.
    pub fn schedule(&mut self, now: Moment) {
        if !self.config.scheduling {
            return;
        }
        let waiting = self
            .jobs
            .values()
            .filter(|job| job.is_waiting() && job.hold.is_none());
        let waiting: Vec<u32> = waiting.map(|job| job.id).collect();
        let mut blocked = false;
        for id in waiting {
            match self.obstacle(id, now, blocked) {
                None => self.start(id, now),
                Some(reason) => {
                    blocked |= reason == "Resources";
                    self.explain(id, reason);
                }
            }
        }
    }

    fn obstacle(&self, id: u32, now: Moment, blocked: bool) -> Option<&'static str> {
        let job = self.jobs.get(&id)?;
        if job.eligible > now {
            return Some("BeginTime");
        }
        if let Some(reason) = self.dependency_obstacle(job) {
            return Some(reason);
        }
        if let Some(reason) = self.never_fits(job) {
            return Some(reason);
        }
        if self.startable(job) > now {
            return Some("None");
        }
        if self.fitting_nodes(job).is_none() {
            return Some(if blocked { "Priority" } else { "Resources" });
        }
        None
    }

    fn explain(&mut self, id: u32, reason: &str) {
        if let Some(job) = self.jobs.get_mut(&id)
            && job.reason != reason
        {
            reason.clone_into(&mut job.reason);
            self.touched.insert(id);
        }
    }

    /// Whether the partition forbids what the job asks for: it waits until somebody changes one
    /// of them.
    pub(super) fn never_fits(&self, job: &Job) -> Option<&'static str> {
        let partition = self
            .config
            .partitions
            .iter()
            .find(|known| known.name == job.partition)?;
        if !partition.up {
            return Some("PartitionDown");
        }
        if partition
            .max_time
            .is_some_and(|max| job.time_limit.is_none_or(|limit| limit > max))
        {
            return Some("PartitionTimeLimit");
        }
        if job.request.nodes as usize > partition.nodes.len() {
            return Some("PartitionNodeLimit");
        }
        let cpus = partition
            .nodes
            .iter()
            .filter_map(|name| self.node(name))
            .map(|node| node.cpus);
        let widest = cpus.clone().max().unwrap_or(0);
        let too_many = job.wanted_cpus() > cpus.sum() || job.request.cpus_per_task > widest;
        too_many.then_some("PartitionConfig")
    }

    fn dependency_obstacle(&self, job: &Job) -> Option<&'static str> {
        let wanted = job.request.dependency.as_deref()?;
        for part in wanted.split([',', '?']) {
            let (kind, ids) = part.split_once(':').unwrap_or((part, ""));
            if kind == "singleton" {
                let same = |other: &&Job| {
                    other.id < job.id
                        && other.request.name == job.request.name
                        && other.request.uid == job.request.uid
                        && !other.is_settled()
                };
                if self.jobs.values().any(|other| same(&other)) {
                    return Some("Dependency");
                }
            }
            for id in ids.split(':').filter_map(|id| id.parse::<u32>().ok()) {
                if let Some(reason) = self.waits_for(kind, id) {
                    return Some(reason);
                }
            }
        }
        None
    }

    fn waits_for(&self, kind: &str, id: u32) -> Option<&'static str> {
        // A job that is not known any more counts as over and well, as on 22.05.
        let other = self.jobs.get(&id)?;
        if kind == "after" {
            return (other.base == Base::Pending).then_some("Dependency");
        }
        if !other.is_settled() {
            return Some("Dependency");
        }
        let well = other.base == Base::Completed;
        let never = (kind == "afterok" && !well) || (kind == "afternotok" && well);
        never.then_some("DependencyNeverSatisfied")
    }
}
