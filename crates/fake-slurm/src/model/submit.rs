//! Admission: what the controller checks before a job exists, and what it checks after it gave
//! the job a number.

use std::time::Duration;

use super::accounting::Record;
use super::cluster::Cluster;
use super::config::{Node, Partition};
use super::job::{Exit, Hold, Job, Request};
use super::refusal::Refusal;
use super::state::{Base, Flags};
use crate::generation::Generation;
use crate::moment::Moment;

impl Cluster {
    /// Takes a submission.
    ///
    /// # Errors
    /// The controller's refusal. One that comes after the job got its number uses the number up
    /// and leaves a FAILED record in the database, as on 22.05.
    pub fn submit(&mut self, request: Request, now: Moment) -> Result<u32, Refusal> {
        self.tick(now);
        let request = self.through_plugin(request);
        let partition = self.partition_for(&request)?.clone();
        self.check_policy(&request, &partition)?;
        self.check_dependency(&request)?;
        if request.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(Refusal::InvalidTimeLimit);
        }
        self.check_room(&request)?;
        let verdict = self.admits(&request, &partition);
        let id = self.take_id();
        let job = self.new_job(id, request, &partition, now);
        if let Err(refusal) = verdict {
            self.record_refused(job, now);
            return Err(refusal);
        }
        self.records.push(Record::new(&job, now));
        self.jobs.insert(id, job);
        self.touched.insert(id);
        self.schedule(now);
        Ok(id)
    }

    /// Checks a submission without making a job (`--test-only`). It uses a number up all the
    /// same, as on 22.05.
    ///
    /// # Errors
    /// The controller's refusal.
    pub fn test(&mut self, request: Request, now: Moment) -> Result<(u32, Job), Refusal> {
        let request = self.through_plugin(request);
        let partition = self.partition_for(&request)?.clone();
        self.check_policy(&request, &partition)?;
        let verdict = self.admits(&request, &partition);
        let too_many = request.nodes as usize > partition.nodes.len();
        let id = self.take_id();
        verdict?;
        let mut job = self.new_job(id, request, &partition, now);
        if too_many || self.never_fits(&job) == Some("PartitionConfig") {
            return Err(Refusal::NodeConfigUnavailable);
        }
        let most = job.request.max_nodes.max(job.request.nodes).max(1);
        job.nodes = partition.nodes.into_iter().take(most as usize).collect();
        job.cpus_per_node = match job.nodes.first().and_then(|name| self.node(name)) {
            Some(node) if job.request.exclusive => node.cpus,
            _ => 0,
        };
        Ok((id, job))
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
        for name in wanted.split(',') {
            let partition = find(name).ok_or(Refusal::InvalidPartitionName)?;
            chosen = chosen.or(Some(partition).filter(|partition| partition.up));
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

    fn check_dependency(&self, request: &Request) -> Result<(), Refusal> {
        let Some(wanted) = &request.dependency else {
            return Ok(());
        };
        let kinds = [
            "after",
            "afterok",
            "afternotok",
            "afterany",
            "aftercorr",
            "afterburstbuffer",
        ];
        let strict = self.config.generation >= Generation::V24_11;
        for part in wanted.split([',', '?']).filter(|part| *part != "singleton") {
            let (kind, ids) = part.split_once(':').ok_or(Refusal::Dependency)?;
            let known = |id: &str| {
                let number = id.split(['+', '_']).next().unwrap_or(id).parse::<u32>();
                number.is_ok_and(|id| !strict || self.jobs.contains_key(&id))
            };
            if !kinds.contains(&kind) || !ids.split(':').all(known) {
                return Err(Refusal::Dependency);
            }
        }
        Ok(())
    }

    /// What the controller checks once the job has a number.
    fn admits(&self, request: &Request, partition: &Partition) -> Result<(), Refusal> {
        let nodes = || self.nodes_of(partition);
        if request.licenses.is_some() {
            return Err(Refusal::InvalidLicense);
        }
        let cpus = nodes().map(|node| node.cpus);
        let widest = cpus.clone().max().unwrap_or(0);
        let wanted = request
            .tasks
            .max(1)
            .saturating_mul(request.cpus_per_task.max(1));
        // More than all nodes have together is taken, and waits (PartitionConfig).
        if request.cpus_per_task > widest && wanted <= cpus.sum() {
            return Err(Refusal::NodeConfigUnavailable);
        }
        self.admits_names(request, partition)?;
        if request.reservation.is_some() {
            return Err(Refusal::ReservationInvalid);
        }
        if let Some(memory) = request.memory
            && !nodes().any(|node| node.memory >= memory)
        {
            return Err(Refusal::NodeConfigUnavailable);
        }
        Ok(())
    }

    /// Nodes, generic resources and features, in the order in which the controller looks at them.
    fn admits_names(&self, request: &Request, partition: &Partition) -> Result<(), Refusal> {
        let features = || {
            let mut nodes = self.nodes_of(partition);
            let wanted = request.features.as_deref();
            let there = wanted.is_none_or(|wanted| nodes.any(|node| has_features(node, wanted)));
            there.then_some(()).ok_or(Refusal::InvalidFeature)
        };
        let nodes = || {
            let usable = self.has_nodelist(request, partition);
            usable.then_some(()).ok_or(Refusal::InvalidNodeName)
        };
        let gres = || {
            let there = self.has_gres(request);
            there.then_some(()).ok_or(Refusal::InvalidGres)
        };
        if self.config.generation >= Generation::V24_11 {
            features().and_then(|()| nodes()).and_then(|()| gres())
        } else {
            nodes().and_then(|()| gres()).and_then(|()| features())
        }
    }

    fn nodes_of(&self, partition: &Partition) -> impl Iterator<Item = &Node> + Clone {
        let names = partition.nodes.iter();
        names.filter_map(|name| self.node(name))
    }

    fn has_nodelist(&self, request: &Request, partition: &Partition) -> bool {
        let Some(wanted) = &request.nodelist else {
            return true;
        };
        let excluded = request.exclude.as_deref().unwrap_or_default();
        let usable = |name: &str| {
            self.nodes_of(partition).any(|node| node.name == name)
                && !excluded.split(',').any(|each| each == name)
        };
        wanted.split(',').all(usable)
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
        let asked = request.time_limit;
        let time_limit = asked.or(partition.default_time).or(partition.max_time);
        let held_by_site = self.condition.plugin.hold.then_some(Hold::Admin);
        let hold = held_by_site.or(request.hold.then_some(Hold::User));
        let reason = hold.map_or("None", Hold::reason).to_owned();
        self.serial += 1;
        Job {
            id,
            serial: self.serial,
            account: self.account_of(&request),
            partition: partition.name.clone(),
            requeue: request.requeue.unwrap_or(self.config.job_requeue),
            base: Base::Pending,
            flags: Flags::default(),
            reason,
            hold,
            submit: now,
            eligible: request.begin.unwrap_or(now).max(now),
            start: None,
            end: None,
            time_limit: time_limit.filter(|minutes| *minutes != u64::MAX),
            restarts: 0,
            nodes: Vec::new(),
            cpus_per_node: 0,
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

    fn record_refused(&mut self, mut job: Job, now: Moment) {
        job.base = Base::Failed;
        job.exit = Exit::status(1);
        job.start = Some(now);
        job.end = Some(now);
        self.records.push(Record::new(&job, now));
    }

    /// From when on the scheduler looks at a waiting job.
    pub(super) fn startable(&self, job: &Job) -> Moment {
        let submitted = job.submit + self.config.start_delay;
        submitted.max(job.eligible + Duration::ZERO)
    }
}

fn has_features(node: &Node, wanted: &str) -> bool {
    let mut names = wanted.split(['&', '|', ',']).map(str::trim);
    names.all(|name| node.features.iter().any(|feature| feature == name))
}
