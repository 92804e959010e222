//! What people and the cluster do to jobs: cancel, requeue, hold, release, suspend, fail.

use std::time::Duration;

use super::cluster::Cluster;
use super::job::{Exit, Hold, Job};
use super::refusal::Refusal;
use super::state::{Base, Flag};
use crate::generation::Generation;
use crate::moment::Moment;

/// SIGTERM, with which scancel and the time limit end a job.
const SIGTERM: u8 = 15;

/// How a requeued job is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requeued {
    /// `scontrol requeuehold`.
    Held,
    /// `scontrol requeuehold state=specialexit`.
    SpecialExit,
}

impl Cluster {
    /// A job that `uid` may change.
    fn owned(&self, id: u32, uid: u32) -> Result<&Job, Refusal> {
        let job = self.jobs.get(&id).ok_or(Refusal::InvalidJobId)?;
        if uid != 0 && uid != job.request.uid {
            return Err(Refusal::AccessDenied);
        }
        Ok(job)
    }

    /// A job that `uid` may change and that is not over.
    fn unfinished(&self, id: u32, uid: u32) -> Result<&Job, Refusal> {
        let job = self.owned(id, uid)?;
        if job.base.is_over() {
            return Err(Refusal::JobFinished);
        }
        Ok(job)
    }

    fn job_mut(&mut self, id: u32) -> Result<&mut Job, Refusal> {
        self.touched.insert(id);
        self.jobs.get_mut(&id).ok_or(Refusal::InvalidJobId)
    }

    /// Cancels a job.
    ///
    /// # Errors
    /// Unknown, somebody else's, or already over.
    pub fn cancel(&mut self, id: u32, uid: u32, now: Moment) -> Result<(), Refusal> {
        let job = self.owned(id, uid)?;
        if job.base == Base::Pending && job.is_completing() {
            // A requeued job whose last run is still being cleaned up ends with that.
            let job = self.job_mut(id)?;
            job.base = Base::Cancelled;
            job.end = Some(now);
        } else if job.is_waiting() {
            self.end_waiting(id, Base::Cancelled, now);
        } else if job.base.is_started() {
            // A job that was held while it ran still shows that.
            let reason = job.reason.clone();
            self.stop(id, Base::Cancelled, &reason, Exit::signal(SIGTERM), now);
        } else {
            return Err(Refusal::AlreadyDone);
        }
        self.account(id, format!("CANCELLED by {uid}"), now);
        self.schedule(now);
        Ok(())
    }

    /// Checks that `uid` may signal the job and that it runs.
    ///
    /// # Errors
    /// Unknown, somebody else's, over, or not yet started.
    pub fn signal(&self, id: u32, uid: u32) -> Result<(), Refusal> {
        let job = self.owned(id, uid)?;
        match job.base {
            Base::Running | Base::Suspended if !job.is_completing() => Ok(()),
            Base::Pending => Err(Refusal::TransitionStateNoUpdate),
            _ => Err(Refusal::AlreadyDone),
        }
    }

    /// `scontrol requeue`, or held afterwards: `requeuehold`, with or without
    /// `state=specialexit`. A held job is shown as PENDING, as on 22.05, or SPECIAL_EXIT.
    ///
    /// # Errors
    /// Unknown, somebody else's, submitted with `--no-requeue`, or waiting anyway.
    pub fn requeue(
        &mut self,
        id: u32,
        uid: u32,
        hold: Option<Requeued>,
        now: Moment,
    ) -> Result<(), Refusal> {
        self.requeue_as("REQUEUED", id, uid, hold, now)
    }

