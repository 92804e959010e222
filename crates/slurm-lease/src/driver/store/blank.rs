//! Directories that an acquire made and had no time to write a record into.

use std::io;

use super::{LeaseDir, Store, StoreError};
use crate::driver::files;
use crate::driver::keeper::{ACQUIRING, ENDING, is_being_acquired};

impl LeaseDir {
    /// Whether nothing is in the directory but, perhaps, a journal without a whole line, the sign
    /// of an acquire, and that of whoever took it for abandoned.
    ///
    /// What a submission needs is made after the first line is on disk, so none was begun here.
    pub(super) fn is_blank(&self) -> io::Result<bool> {
        for entry in fs_err::read_dir(self.path())? {
            let name = entry?.file_name();
            if !["journal.jsonl", ACQUIRING, ENDING]
                .iter()
                .any(|known| name == *known)
            {
                return Ok(false);
            }
        }
        let Ok(journal) = self.read("journal.jsonl") else {
            return Ok(false);
        };
        Ok(!journal.unwrap_or_default().contains(&b'\n'))
    }

    /// Removes the directory, if it is one of those and no acquire is about to use it.
    pub(in crate::driver) fn remove_blank(&self) -> Result<(), StoreError> {
        if !self.exists() || !self.is_blank()? {
            return Ok(());
        }
        let _lock = self.lock()?;
        if self.exists() && self.is_blank()? && !is_being_acquired(self) {
            files::remove_dir_all(&self.path)?;
            files::remove(&self.lock)?;
        }
        Ok(())
    }
}

impl Store {
    /// Removes every directory of that kind.
    pub(super) fn sweep_blank(&self) -> Result<(), StoreError> {
        for lease in self.leases()? {
            // One that can't be looked into is no reason to leave the others.
            drop(self.dir(&lease).remove_blank());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;
    use crate::driver::store::Loaded;
    use crate::lease::Policy;

    /// A lease's directory with these files in it, and whether a load and a sweep find it blank.
    fn blank(files: &[(&str, &str)]) -> (bool, bool) {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(directory.path().join("state")).unwrap();
        let store = Store::open(&root).unwrap();
        let dir = store.dir(&"cbx_0123456789ab".parse().unwrap());
        dir.create().unwrap();
        for (name, text) in files {
            dir.write(name, text.as_bytes()).unwrap();
        }
        let loaded = dir.load(Policy::default()).unwrap();
        assert!(!matches!(loaded, Some(Loaded::Held(_))));
        store.sweep_blank().unwrap();
        (loaded.is_none(), !dir.exists())
    }

    #[test]
    fn what_was_never_written_into_is_no_lease() {
        assert_eq!(blank(&[]), (true, true));
        assert_eq!(blank(&[("journal.jsonl", "")]), (true, true));
        assert_eq!(blank(&[("journal.jsonl", "{\"v\":1,")]), (true, true));
        let abandoned = [("acquiring", "120\n"), ("ending.lock", "")];
        assert_eq!(blank(&abandoned), (true, true));
    }

    #[test]
    fn what_an_acquire_is_about_to_write_into_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(directory.path().join("state")).unwrap();
        let store = Store::open(&root).unwrap();
        let dir = store.dir(&"cbx_0123456789ab".parse().unwrap());
        let acquiring = dir.open(ACQUIRING).unwrap();
        assert!(dir.load(Policy::default()).unwrap().is_none());
        store.sweep_blank().unwrap();
        assert!(dir.exists());
        drop(acquiring);
        store.sweep_blank().unwrap();
        assert!(!dir.exists());
    }

    #[test]
    fn what_a_submission_may_have_come_of_is_kept() {
        assert_eq!(blank(&[("submit.lock", "")]), (false, false));
        assert_eq!(blank(&[("slurm-17.out", "")]), (false, false));
        let unreadable = [("journal.jsonl", "what is this?\n")];
        assert_eq!(blank(&unreadable), (false, false));
    }
}
