//! What outlives an acquire: nobody is in the allocation before the job starts, and a client that
//! is interrupted kills the acquire without a word.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, SystemTime};

use camino::Utf8Path;
use rustix::fs::FlockOperation;

use crate::driver::Leases;
use crate::driver::clock::{Deadline, now, pause};
use crate::driver::crash::{self, crash_point};
use crate::driver::files::{self, Lock};
use crate::driver::process;
use crate::driver::recover::Called;
use crate::driver::release::ReleaseError;
use crate::driver::store::LeaseDir;
use crate::id::LeaseId;
use crate::record::ReleaseCause;

/// What an acquire says to its keeper once it has answered.
const DISMISSED: &[u8] = b"d";
/// How often an acquire that waits shows that it is alive, where locks do not tell.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
/// How long a keeper goes on with a release that does not come to an end.
const RELEASE_FOR: Duration = Duration::from_secs(600);
/// How long one attempt of that takes.
const ATTEMPT: Duration = Duration::from_secs(20);
/// How often a keeper looks whether somebody has attached to the lease.
const LOOK: Duration = Duration::from_millis(200);
/// How long a killed acquire may seem to be alive: the kernel closes its pipes before it lets go
/// of its locks.
const DYING: Duration = Duration::from_secs(3);
/// How long a look of somebody else may hold the lock that says that an acquire is there.
const LOOKED_AT: Duration = Duration::from_secs(1);
/// How often the end of an acquire tries to see past such looks. Where it does not, its keeper
/// looks again.
const GLIMPSES: u32 = 10;
/// How long a keeper may take to start.
const STARTING: Duration = Duration::from_secs(10);
/// How long a keeper that is not needed any more is waited for. One that is stopped goes when it
/// is continued.
const LEAVING: Duration = Duration::from_millis(500);

/// The file that says that the lease was handed out, or its queued job left to the client. The
/// runner and the keeper read it.
const CLAIMED: &str = "claimed";
/// What stands in it where the job was left in the queue and nobody was given the lease.
const LEFT: &[u8] = b"left\n";
/// What stands in it while an acquire gives the lease to whoever asked for it. The runner reads it.
const OFFERED: &[u8] = b"offered\n";
/// The file that an acquire holds while it waits; its age is that of the last sign of life, its
/// content the grace in seconds.
pub(super) const ACQUIRING: &str = "acquiring";

/// The file that the keeper has locked that ends a lease.
pub(super) const ENDING: &str = "ending.lock";
/// How many keepers an operation starts, or finds at work, for leases that others abandoned.
const MOST_KEEPERS: usize = 8;
/// How long it may take over that.
const STARTING_ALL: Duration = Duration::from_millis(500);

/// How to start the process that watches an acquire: its program and first arguments. The lease
/// and the grace follow as two more; the program must then call [`Leases::keep`].
#[derive(Clone, Debug)]
pub struct KeeperCommand {
    /// The program.
    pub program: PathBuf,
    /// What comes before the lease and the grace.
    pub arguments: Vec<String>,
}

/// An acquire's presence: a lock that ends with it, and a keeper that notices.
#[derive(Debug)]
pub(super) struct Presence {
    dir: LeaseDir,
    grace: Duration,
    lock: Option<Lock>,
    keeper: Option<Child>,
    shown: SystemTime,
}

impl Presence {
    /// Says that an acquire is here, and has a keeper watch it. The lease need not have a record
    /// yet: what is there then says that one is about to be made.
    pub(super) fn begin(
        dir: &LeaseDir,
        keeper: Option<&KeeperCommand>,
        grace: Duration,
    ) -> io::Result<Self> {
        let lock = match dir.open(ACQUIRING)? {
            None => share(&dir.file(ACQUIRING))?,
            taken => taken,
        };
        let mut presence = Self {
            dir: dir.clone(),
            grace,
            lock,
            keeper: None,
            shown: SystemTime::UNIX_EPOCH,
        };
        presence.show()?;
        // A job that was left in the queue is waited for again: from now on it is ours to end.
        if dir.read(CLAIMED)?.as_deref() == Some(LEFT) {
            files::remove(&dir.file(CLAIMED))?;
        }
        presence.keeper = keeper
            .map(|keeper| start(keeper, dir.lease(), grace))
            .transpose()?;
        Ok(presence)
    }

