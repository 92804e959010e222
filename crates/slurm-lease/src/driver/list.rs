//! All leases at once, and an end to those that are over.

use std::time::Duration;

use camino::Utf8Path;
use jiff::SignedDuration;
use thiserror::Error;

use crate::driver::Leases;
use crate::driver::clock::{Deadline, now};
use crate::driver::keeper::take_abandoned;
use crate::driver::recover::Called;
use crate::driver::release::{ReleaseError, Released};
use crate::driver::status::{StatusError, View};
use crate::driver::store::{Held, StoreError};
use crate::evidence;
use crate::id::{ClusterName, JobName, LeaseId, Tag};
use crate::job_state::Meaning;
use crate::parse::squeue::{Queue, QueueRow};
use crate::record::ReleaseCause;

/// How long a list may take, but for what is under way then: half a second for a last question, a
/// ping, and the end of what does not answer.
const LIST_LIMIT: Duration = Duration::from_secs(6);
/// How long names may wait for those who are just writing them.
const KNOWN_LIMIT: Duration = Duration::from_millis(250);
/// How long a cleanup may take: long enough for the two looks that prove a purged job gone.
const CLEANUP_LIMIT: Duration = Duration::from_secs(60);
/// How long one lease may take of it.
const EACH_LIMIT: Duration = Duration::from_secs(20);
/// How long an acquire may take over the ends of other people's abandoned leases.
const ABANDONED_LIMIT: Duration = Duration::from_secs(2);
/// How old a picture of the queue may be to look for jobs without a record.
const STRAYS_AGE: SignedDuration = SignedDuration::from_secs(1);

/// The leases can't be listed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ListError {
    /// The state directory can't be read. Part of a list is no list.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a lease is called, as far as its record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its id.
    pub lease: LeaseId,
    /// The client's short name for it.
    pub slug: String,
    /// The name of its job.
    pub name: String,
    /// Its job, as `id` or `id;cluster`.
    pub job: Option<String>,
    /// Whether it was released, and only this is remembered of it.
    pub released: bool,
    /// Whether its record is lost, so that nothing but its id is known.
    pub lost: bool,
}

/// What a cleanup came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Leases whose record was removed, or would be.
    pub removed: Vec<LeaseId>,
    /// Leases that were to end and have not been proven to.
    pub kept: Vec<(LeaseId, String)>,
}

impl Leases {
    /// Every lease that is not released, jobs included whose record is gone and whose comment or
    /// directory says that they are ours. One query of the scheduler answers for all of them, unless a job
    /// is missing from it.
    ///
    /// # Errors
    /// When the state directory can't be read.
    pub fn list(&self) -> Result<Vec<View>, ListError> {
        let deadline = Deadline::after(LIST_LIMIT);
        let mut views = Vec::new();
        for (mut held, lost) in self.all(deadline)? {
            if !lost && let Some(_alone) = take_abandoned(held.dir()) {
                held.lease.handle_release(now(), ReleaseCause::Abandoned);
                // What can't be written now is tried again with the next step.
                drop(held.commit());
            }
            let mut view = self.view(held, lost, deadline);
            self.find_stray(&mut view, deadline);
            views.push(view);
        }
        Ok(views)
    }

    /// What the leases are called, those included that were released in the last week. Asks
    /// nothing of Slurm.
    ///
    /// # Errors
    /// When the state directory can't be read.
    pub fn known(&self) -> Result<Vec<Known>, ListError> {
        let mut known = Vec::new();
        let deadline = Deadline::after(KNOWN_LIMIT);
        for (held, lost) in self.recorded(deadline)? {
            let opened = held.lease.opened();
            known.push(Known {
                lease: opened.lease.clone(),
                slug: opened.slug.clone(),
                name: opened.name.to_string(),
                job: held.lease.known_by().map(ToString::to_string),
                released: false,
                lost,
            });
        }
        for tombstone in self.store.tombstones()? {
            if !known.iter().any(|known| known.lease == tombstone.lease) {
                known.push(Known {
                    lease: tombstone.lease,
                    slug: tombstone.slug,
                    name: tombstone.name,
                    job: tombstone.job,
                    released: true,
                    lost: false,
                });
            }
        }
        Ok(known)
    }

