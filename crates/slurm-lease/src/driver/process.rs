//! The one place that starts Slurm's commands: with a time limit, in a process group of their
//! own, and with an environment that holds nothing but what it must.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use camino::Utf8Path;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::answer::{Answer, Exit};
use crate::command::{Command, PASSED_THROUGH, PINNED, Program};
use crate::driver::crash::crash_point;
use crate::driver::files::Lock;

/// The most of a command's stdout that is kept. 10,000 jobs take about 3 MiB.
const STDOUT_LIMIT: usize = 64 << 20;
/// The most of a command's stderr that is kept.
const STDERR_LIMIT: usize = 1 << 20;
/// How long to wait between two looks at whether a command whose pipes stay open has ended. A
/// process that it left behind may hold them for ever.
const EXIT_TICK: Duration = Duration::from_millis(10);
/// How long a command that was killed may take to die.
const DYING: Duration = Duration::from_millis(500);

/// Where a configuration is that nobody names, at most sites.
const USUAL_CONFIGURATIONS: [&str; 4] = [
    "/etc/slurm/slurm.conf",
    "/run/slurm/conf/slurm.conf",
    "/etc/slurm-llnl/slurm.conf",
    "/usr/local/etc/slurm.conf",
];

/// Where Slurm's programs are, and what they get of the caller's environment.
#[derive(Clone, Debug, Default)]
pub struct Programs {
    paths: BTreeMap<Program, PathBuf>,
}

impl Programs {
    /// Finds programs on `PATH` when they are first needed.
    pub fn on_path() -> Self {
        Self::default()
    }

    /// Takes this program from here.
    #[must_use]
    pub fn with(mut self, program: Program, path: impl Into<PathBuf>) -> Self {
        self.paths.insert(program, path.into());
        self
    }

    /// Where a program is.
    ///
    /// # Errors
    /// When it is not on `PATH`.
    pub fn find(&self, program: Program) -> Result<PathBuf, which::Error> {
        match self.paths.get(&program) {
            Some(path) => Ok(path.clone()),
            None => which::which(program.name()),
        }
    }

    /// What tells the way to a controller from another.
    pub(crate) fn way(&self) -> Way {
        let variable = |name| std::env::var_os(name).unwrap_or_default();
        let (named, server) = (variable("SLURM_CONF"), variable("SLURM_CONF_SERVER"));
        let file = if named.is_empty() {
            let usual = USUAL_CONFIGURATIONS.map(Path::new);
            usual.into_iter().find(|path| path.exists())
        } else {
            Some(Path::new(&named))
        };
        let real = |path: &Path| path.canonicalize().unwrap_or_default();
        let version = file.and_then(|file| rustix::fs::stat(file).ok());
        let version = version.map(|stat| (stat.st_mtime, stat.st_ino, stat.st_size));
        let squeue = self.find(Program::Squeue).unwrap_or_default();
        Way {
            path: hash((&squeue, &named, file.map(real), server)),
            version: hash((real(&squeue), version)),
        }
    }

    /// Runs a command to its end or its time limit. `stdin` is what it finds there; without one
    /// it finds nothing.
    pub fn run(&self, command: &Command, stdin: Option<File>) -> Answer {
        match self.process(command) {
            Ok(mut process) => answer(&mut process, stdin, command.time_limit),
            Err(not_started) => not_started,
        }
    }

    /// Runs a command by all of whose processes this lock is held, whoever of us is killed. Where
    /// it is given up on before its end, it goes on by itself, and there is no answer.
    pub(crate) fn run_holding(
        &self,
        command: &Command,
        lock: &Lock,
        give_up: &dyn Fn() -> bool,
    ) -> Option<Answer> {
        let mut process = match self.process(command) {
            Ok(process) => process,
            Err(not_started) => return Some(not_started),
        };
        // Programs that a site puts in the place of Slurm's may drop one of the two: a shell its
        // standard input, others all that is more than standard.
        let child = lock.share().and_then(|stdin| {
            piped(&mut process, Some(stdin));
            spawn_holding(&mut process, Some(lock))
        });
        match child {
            Ok(child) => {
                // Where that fails, nobody can end it in our place.
                drop(lock.sign(child.id()));
                watch(child, command.time_limit, give_up)
            }
            Err(error) => Some(not_started(command.program.name(), &error)),
        }
    }