    /// A sign of life, if one is due.
    pub(super) fn show(&mut self) -> io::Result<()> {
        if self.shown.elapsed().is_ok_and(|age| age < SIGN_OF_LIFE) {
            return Ok(());
        }
        let grace = format!("{}\n", self.grace.as_secs());
        self.shown = files::overwrite(&self.dir.file(ACQUIRING), grace.as_bytes())?;
        Ok(())
    }

    /// Whether no other acquire waits for the lease. Where one does, this one is not there any
    /// more for whoever looks.
    pub(super) fn is_alone(&mut self) -> bool {
        let alone = self.leave().is_some();
        if alone {
            self.lock = share(&self.dir.file(ACQUIRING)).ok().flatten();
        }
        alone
    }

    /// The acquire has answered: nothing is left to watch. Whether no other one waits.
    pub(super) fn end(mut self) -> bool {
        let alone = self.leave();
        if alone.is_some() {
            drop(files::remove(&self.dir.file(ACQUIRING)));
        }
        if let Some(mut keeper) = self.keeper.take() {
            // One that was killed hears nothing, and need not.
            let told = keeper.stdin.take();
            drop(told.map(|mut stdin| stdin.write_all(DISMISSED)));
            process::wait(&mut keeper, LEAVING);
        }
        alone.is_some()
    }

    /// Gives up the lock of this acquire; what keeps others from coming, if no other one has it.
    fn leave(&mut self) -> Option<Alone> {
        self.lock = None;
        let path = self.dir.file(ACQUIRING);
        for _ in 0..GLIMPSES {
            match Lock::try_take(&path, FlockOperation::NonBlockingLockExclusive) {
                Ok(Some(lock)) if files::locks_are_inherited(self.dir.path()) => {
                    return Some(Alone { _lock: Some(lock) });
                }
                // Another one's sign of life is younger than our last.
                Ok(Some(lock)) => {
                    let ours = files::modified(&path).is_ok_and(|sign| sign <= self.shown);
                    return ours.then_some(Alone { _lock: Some(lock) });
                }
                Ok(None) if self.dir.exists() => pause(Duration::from_millis(1)),
                // Where there are no locks, or there is no lease, nobody can be seen.
                Ok(None) | Err(_) => return Some(Alone { _lock: None }),
            }
        }
        None
    }
}

/// That no acquire, or no other one, waits for a lease, and none begins as long as this lasts.
pub(super) struct Alone {
    _lock: Option<Lock>,
}

/// Says that a lease is about to be handed out, unless it was before.
pub(super) fn offer(dir: &LeaseDir) -> io::Result<()> {
    let _alone = dir.lock();
    if is_handed_out(dir.read(CLAIMED)?) {
        return Ok(());
    }
    dir.write(CLAIMED, OFFERED)
}

/// Says that a lease was handed out.
pub(super) fn claim(dir: &LeaseDir) -> io::Result<()> {
    let _alone = dir.lock();
    match dir.read(CLAIMED)? {
        None => dir.write(CLAIMED, b""),
        // On a disk that has become full there is room for this.
        Some(said) if !said.is_empty() => files::empty(&dir.file(CLAIMED)),
        Some(_) => Ok(()),
    }
}

fn is_handed_out(said: Option<Vec<u8>>) -> bool {
    said.is_some_and(|said| said.is_empty())
}

/// Says that the job of a lease stays in the queue with nobody waiting for it, unless the lease
/// was handed out.
pub(super) fn leave_queued(dir: &LeaseDir) -> io::Result<()> {
    if !is_claimed(dir) {
        dir.write(CLAIMED, LEFT)?;
    }
    Ok(())
}

/// Whether a lease was handed out, or its job left in the queue since an acquire last began.
pub(super) fn is_claimed(dir: &LeaseDir) -> bool {
    match dir.read(CLAIMED) {
        Ok(said) => said.is_some_and(|said| said != OFFERED),
        Err(_) => dir.file(CLAIMED).exists(),
    }
}

