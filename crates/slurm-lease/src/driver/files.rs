//! Files of ours: private, never through a symbolic link, written whole or not at all.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::time::{Duration, Instant, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::FdFlags;

use crate::driver::crash::crash_point;

/// The most that a file of ours may hold, in bytes. A journal of a thousand events takes 200 KiB,
/// a queue of 10,000 jobs 3 MiB; half of a file would pass for a torn one.
const READ_LIMIT: u64 = 64 << 20;

/// Makes a directory that only its owner can enter, unless it is there.
pub(crate) fn make_private_dir(path: &Utf8Path) -> io::Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {
            crash_point("directory made");
            sync_parent(path)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => check_private_dir(path),
        Err(error) => Err(named(path, &error)),
    }
}

/// Refuses what is not a directory of our own, a symbolic link to one included, and takes other
/// users' access away.
pub(crate) fn check_private_dir(path: &Utf8Path) -> io::Result<()> {
    let metadata = std::fs::symlink_metadata(path).map_err(|error| named(path, &error))?;
    if !metadata.is_dir() {
        return Err(refusal(path, "is not a directory"));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(refusal(path, "belongs to another user"));
    }
    if metadata.mode() & 0o077 != 0 {
        let private = std::fs::Permissions::from_mode(0o700);
        fs_err::set_permissions(path, private)?;
        crash_point("access taken away");
    }
    Ok(())
}

/// Refuses a symbolic link in the place of a directory.
pub(crate) fn refuse_link(path: &Utf8Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => Err(refusal(path, "is a symbolic link")),
        _ => Ok(()),
    }
}

fn refusal(path: &Utf8Path, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, format!("{path} {why}"))
}

/// The error with the path that it is about.
fn named(path: &Utf8Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{path}: {error}"))
}

/// Reads a file; `None` where there is none. A symbolic link, a pipe, a device or a file that is
/// larger than any of ours is an error.
pub(crate) fn read(path: &Utf8Path) -> io::Result<Option<Vec<u8>>> {
    let Some(file) = open(path)? else {
        return Ok(None);
    };
    let bytes = read_at_most(file, READ_LIMIT + 1).map_err(|error| named(path, &error))?;
    if bytes.len() as u64 > READ_LIMIT {
        return Err(refusal(path, "is too large"));
    }
    Ok(Some(bytes))
}

/// Reads the last bytes of a file, at most so many; `None` where there is none.
pub(crate) fn read_end(path: &Utf8Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let Some(mut file) = open(path)? else {
        return Ok(None);
    };
    let read = || {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
        read_at_most(file, most)
    };
    read().map(Some).map_err(|error| named(path, &error))
}

