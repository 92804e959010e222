//! What is really there, whatever slurm-cbx says.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Waits until there is something, and fails naming it once the limit is over.
pub(crate) fn eventually<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until something holds.
pub(crate) fn until(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    eventually(limit, what, || holds().then_some(()));
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A process of this machine.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    parent: u32,
    pub(crate) command: String,
}

impl Process {
    fn find(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before the last parenthesis can hold anything.
        let mut fields = stat.rsplit(") ").next()?.split(' ');
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let process = Self {
            pid,
            parent,
            command,
        };
        (!matches!(state, "Z" | "X")).then_some(process)
    }

    fn names(&self, text: &str) -> bool {
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
        self.command.contains(text) || String::from_utf8_lossy(&environment).contains(text)
    }
}

/// Every process whose command line or environment holds this text, and what descends from them:
/// an sshd shows neither.
pub(crate) fn processes_of(text: &str) -> Vec<Process> {
    let entries = fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let all: Vec<Process> = pids.filter_map(Process::find).collect();
    let (mut found, mut others): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|process| process.names(text));
    loop {
        let is_child = |process: &Process| found.iter().any(|known| known.pid == process.parent);
        let (children, rest): (Vec<_>, Vec<_>) = others.into_iter().partition(is_child);
        if children.is_empty() {
            return found;
        }
        found.extend(children);
        others = rest;
    }
}

/// Every file below this directory that holds this text.
pub(crate) fn files_with(directory: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            if String::from_utf8_lossy(&bytes).contains(text) {
                found.push(path);
            }
        }
    }
    found
}

/// Every process that has an end of this pipe open, but for this one and what it is just about to
/// start.
pub(crate) fn holders_of(pipe: u64) -> Vec<Process> {
    let target = format!("pipe:[{pipe}]");
    let own = fs::read_link("/proc/self/exe").unwrap();
    let holds = |pid: u32| {
        let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
            return false;
        };
        let mut links = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        let other = fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe != own);
        other && links.any(|link| link.to_str() == Some(&target))
    };
    let entries = fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|&pid| holds(pid))
        .filter_map(Process::find)
        .collect()
}

/// The process that listens on this port.
pub(crate) fn listener(port: &str) -> Option<u32> {
    let filter = format!("sport = :{port}");
    let output = Command::new("ss")
        .args(["-Hltnp", &filter])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split("pid=").nth(1)?.split(',').next()?.parse().ok()
}

/// Ends every process of a lease, as a node that loses its power does.
pub(crate) fn kill_all_of(text: &str) {
    for process in processes_of(text) {
        let pid = Pid::from_raw(i32::try_from(process.pid).unwrap()).unwrap();
        // One that has ended since needs no killing.
        let _ended = kill_process(pid, Signal::KILL);
    }
    until(seconds(5), "the processes to die", || {
        processes_of(text).is_empty()
    });
}

/// Whether a process is there and more than a zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    Process::find(pid).is_some()
}

/// Something that is to be done once this value is dropped or this process has ended, however
/// that came about.
#[derive(Debug)]
pub(crate) struct Lifeline {
    waiting: Child,
}

impl Lifeline {
    /// Runs a program with these arguments then.
    pub(crate) fn new(program: &str, arguments: &[&str]) -> io::Result<Self> {
        // In a session of its own an interrupt at the terminal does not end it first.
        let waiting = Command::new("setsid")
            .args([
                "sh",
                "-c",
                r#"cat >/dev/null; exec "$@" >/dev/null 2>&1"#,
                "sh",
            ])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { waiting })
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        drop(self.waiting.stdin.take());
        drop(self.waiting.wait());
    }
}