/// Takes the lock that says that an acquire is there. A keeper or a list that looks whether one is
/// has it for a moment.
fn share(path: &Utf8Path) -> io::Result<Option<Lock>> {
    let limit = Deadline::after(LOOKED_AT);
    loop {
        let lock = Lock::try_take(path, FlockOperation::NonBlockingLockShared)?;
        if lock.is_some() || limit.has_passed() {
            return Ok(lock);
        }
        pause(Duration::from_millis(1));
    }
}

/// Starts a keeper, and returns once it is out of our process group.
fn start(command: &KeeperCommand, lease: &LeaseId, grace: Duration) -> io::Result<Child> {
    let (mut child, mut ready) = launch(command, lease, grace)?;
    if process::read_byte(&mut ready, STARTING).is_some() {
        crash_point("keeper started");
        return Ok(child);
    }
    process::kill(&mut child, LEAVING);
    Err(io::Error::other("the keeper did not start"))
}

/// Starts a keeper; it says by this pipe when it is out of our process group.
fn launch(
    command: &KeeperCommand,
    lease: &LeaseId,
    grace: Duration,
) -> io::Result<(Child, ChildStdout)> {
    let mut keeper = process::command(&command.program);
    crash::spare(&mut keeper)
        .args(&command.arguments)
        .arg(lease.as_str())
        .arg(grace.as_secs().to_string())
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = process::spawn(&mut keeper)?;
    let ready = child.stdout.take();
    let ready = ready.ok_or_else(|| io::Error::other("the keeper has no pipe"))?;
    Ok((child, ready))
}

impl Leases {
    /// Watches the acquire that started this process, and ends the lease if the acquire dies
    /// before it has answered and nobody takes over within the grace. Standard input must be a
    /// pipe from that acquire, which says a byte there once it has answered; standard output must
    /// be one to it.
    pub fn keep(&self, lease: &LeaseId, grace: Duration) {
        // In a session of our own neither the client's kill nor the end of a terminal reaches us.
        let _session = rustix::process::setsid();
        // Whoever started us may be gone, which is what we are here for.
        drop(io::stdout().write_all(b"k"));
        drop(io::stdout().flush());
        close_stdout();
        if io::stdin().read_exact(&mut [0]).is_ok() {
            return;
        }
        let dir = self.store.dir(lease);
        let deadline = Deadline::after(grace);
        let dying = Deadline::after(DYING);
        let alone = loop {
            let alone = unattended(&dir);
            if !is_unclaimed(&dir) {
                return;
            }
            match alone {
                Some(alone) if deadline.has_passed() || is_to_end(&dir) => break alone,
                None if dying.has_passed() => return,
                // Whoever wants to come is let in meanwhile.
                other => drop(other),
            }
            pause(LOOK);
        };
        // One is enough. Where there can be no lock, several do no harm.
        let ending = take_up(&dir);
        if matches!(ending, Ok(None)) {
            return;
        }
        if let Ok((mut held, false)) = self.hold(lease, Deadline::after(ATTEMPT)) {
            held.lease.handle_release(now(), ReleaseCause::Abandoned);
            // What can't be written now is tried again below.
            drop(held.commit());
        }
        // An acquire that begins from here on finds the wish.
        drop(alone);
        self.end_in_time(lease, Deadline::after(RELEASE_FOR));
    }

    /// Ends a lease however often that must be tried.
    fn end_in_time(&self, lease: &LeaseId, give_up: Deadline) {
        while !give_up.has_passed() {
            let attempt = Deadline::after(ATTEMPT);
            let ended = self
                .hold_to_end(lease, &Called::default(), attempt)
                .and_then(|held| self.end(held, ReleaseCause::Abandoned, attempt.left()));
            match ended {
                Ok(_) | Err(ReleaseError::NoSuchLease(_)) => return,
                // What can't be read now, is later.
                Err(_) => {}
            }
            pause(LOOK);
        }
    }

