//! The state directory: one directory a lease, its journal, and what is left of leases that are
//! over.

mod blank;

use std::io;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::{SignedDuration, Timestamp};
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::driver::files::{self, Lock};
use crate::endpoint::is_plain_path;
use crate::evidence::Over;
use crate::id::{LeaseId, StoreId};
use crate::lease::{IllegalEvent, Lease, Policy};
use crate::record::{Journal, JournalError, Opened};

/// How long to wait for another process that is writing a journal.
const LOCK_LIMIT: Duration = Duration::from_secs(5);
/// How long what a lease was called is remembered once it is over.
const TOMBSTONE_AGE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The state directory can't be used, or what is in it can't be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file could not be read or written; the error names it.
    #[error("cannot use the state directory: {0}")]
    Io(#[from] io::Error),
    /// The path of the state directory can't be used.
    #[error("the state directory {path} cannot be used: {why}")]
    Unusable {
        /// Its path.
        path: Utf8PathBuf,
        /// Why.
        why: &'static str,
    },
    /// A newer release wrote this journal.
    #[error("the record of lease {lease} cannot be used: {source}")]
    Newer {
        /// The lease.
        lease: LeaseId,
        /// Which line.
        source: JournalError,
    },
    /// The record of this lease is gone: another process removed it.
    #[error("the record of lease {0} is gone")]
    Vanished(LeaseId),
    /// Another process has written to the record of this lease since it was read.
    #[error("the record of lease {0} was written to meanwhile")]
    Outdated(LeaseId),
    /// What is on disk contradicts itself.
    #[error("the record of lease {lease} contradicts itself: {source}")]
    Contradiction {
        /// The lease.
        lease: LeaseId,
        /// Which event.
        source: IllegalEvent,
    },
}

/// A state directory.
#[derive(Clone, Debug)]
pub struct Store {
    root: Utf8PathBuf,
    id: StoreId,
}

/// What a lease was called, and how it is known to be over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The version of this form: 1.
    pub v: u32,
    /// When its record was removed.
    pub at: Timestamp,
    /// The lease.
    pub lease: LeaseId,
    /// The client's short name for it.
    pub slug: String,
    /// The name of its jobs.
    pub name: String,
    /// Its last job, as `id` or `id;cluster`.
    pub job: Option<String>,
    /// How it is known to be over.
    pub proof: String,
}

impl Store {
    /// Opens a state directory, creating it.
    ///
    /// # Errors
    /// When it can't be created, belongs to somebody else, or others may write to it.
    pub fn open(path: &Utf8Path) -> Result<Self, StoreError> {
        let unusable = |why| StoreError::Unusable {
            path: path.to_owned(),
            why,
        };
        if !path.is_absolute() {
            return Err(unusable("the path is not absolute"));
        }
        if !path.exists() {
            if let Some(parent) = path.parent() {
                files::make_dirs(parent)?;
            }
            files::make_private_dir(path)?;
        }
        let root = path.canonicalize_utf8().map_err(StoreError::Io)?;
        if !is_plain_path(root.as_str()) {
            return Err(unusable(
                "the path holds a character that ssh, rsync or Slurm reads as more than itself",
            ));
        }
        let mode = rustix::fs::stat(root.as_std_path())
            .map_err(io::Error::from)?
            .st_mode;
        if mode & 0o022 != 0 {
            return Err(unusable("others may write to it"));
        }
        let id = StoreId::of_path(root.as_str());
        let store = Self { root, id };
        for name in ["jobs", "locks", "released", "queue"] {
            let made = files::make_private_dir(&store.root.join(name));
            // A read-only state directory can still be read, and its jobs cancelled.
            match made {
                Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {}
                other => other?,
            }
        }
        Ok(store)
    }

    /// Its absolute path, free of symbolic links.
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// What stands for it in the comments of jobs.
    pub fn id(&self) -> &StoreId {
        &self.id
    }

