//! A lease and its journal, which other processes write to as well.

use std::io;

use jiff::Timestamp;

use super::{LeaseDir, Loaded, StoreError};
use crate::driver::files;
use crate::evidence::{NeverBecause, Over};
use crate::lease::{Lease, Policy};
use crate::record::{Journal, JournalError, Opened, Tip};

/// A lease and the directory that its journal is in.
#[derive(Debug)]
pub struct Held {
    /// The lease.
    pub lease: Lease,
    dir: LeaseDir,
    /// How far the lease knows the journal.
    tip: Tip,
    /// Whether what is on disk is unreadable and is to be put aside.
    lost: bool,
    /// Whether the record was made by this value, in the place of none.
    made: bool,
    /// Why what is on disk can't be read, and is to be left as it is.
    unreadable: Option<String>,
}

impl Held {
    /// A lease that is not on disk yet.
    pub fn new(dir: LeaseDir, opened: Opened, now: Timestamp, policy: Policy) -> Self {
        Self::read(dir, Lease::open(opened, now, policy), Tip::default())
    }

    /// A lease whose record is lost, as far as it is known from elsewhere.
    pub fn lost(dir: LeaseDir, lease: Lease) -> Self {
        Self {
            lost: true,
            ..Self::read(dir, lease, Tip::default())
        }
    }

    /// A lease that its journal tells of, as far as this tip.
    pub(super) fn read(dir: LeaseDir, lease: Lease, tip: Tip) -> Self {
        Self {
            lease,
            dir,
            tip,
            lost: false,
            made: false,
            unreadable: None,
        }
    }

    /// The lease, of which nothing can be read or written for this reason.
    pub(crate) fn unreadable(self, why: &io::Error) -> Self {
        Self {
            unreadable: Some(why.to_string()),
            ..self
        }
    }

    /// A lease that another program's record tells of, and that is to have one of ours.
    pub(crate) fn imported(dir: LeaseDir, lease: Lease) -> Self {
        Self::read(dir, lease, Tip::default())
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

    /// Whether the record was made here and nothing was submitted under it, as far as is known here.
    pub(crate) fn is_unused(&self) -> bool {
        let never = match self.lease.over() {
            Some(Over::NeverSubmitted(never)) => never.how() == NeverBecause::NotBegun,
            Some(Over::JobGone(_)) | None => false,
        };
        self.made && never
    }

    /// Whether the record that this lease was read from is gone.
    pub(crate) fn was_removed(&self) -> bool {
        !self.is_new() && !self.dir.exists()
    }

    /// Takes from disk what other processes have put there since; false where there is nothing new.
    ///
    /// # Errors
    /// When the record is gone or can't be read.
    pub fn refresh(&mut self) -> Result<bool, StoreError> {
        let Some(bytes) = self.dir.read("journal.jsonl")? else {
            return Err(StoreError::Vanished(self.dir.lease.clone()));
        };
        if self.knows(&bytes) {
            return Ok(false);
        }
        let _lock = self.dir.lock()?;
        let journal = self.journal()?;
        let news = journal.tip != self.tip;
        self.catch_up(&journal)?;
        Ok(news)
    }

    /// Whether this is the journal as the lease knows it, and no more.
    pub(super) fn knows(&self, bytes: &[u8]) -> bool {
        Journal::parse(bytes).is_ok_and(|journal| journal.tip == self.tip && !journal.torn)
    }

    /// Refuses a record that another process has written to since it was read.
    pub(super) fn check_current(&self) -> Result<(), StoreError> {
        if self.unreadable.is_some() && self.dir.load_now(Policy::default()).is_err() {
            return Ok(());
        }
        // What could not be put aside is no news.
        if self.lost && self.is_lost_still() {
            return Ok(());
        }
        match self.dir.read("journal.jsonl")? {
            Some(bytes) if !self.knows(&bytes) => Err(StoreError::Outdated(self.dir.lease.clone())),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether nothing of it is on disk.
    fn is_new(&self) -> bool {
        self.tip.length() == 0
    }

    fn try_commit(&mut self) -> Result<(), StoreError> {
        if let Some(why) = &self.unreadable {
            return Err(io::Error::other(why.clone()).into());
        }
        let _lock = self.dir.lock()?;
        if self.is_new() {
            self.dir.create()?;
        }
        let lost = std::mem::take(&mut self.lost);
        if lost && self.is_lost_still() {
            self.put_aside()?;
        }
        let journal = self.journal()?;
        self.made |= self.is_new() && !lost && journal.entries.is_empty();
        self.catch_up(&journal)?;
        let (mut lines, mut tip) = (Vec::new(), self.tip);
        for entry in self.lease.unrecorded() {
            lines.extend(tip.append(entry).map_err(io::Error::from)?);
        }
        if !lines.is_empty() {
            self.append(&lines)?;
            if self.is_new() {
                // It tells of an earlier lease of this id, and must not be taken for the end of this.
                drop(files::remove(&self.dir.tombstone));
            }
            self.tip = tip;
        }
        Ok(())
    }

    fn journal(&self) -> Result<Journal, StoreError> {
        let lease = || self.dir.lease.clone();
        let bytes = match self.dir.read("journal.jsonl")? {
            Some(bytes) => bytes,
            None if self.is_new() => Vec::new(),
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
        if journal.tip != self.tip {
            let caught_up = self.lease.handle_journal(journal);
            caught_up.map_err(|source| StoreError::Contradiction {
                lease: self.dir.lease.clone(),
                source,
            })?;
            self.tip = journal.tip;
        }
        Ok(())
    }

    /// Appends whole lines and has them on disk, or leaves the journal as it was.
    fn append(&self, lines: &[u8]) -> Result<(), StoreError> {
        let path = self.dir.file("journal.jsonl");
        files::append(&path, self.tip.length() as u64, lines)?;
        if self.is_new() {
            files::sync_parent(&path)?;
        }
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