    /// Requeues a job whose last run the database calls `run`.
    fn requeue_as(
        &mut self,
        run: &str,
        id: u32,
        uid: u32,
        hold: Option<Requeued>,
        now: Moment,
    ) -> Result<(), Refusal> {
        let job = self.owned(id, uid)?;
        if !job.requeue {
            return Err(Refusal::Disabled);
        }
        if job.base == Base::Pending {
            return Err(Refusal::JobPending);
        }
        let ran = job.base.is_started();
        if ran {
            self.stop(id, Base::Cancelled, "None", Exit::default(), now);
        }
        // From 26.05 on the database keeps how a run that was over had ended.
        let accounted = ran || self.config.generation < Generation::V26_05;
        if accounted {
            self.account(id, run.to_owned(), now);
        }
        let job = self.job_mut(id)?;
        job.base = Base::Pending;
        job.restarts += 1;
        job.end = None;
        if let Some(kind) = hold {
            job.hold = Some(Hold::Requeued);
            if kind == Requeued::SpecialExit {
                job.flags.set(Flag::SpecialExit);
            }
        }
        let completing = job.is_completing();
        if accounted {
            self.account_partition(id);
        }
        if !completing {
            self.wait_again(id, now);
        }
        self.schedule(now);
        Ok(())
    }

    /// `scontrol hold`. A job that runs goes on, and is held if it is put back.
    ///
    /// # Errors
    /// Unknown, somebody else's, over, or larger than its partition.
    pub fn hold(&mut self, id: u32, uid: u32, hold: Hold) -> Result<(), Refusal> {
        let owned = self.owned(id, uid).map_err(|refusal| match refusal {
            Refusal::AccessDenied => Refusal::UserId,
            other => other,
        });
        let owned = owned?;
        if owned.base.is_over() {
            return Err(Refusal::JobFinished);
        }
        self.check_size(owned)?;
        let job = self.job_mut(id)?;
        job.hold = Some(hold);
        if !job.is_completing() {
            hold.reason().clone_into(&mut job.reason);
        }
        Ok(())
    }

    /// Whatever is changed of a waiting job, the controller looks whether its partition has the
    /// CPUs.
    fn check_size(&self, job: &Job) -> Result<(), Refusal> {
        let mut partitions = self.config.partitions.iter();
        let own = partitions.find(|known| known.name == job.partition);
        let nodes = own.into_iter().flat_map(|partition| &partition.nodes);
        let cpus: u32 = nodes
            .filter_map(|name| self.node(name))
            .map(|node| node.cpus)
            .sum();
        if job.is_waiting() && job.wanted_cpus() > cpus {
            return Err(Refusal::PartitionConfig);
        }
        Ok(())
    }

    /// A job that `uid` may change now.
    fn changeable(&self, id: u32, uid: u32) -> Result<&Job, Refusal> {
        let job = self.unfinished(id, uid)?;
        self.check_size(job)?;
        Ok(job)
    }

    /// `scontrol release`.
    ///
    /// # Errors
    /// Unknown, somebody else's, over, larger than its partition, or held by the administrator and the
    /// caller is not root.
    pub fn release(&mut self, id: u32, uid: u32, now: Moment) -> Result<(), Refusal> {
        let job = self.changeable(id, uid)?;
        if job.hold == Some(Hold::Admin) && uid != 0 {
            return Err(Refusal::AccessDenied);
        }
        let rank = self.take_rank();
        let job = self.job_mut(id)?;
        job.rank = rank;
        job.hold = None;
        job.flags.clear(Flag::RequeueHold);
        job.flags.clear(Flag::SpecialExit);
        if !job.is_completing() {
            "None".clone_into(&mut job.reason);
        }
        self.schedule(now);
        Ok(())
    }

    /// `scontrol update JobId=… Requeue=…`.
    ///
    /// # Errors
    /// Unknown, somebody else's, over, or larger than its partition.
    pub fn set_requeue(&mut self, id: u32, uid: u32, requeue: bool) -> Result<(), Refusal> {
        self.changeable(id, uid)?;
        self.job_mut(id)?.requeue = requeue;
        Ok(())
    }

    /// `scontrol update JobId=… Comment=…`.
    ///
    /// # Errors
    /// Unknown, somebody else's, over, or larger than its partition.
    pub fn set_comment(&mut self, id: u32, uid: u32, comment: &str) -> Result<(), Refusal> {
        self.changeable(id, uid)?;
        self.job_mut(id)?.request.comment = Some(comment.to_owned());
        Ok(())
    }