    /// Where the files of a lease are.
    pub fn dir(&self, lease: &LeaseId) -> LeaseDir {
        LeaseDir {
            lease: lease.clone(),
            path: self.root.join("jobs").join(lease.as_str()),
            lock: self.root.join("locks").join(format!("{lease}.lock")),
        }
    }

    /// Where answers of the queue are shared.
    pub(crate) fn queue_dir(&self) -> Utf8PathBuf {
        self.root.join("queue")
    }

    /// Every lease that has a directory, in the order of their ids.
    ///
    /// # Errors
    /// When the directory can't be read to its end: part of a list is no list.
    pub fn leases(&self) -> Result<Vec<LeaseId>, StoreError> {
        let mut leases = Vec::new();
        for entry in fs_err::read_dir(self.root.join("jobs"))? {
            let entry = entry?;
            if let Some(Ok(lease)) = entry.file_name().to_str().map(str::parse) {
                leases.push(lease);
            }
        }
        leases.sort();
        Ok(leases)
    }

    /// What is remembered of a lease that is over.
    ///
    /// # Errors
    /// When its file is there and can't be read.
    pub fn tombstone(&self, lease: &LeaseId) -> Result<Option<Tombstone>, StoreError> {
        let bytes = files::read(&self.tombstone_path(lease))?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// Everything that is remembered of leases that are over.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub fn tombstones(&self) -> Result<Vec<Tombstone>, StoreError> {
        let mut found = Vec::new();
        for entry in fs_err::read_dir(self.root.join("released"))? {
            let name = entry?.file_name();
            let lease = name
                .to_str()
                .and_then(|name| name.strip_suffix(".json")?.parse().ok());
            if let Some(lease) = lease {
                found.extend(self.tombstone(&lease)?);
            }
        }
        Ok(found)
    }

    fn tombstone_path(&self, lease: &LeaseId) -> Utf8PathBuf {
        self.root.join("released").join(format!("{lease}.json"))
    }

    /// Forgets tombstones that are a week old, and what was left by a removal or an acquire that
    /// did not get to its end.
    ///
    /// # Errors
    /// When a directory can't be read or a file not removed.
    pub fn sweep(&self, now: Timestamp) -> Result<(), StoreError> {
        for tombstone in self.tombstones()? {
            if now.duration_since(tombstone.at) > TOMBSTONE_AGE {
                files::remove(&self.tombstone_path(&tombstone.lease))?;
            }
        }
        for entry in fs_err::read_dir(self.root.join("jobs"))? {
            let name = entry?.file_name();
            if let Some(name) = name.to_str().filter(|name| name.starts_with(REMOVED)) {
                files::remove_dir_all(&self.root.join("jobs").join(name))?;
            }
        }
        self.sweep_blank()
    }

    /// Removes the record of a lease, for a proof that nothing of it is left with the scheduler.
    ///
    /// # Errors
    /// When the proof is another lease's, when the journal holds more than this lease knows of,
    /// or when the directory can't be moved away. The lease is handed back.
    pub fn remove(
        &self,
        held: Held,
        proof: Over,
        now: Timestamp,
    ) -> Result<Tombstone, RemoveError> {
        let opened = held.lease.opened();
        let tombstone = Tombstone {
            v: 1,
            at: now,
            lease: opened.lease.clone(),
            slug: opened.slug.clone(),
            name: opened.name.to_string(),
            job: held.lease.job().map(ToString::to_string),
            proof: proof.describe(),
        };
        match self.remove_dir(&held, &proof, &tombstone) {
            Ok(()) => Ok(tombstone),
            Err(why) => Err(RemoveError {
                held: Box::new(held),
                why,
            }),
        }
    }

