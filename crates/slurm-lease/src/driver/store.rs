//! The state directory: one directory a lease, its journal, and what is left of leases that are
//! over.

mod blank;
mod dir;
mod held;
mod removal;

use std::io;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use thiserror::Error;

use crate::driver::files;
use crate::endpoint::is_plain_path;
use crate::id::{LeaseId, StoreId};
use crate::lease::IllegalEvent;
use crate::record::JournalError;

pub use dir::{LeaseDir, Loaded};
pub use held::Held;
pub use removal::{RemoveError, Tombstone};

/// How long to wait at most for another process that is writing a journal.
const LOCK_LIMIT: Duration = Duration::from_secs(5);

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
            tombstone: self.root.join("released").join(format!("{lease}.json")),
            until: None,
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
}