fn open(path: &Utf8Path) -> io::Result<Option<File>> {
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK))
        .open(path);
    match file {
        Ok(file) if file.metadata()?.is_file() => Ok(Some(file)),
        Ok(_) => Err(refusal(path, "is not a file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(named(path, &error)),
    }
}

fn read_at_most(file: File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn flags(flags: OFlags) -> i32 {
    i32::try_from(flags.bits()).unwrap_or(0)
}

/// Opens a private file for writing, creating it.
fn open_private(path: &Utf8Path) -> io::Result<File> {
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags(OFlags::NOFOLLOW))
        .open(path)
        .map_err(|error| named(path, &error))?;
    crash_point("file opened");
    Ok(file)
}

/// A file that takes whatever is written and keeps none of it.
pub(crate) fn nowhere() -> io::Result<File> {
    std::fs::OpenOptions::new().write(true).open("/dev/null")
}

/// Puts these bytes into a file in the place of what is there, for whoever can do with a part of
/// them; the time of its last change.
pub(crate) fn overwrite(path: &Utf8Path, bytes: &[u8]) -> io::Result<SystemTime> {
    let mut file = open_private(path)?;
    file.set_len(0)?;
    crash_point("file cut");
    file.write_all(bytes)?;
    crash_point("file written");
    file.metadata()?.modified()
}

/// Takes everything out of a file, for good.
pub(crate) fn empty(path: &Utf8Path) -> io::Result<()> {
    let file = open_private(path)?;
    file.set_len(0)?;
    crash_point("file cut");
    file.sync_all()
}

/// Puts these bytes behind the first `start` bytes of a file, and has them on disk; where that
/// fails, nothing stands behind those.
pub(crate) fn append(path: &Utf8Path, start: u64, bytes: &[u8]) -> io::Result<()> {
    let mut file = open_private(path)?;
    file.set_len(start)?;
    crash_point("journal cut");
    file.seek(SeekFrom::Start(start))?;
    let written = file.write_all(bytes).and_then(|()| {
        crash_point("journal written");
        file.sync_all()
    });
    if let Err(error) = written {
        drop(file.set_len(start));
        return Err(named(path, &error));
    }
    crash_point("journal synced");
    Ok(())
}

/// Puts a file there whole: written beside, on disk, then renamed.
pub(crate) fn write_whole(path: &Utf8Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let beside = Utf8PathBuf::from(format!("{path}.{}.new", std::process::id()));
    let written = write_new(&beside, bytes, mode).and_then(|()| rename(&beside, path));
    if let Err(error) = written {
        drop(remove(&beside));
        return Err(named(path, &error));
    }
    sync_parent(path)
}

fn write_new(path: &Utf8Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    remove(path)?;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .custom_flags(flags(OFlags::NOFOLLOW))
        .open(path)?;
    crash_point("file made");
    file.write_all(bytes)?;
    crash_point("file written");
    file.sync_all()?;
    crash_point("file synced");
    Ok(())
}

/// Makes a symbolic link, in the place of what is there.
pub(crate) fn link(target: &Utf8Path, path: &Utf8Path) -> io::Result<()> {
    if is_link_to(path, target) {
        return Ok(());
    }
    let beside = Utf8PathBuf::from(format!("{path}.{}.new", std::process::id()));
    remove(&beside)?;
    std::os::unix::fs::symlink(target, &beside).map_err(|error| named(&beside, &error))?;
    crash_point("link made");
    rename(&beside, path).map_err(|error| named(path, &error))
}

/// Whether this is a symbolic link to that.
pub(crate) fn is_link_to(path: &Utf8Path, target: &Utf8Path) -> bool {
    path.read_link_utf8().is_ok_and(|known| known == target)
}

/// Renames a file or a directory.
pub(crate) fn rename(from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    crash_point("renamed");
    Ok(())
}

/// Makes the name of a file last, not only what it holds.
pub(crate) fn sync_parent(path: &Utf8Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)
            .and_then(|directory| directory.sync_all())
            .map(|()| crash_point("directory synced"))
            .map_err(|error| named(parent, &error)),
        None => Ok(()),
    }
}

/// Removes a file, unless it is not there.
pub(crate) fn remove(path: &Utf8Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(named(path, &error)),
        Err(_) => Ok(()),
        Ok(()) => {
            crash_point("file removed");
            Ok(())
        }
    }
}

/// Removes a directory and all that is in it, unless it is not there.
pub(crate) fn remove_dir_all(path: &Utf8Path) -> io::Result<()> {
    match fs_err::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Err(_) => Ok(()),
        Ok(()) => {
            crash_point("directory removed");
            Ok(())
        }
    }
}

/// Makes a directory and those above it, for everybody whom the umask lets in.
pub(crate) fn make_dirs(path: &Utf8Path) -> io::Result<()> {
    fs_err::create_dir_all(path)?;
    crash_point("directories made");
    Ok(())
}

/// When a file was last changed.
pub(crate) fn modified(path: &Utf8Path) -> io::Result<SystemTime> {
    std::fs::metadata(path)?.modified()
}