    fn remove_dir(
        &self,
        held: &Held,
        proof: &Over,
        tombstone: &Tombstone,
    ) -> Result<(), StoreError> {
        let dir = &held.dir;
        if *proof.lease() != dir.lease {
            return Err(io::Error::other("the proof is another lease's").into());
        }
        let _lock = Lock::take(&dir.lock, LOCK_LIMIT)?;
        match dir.read("journal.jsonl")? {
            Some(bytes) if bytes.len() != held.on_disk => {
                return Err(StoreError::Outdated(dir.lease.clone()));
            }
            Some(_) | None => {}
        }
        let line = serde_json::to_vec(tombstone).map_err(io::Error::from)?;
        // Without it a release that is repeated is answered less fully; that is worth less than
        // an end to the lease on a full disk.
        drop(files::write_whole(
            &self.tombstone_path(&dir.lease),
            &line,
            0o600,
        ));
        let aside = self
            .root
            .join("jobs")
            .join(format!("{REMOVED}{}", dir.lease));
        drop(files::remove_dir_all(&aside));
        match files::rename(&dir.path, &aside) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        }
        files::sync_parent(&aside)?;
        drop(files::remove_dir_all(&aside));
        drop(files::remove(&dir.lock));
        Ok(())
    }
}

/// How the directory of a lease is called while it is being removed.
const REMOVED: &str = ".removed-";

/// A removal that was refused. The lease is still there.
#[derive(Debug, Error)]
#[error("cannot remove the record of the lease: {why}")]
pub struct RemoveError {
    held: Box<Held>,
    why: StoreError,
}

impl RemoveError {
    /// Whether another process has learnt more of the lease than was known here.
    pub(crate) fn is_outdated(&self) -> bool {
        matches!(self.why, StoreError::Outdated(_))
    }

    /// The lease, as it was.
    pub fn into_held(self) -> Held {
        *self.held
    }
}

/// The files of one lease.
#[derive(Clone, Debug)]
pub struct LeaseDir {
    lease: LeaseId,
    path: Utf8PathBuf,
    lock: Utf8PathBuf,
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

