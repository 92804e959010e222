//! The stub executable, the model and the recordings, from outside.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod by_hand;
mod conformance;
mod docs;
mod environment;
mod faults;
mod fixtures;
mod model;
mod numbers;
mod processes;
mod questions;
mod recording;
mod situations;

mod stage;
mod store;

use std::ffi::OsStr;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use fake_slurm::{FakeCluster, Moment};
use tempfile::TempDir;

/// A cluster in a directory of its own, and calls of its commands.
pub(crate) struct Bench {
    pub(crate) cluster: FakeCluster,
    pub(crate) directory: TempDir,
}

/// What a command said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self {
            status: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

impl Bench {
    /// A virtual cluster whose clock stands at 2023-11-14T22:13:20Z.
    pub(crate) fn new() -> Self {
        let bench = Self::with_host_clock();
        let start = Moment::from_seconds(1_700_000_000);
        let Self { cluster, directory } = bench;
        let cluster = cluster
            .manual_clock(start)
            .expect("the state can be written");
        Self { cluster, directory }
    }

    /// A virtual cluster that follows the host's clock.
    pub(crate) fn with_host_clock() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let cluster = FakeCluster::new(directory.path().join("cluster")).expect("a cluster");
        Self { cluster, directory }
    }

    /// A cluster whose jobs really run.
    pub(crate) fn running() -> Self {
        let Self { cluster, directory } = Self::with_host_clock();
        let cluster = cluster.run_jobs().expect("the state can be written");
        Self { cluster, directory }
    }

    /// A command with nothing in its environment.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.cluster.bin_dir().join(program));
        command
            .env_clear()
            .env("TZ", "UTC")
            .env("SLURM_TIME_FORMAT", "%s");
        command.current_dir(self.directory.path());
        command
    }

    pub(crate) fn run<A: AsRef<OsStr>>(&self, program: &str, arguments: &[A]) -> Said {
        let output = self.command(program).args(arguments).output();
        output.expect("the command can be started").into()
    }

    /// Submits `--wrap` with further options, and returns the number.
    pub(crate) fn submit(&self, options: &[&str]) -> u32 {
        let said = self.run(
            "sbatch",
            &[&["--parsable", "--wrap=true"], options].concat(),
        );
        said.stdout
            .trim()
            .parse()
            .unwrap_or_else(|_| panic!("not accepted: {said:?}"))
    }

    /// The long state of a job, or nothing.
    pub(crate) fn state(&self, id: u32) -> String {
        let id = id.to_string();
        let said = self.run("squeue", &["-h", "-t", "all", "-j", &id, "-o", "%T"]);
        said.stdout.trim().to_owned()
    }
}

/// Waits until something is so, at most ten seconds.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < limit, "gave up waiting: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
