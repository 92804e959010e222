//! What happens by itself: starts, ends, time limits, epilogs, purges.

use std::time::Duration;

use super::cluster::Cluster;
use super::dependency::{Bond, Outlook, Requirement, Standing};
use super::job::{Exit, Hold, Job};
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
        let ripe = self.next_ripe(job);
        start
            .into_iter()
            .chain(job.request.deadline)
            .chain(ripe)
            .min()
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

    /// Starts every waiting job that can start, in the order of their priorities, and says of the
    /// others why not.
    pub fn schedule(&mut self, now: Moment) {
        if !self.config.scheduling {
            return;
        }
        let waiting = self.jobs.values().filter(|job| job.is_waiting());
        let mut waiting: Vec<&Job> = waiting.collect();
        let generation = self.config.generation;
        waiting.sort_by_key(|job| std::cmp::Reverse(job.priority(generation)));
        let waiting = waiting.into_iter().map(|job| (job.id, job.hold.is_some()));
        let waiting: Vec<(u32, bool)> = waiting.collect();
        let mut blocked = false;
        for (id, held) in waiting {
            if held {
                self.review_held(id, now);
                continue;
            }
            let obstacle = match self.review_dependencies(id, now) {
                Standing::Free => self.obstacle_anywhere(id, now, blocked),
                Standing::Waits => Some("Dependency"),
                Standing::Never => Some("DependencyNeverSatisfied"),
            };
            match obstacle {
                None => self.start(id, now),
                Some(reason) => {
                    blocked |= reason == "Resources";
                    self.explain(id, reason);
                }
            }
        }
    }

    /// The scheduler looks at what held jobs wait for, too, and calls one that can never start held
    /// by the administrator.
    fn review_held(&mut self, id: u32, now: Moment) {
        if self.review_dependencies(id, now) == Standing::Never {
            self.explain(id, Hold::Admin.reason());
        }
    }

    /// What keeps a job from starting in each of the partitions that it named: of the first that
    /// will have it nothing.
    fn obstacle_anywhere(&mut self, id: u32, now: Moment, blocked: bool) -> Option<&'static str> {
        let own = self.obstacle(id, now, blocked)?;
        let job = self.jobs.get(&id)?;
        let first = job.partition.clone();
        let named = job.request.partition.clone().unwrap_or_default();
        for name in named.split(',').filter(|name| !name.is_empty()) {
            self.move_to(id, name);
            self.obstacle(id, now, blocked)?;
        }
        self.move_to(id, &first);
        Some(own)
    }

    fn move_to(&mut self, id: u32, partition: &str) {
        if let Some(job) = self.jobs.get_mut(&id) {
            partition.clone_into(&mut job.partition);
        }
    }

    fn obstacle(&self, id: u32, now: Moment, blocked: bool) -> Option<&'static str> {
        let job = self.jobs.get(&id)?;
        if job.eligible > now {
            return Some("BeginTime");
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
        let beyond = |max| job.request.nodes > max;
        if partition.max_nodes.is_some_and(beyond)
            || job.request.nodes as usize > partition.nodes.len()
        {
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

    /// Looks at what a waiting job waits for, and drops what came true.
    pub(super) fn review_dependencies(&mut self, id: u32, now: Moment) -> Standing {
        let Some(job) = self
            .jobs
            .get(&id)
            .filter(|job| !job.dependencies.is_empty())
        else {
            return Standing::Free;
        };
        let mut dependencies = job.dependencies.clone();
        let standing = dependencies.review(|each| self.outlook(job, each, now));
        if dependencies != job.dependencies
            && let Some(job) = self.jobs.get_mut(&id)
        {
            job.dependencies = dependencies;
            self.touched.insert(id);
        }
        standing
    }

    fn outlook(&self, job: &Job, wanted: &Requirement, now: Moment) -> Outlook {
        if wanted.bond == Bond::Singleton {
            return self.outlook_alone(job);
        }
        // A job that is not known any more stands in nobody's way.
        let Some(other) = self.jobs.get(&wanted.job) else {
            return Outlook::Fulfilled;
        };
        let well = other.base == Base::Completed;
        let came_true = match wanted.bond {
            Bond::After => {
                let ripe = ripe_at(other, wanted).is_some_and(|ripe| ripe <= now);
                other.base != Base::Pending && ripe
            }
            _ if !other.is_settled() => return Outlook::Open,
            Bond::AfterAny | Bond::Singleton => true,
            Bond::AfterOk | Bond::AfterCorr => well,
            Bond::AfterNotOk => !well,
        };
        match (came_true, wanted.bond) {
            (true, _) => Outlook::Fulfilled,
            (false, Bond::After) => Outlook::Open,
            (false, _) => Outlook::Failed,
        }
    }

    fn outlook_alone(&self, job: &Job) -> Outlook {
        let in_the_way = |other: &&Job| {
            let namesake =
                other.request.name == job.request.name && other.request.uid == job.request.uid;
            let first = other.id < job.id || other.base.is_started();
            namesake && first && other.id != job.id && !other.is_settled()
        };
        if self.jobs.values().any(|other| in_the_way(&other)) {
            Outlook::Open
        } else {
            Outlook::Fulfilled
        }
    }

    /// When one of the jobs that it waits for has run for long enough.
    fn next_ripe(&self, job: &Job) -> Option<Moment> {
        let wanted = job.dependencies.requirements.iter();
        let delayed = wanted.filter(|each| each.bond == Bond::After && each.minutes > 0);
        let ripe = delayed.filter_map(|each| {
            let other = self.jobs.get(&each.job)?;
            ripe_at(other, each).filter(|_| other.base != Base::Pending)
        });
        ripe.filter(|ripe| *ripe > self.settled).min()
    }
}

fn ripe_at(other: &Job, wanted: &Requirement) -> Option<Moment> {
    let wait = Duration::from_secs(u64::from(wanted.minutes) * 60);
    // A job may have been given its state by hand.
    Some(other.start.or(other.end)? + wait)
}