/// A lock that lasts as long as this value, or as any process that inherited its file.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock at once, or not at all.
    pub(crate) fn try_take(path: &Utf8Path, kind: FlockOperation) -> io::Result<Option<Self>> {
        let file = open_private(path)?;
        match flock(&file, kind) {
            // Removed since it was opened: whoever comes next would lock another file.
            Ok(()) if file.metadata()?.nlink() == 0 => Ok(None),
            Ok(()) => Ok(Some(Self { file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(named(path, &error.into())),
        }
    }

    /// Takes the lock, waiting for others to be done with it.
    ///
    /// The holders of such a lock never wait for anything while they have it, so the limit is
    /// reached only where one was stopped in the middle.
    pub(crate) fn take(path: &Utf8Path, limit: Duration) -> io::Result<Self> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(lock) = Self::try_take(path, FlockOperation::NonBlockingLockExclusive)? {
                return Ok(lock);
            }
            if Instant::now() >= deadline {
                let busy = "another process holds the lock";
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("{path}: {busy}"),
                ));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The locked file, for a child to inherit: the lock then lasts as long as the child does.
    pub(crate) fn share(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// The same under a number of its own, which every child inherits that is started as long as
    /// this value is there.
    pub(crate) fn share_openly(&self) -> io::Result<File> {
        let file = self.share()?;
        rustix::io::fcntl_setfd(&file, FdFlags::empty())?;
        Ok(file)
    }

    /// Says in the file which process group has it.
    pub(crate) fn sign(&self, group: u32) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.write_all_at(format!("{group}\n").as_bytes(), 0)?;
        crash_point("lock signed");
        Ok(())
    }
}

/// Whether a lock on this file system is kept by the children that inherit its descriptor, and
/// dropped with the last of them. On a network file system it belongs to the process that took
/// it.
pub(crate) fn locks_are_inherited(path: &Utf8Path) -> bool {
    // statfs(2): ext2/3/4, XFS, Btrfs, tmpfs, overlayfs, ZFS, F2FS.
    const LOCAL: [u64; 7] = [
        0xef53,
        0x5846_5342,
        0x9123_683e,
        0x0102_1994,
        0x794c_7630,
        0x2fc1_2fc1,
        0xf2f5_2010,
    ];
    rustix::fs::statfs(path.as_std_path())
        .is_ok_and(|statfs| u64::try_from(statfs.f_type).is_ok_and(|kind| LOCAL.contains(&kind)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temporary() -> (tempfile::TempDir, Utf8PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(directory.path().to_owned()).unwrap();
        (directory, path)
    }

    #[test]
    fn files_are_private_and_links_are_not_followed() {
        let (_directory, path) = temporary();
        let file = path.join("a");
        write_whole(&file, b"x", 0o600).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        let link = path.join("b");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(read(&link).is_err());
        assert!(open_private(&link).is_err());
        assert_eq!(read(&path.join("c")).unwrap(), None);
        let linked = path.join("d");
        std::os::unix::fs::symlink(&path, &linked).unwrap();
        assert!(make_private_dir(&linked).is_err());
    }

    #[test]
    fn the_end_of_a_file_is_read_however_long_it_is() {
        let (_directory, path) = temporary();
        let file = path.join("output");
        std::fs::write(&file, "first\nlast\n").unwrap();
        assert_eq!(read_end(&file, 5).unwrap().unwrap(), b"last\n");
        assert_eq!(read_end(&file, 500).unwrap().unwrap(), b"first\nlast\n");
        assert_eq!(read_end(&path.join("none"), 5).unwrap(), None);
    }

    #[test]
    fn a_file_larger_than_any_of_ours_is_no_torn_one() {
        let (_directory, path) = temporary();
        let file = path.join("journal.jsonl");
        let sparse = open_private(&file).unwrap();
        sparse.set_len(READ_LIMIT).unwrap();
        assert!(read(&file).unwrap().is_some());
        sparse.set_len(READ_LIMIT + 1).unwrap();
        assert!(read(&file).is_err());
    }

    #[test]
    fn a_pipe_in_the_place_of_a_file_does_not_block() {
        let (_directory, path) = temporary();
        let pipe = path.join("pipe");
        let made = std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap();
        assert!(made.success());
        assert!(read(&pipe).is_err());
    }

    #[test]
    fn an_inherited_lock_lasts_as_long_as_the_child() {
        let (_directory, path) = temporary();
        assert!(locks_are_inherited(&path));
        let file = path.join("lock");
        let exclusive = FlockOperation::NonBlockingLockExclusive;
        let lock = Lock::try_take(&file, exclusive).unwrap().unwrap();
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .stdout(lock.share().unwrap())
            .spawn()
            .unwrap();
        drop(lock);
        assert!(Lock::try_take(&file, exclusive).unwrap().is_none());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(Lock::try_take(&file, exclusive).unwrap().is_some());
    }
}
