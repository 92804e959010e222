//! Waiting: for a file, a signal, or the end of whoever asked.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use camino::Utf8Path;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// How often files are looked at even where nothing was heard of them: a network file system
/// does not tell of what other hosts write.
const TICK: Duration = Duration::from_millis(100);

/// What ends a wait that was meant to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// SIGTERM, SIGINT or SIGHUP.
    Signal,
    /// Whoever reads our answer has gone.
    PeerGone,
}

/// What is watched besides files while an operation waits.
#[derive(Debug, Default)]
pub struct Watch {
    signals: Option<UnixStream>,
    peer: Option<OwnedFd>,
}

impl Watch {
    /// Nothing.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Watches for SIGTERM, SIGINT and SIGHUP, which from now on only interrupt a wait.
    ///
    /// # Errors
    /// When the handlers can't be installed.
    pub fn signals(mut self) -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        for signal in [SIGTERM, SIGINT, SIGHUP] {
            signal_hook::low_level::pipe::register(signal, write.try_clone()?)?;
        }
        self.signals = Some(read);
        Ok(self)
    }

    /// Watches the other end of a pipe or socket that we write to.
    ///
    /// # Errors
    /// When the descriptor can't be duplicated.
    pub fn peer(mut self, output: impl AsFd) -> io::Result<Self> {
        self.peer = Some(output.as_fd().try_clone_to_owned()?);
        Ok(self)
    }

    /// Waits until something happens in this directory, or the time is over.
    pub(crate) fn wait(&self, files: Option<&Files>, limit: Duration) -> Option<Interruption> {
        let limit = limit.min(TICK);
        let mut fds: Vec<PollFd<'_>> = Vec::new();
        let signals = self.signals.as_ref().map(AsFd::as_fd);
        let peer = self.peer.as_ref().map(AsFd::as_fd);
        let inotify = files.and_then(Files::as_fd);
        for fd in signals.iter().chain(&inotify) {
            fds.push(PollFd::new(fd, PollFlags::IN));
        }
        // The end of the reader is reported whether it is asked for or not.
        fds.extend(peer.iter().map(|fd| PollFd::new(fd, PollFlags::empty())));
        let timeout = Timespec::try_from(limit).ok();
        let heard = poll(&mut fds, timeout.as_ref());
        if matches!(heard, Err(_) | Ok(0)) {
            return None;
        }
        let heard: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        let mut heard = heard.into_iter();
        if signals.is_some() && heard.next() == Some(true) {
            return Some(Interruption::Signal);
        }
        if inotify.is_some() && heard.next() == Some(true) {
            files.into_iter().for_each(Files::drain);
        }
        (peer.is_some() && heard.next() == Some(true)).then_some(Interruption::PeerGone)
    }

    /// Whether something has happened that ends a wait.
    pub(crate) fn interruption(&self) -> Option<Interruption> {
        self.wait(None, Duration::ZERO)
    }
}

/// News of the files in one directory, as far as the kernel tells.
#[derive(Debug)]
pub(crate) struct Files {
    inotify: Option<OwnedFd>,
}

impl Files {
    /// Watches a directory. Where that is not possible, waits end at every tick.
    pub(crate) fn in_dir(path: &Utf8Path) -> Self {
        use inotify::{CreateFlags, WatchFlags};
        let watch = || {
            let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
            let events = WatchFlags::MOVED_TO
                | WatchFlags::CLOSE_WRITE
                | WatchFlags::DELETE_SELF
                | WatchFlags::MOVE_SELF;
            inotify::add_watch(&fd, path.as_std_path(), events).ok()?;
            Some(fd)
        };
        Self { inotify: watch() }
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(AsFd::as_fd)
    }

    /// What happened is seen from the files themselves; the events only wake.
    fn drain(&self) {
        let mut buffer = [0; 4096];
        while let Some(fd) = &self.inotify
            && rustix::io::read(fd, &mut buffer).is_ok_and(|read| read > 0)
        {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_reader_is_noticed() {
        let (reader, writer) = UnixStream::pair().unwrap();
        let watch = Watch::nothing().peer(&writer).unwrap();
        assert_eq!(watch.interruption(), None);
        drop(reader);
        assert_eq!(watch.interruption(), Some(Interruption::PeerGone));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "as a runner writes it")]
    fn a_new_file_ends_a_wait() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(directory.path()).unwrap();
        let files = Files::in_dir(path);
        let watch = Watch::nothing();
        std::fs::write(path.join("a"), "x").unwrap();
        assert_eq!(watch.wait(Some(&files), Duration::from_secs(60)), None);
    }
}