    /// Removes the records of leases that are proven over, and goes on with releases that were
    /// not finished and leases that were never claimed. With `dry_run` it only says which.
    ///
    /// # Errors
    /// When the state directory can't be read.
    pub fn cleanup(&self, dry_run: bool) -> Result<Cleaned, ListError> {
        let deadline = Deadline::after(CLEANUP_LIMIT);
        let mut cleaned = Cleaned::default();
        for view in self.list()? {
            if view.awaited {
                continue;
            }
            let lease = view.lease.opened().lease.clone();
            if view.lost {
                // Nobody asked for its end, and nothing here says that it was never handed out.
                cleaned.kept.push((lease, of_lost(&view)));
                continue;
            }
            let over = view.lease.over().is_some();
            let to_end = view.lease.wish().is_some();
            let missing = view.lease.is_missing();
            if over
                && !to_end
                && let Some((_, why)) = view.lease.unknown()
            {
                // To wish for the end of a lease that may be in use is worse than to wait.
                let why = format!("whether a job of it is left cannot be told: {why}");
                cleaned.kept.push((lease, why));
                continue;
            }
            if dry_run {
                if over {
                    cleaned.removed.push(lease);
                }
                continue;
            }
            if !over && !to_end && !missing || deadline.has_passed() {
                continue;
            }
            self.clean(&lease, over || to_end, deadline, &mut cleaned);
        }
        if !dry_run {
            self.store.sweep(now())?;
            self.sweep_sites();
        }
        Ok(cleaned)
    }

    /// Ends the leases whose acquire died before it answered, where no keeper did and none can be
    /// started. Asks nothing of Slurm where there is none.
    pub(super) fn end_abandoned(&self, except: &LeaseId) {
        let deadline = Deadline::after(ABANDONED_LIMIT);
        for lease in self.store.leases().unwrap_or_default() {
            let dir = self.store.dir(&lease);
            if lease == *except || deadline.has_passed() {
                continue;
            }
            let Some(alone) = take_abandoned(&dir) else {
                continue;
            };
            let deadline = Deadline::after(ABANDONED_LIMIT);
            if let Ok((mut held, false)) = self.hold(&lease, deadline) {
                held.lease.handle_release(now(), ReleaseCause::Abandoned);
                drop(held.commit());
                drop(alone);
                // Once the wish is on disk, whoever comes next goes on with it.
                drop(self.end(held, ReleaseCause::Abandoned, deadline.left()));
            }
        }
    }

    /// Ends one lease, or waits for the proof that its missing job is gone.
    fn clean(&self, lease: &LeaseId, end: bool, deadline: Deadline, cleaned: &mut Cleaned) {
        let limit = EACH_LIMIT.min(deadline.left());
        let held = match self.hold_to_end(lease, &Called::default(), Deadline::after(limit)) {
            Ok(held) => held,
            Err(ReleaseError::NoSuchLease(_)) => return,
            Err(error) => {
                cleaned.kept.push((lease.clone(), error.to_string()));
                return;
            }
        };
        let is_over = end || self.settles(&held, limit);
        if !is_over {
            cleaned
                .kept
                .push((lease.clone(), "its job is not visible just now".to_owned()));
            return;
        }
        match self.end(held, ReleaseCause::Abandoned, limit) {
            Ok(Released::Over(_)) => cleaned.removed.push(lease.clone()),
            // Another process has ended it.
            Err(ReleaseError::NoSuchLease(_)) => {}
            Ok(Released::Ending(job)) => {
                cleaned
                    .kept
                    .push((lease.clone(), format!("job {job} is ending")));
            }
            Err(error) => cleaned.kept.push((lease.clone(), error.to_string())),
        }
    }