    /// `scontrol update JobId=… JobName=…`.
    ///
    /// # Errors
    /// Unknown, somebody else's, over, or larger than its partition.
    pub fn set_name(&mut self, id: u32, uid: u32, name: &str) -> Result<(), Refusal> {
        self.changeable(id, uid)?;
        name.clone_into(&mut self.job_mut(id)?.request.name);
        Ok(())
    }

    /// `scontrol update JobId=… StartTime=now`.
    ///
    /// # Errors
    /// As [`Cluster::start_at`].
    pub fn start_now(&mut self, id: u32, uid: u32, now: Moment) -> Result<(), Refusal> {
        self.start_at(id, uid, now, now)
    }

    /// `scontrol update JobId=… StartTime=…`.
    ///
    /// # Errors
    /// Unknown, somebody else's, over, larger than its partition, or not waiting.
    pub fn start_at(&mut self, id: u32, uid: u32, at: Moment, now: Moment) -> Result<(), Refusal> {
        if !self.changeable(id, uid)?.is_waiting() {
            return Err(Refusal::NotPending);
        }
        self.job_mut(id)?.eligible = at;
        self.schedule(now);
        Ok(())
    }

    /// `scontrol suspend` and `resume`.
    ///
    /// # Errors
    /// Unknown, not root's business, or not running (not suspended).
    pub fn suspend(&mut self, id: u32, uid: u32, on: bool, now: Moment) -> Result<(), Refusal> {
        let owned = self.owned(id, uid).map_err(|refusal| match refusal {
            Refusal::InvalidJobId => Refusal::UnexpectedMessage,
            other => other,
        });
        let owned = owned?;
        let (base, rank) = (owned.base, owned.rank);
        if uid != 0 {
            return Err(Refusal::AccessDenied);
        }
        let (from, to) = if on {
            (Base::Running, Base::Suspended)
        } else {
            (Base::Suspended, Base::Running)
        };
        if base != from {
            return Err(match (on, base) {
                (true, Base::Suspended) => return Ok(()),
                (false, Base::Running) => Refusal::NotSuspended,
                (_, Base::Pending) => Refusal::JobPending,
                (_, _) => Refusal::AlreadyDone,
            });
        }
        let rank = if on { rank } else { self.take_rank() };
        let job = self.job_mut(id)?;
        job.rank = rank;
        job.base = to;
        let since = std::mem::replace(&mut job.suspended, on.then_some(now));
        job.idle += since.map_or(Duration::ZERO, |since| now.since(since));
        self.account(id, to.names().0.to_owned(), now);
        Ok(())
    }

    /// A node fails: its jobs are requeued, or end as NODE_FAIL where they may not be.
    pub fn fail_node(&mut self, name: &str, now: Moment) {
        self.set_node(name, true, now);
        self.evict(Base::NodeFail, "NodeDown", now, |job| {
            job.nodes.iter().any(|node| node == name)
        });
    }

    /// A node is taken out of service or put back.
    pub fn set_node(&mut self, name: &str, down: bool, now: Moment) {
        for node in self
            .config
            .nodes
            .iter_mut()
            .filter(|node| node.name == name)
        {
            node.down = down;
        }
        self.changed = true;
        self.schedule(now);
    }

    /// A job is preempted: requeued, or ended as PREEMPTED where it may not be.
    pub fn preempt(&mut self, id: u32, now: Moment) {
        self.evict(Base::Preempted, "None", now, |job| job.id == id);
    }

    fn evict(&mut self, base: Base, reason: &str, now: Moment, which: impl Fn(&Job) -> bool) {
        let running = self
            .jobs
            .values()
            .filter(|job| job.base.is_started() && which(job));
        let hit: Vec<(u32, bool)> = running.map(|job| (job.id, job.requeue)).collect();
        for (id, requeue) in hit {
            let run = if base == Base::Preempted {
                "PREEMPTED"
            } else {
                "REQUEUED"
            };
            let requeued = requeue && self.requeue_as(run, id, 0, None, now).is_ok();
            if !requeued {
                self.stop(id, base, reason, Exit::default(), now);
            }
        }
        self.schedule(now);
    }
}