    /// Has those leases ended whose acquire died before it answered and whose keeper did not end
    /// them: by a new keeper each, so that nobody waits for that. Asks nothing of Slurm. Every
    /// operation on a lease does it by itself.
    pub fn pursue_abandoned(&self, except: Option<&LeaseId>) {
        let deadline = Deadline::after(STARTING_ALL);
        let mut keepers = 0;
        for lease in self.store.leases().unwrap_or_default() {
            if except == Some(&lease) || keepers == MOST_KEEPERS || deadline.has_passed() {
                continue;
            }
            keepers += usize::from(self.pursue_if_abandoned(&lease, deadline));
        }
    }

    /// The same for one lease; whether a keeper is about it.
    pub(super) fn pursue_if_abandoned(&self, lease: &LeaseId, deadline: Deadline) -> bool {
        let dir = self.store.dir(lease);
        if !is_abandoned(&dir) {
            return false;
        }
        if matches!(take_up(&dir), Ok(None)) {
            return true;
        }
        let Some(keeper) = &self.keeper else {
            return false;
        };
        // One that has not come so far as to answer goes on by itself.
        launch(keeper, lease, Duration::ZERO)
            .map(|(_, mut ready)| process::read_byte(&mut ready, deadline.left()))
            .is_ok()
    }
}

/// The lock of the keeper that ends a lease; nothing where another has it.
fn take_up(dir: &LeaseDir) -> io::Result<Option<Lock>> {
    Lock::try_take(&dir.file(ENDING), FlockOperation::NonBlockingLockExclusive)
}

/// Whether somebody has begun to end a lease. Nobody is waited for then.
fn is_to_end(dir: &LeaseDir) -> bool {
    dir.file("release").exists()
}

/// Whether a lease was neither handed out nor is being acquired, and its grace is over.
pub(super) fn is_abandoned(dir: &LeaseDir) -> bool {
    take_abandoned(dir).is_some()
}

/// The same; until it is on disk that the lease is to end, this is to be held.
pub(super) fn take_abandoned(dir: &LeaseDir) -> Option<Alone> {
    // Most leases were claimed, and nobody is to be kept waiting for those.
    let alone = is_unclaimed(dir).then(|| unattended(dir)).flatten()?;
    // Somebody may have claimed it meanwhile.
    (is_unclaimed(dir) && is_past_grace(dir)).then_some(alone)
}

fn is_past_grace(dir: &LeaseDir) -> bool {
    let content = dir.read(ACQUIRING).ok().flatten().unwrap_or_default();
    let grace = String::from_utf8_lossy(&content)
        .trim()
        .parse()
        .unwrap_or(0);
    last_sign(dir).is_some_and(|age| age >= Duration::from_secs(grace))
}

/// Whether an acquire is just at work on a lease, whatever became of an earlier one.
pub(super) fn is_being_acquired(dir: &LeaseDir) -> bool {
    dir.exists() && dir.file(ACQUIRING).exists() && is_attended(dir)
}

/// Gives the pipe to the acquire's end back, so that nobody waits for it to close.
fn close_stdout() {
    if let Ok(nowhere) = files::nowhere() {
        let _duplicated = rustix::stdio::dup2_stdout(&nowhere);
    }
}

/// Whether an acquire of this lease was begun and has not answered. What can't be looked at now is
/// no reason to stand down.
fn is_unclaimed(dir: &LeaseDir) -> bool {
    dir.file(ACQUIRING).try_exists().unwrap_or(true) && !is_claimed(dir)
}

/// Whether an acquire of this lease is alive.
fn is_attended(dir: &LeaseDir) -> bool {
    unattended(dir).is_none()
}

/// That none is.
fn unattended(dir: &LeaseDir) -> Option<Alone> {
    let exclusive = FlockOperation::NonBlockingLockExclusive;
    match Lock::try_take(&dir.file(ACQUIRING), exclusive) {
        Ok(Some(lock)) => {
            let alive = !files::locks_are_inherited(dir.path())
                && last_sign(dir).is_some_and(|age| age < SIGN_OF_LIFE * 3);
            (!alive).then_some(Alone { _lock: Some(lock) })
        }
        Ok(None) => None,
        Err(_) => Some(Alone { _lock: None }),
    }
}

/// How long ago an acquire of this lease last showed that it was alive.
fn last_sign(dir: &LeaseDir) -> Option<Duration> {
    files::modified(&dir.file(ACQUIRING)).ok()?.elapsed().ok()
}