    /// Whether a job that the last look did not find is proven gone within this time. Nothing is
    /// cancelled: a job that comes back into view is left alone.
    fn settles(&self, held: &Held, limit: Duration) -> bool {
        let deadline = Deadline::after(limit);
        let lease = &held.lease.opened().lease;
        while !deadline.has_passed() {
            let Ok((held, _)) = self.hold(lease, deadline) else {
                return false;
            };
            let view = self.view(held, false, deadline);
            if view.lease.over().is_some() {
                return true;
            }
            if !view.lease.is_missing() {
                return false;
            }
            crate::driver::clock::pause(Duration::from_millis(500).min(deadline.left()));
        }
        false
    }

    /// Every record. One that can't be read just now is shown like one that is lost: it hides no
    /// other, and whoever asks for it by itself is told why.
    fn recorded(&self, deadline: Deadline) -> Result<Vec<(Held, bool)>, ListError> {
        let mut all = Vec::new();
        for lease in self.store.leases()? {
            match self.hold(&lease, deadline) {
                Ok(held) => all.push(held),
                // Released while we were reading.
                Err(StatusError::NoSuchLease(_) | StatusError::Store(StoreError::Vanished(_))) => {}
                Err(StatusError::Store(_)) => {
                    all.push((self.rebuild(self.store.dir(&lease), None, None), true));
                }
            }
        }
        Ok(all)
    }

    /// Every record, and a made-up one for each job of ours that has none, or none that can be
    /// read.
    fn all(&self, deadline: Deadline) -> Result<Vec<(Held, bool)>, ListError> {
        let mut all = self.recorded(deadline)?;
        let clusters = self.slurm.clusters();
        let since = now() - STRAYS_AGE;
        for (cluster, snapshot) in self.slurm.snapshots(&clusters, since, deadline) {
            if let Queue::Rows(queue) = &snapshot.queue {
                for row in &queue.rows {
                    self.add_unrecorded(&mut all, row, cluster);
                }
            }
        }
        Ok(all)
    }

    /// Adds the lease of a job of ours, unless its record is among them.
    fn add_unrecorded(
        &self,
        all: &mut Vec<(Held, bool)>,
        row: &QueueRow,
        cluster: Option<&ClusterName>,
    ) {
        let Some(lease) = self.stray(row) else { return };
        let is_known = |(held, _): &(Held, bool)| held.lease.opened().lease == lease;
        let known = all.iter().position(is_known);
        if known.is_some_and(|at| !all[at].1) {
            return;
        }
        let name: Option<JobName> = row.name.parse().ok();
        let called = name.map(|name| (slug_of(name.as_str()), name));
        let dir = self.store.dir(&lease);
        let found = (self.rebuild(dir, called, cluster.cloned()), true);
        match known {
            Some(at) => all[at] = found,
            None => all.push(found),
        }
    }

    /// The lease of a job that this state directory submitted and that is not finished: by its
    /// comment or, where that was taken away, by the directory that it starts in.
    fn stray(&self, row: &QueueRow) -> Option<LeaseId> {
        if row.uid != self.slurm.uid() || row.state.meaning() == Meaning::Finished {
            return None;
        }
        if let Some(tag) = Tag::in_comment(&row.comment) {
            return (tag.store == *self.store.id()).then_some(tag.lease);
        }
        let directory = Utf8Path::new(row.directory.as_deref()?);
        let lease: LeaseId = directory.file_name()?.parse().ok()?;
        // What a script submits starts in the directory of its lease too.
        let ours = lease.is_in_name(&row.name) && self.store.dir(&lease).path() == directory;
        ours.then_some(lease)
    }