    fn process(&self, command: &Command) -> Result<std::process::Command, Answer> {
        let path = self.find(command.program);
        let path = path.map_err(|error| not_started(command.program.name(), &error))?;
        let mut process = self::command(path);
        process
            .args(&command.arguments)
            .env_clear()
            .envs(environment(command));
        Ok(process)
    }
}

/// A way to a controller, as far as it can be seen from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// Where the program was found, `SLURM_CONF`, and the path of the file that this leads to, or
    /// that is there where nothing is named.
    pub(crate) path: String,
    /// Which version of the program that is, and of the file. Another one hardly ever leads
    /// elsewhere.
    pub(crate) version: String,
}

fn hash(value: impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// A process that can be started.
pub(crate) fn command(program: impl AsRef<OsStr>) -> std::process::Command {
    std::process::Command::new(program)
}

/// Starts a process.
pub(crate) fn spawn(process: &mut std::process::Command) -> io::Result<Child> {
    spawn_holding(process, None)
}

/// Starts a process that holds a lock.
fn spawn_holding(process: &mut std::process::Command, lock: Option<&Lock>) -> io::Result<Child> {
    // What one of them is to inherit, any other would that is started beside it.
    static ONE_BY_ONE: Mutex<()> = Mutex::new(());
    let _only = ONE_BY_ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let _held = lock.map(Lock::share_openly).transpose()?;
    let child = process.spawn()?;
    crash_point("command started");
    Ok(child)
}

/// Runs a process to its end or this limit, in a group of its own. `stdin` is what it finds there;
/// without one it finds nothing.
pub(crate) fn answer(
    process: &mut std::process::Command,
    stdin: Option<File>,
    limit: Duration,
) -> Answer {
    piped(process, stdin);
    let answer = spawn(process).map(|child| watch(child, limit, &|| false));
    answer.map_or_else(
        |error| not_started(&process.get_program().to_string_lossy(), &error),
        // It was not given up on.
        |answer| answer.unwrap_or_else(|| Answer::of(Exit::TimedOut)),
    )
}

fn piped(process: &mut std::process::Command, stdin: Option<File>) {
    process
        .process_group(0)
        .stdin(stdin.map_or_else(Stdio::null, Stdio::from))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
}

/// Waits for the end of a process, for so long; whether it has come.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Ends a process that is of no use, and waits for that, for so long.
pub(crate) fn kill(child: &mut Child, limit: Duration) {
    drop(child.kill());
    wait(child, limit);
}

/// The next byte of a pipe, if it comes within the limit.
pub(crate) fn read_byte(pipe: &mut (impl Read + AsFd), limit: Duration) -> Option<u8> {
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = rustix::event::Timespec::try_from(left).ok();
        let ready = poll(&mut [PollFd::new(pipe, PollFlags::IN)], timeout.as_ref());
        match ready {
            // A signal that ends a wait is heard of by whoever waits for it.
            Err(rustix::io::Errno::INTR) => {}
            Ok(1) => break,
            _ => return None,
        }
    }
    let mut byte = [0];
    matches!(pipe.read(&mut byte), Ok(1)).then_some(byte[0])
}

fn not_started(program: &str, error: &dyn std::fmt::Display) -> Answer {
    Answer::of(Exit::NotStarted(format!("cannot start {program}: {error}")))
}

