//! Admission: what the controller checks before a job exists, and what it checks after it gave
//! the job a number.

use std::time::Duration;

use super::accounting::Record;
use super::cluster::Cluster;
use super::config::{Node, Partition};
use super::dependency::{Dependencies, DependencyError, Requirement};
use super::job::{Exit, Hold, Job, Request};
use super::refusal::Refusal;
use super::state::{Base, Flags};
use crate::generation::Generation;
use crate::moment::Moment;

impl Cluster {
    /// Takes a submission.
    ///
    /// # Errors
    /// The controller's refusal. One that comes after the job got its number uses the number up.
    /// If no node will do, the job is there all the same, FAILED.
    pub fn submit(&mut self, request: Request, now: Moment) -> Result<u32, Refusal> {
        self.tick(now);
        let request = self.through_plugin(request);
        let partition = self.partition_for(&request)?.clone();
        self.check_policy(&request, &partition)?;
        self.check_times(&request, &partition, now)?;
        self.check_names(&request, &partition)?;
        self.check_room(&request)?;
        let id = self.take_id();
        let dependencies = self.dependencies_of(&request)?;
        self.check_late_names(&request, &partition)?;
        let verdict = self.check_nodes(&request, &partition);
        let mut job = self.new_job(id, request, &partition, now);
        job.dependencies = dependencies;
        if verdict.is_err() {
            fail(&mut job, now);
        }
        self.records.push(Record::new(&job, now));
        self.jobs.insert(id, job);
        self.touched.insert(id);
        verdict?;
        self.review_dependencies(id, now);
        self.schedule(now);
        Ok(id)
    }

    /// Checks a submission without making a job (`--test-only`). It uses a number up where a
    /// submission would.
    ///
    /// # Errors
    /// The controller's refusal.
    pub fn test(&mut self, request: Request, now: Moment) -> Result<(u32, Job), Refusal> {
        let request = self.through_plugin(request);
        let partition = self.partition_for(&request)?.clone();
        self.check_policy(&request, &partition)?;
        self.check_times(&request, &partition, now)?;
        self.check_names(&request, &partition)?;
        let id = self.take_id();
        self.dependencies_of(&request)?;
        self.check_late_names(&request, &partition)?;
        self.check_nodes(&request, &partition)?;
        let mut job = self.new_job(id, request, &partition, now);
        let nodes = self.test_nodes(&job, &partition);
        let never = self.never_fits(&job);
        // From 22.05 on a check adds no nodes to those that were named.
        let named = job
            .request
            .nodelist
            .as_deref()
            .map(|names| listed(names).len());
        let adds = self.config.generation >= Generation::V22_05
            && named.is_some_and(|named| named < job.request.nodes as usize);
        if adds || matches!(never, Some("PartitionNodeLimit" | "PartitionConfig")) {
            return Err(Refusal::NodeConfigUnavailable);
        }
        job.shares = self.shares(&job, &nodes);
        job.nodes = nodes;
        Ok((id, job))
    }

    /// The nodes that a check names: as many as are asked for and needed, of an idle cluster.
    fn test_nodes(&self, job: &Job, partition: &Partition) -> Vec<String> {
        let request = &job.request;
        let least = request.max_nodes.max(request.nodes).max(1) as usize;
        let (mut names, mut cpus) = (Vec::new(), 0);
        for node in self.allowed_nodes(job, partition) {
            if names.len() >= least && (cpus >= request.all_cpus() || request.max_nodes > 0) {
                break;
            }
            cpus += fed_cpus(request, node);
            names.push(node.name.clone());
        }
        names
    }

    fn through_plugin(&self, mut request: Request) -> Request {
        let plugin = &self.condition.plugin;
        if let Some(comment) = &plugin.comment {
            request.comment = Some(comment.clone()).filter(|comment| !comment.is_empty());
        }
        if let Some(name) = &plugin.name {
            request.name.clone_from(name);
        }
        if plugin.force_requeue {
            request.requeue = Some(true);
        }
        request
    }

