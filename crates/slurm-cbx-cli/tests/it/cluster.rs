//! A real Slurm for the tests, and what root sees of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, OnceLock};

use rustix::process::{Pid, Signal, kill_process};

use crate::truth::{Lifeline, seconds, until};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/slurm-cluster");

/// A cluster of two nodes with eight processors each.
#[derive(Debug)]
pub(crate) struct Cluster {
    directory: PathBuf,
    /// What ends it; none for one that somebody else has started.
    _lifeline: Option<Lifeline>,
}

/// A job as the controller shows it to root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) user: String,
    pub(crate) comment: String,
}

impl Job {
    /// Whether it holds or waits for resources.
    pub(crate) fn is_there(&self) -> bool {
        let over = [
            "CANCELLED",
            "COMPLETED",
            "FAILED",
            "NODE_FAIL",
            "PREEMPTED",
            "TIMEOUT",
        ];
        !over.contains(&self.state.as_str())
    }
}

impl Cluster {
    /// One that all tests share which do it no harm: that of `SLURM_CLUSTER_DIR`, or one that
    /// lives as long as this process.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var_os("SLURM_CLUSTER_DIR") {
            Some(directory) => Self {
                directory: directory.into(),
                _lifeline: None,
            },
            None => Self::own(&[]),
        })
    }

    /// One for a single test, with these options of `scripts/slurm-cluster up`.
    pub(crate) fn own(options: &[&str]) -> Self {
        // The script looks for free ports, and keeps none until its daemons listen.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _turn = ONE_AT_A_TIME.lock();
        let directory = tempfile::Builder::new()
            .prefix("slurm-cbx-live-")
            .tempdir()
            .unwrap()
            .keep();
        let path = directory.to_str().unwrap();
        let lifeline = Lifeline::new(SCRIPT, &["down", path]).unwrap();
        let up = Command::new(SCRIPT)
            .args(["up", "--generation", &generation()])
            .args(options)
            .arg(path)
            .output()
            .unwrap();
        assert!(
            up.status.success(),
            "no cluster: {}",
            String::from_utf8_lossy(&up.stderr)
        );
        Self {
            directory,
            _lifeline: Some(lifeline),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The `PATH` on which its commands come first.
    pub(crate) fn search_path(&self) -> String {
        format!(
            "{}:/usr/local/bin:/usr/bin:/bin",
            self.path("bin").display()
        )
    }

    /// Its configuration.
    pub(crate) fn configuration(&self) -> PathBuf {
        self.path("slurm.conf")
    }

    /// Runs one of its commands as root.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Output {
        self.run_with(&self.configuration(), program, arguments)
    }

    /// The same with the configuration of one of two controllers.
    pub(crate) fn run_with(&self, conf: &Path, program: &str, arguments: &[&str]) -> Output {
        Command::new(self.path("bin").join(program))
            .args(arguments)
            .env_clear()
            .env("PATH", self.search_path())
            .env("SLURM_CONF", conf)
            .output()
            .unwrap()
    }

    /// Runs one of its commands as root, and must succeed.
    pub(crate) fn must(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.run(program, arguments);
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Every job of this name that the controller knows, over or not.
    pub(crate) fn jobs(&self, name: &str) -> Vec<Job> {
        let conf = self.configuration();
        self.jobs_with(&conf, name)
    }

    pub(crate) fn jobs_with(&self, conf: &Path, name: &str) -> Vec<Job> {
        let format = [
            "--local",
            "-h",
            "-a",
            "-t",
            "all",
            "-n",
            name,
            "-o",
            "%A|%T|%u|%k",
        ];
        let output = self.run_with(conf, "squeue", &format);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let job = |line: &str| {
            let mut fields = line.splitn(4, '|').map(str::to_owned);
            let mut next = || fields.next().unwrap();
            Job {
                id: next(),
                state: next(),
                user: next(),
                comment: next(),
            }
        };
        text.lines().map(job).collect()
    }

    /// The jobs of this name that hold or wait for resources.
    pub(crate) fn live(&self, name: &str) -> Vec<Job> {
        let jobs = self.jobs(name);
        jobs.into_iter().filter(Job::is_there).collect()
    }

    /// Waits for the one job of this name to be in this state.
    pub(crate) fn wait_for(&self, name: &str, state: &str) -> Job {
        crate::truth::eventually(
            seconds(30),
            &format!("a job of {name} to be {state}"),
            || self.jobs(name).into_iter().find(|job| job.state == state),
        )
    }

    pub(crate) fn pid(&self, daemon: &str) -> u32 {
        let path = self.path("pids").join(format!("{daemon}.pid"));
        fs::read_to_string(path).unwrap().trim().parse().unwrap()
    }

    /// Stops a daemon in its tracks, until the returned value is dropped.
    pub(crate) fn freeze(&self, daemon: &str) -> Frozen {
        let pid = self.pid(daemon);
        signal(pid, Signal::STOP);
        until(seconds(5), "the daemon to stop", || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            stat.contains(") T ")
        });
        Frozen { pid }
    }

    /// Ends a daemon.
    pub(crate) fn stop(&self, daemon: &str) {
        self.script("stop", daemon);
    }

    /// Starts a daemon that was ended.
    pub(crate) fn start(&self, daemon: &str) {
        self.script("start", daemon);
    }

    fn script(&self, verb: &str, daemon: &str) {
        let done = Command::new(SCRIPT)
            .arg(verb)
            .arg(&self.directory)
            .arg(daemon)
            .output();
        let done = done.unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    }
}

/// Which Slurm is tested on.
pub(crate) fn generation() -> String {
    std::env::var("SLURM_GENERATION").unwrap_or_else(|_| "22.05".to_owned())
}

/// A daemon that was stopped by SIGSTOP.
#[derive(Debug)]
pub(crate) struct Frozen {
    pid: u32,
}

impl Frozen {
    pub(crate) fn thaw(self) {
        drop(self);
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        signal(self.pid, Signal::CONT);
    }
}

/// Sends a signal to one process.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// An ordinary user of this machine.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl User {
    /// The user of this name, who is made where there is none.
    pub(crate) fn named(name: &'static str) -> Self {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _turn = ONE_AT_A_TIME.lock();
        let number = |which: &str| -> Option<u32> {
            let output = Command::new("id").args([which, name]).output().unwrap();
            String::from_utf8_lossy(&output.stdout).trim().parse().ok()
        };
        if number("-u").is_none() {
            let made = Command::new("useradd")
                .args(["--create-home", "--shell", "/bin/bash", name])
                .output()
                .unwrap();
            assert!(
                made.status.success(),
                "{}",
                String::from_utf8_lossy(&made.stderr)
            );
        }
        Self {
            uid: number("-u").unwrap(),
            gid: number("-g").unwrap(),
        }
    }

    /// Gives this user a file or directory.
    pub(crate) fn own(&self, path: &Path) {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid)).unwrap();
    }

    /// A file of this user's that can be run.
    pub(crate) fn write_script(&self, path: &Path, text: &str) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        self.own(path);
    }
}