/// What the command finds in its environment: see [`PASSED_THROUGH`] and [`PINNED`].
fn environment(command: &Command) -> BTreeMap<OsString, OsString> {
    let value = |name: &str| Some((name.into(), std::env::var_os(name)?));
    // Slurm takes an empty SLURM_JWT for a token, and an empty SLURM_CONF for a path.
    let passed = PASSED_THROUGH
        .into_iter()
        .filter_map(value)
        .filter(|(_, value)| !value.is_empty());
    let inherited = command.inherited.iter().filter_map(|name| value(name));
    let pinned = PINNED
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()));
    let own = command
        .environment
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    passed.chain(inherited).chain(pinned).chain(own).collect()
}

/// Waits for the end of a command, at most until its limit, at which it is killed. Where it is
/// given up on before, it lives on, and there is no answer.
fn watch(mut child: Child, limit: Duration, give_up: &dyn Fn() -> bool) -> Option<Answer> {
    let deadline = Instant::now() + limit;
    let mut stdout = Capture::new(child.stdout.take(), STDOUT_LIMIT);
    let mut stderr = Capture::new(child.stderr.take(), STDERR_LIMIT);
    let exit = loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break end(&mut child);
        }
        let ended = child.try_wait();
        if let Ok(Some(status)) = ended {
            drain(&mut stdout, &mut stderr, Duration::ZERO);
            break exit_of(status);
        }
        if give_up() {
            return None;
        }
        if stdout.is_open() || stderr.is_open() {
            drain(&mut stdout, &mut stderr, left.min(EXIT_TICK));
        } else {
            std::thread::sleep(left.min(Duration::from_millis(1)));
        }
    };
    crash_point("command answered");
    Some(Answer {
        exit,
        stdout: stdout.bytes,
        stderr: stderr.bytes,
    })
}

/// Kills the whole process group and collects the command. One that hangs in the kernel, on a
/// file server that is gone, dies when that lets go of it; nobody waits for that.
fn end(child: &mut Child) -> Exit {
    kill_group(child.id());
    wait(child, DYING);
    Exit::TimedOut
}

fn kill_group(leader: u32) {
    if let Some(group) = i32::try_from(leader).ok().and_then(Pid::from_raw) {
        // A group that is gone already needs no killing.
        let _killed = kill_process_group(group, Signal::KILL);
    }
}

/// Kills a process group that one of its own has left behind, if any of its processes on this
/// machine has this file open: by its number alone it could be another by now.
pub(crate) fn kill_holders(leader: u32, file: &Utf8Path) {
    let Ok(held) = std::fs::metadata(file) else {
        return;
    };
    let holds = |process: &std::path::Path| {
        let descriptors = std::fs::read_dir(process.join("fd")).into_iter().flatten();
        let mut open = descriptors.filter_map(|fd| std::fs::metadata(fd.ok()?.path()).ok());
        open.any(|open| (open.dev(), open.ino()) == (held.dev(), held.ino()))
    };
    let processes = std::fs::read_dir("/proc").into_iter().flatten();
    let mut processes = processes.filter_map(|process| Some(process.ok()?.path()));
    let is_own = rustix::process::getpgrp().as_raw_pid().unsigned_abs() == leader;
    if !is_own && processes.any(|path| group_of(&path) == Some(leader) && holds(&path)) {
        kill_group(leader);
    }
}

/// The process group of a process, by its directory in `/proc`.
fn group_of(process: &std::path::Path) -> Option<u32> {
    let stat = std::fs::read_to_string(process.join("stat")).ok()?;
    // `pid (name) state ppid pgrp …`, and the name can hold anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(2)?.parse().ok()
}

fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Status(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(0)),
    }
}