    /// Whether there is room for another job, in the queue and under the submitter's limit.
    fn check_room(&self, request: &Request) -> Result<(), Refusal> {
        let live = || self.jobs.values().filter(|job| !job.is_settled());
        let own = || live().filter(|job| job.request.uid == request.uid);
        let limit = self.config.max_submit_jobs;
        if limit.is_some_and(|limit| own().count() >= limit) {
            return Err(Refusal::AccountingPolicy);
        }
        if self.jobs.len() >= self.config.room() {
            return Err(Refusal::QueueFull);
        }
        Ok(())
    }

    /// The account that is charged. Every slurmdbd has an association of root with the account of
    /// that name, and a cluster that enforces none lets root have no other.
    fn account_of(&self, request: &Request) -> Option<String> {
        if request.uid == 0 && self.config.accounting && self.config.accounts.is_none() {
            return Some("root".to_owned());
        }
        request.account.clone()
    }

    /// The QOS that the controller shows; `normal` is the one that a new database has. Where none
    /// is enforced any other will do, but up to 22.05 it has no name.
    fn qos_of(&self, request: &Request) -> String {
        let asked = request.qos.as_deref().unwrap_or("normal");
        let nameless = self.config.qos.is_none() && self.config.generation < Generation::V24_11;
        if nameless && asked != "normal" {
            return String::new();
        }
        asked.to_owned()
    }

    fn partition_for(&self, request: &Request) -> Result<&Partition, Refusal> {
        let Some(wanted) = &request.partition else {
            return self
                .config
                .partitions
                .first()
                .ok_or(Refusal::InvalidPartitionName);
        };
        // A list is allowed; the first that exists and is up takes the job here.
        let find = |name: &str| {
            self.config
                .partitions
                .iter()
                .find(|known| known.name == name)
        };
        let mut chosen = None;
        for name in wanted.split(',').filter(|name| !name.is_empty()) {
            let partition = find(name).ok_or(Refusal::InvalidPartitionName)?;
            chosen = chosen.or(Some(partition).filter(|partition| partition.up));
        }
        if wanted.split(',').all(str::is_empty) {
            return Err(Refusal::InvalidPartitionName);
        }
        chosen
            .or_else(|| find(wanted))
            .ok_or(Refusal::PartitionNotAvailable)
    }

    /// What the site's database and partitions forbid, before the job has a number.
    fn check_policy(&self, request: &Request, partition: &Partition) -> Result<(), Refusal> {
        let unknown = |known: &Option<Vec<String>>, wanted: &Option<String>| {
            let pair = known.as_ref().zip(wanted.as_ref());
            pair.is_some_and(|(known, wanted)| !known.contains(wanted))
        };
        if unknown(&self.config.accounts, &request.account) {
            return Err(Refusal::InvalidAccount);
        }
        if unknown(&self.config.qos, &request.qos) {
            return Err(Refusal::InvalidQos);
        }
        let wanted = request.time_limit;
        let over = partition
            .max_time
            .is_some_and(|max| wanted.is_some_and(|time| time > max));
        if self.config.enforce_part_limits && over {
            return Err(Refusal::InvalidTimeLimit);
        }
        Ok(())
    }

    /// A deadline that is over, and from 24.11 on one that comes before the time limit.
    fn check_times(
        &self,
        request: &Request,
        partition: &Partition,
        now: Moment,
    ) -> Result<(), Refusal> {
        let Some(deadline) = request.deadline else {
            return Ok(());
        };
        let limit = request.time_limit.or(partition.default_time);
        let limit = limit.filter(|minutes| *minutes != u64::MAX).unwrap_or(0);
        let start = request.begin.unwrap_or(now).max(now);
        let late = if self.config.generation >= Generation::V24_11 {
            deadline <= now || start + Duration::from_secs(limit.saturating_mul(60)) > deadline
        } else {
            deadline < now
        };
        if late {
            Err(Refusal::InvalidTimeLimit)
        } else {
            Ok(())
        }
    }

