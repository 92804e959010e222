//! The end of a record, and what is remembered of it.

use std::io;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Held, Store, StoreError};
use crate::driver::files;
use crate::driver::strays::Searched;
use crate::evidence::Over;
use crate::id::LeaseId;

/// How long what a lease was called is remembered once it is over.
const TOMBSTONE_AGE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How the directory of a lease is called while it is being removed.
const REMOVED: &str = ".removed-";

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
    /// What is remembered of a lease that is over.
    ///
    /// # Errors
    /// When its file is there and can't be read.
    pub fn tombstone(&self, lease: &LeaseId) -> Result<Option<Tombstone>, StoreError> {
        let bytes = files::read(&self.dir(lease).tombstone)?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// Everything that is remembered of leases that are over, and can be read: one bad file hides
    /// nothing else.
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
                found.extend(self.tombstone(&lease).ok().flatten());
            }
        }
        Ok(found)
    }

    /// Forgets tombstones that are a week old, and what was left by a removal or an acquire that
    /// did not get to its end.
    ///
    /// # Errors
    /// When a directory can't be read or a file not removed.
    pub fn sweep(&self, now: Timestamp) -> Result<(), StoreError> {
        for tombstone in self.tombstones()? {
            if now.duration_since(tombstone.at) > TOMBSTONE_AGE {
                files::remove(&self.dir(&tombstone.lease).tombstone)?;
            }
        }
        for entry in fs_err::read_dir(self.root.join("jobs"))? {
            let name = entry?.file_name();
            if let Some(name) = name.to_str().filter(|name| name.starts_with(REMOVED)) {
                // What can't be removed now is no reason to leave the rest.
                drop(files::remove_dir_all(&self.root.join("jobs").join(name)));
            }
        }
        self.sweep_blank()
    }

    /// Removes the record of a lease, for a proof that nothing of what it tells is left with the
    /// scheduler, and a search that found nothing which it does not tell.
    ///
    /// ```
    /// use slurm_lease::{driver::{Held, Searched, Store}, evidence::Over};
    ///
    /// fn remove(
    ///     store: &Store, held: Held, proof: Over, searched: Searched, now: jiff::Timestamp,
    /// ) -> bool {
    ///     store.remove(held, proof, searched, now).is_ok()
    /// }
    /// ```
    ///
    /// Without a proof a lease can't be dropped,
    ///
    /// ```compile_fail,E0061
    /// use slurm_lease::driver::{Held, Searched, Store};
    ///
    /// fn remove(store: &Store, held: Held, searched: Searched, now: jiff::Timestamp) -> bool {
    ///     store.remove(held, searched, now).is_ok()
    /// }
    /// ```
    ///
    /// nor with one that its job is ending,
    ///
    /// ```compile_fail,E0308
    /// use slurm_lease::{driver::{Held, Searched, Store}, evidence::JobEnding};
    ///
    /// fn remove(
    ///     store: &Store, held: Held, proof: JobEnding, searched: Searched, now: jiff::Timestamp,
    /// ) -> bool {
    ///     store.remove(held, proof, searched, now).is_ok()
    /// }
    /// ```
    ///
    /// nor without the search,
    ///
    /// ```compile_fail,E0061
    /// use slurm_lease::{driver::{Held, Store}, evidence::Over};
    ///
    /// fn remove(store: &Store, held: Held, proof: Over, now: jiff::Timestamp) -> bool {
    ///     store.remove(held, proof, now).is_ok()
    /// }
    /// ```
    ///
    /// nor two with one proof.
    ///
    /// ```compile_fail,E0382
    /// use slurm_lease::{driver::{Held, Searched, Store}, evidence::Over};
    ///
    /// fn remove(
    ///     store: &Store, held: [Held; 2], proof: Over, searched: [Searched; 2],
    ///     now: jiff::Timestamp,
    /// ) -> bool {
    ///     let ([one, other], [first, second]) = (held, searched);
    ///     store.remove(one, proof, first, now).is_ok()
    ///         && store.remove(other, proof, second, now).is_ok()
    /// }
    /// ```
    ///
    /// # Errors
    /// When proof or search are another lease's, when the journal holds more than this lease knows of,
    /// or when the directory can't be moved away. The lease is handed back.
    pub fn remove(
        &self,
        held: Held,
        proof: Over,
        searched: Searched,
        now: Timestamp,
    ) -> Result<Tombstone, RemoveError> {
        let opened = held.lease.opened();
        let tombstone = Tombstone {
            v: 1,
            at: now,
            lease: opened.lease.clone(),
            slug: opened.slug.clone(),
            name: opened.name.to_string(),
            job: held.lease.known_by().map(ToString::to_string),
            proof: proof.describe(),
        };
        match self.remove_dir(&held, &proof, &searched, &tombstone) {
            Ok(()) => Ok(tombstone),
            Err(why) => Err(RemoveError {
                held: Box::new(held),
                why,
            }),
        }
    }

    /// Takes back a record that was made here and that nothing was submitted under. What is left is
    /// what was there before, so this is no end of the lease, and asks for no proof.
    ///
    /// # Errors
    /// When anything was submitted, another process has written to the record, or the directory
    /// can't be moved away.
    pub(crate) fn undo(&self, held: &Held) -> Result<(), StoreError> {
        if !held.is_unused() {
            return Err(io::Error::other("the record is in use").into());
        }
        let _lock = held.dir().lock()?;
        held.check_current()?;
        self.put_away(held)
    }

    fn remove_dir(
        &self,
        held: &Held,
        proof: &Over,
        searched: &Searched,
        tombstone: &Tombstone,
    ) -> Result<(), StoreError> {
        let dir = held.dir();
        if *proof.lease() != dir.lease || *searched.lease() != dir.lease {
            return Err(io::Error::other("the proof is another lease's").into());
        }
        let _lock = dir.lock()?;
        held.check_current()?;
        let line = serde_json::to_vec(tombstone).map_err(io::Error::from)?;
        // Without it a release that is repeated is answered less fully; that is worth less than
        // an end to the lease on a full disk.
        drop(files::write_whole(&dir.tombstone, &line, 0o600));
        self.put_away(held)
    }

    /// Removes the directory of a lease, whose lock is held.
    fn put_away(&self, held: &Held) -> Result<(), StoreError> {
        let dir = held.dir();
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::strategies;

    fn parse(bytes: &[u8]) -> Option<Tombstone> {
        serde_json::from_slice(bytes).ok()
    }

    proptest! {
        #[test]
        fn any_tombstone_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(parse(&bytes));
        }

        #[test]
        fn a_tombstone_is_read_back_whole_or_not_at_all(
            at in strategies::timestamp(), lease in strategies::lease_id(), slug in any::<String>(),
            name in any::<String>(), job in proptest::option::of(any::<String>()),
            proof in any::<String>(), cut in 0..1000_usize,
        ) {
            let tombstone = Tombstone { v: 1, at, lease, slug, name, job, proof };
            let whole = serde_json::to_vec(&tombstone).unwrap();
            prop_assert_eq!(parse(&whole), Some(tombstone));
            prop_assert_eq!(parse(&whole[..cut % whole.len()]), None);
        }
    }
}