    /// A live job under the tag of a lease that its record counts as over belongs to it.
    pub(super) fn find_stray(&self, view: &mut View, deadline: Deadline) {
        let limit = deadline.left();
        if view.lease.over().is_none() || self.elsewhere(&view.lease, limit).is_some() {
            return;
        }
        let cluster = view.lease.opened().cluster.clone();
        let since = now() - STRAYS_AGE;
        let snapshot = self
            .slurm
            .snapshot(cluster.as_ref(), since, deadline.left());
        let found = evidence::search(&view.lease.claim(), cluster.as_ref(), &snapshot.queue);
        let ended = crate::lease::Submitter::Ended;
        view.lease.handle_search(snapshot.at, found, ended);
    }
}

/// What is to be said of a lease whose record is lost.
fn of_lost(view: &View) -> String {
    let lost = "its record here is lost or unreadable";
    match (view.lease.job(), view.lease.sighting()) {
        (Some(job), Some(seen)) => {
            format!(
                "{lost}, but its job {job} is {}; release it to end it",
                seen.state
            )
        }
        _ => {
            format!(
                "{lost}, and Slurm shows no job with its comment or in its directory; release it to clear it away"
            )
        }
    }
}

/// What Crabbox calls a lease whose job has this name: `crabbox-<slug>-<8 hexadecimal digits>`.
pub(super) fn slug_of(name: &str) -> String {
    let slug = name
        .strip_prefix("crabbox-")
        .and_then(|rest| rest.rsplit_once('-'))
        .map(|(slug, _)| slug);
    slug.unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;
    use crate::command::Program;
    use crate::driver::files;
    use crate::driver::keeper::Presence;
    use crate::driver::{Options, Programs};
    use crate::id::Uid;
    use crate::record::{Access, Opened};

    /// A squeue that answers every query with its heading alone.
    const NO_JOBS: &[u8] = br#"#!/bin/sh
for format; do :; done
printf '%s\n' "$format" | sed 's/:0//g; s/,//g; s/JobID/JOBID/'
"#;

    #[test]
    fn a_cleanup_leaves_alone_what_is_about_to_be_submitted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap();
        let squeue = Utf8PathBuf::from_path_buf(path.join("squeue")).unwrap();
        files::write_whole(&squeue, NO_JOBS, 0o700).unwrap();
        let asking = |squeue: &str| {
            let mut options = Options::new(path.join("state").to_str().unwrap());
            options.programs = Programs::on_path()
                .with(Program::Squeue, squeue)
                .with(Program::Scontrol, "/bin/false");
            Leases::open(options).unwrap()
        };
        // No controller answers.
        let leases = asking("/bin/false");
        let lease: LeaseId = "cbx_0123456789ab".parse().unwrap();
        let opened = Opened {
            slug: "smoke".to_owned(),
            name: (&lease).into(),
            lease: lease.clone(),
            uid: Uid(rustix::process::getuid().as_raw()),
            store: leases.store.id().clone(),
            cluster: None,
            asked: String::new(),
            directory: None,
            access: Access::default(),
        };
        let dir = leases.store.dir(&lease);
        let mut held = Held::new(dir.clone(), opened, now(), leases.policy);
        held.commit().unwrap();
        let presence = Presence::begin(&dir, None, Duration::ZERO).unwrap();
        for dry_run in [true, false] {
            assert_eq!(leases.cleanup(dry_run).unwrap(), Cleaned::default());
        }
        assert!(held.lease.wish().is_none() && dir.exists());
        assert!(!held.refresh().unwrap(), "nobody has written to the record");
        presence.end();
        // Where nobody answers whether there is a job of it, it is not removed all the same.
        for dry_run in [true, false] {
            let cleaned = leases.cleanup(dry_run).unwrap();
            assert_eq!((cleaned.removed.len(), cleaned.kept.len()), (0, 1));
        }
        assert!(dir.exists());
        assert_eq!(
            asking(squeue.as_str()).cleanup(false).unwrap().removed,
            [lease]
        );
        assert!(!dir.exists());
    }
}