    fn dependencies_of(&self, request: &Request) -> Result<Dependencies, Refusal> {
        let generation = self.config.generation;
        let Some(wanted) = &request.dependency else {
            return Ok(Dependencies::default());
        };
        let read = Dependencies::parse(wanted, generation).map_err(|error| match error {
            DependencyError::Refused(refusal) => refusal,
            DependencyError::NotPlayed => Refusal::Dependency,
        })?;
        let known = |each: &Requirement| {
            !each.bond.needs_known_job(generation) || self.jobs.contains_key(&each.job)
        };
        if read.requirements.iter().all(known) {
            Ok(read)
        } else {
            Err(Refusal::Dependency)
        }
    }

    /// What is looked at before the job has a number: nodes, generic resources, licences, and from
    /// 24.11 on features, which come first there.
    fn check_names(&self, request: &Request, partition: &Partition) -> Result<(), Refusal> {
        if self.config.generation >= Generation::V24_11 {
            self.check_features(request, partition)?;
        }
        if !self.has_nodelists(request, partition) {
            return Err(Refusal::InvalidNodeName);
        }
        if !self.has_gres(request) {
            return Err(Refusal::InvalidGres);
        }
        match &request.licenses {
            Some(_) => Err(Refusal::InvalidLicense),
            None => Ok(()),
        }
    }

    /// What is looked at once the job has a number, held or not.
    fn check_late_names(&self, request: &Request, partition: &Partition) -> Result<(), Refusal> {
        if self.config.generation < Generation::V24_11 {
            self.check_features(request, partition)?;
        }
        match &request.reservation {
            Some(_) => Err(Refusal::ReservationInvalid),
            None => Ok(()),
        }
    }

    fn check_features(&self, request: &Request, partition: &Partition) -> Result<(), Refusal> {
        let mut nodes = self.nodes_of(partition);
        let wanted = request.features.as_deref();
        let there = wanted.is_none_or(|wanted| nodes.any(|node| has_features(node, wanted)));
        there.then_some(()).ok_or(Refusal::InvalidFeature)
    }

    /// Whether there are nodes that could ever run it. Of a held job nobody asks.
    fn check_nodes(&self, request: &Request, partition: &Partition) -> Result<(), Refusal> {
        // A job that the partition's limits keep waiting is not looked at either.
        let too_long = partition.max_time.zip(request.time_limit);
        let too_many = partition.max_nodes.map(|max| request.nodes > max);
        let limited = too_long.is_some_and(|(max, asked)| asked > max) || too_many == Some(true);
        if request.hold || limited {
            return Ok(());
        }
        if request.no_nodes {
            return Err(Refusal::InvalidNodeCount);
        }
        let excluded = request.exclude.as_deref().map_or_else(Vec::new, listed);
        let usable = || {
            let nodes = self.nodes_of(partition);
            nodes.filter(|node| !excluded.contains(&node.name.as_str()))
        };
        let (cpus, count) = (usable().map(|node| node.cpus), usable().count());
        let (each, all) = (request.least_cpus(), request.all_cpus());
        let widest = cpus.clone().max().unwrap_or(0);
        // More than all nodes have together is taken up to 22.05 and by 26.05: it waits.
        let beyond = all > self.nodes_of(partition).map(|node| node.cpus).sum()
            || request.nodes as usize > partition.nodes.len();
        // A task is on one node.
        let task = request.cpus_per_task.max(1);
        let fed = usable().map(|node| fed_cpus(request, node) / task * task);
        let too_few = match request.max_nodes as usize {
            0 => fed.sum::<u32>() < all,
            most => fed.take(most).sum::<u32>() < all,
        };
        let for_cpus = request.memory_per_cpu.unwrap_or(0);
        let memory = request
            .memory
            .unwrap_or(for_cpus.saturating_mul(u64::from(each)));
        let fits = !beyond && each <= widest && !too_few && request.nodes as usize <= count
            || beyond && self.config.generation != Generation::V24_11;
        if fits && count > 0 && usable().any(|node| node.memory >= memory) {
            Ok(())
        } else {
            Err(Refusal::NodeConfigUnavailable)
        }
    }