    /// Reads a file in it.
    pub(crate) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        files::read(&self.file(name))
    }

    /// Puts a file into it, whole; not into what a link in its place leads to.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        files::check_private_dir(&self.path)?;
        files::write_whole(&self.file(name), bytes, 0o600)
    }

    pub(crate) fn create(&self) -> io::Result<()> {
        files::make_private_dir(&self.path)
    }

    /// The lock that lasts as long as any sbatch of this lease.
    pub(crate) fn submitting(&self) -> io::Result<Option<Lock>> {
        files::check_private_dir(&self.path)?;
        let path = self.file("submit.lock");
        Lock::try_take(&path, FlockOperation::NonBlockingLockExclusive)
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
        match Lock::take(&self.lock, LOCK_LIMIT) {
            Ok(_lock) => match self.load_now(policy)? {
                Some(Loaded::Lost) if self.is_blank()? => Ok(None),
                loaded => Ok(loaded),
            },
            // Where no lock can be taken, nothing can be written.
            Err(_) => Ok(loaded),
        }
    }

    fn load_now(&self, policy: Policy) -> Result<Option<Loaded>, StoreError> {
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
        let dir = self.clone();
        let on_disk = journal.length;
        Ok(Some(Loaded::Held(Box::new(Held {
            lease,
            dir,
            on_disk,
            lost: false,
        }))))
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

/// A lease and the directory that its journal is in.
#[derive(Debug)]
pub struct Held {
    /// The lease.
    pub lease: Lease,
    dir: LeaseDir,
    /// How much of the journal the lease knows, in bytes.
    on_disk: usize,
    /// Whether what is on disk is unreadable and is to be put aside.
    lost: bool,
}

impl Held {
    /// A lease that is not on disk yet.
    pub fn new(dir: LeaseDir, opened: Opened, now: Timestamp, policy: Policy) -> Self {
        Self {
            lease: Lease::open(opened, now, policy),
            dir,
            on_disk: 0,
            lost: false,
        }
    }

    /// A lease whose record is lost.
    pub fn lost(dir: LeaseDir, opened: Opened, now: Timestamp, policy: Policy) -> Self {
        Self {
            lease: Lease::reconstruct(opened, now, policy),
            dir,
            on_disk: 0,
            lost: true,
        }
    }

    /// A lease that another program's record tells of, and that is to have one of ours.
    pub(crate) fn imported(dir: LeaseDir, lease: Lease) -> Self {
        Self {
            lease,
            dir,
            on_disk: 0,
            lost: false,
        }
    }

    /// Where its files are.
    pub fn dir(&self) -> &LeaseDir {
        &self.dir
    }

    /// Puts on disk what the lease has learnt, and takes from there what others have.
    ///
    /// # Errors
    /// When that fails; the lease then knows that nothing was recorded.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        let committed = self.try_commit();
        match committed {
            Ok(()) => self.lease.handle_recorded(),
            Err(_) => self.lease.handle_not_recorded(),
        }
        committed
    }

    /// Whether the record that this lease was read from is gone.
    pub(crate) fn was_removed(&self) -> bool {
        self.on_disk > 0 && !self.dir.exists()
    }

    /// Takes from disk what other processes have put there since; false where there is nothing new.
    ///
    /// # Errors
    /// When the record is gone or can't be read.
    pub fn refresh(&mut self) -> Result<bool, StoreError> {
        let size = match std::fs::symlink_metadata(self.dir.file("journal.jsonl")) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::Vanished(self.dir.lease.clone()));
            }
            Err(error) => return Err(error.into()),
        };
        if size == self.on_disk as u64 {
            return Ok(false);
        }
        let _lock = Lock::take(&self.dir.lock, LOCK_LIMIT)?;
        let journal = self.journal()?;
        let news = journal.length != self.on_disk;
        self.catch_up(&journal)?;
        Ok(news)
    }

    fn try_commit(&mut self) -> Result<(), StoreError> {
        let _lock = Lock::take(&self.dir.lock, LOCK_LIMIT)?;
        if self.on_disk == 0 {
            self.dir.create()?;
        }
        if std::mem::take(&mut self.lost) && self.is_lost_still() {
            self.put_aside()?;
        }
        let journal = self.journal()?;
        self.catch_up(&journal)?;
        let mut lines = Vec::new();
        for entry in self.lease.unrecorded() {
            lines.extend(entry.to_line().map_err(io::Error::from)?);
        }
        if !lines.is_empty() {
            self.append(&lines)?;
        }
        Ok(())
    }

    fn journal(&self) -> Result<Journal, StoreError> {
        let lease = || self.dir.lease.clone();
        let bytes = match self.dir.read("journal.jsonl")? {
            Some(bytes) => bytes,
            None if self.on_disk == 0 => Vec::new(),
            None => return Err(StoreError::Vanished(lease())),
        };
        Journal::parse(&bytes).map_err(|source| match source {
            JournalError::Newer { .. } => StoreError::Newer {
                lease: lease(),
                source,
            },
            JournalError::Unreadable { .. } => io::Error::other(source).into(),
        })
    }

    fn catch_up(&mut self, journal: &Journal) -> Result<(), StoreError> {
        if journal.length != self.on_disk {
            let caught_up = self.lease.handle_journal(journal);
            caught_up.map_err(|source| StoreError::Contradiction {
                lease: self.dir.lease.clone(),
                source,
            })?;
            self.on_disk = journal.length;
        }
        Ok(())
    }

    /// Appends whole lines and has them on disk, or leaves the journal as it was.
    fn append(&mut self, lines: &[u8]) -> Result<(), StoreError> {
        let path = self.dir.file("journal.jsonl");
        let is_new = self.on_disk == 0;
        files::append(&path, self.on_disk as u64, lines)?;
        if is_new {
            files::sync_parent(&path)?;
        }
        self.on_disk += lines.len();
        Ok(())
    }

    /// Whether no other process has made the record anew meanwhile.
    fn is_lost_still(&self) -> bool {
        let loaded = self.dir.load_now(Policy::default());
        !matches!(loaded, Ok(Some(Loaded::Held(_))))
    }

    /// Keeps a journal that can't be read for whoever wants to know why.
    fn put_aside(&self) -> Result<(), StoreError> {
        let from = self.dir.file("journal.jsonl");
        match files::rename(&from, &self.dir.file("journal.unreadable")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}