/// Reads what there is from both pipes, waiting up to `patience` for the first of it.
fn drain(
    stdout: &mut Capture<std::process::ChildStdout>,
    stderr: &mut Capture<std::process::ChildStderr>,
    patience: Duration,
) {
    let mut patience = patience;
    loop {
        let readable = {
            let out = stdout.pipe.as_ref().map(AsFd::as_fd);
            let err = stderr.pipe.as_ref().map(AsFd::as_fd);
            let open: Vec<_> = out.into_iter().chain(err).collect();
            let mut fds: Vec<_> = open
                .iter()
                .map(|fd| PollFd::new(fd, PollFlags::IN))
                .collect();
            let timeout = rustix::event::Timespec::try_from(patience).ok();
            matches!(poll(&mut fds, timeout.as_ref()), Ok(ready) if ready > 0).then(|| {
                fds.iter()
                    .map(|fd| !fd.revents().is_empty())
                    .collect::<Vec<_>>()
            })
        };
        let Some(mut readable) = readable else { return };
        if stderr.is_open() && readable.pop() == Some(true) {
            stderr.read_some();
        }
        if stdout.is_open() && readable.pop() == Some(true) {
            stdout.read_some();
        }
        if !stdout.is_open() && !stderr.is_open() {
            return;
        }
        patience = Duration::ZERO;
    }
}

/// What a pipe has given so far.
struct Capture<P> {
    pipe: Option<P>,
    bytes: Vec<u8>,
    limit: usize,
}

impl<P: Read> Capture<P> {
    fn new(pipe: Option<P>, limit: usize) -> Self {
        let bytes = Vec::new();
        Self { pipe, bytes, limit }
    }

    fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    /// One read; past the limit what comes is read and thrown away, so that the command can end.
    fn read_some(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        let mut buffer = [0; 16 << 10];
        match pipe.read(&mut buffer) {
            Ok(0) => self.pipe = None,
            Ok(read) => {
                let room = self.limit.saturating_sub(self.bytes.len());
                self.bytes.extend_from_slice(&buffer[..read.min(room)]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.pipe = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program of /bin in the place of squeue.
    fn run(path: &str, arguments: &[&str], limit: Duration) -> Answer {
        let command = Command {
            arguments: arguments.iter().map(|&text| text.to_owned()).collect(),
            time_limit: limit,
            ..crate::command::version(Program::Squeue)
        };
        Programs::on_path()
            .with(Program::Squeue, path)
            .run(&command, None)
    }

    #[test]
    fn both_pipes_and_the_status_come_back() {
        let script = "printf out; printf err >&2; exit 3";
        let answer = run("/bin/sh", &["-c", script], Duration::from_secs(10));
        assert_eq!(answer.exit, Exit::Status(3));
        assert_eq!(
            (&answer.stdout[..], &answer.stderr[..]),
            (&b"out"[..], &b"err"[..])
        );
    }

    #[test]
    fn at_the_time_limit_the_whole_group_is_killed() {
        let script = "sleep 600 & echo $!; wait";
        let answer = run("/bin/sh", &["-c", script], Duration::from_millis(300));
        assert_eq!(answer.exit, Exit::TimedOut);
        let pid: i32 = String::from_utf8(answer.stdout)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let gone = |_: &u32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
            stat.map_or(true, |stat| stat.contains(") Z "))
        };
        let waited = (0..500).find(|tick| {
            std::thread::sleep(Duration::from_millis(10));
            gone(tick)
        });
        assert!(waited.is_some(), "process {pid} outlived its group");
    }

    #[test]
    fn a_process_left_behind_with_the_pipes_delays_nothing() {
        let script = "sleep 30 & echo $!";
        let answer = run("/bin/sh", &["-c", script], Duration::from_secs(20));
        assert_eq!(answer.exit, Exit::Status(0));
        let pid: i32 = String::from_utf8(answer.stdout)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    }

    #[test]
    fn what_can_not_be_started_says_so() {
        let answer = run("/nonexistent/squeue", &[], Duration::from_secs(1));
        assert!(matches!(answer.exit, Exit::NotStarted(_)));
    }

    #[test]
    fn the_environment_is_what_the_policy_says() {
        let answer = run("/usr/bin/env", &[], Duration::from_secs(10));
        let text = String::from_utf8(answer.stdout).unwrap();
        for line in text.lines() {
            let (name, value) = line.split_once('=').unwrap();
            let pinned = PINNED.contains(&(name, value));
            assert!(pinned || PASSED_THROUGH.contains(&name), "{name}");
        }
    }
}