    fn nodes_of(&self, partition: &Partition) -> impl Iterator<Item = &Node> + Clone {
        let names = partition.nodes.iter();
        names.filter_map(|name| self.node(name))
    }

    fn has_nodelists(&self, request: &Request, partition: &Partition) -> bool {
        let wanted = request.nodelist.as_deref().map_or_else(Vec::new, listed);
        let unwanted = request.exclude.as_deref().map_or_else(Vec::new, listed);
        let known = |name: &&str| self.node(name).is_some();
        let usable = |name: &&str| {
            self.nodes_of(partition).any(|node| node.name == **name) && !unwanted.contains(name)
        };
        wanted.iter().all(usable) && unwanted.iter().all(known)
    }

    /// Whether each kind of generic resource that it names is on some node.
    pub(crate) fn has_gres(&self, request: &Request) -> bool {
        let kind = |gres: &str| gres.split(':').next().map(str::to_owned);
        let has = |wanted: &str| {
            let mut all = self.config.nodes.iter().flat_map(|node| &node.gres);
            all.any(|gres| kind(gres) == kind(wanted))
        };
        let wanted = request.gres.as_deref();
        wanted.is_none_or(|wanted| wanted.split(',').all(has))
    }

    fn new_job(&mut self, id: u32, request: Request, partition: &Partition, now: Moment) -> Job {
        let time_limit = request.time_limit.or(partition.default_time);
        let limited_by_partition = time_limit.is_none();
        let time_limit = time_limit.or(partition.max_time);
        let held_by_site = self.condition.plugin.hold.then_some(Hold::Admin);
        let hold = held_by_site.or(request.hold.then_some(Hold::User));
        let reason = hold.map_or("None", Hold::reason).to_owned();
        let rank = if hold.is_none() { self.take_rank() } else { 0 };
        self.serial += 1;
        Job {
            id,
            serial: self.serial,
            account: self.account_of(&request),
            qos: self.qos_of(&request),
            partition: partition.name.clone(),
            requeue: request.requeue.unwrap_or(self.config.job_requeue),
            base: Base::Pending,
            flags: Flags::default(),
            reason,
            dependencies: Dependencies::default(),
            rank,
            hold,
            submit: now,
            eligible: request.begin.unwrap_or(now).max(now),
            start: None,
            end: None,
            time_limit: time_limit.filter(|minutes| *minutes != u64::MAX),
            limited_by_partition,
            restarts: 0,
            nodes: Vec::new(),
            shares: Vec::new(),
            batch_host: None,
            exit: Exit::default(),
            last_exit: Exit::default(),
            plan: None,
            configured: None,
            cleared: None,
            suspended: None,
            idle: Duration::ZERO,
            request: Box::new(request),
        }
    }

    /// From when on the scheduler looks at a waiting job.
    pub(super) fn startable(&self, job: &Job) -> Moment {
        let submitted = job.submit + self.config.start_delay;
        submitted.max(job.eligible + Duration::ZERO)
    }
}

/// How many CPUs of a node have the memory that is asked for each.
fn fed_cpus(request: &Request, node: &Node) -> u32 {
    let each = request.memory_per_cpu.filter(|_| request.memory.is_none());
    let fed = each.and_then(|each| node.memory.checked_div(each));
    let fed = fed.and_then(|fed| u32::try_from(fed).ok());
    node.cpus.min(fed.unwrap_or(u32::MAX))
}

fn listed(names: &str) -> Vec<&str> {
    names.split(',').collect()
}

/// No node will do.
fn fail(job: &mut Job, now: Moment) {
    job.base = Base::Failed;
    "BadConstraints".clone_into(&mut job.reason);
    job.exit = Exit::status(1);
    job.last_exit = job.exit;
    job.start = Some(now);
    job.end = Some(now);
}

fn has_features(node: &Node, wanted: &str) -> bool {
    let mut names = wanted.split(['&', '|', ',']).map(str::trim);
    names.all(|name| node.features.iter().any(|feature| feature == name))
}
