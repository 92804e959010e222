//! The files of one lease.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::FlockOperation;

use super::{Held, LOCK_LIMIT, StoreError};
use crate::driver::clock::Deadline;
use crate::driver::files::{self, Lock};
use crate::id::LeaseId;
use crate::lease::{Lease, Policy};
use crate::record::{Journal, JournalError};

/// The files of one lease.
#[derive(Clone, Debug)]
pub struct LeaseDir {
    pub(super) lease: LeaseId,
    pub(super) path: Utf8PathBuf,
    pub(super) lock: Utf8PathBuf,
    pub(super) tombstone: Utf8PathBuf,
    /// By when whoever works on it must be done.
    pub(super) until: Option<Deadline>,
}

impl LeaseDir {
    /// The lease.
    pub fn lease(&self) -> &LeaseId {
        &self.lease
    }

    /// Its directory.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> Utf8PathBuf {
        self.path.join(name)
    }

    /// Whether there is such a directory.
    pub fn exists(&self) -> bool {
        std::fs::symlink_metadata(&self.path).is_ok()
    }

    /// Reads a file in it; not through a link in the place of the directory.
    pub(crate) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        files::refuse_link(&self.path)?;
        files::read(&self.file(name))
    }

    /// What is in it, as far as that can be read.
    pub(crate) fn names(&self) -> Vec<String> {
        if files::refuse_link(&self.path).is_err() {
            return Vec::new();
        }
        let entries = self.path.read_dir_utf8().into_iter().flatten();
        let names = entries.filter_map(|entry| Some(entry.ok()?.file_name().to_owned()));
        names.collect()
    }

    /// Puts a file into it, whole; not into what a link in its place leads to.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        files::check_private_dir(&self.path)?;
        files::write_whole(&self.file(name), bytes, 0o600)
    }

    pub(crate) fn create(&self) -> io::Result<()> {
        files::make_private_dir(&self.path)
    }

    /// Makes the directory where it is not there, and takes a shared lock on a file in it, before
    /// anybody can take the directory for an empty one that was left. `None` where somebody else
    /// has the file.
    pub(crate) fn open(&self, name: &str) -> io::Result<Option<Lock>> {
        let _lock = self.lock()?;
        self.create()?;
        Lock::try_take(&self.file(name), FlockOperation::NonBlockingLockShared)
    }

    /// The lock that lasts as long as any sbatch of this lease.
    pub(crate) fn submitting(&self) -> io::Result<Option<Lock>> {
        files::check_private_dir(&self.path)?;
        Lock::try_take(
            &self.submit_lock(),
            FlockOperation::NonBlockingLockExclusive,
        )
    }

    /// The file of that lock: it names the process group that took it last, and was written to
    /// when that began.
    pub(crate) fn submit_lock(&self) -> Utf8PathBuf {
        self.file("submit.lock")
    }

    /// The same for somebody who must be done by then: a lock that others hold is waited for less
    /// long, so that time is left for what it is taken for.
    pub(crate) fn within(mut self, until: Deadline) -> Self {
        self.until = Some(until);
        self
    }

    /// The lock that is held while the journal is read and appended to.
    pub(crate) fn lock(&self) -> io::Result<Lock> {
        let limit = self.until.map_or(LOCK_LIMIT, |until| until.left() / 2);
        Lock::take(&self.lock, limit.min(LOCK_LIMIT))
    }

    /// Reads the record of the lease; `None` where there is no directory of that name, or one
    /// that nothing was put into yet.
    ///
    /// # Errors
    /// When the directory or its journal can't be read, or a newer release wrote it.
    pub fn load(&self, policy: Policy) -> Result<Option<Loaded>, StoreError> {
        let loaded = self.load_now(policy)?;
        let is_whole = match &loaded {
            Some(Loaded::Held(held)) => held.lease.unrecorded().is_empty(),
            Some(Loaded::Lost) => false,
            None => true,
        };
        if is_whole {
            return Ok(loaded);
        }
        // What another process is just writing, or removing, looks like this too.
        match self.lock() {
            Ok(_lock) => match self.load_now(policy)? {
                Some(Loaded::Lost) if self.is_blank()? => Ok(None),
                loaded => Ok(loaded),
            },
            // Where no lock can be taken, nothing can be written.
            Err(_) => Ok(loaded),
        }
    }

    pub(super) fn load_now(&self, policy: Policy) -> Result<Option<Loaded>, StoreError> {
        if !self.exists() {
            return Ok(None);
        }
        files::check_private_dir(&self.path)?;
        let is_other = |metadata: std::fs::Metadata| !metadata.is_file();
        if std::fs::symlink_metadata(self.file("journal.jsonl")).is_ok_and(is_other) {
            // A link or a directory is no journal of ours, and never will be.
            return Ok(Some(Loaded::Lost));
        }
        let Some(bytes) = self.read("journal.jsonl")? else {
            return Ok(Some(Loaded::Lost));
        };
        let journal = match Journal::parse(&bytes) {
            Ok(journal) => journal,
            Err(source @ JournalError::Newer { .. }) => {
                let lease = self.lease.clone();
                return Err(StoreError::Newer { lease, source });
            }
            Err(JournalError::Unreadable { .. }) => return Ok(Some(Loaded::Lost)),
        };
        let lease = match Lease::replay(&journal, policy) {
            Ok(Some(lease)) if lease.opened().lease == self.lease => lease,
            _ => return Ok(Some(Loaded::Lost)),
        };
        let held = Held::read(self.clone(), lease, journal.tip);
        Ok(Some(Loaded::Held(Box::new(held))))
    }
}

/// What the directory of a lease holds.
#[derive(Debug)]
pub enum Loaded {
    /// Its record.
    Held(Box<Held>),
    /// No record that could be read: whether it has a job only the controller can tell.
    Lost,
}
