//! A fake scheduler, a state directory, and whoever uses both.

use std::fmt::Debug;
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use fake_slurm::{
    Action, Base, ClusterConfig, Execution, FakeCluster, Fault, Job, LoggedCall, Program,
};
use serde_json::{Value, json};

use crate::client::{Identity, Reply, Running, acquire, list, release, resolve, usual, warmup};
use crate::truth::{Process, processes_of, seconds, until};

/// How many cases are tried at the same time: they wait more than they work.
const THREADS: usize = 8;

/// Tries every case, several at the same time, and names those that fail.
#[expect(
    clippy::print_stderr,
    reason = "a panic does not say which case it was"
)]
pub(crate) fn each<T: Debug + Sync>(cases: &[T], test: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(case))) {
                eprintln!("failed: {case:?}");
                resume_unwind(panic);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..THREADS.min(cases.len()) {
            scope.spawn(work);
        }
    });
}

/// A script that publishes an endpoint at this port of this host, and goes on.
pub(crate) fn publishing(port: u16) -> String {
    format!(
        r#"#!/bin/sh
lease=$CBX_STATE_DIR/jobs/$CBX_LEASE_ID
printf '{{"host":"127.0.0.1","port":{port},"user":"nobody","jobId":%s,"restartCount":%s,"nonce":"%s"}}' \
    "$SLURM_JOB_ID" "${{SLURM_RESTART_COUNT:-0}}" "$CBX_NONCE" >"$lease/endpoint.new"
mv "$lease/endpoint.new" "$lease/endpoint.json"
"#
    )
}

/// What a runner publishes in this run of a job.
pub(crate) fn endpoint(job: &Job) -> String {
    let nonce = job.request.environment.value("CBX_NONCE");
    let endpoint = json!({
        "host": "127.0.0.1", "port": greeter(), "user": "nobody",
        "jobId": job.id, "restartCount": job.restarts, "nonce": nonce.unwrap(),
    });
    endpoint.to_string()
}

/// The port of somebody who greets as an sshd does, and nothing more.
pub(crate) fn greeter() -> u16 {
    static PORT: OnceLock<u16> = OnceLock::new();
    *PORT.get_or_init(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming() {
                // Whoever has gone away needs no greeting.
                drop(stream.and_then(|mut stream| stream.write_all(b"SSH-2.0-greeter\r\n")));
            }
        });
        port
    })
}

/// One site, of which nothing is left once this value is dropped.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) cluster: FakeCluster,
    environment: Vec<(String, String)>,
    options: Vec<String>,
    directory: tempfile::TempDir,
}

impl Site {
    /// A site whose jobs really run, as processes of this host: a runner that publishes an
    /// endpoint, without an sshd of its own.
    pub(crate) fn new() -> Self {
        let site = Self::with_config(ClusterConfig {
            execution: Execution::Processes,
            ..ClusterConfig::default()
        });
        let runner = site.runner(&format!("{}exec sleep 600\n", publishing(greeter())));
        site.with_options(&["--runner-script", &runner])
    }

    /// A site whose jobs start at once, and only seem to run.
    pub(crate) fn modelled() -> Self {
        Self::with_config(ClusterConfig::default())
    }

    /// A site whose jobs wait until the test starts them, and only seem to run then.
    pub(crate) fn queueing() -> Self {
        Self::with_config(ClusterConfig {
            scheduling: false,
            ..ClusterConfig::default()
        })
    }

    /// A site that is set up in another way.
    pub(crate) fn with_config(config: ClusterConfig) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("slurm-cbx-fake-")
            .tempdir()
            .unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let cluster = FakeCluster::with_config(path("cluster"), config).unwrap();
        fs::create_dir(path("home")).unwrap();
        let commands = cluster.bin_dir();
        let search = format!("{}:/usr/local/bin:/usr/bin:/bin", commands.display());
        let environment = [
            ("HOME", path("home").as_str()),
            ("PATH", &search),
            // Everything that listens, listens on loopback.
            ("CBX_SSH_LISTEN", "127.0.0.1"),
            ("CBX_SSH_HOST", "127.0.0.1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            cluster,
            environment: environment.to_vec(),
            // Two absences prove an end at once, not after twelve seconds: no request is on its
            // way here that a test has not sent.
            options: ["--state-dir", &path("state"), "--settle", "0.2"]
                .map(str::to_owned)
                .to_vec(),
            directory,
        }
    }

    /// The same site for somebody with one more variable.
    pub(crate) fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same site for somebody who finds the programs in this directory before all others.
    pub(crate) fn searching(self, directory: &Path) -> Self {
        let mut known = self.environment.iter();
        let known = known.find(|(name, _)| name == "PATH").unwrap();
        let search = format!("{}:{}", directory.display(), known.1);
        self.with_variable("PATH", &search)
    }

    /// The same site, where two absences must be so far apart to prove an end.
    pub(crate) fn with_settle(mut self, seconds: &str) -> Self {
        self.options[3] = seconds.to_owned();
        self
    }

    /// The same site, where leases are kept elsewhere.
    pub(crate) fn with_state_dir(mut self, path: &Path) -> Self {
        self.options[1] = path.to_str().unwrap().to_owned();
        self
    }

    /// The same site for somebody with more options.
    pub(crate) fn with_options(mut self, options: &[&str]) -> Self {
        self.options
            .extend(options.iter().map(|&option| option.to_owned()));
        self
    }

    /// Where everything of this site is.
    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        PathBuf::from(&self.options[1])
    }

    pub(crate) fn lease_dir(&self, identity: &Identity) -> PathBuf {
        self.state_dir().join("jobs").join(&identity.lease)
    }

    pub(crate) fn lease_file(&self, identity: &Identity, name: &str) -> PathBuf {
        self.lease_dir(identity).join(name)
    }

    /// A runner of this site's own: the name of its script.
    pub(crate) fn runner(&self, text: &str) -> String {
        let path = self.root().join("runner");
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity::unused("fake")
    }

    /// The program, as the client starts it.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slurm-cbx"));
        let variables = self
            .environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        command
            .args(&self.options)
            .env_clear()
            .envs(variables)
            .current_dir(self.root());
        command
    }

    /// Begins an operation.
    pub(crate) fn begin(&self, request: &Value) -> Running {
        Running::start(self.command(), &request.to_string())
    }

    /// Performs an operation.
    pub(crate) fn ask(&self, request: &Value) -> Reply {
        self.begin(request).finish(seconds(90))
    }

    /// Performs whatever these bytes ask for.
    pub(crate) fn ask_bytes(&self, request: &[u8]) -> Reply {
        Running::start_with_bytes(self.command(), request).finish(seconds(90))
    }

    pub(crate) fn doctor(&self, config: &Value) -> Reply {
        self.ask(&json!({"protocolVersion": 1, "operation": "doctor", "config": usual(config)}))
    }

    pub(crate) fn acquire(&self, identity: &Identity, config: &Value) -> Reply {
        self.ask(&acquire(identity, config))
    }

    pub(crate) fn warmup(&self, identity: &Identity, config: &Value) -> Reply {
        self.ask(&warmup(identity, config))
    }

    pub(crate) fn resolve(&self, identity: &Identity) -> Reply {
        self.ask(&resolve(identity))
    }

    pub(crate) fn release(&self, identity: &Identity) -> Reply {
        self.ask(&release(identity))
    }

    /// A release as the client asks for it that was told of the lease in these words.
    pub(crate) fn release_known(&self, lease: &Value) -> Reply {
        let expected = json!({
            "leaseId": lease["leaseId"], "slug": lease["slug"], "cloudId": lease["cloudId"],
        });
        self.ask(&json!({
            "protocolVersion": 1, "operation": "release", "lease": lease, "force": true,
            "expected": expected,
        }))
    }

    pub(crate) fn cleanup(&self) -> Reply {
        self.ask(&json!({"protocolVersion": 1, "operation": "cleanup"}))
    }

    /// The row of a lease in the list.
    pub(crate) fn listed(&self, identity: &Identity) -> Option<Value> {
        let answer = self.ask(&list()).done();
        let rows = answer["leases"].as_array().expect("a list").clone();
        rows.into_iter()
            .find(|row| row["leaseId"] == identity.lease.as_str())
    }

    /// A warmup whose job only seems to run: the test plays the runner.
    pub(crate) fn warmup_modelled(&self, identity: &Identity) -> Value {
        let running = self.begin(&warmup(identity, &json!({})));
        let id = self.wait_for_job(identity);
        self.cluster.start(id).unwrap();
        self.publish(identity);
        running.finish(seconds(60)).lease()
    }

    /// Publishes an endpoint for the present run of a lease's job.
    pub(crate) fn publish(&self, identity: &Identity) {
        let jobs = self.jobs(identity);
        self.publish_as(identity, &jobs[jobs.len() - 1]);
    }

    /// Publishes an endpoint for this run of a job.
    pub(crate) fn publish_as(&self, identity: &Identity, job: &Job) {
        let beside = self.lease_file(identity, "endpoint.new");
        fs::write(&beside, endpoint(job)).unwrap();
        fs::rename(beside, self.lease_file(identity, "endpoint.json")).unwrap();
    }

    /// A fault of every call of this command from now on.
    pub(crate) fn inject(&self, program: Program, action: Action) {
        self.cluster.inject(Fault::on(program, action)).unwrap();
    }

    /// Has the next question about the queue asked of the controller, not of a picture of the
    /// last second.
    pub(crate) fn forget_queue(&self) {
        for entry in fs::read_dir(self.state_dir().join("queue")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "squeue") {
                fs::remove_file(path).unwrap();
            }
        }
    }

    /// Nothing is known any more of what the controller told of itself.
    pub(crate) fn forget_site(&self) {
        for entry in fs::read_dir(self.state_dir().join("queue")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "site") {
                fs::remove_file(path).unwrap();
            }
        }
    }

    /// A job of the same user that is no lease: its number.
    pub(crate) fn stranger(&self, name: &str) -> u32 {
        self.stranger_in(self.root(), name)
    }

    /// The same, submitted in this directory.
    pub(crate) fn stranger_in(&self, directory: &Path, name: &str) -> u32 {
        let submitted = Command::new(self.cluster.bin_dir().join("sbatch"))
            .args(["--parsable", "--output=/dev/null", "-J", name])
            .arg("--wrap=exec sleep 600")
            .current_dir(directory)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .output()
            .unwrap();
        let number = String::from_utf8(submitted.stdout).unwrap();
        number.trim().parse().unwrap()
    }

    /// An administrator cancels a job.
    pub(crate) fn cancel(&self, id: u32) {
        let cancelled = self
            .cluster
            .change(|cluster, now| cluster.cancel(id, 0, now));
        cancelled.unwrap().unwrap();
    }

    /// The state of a job that the controller knows.
    pub(crate) fn base(&self, id: u32) -> Base {
        self.cluster.job(id).unwrap().expect("a job").base
    }

    /// The process that watches an acquire of a lease.
    pub(crate) fn keeper(&self, identity: &Identity) -> Option<Process> {
        let is_keeper = |process: &Process| process.command.contains(" keep ");
        let mut processes = processes_of(&identity.lease).into_iter();
        processes.find(is_keeper)
    }

    /// Whether an acquire that was killed last showed that it was there so long ago.
    pub(crate) fn is_past_grace(&self, identity: &Identity, grace: Duration) -> bool {
        let sign = fs::metadata(self.lease_file(identity, "acquiring")).unwrap();
        let age = sign.modified().unwrap().elapsed();
        age.is_ok_and(|age| age >= grace)
    }

    /// What a resolve says that fails in these words sooner or later.
    pub(crate) fn resolve_says(&self, identity: &Identity, words: &str) -> String {
        let mut last = String::new();
        until(seconds(10), words, || {
            let answer = self.resolve(identity).within(seconds(8)).answer;
            last = answer["error"].as_str().unwrap_or_default().to_owned();
            last.contains(words)
        });
        last
    }

    /// Every job of a lease that the controller knows, by number.
    pub(crate) fn jobs(&self, identity: &Identity) -> Vec<Job> {
        let mut jobs = self.cluster.jobs().unwrap();
        jobs.retain(|job| job.request.name == identity.name);
        jobs
    }

    /// The jobs of a lease that hold or wait for resources.
    pub(crate) fn live(&self, identity: &Identity) -> Vec<Job> {
        let mut jobs = self.jobs(identity);
        jobs.retain(|job| !job.is_settled());
        jobs
    }

    /// The number of the one job of a lease, once it is there.
    pub(crate) fn wait_for_job(&self, identity: &Identity) -> u32 {
        until(seconds(20), "a job", || !self.jobs(identity).is_empty());
        let jobs = self.jobs(identity);
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        jobs[0].id
    }

    /// The calls of sbatch that were to make a job.
    pub(crate) fn submissions(&self) -> Vec<LoggedCall> {
        let mut calls = self.cluster.calls_of(Program::Sbatch).unwrap();
        let only_tests = |call: &LoggedCall| call.arguments.iter().any(|a| a == "--test-only");
        calls.retain(|call| !only_tests(call));
        calls
    }

    /// The leases that have a directory.
    pub(crate) fn records(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.state_dir().join("jobs")) else {
            return Vec::new();
        };
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    /// Processes that have to do with this site.
    pub(crate) fn processes(&self) -> Vec<Process> {
        processes_of(self.root().to_str().unwrap())
    }

    /// That nothing of any lease is left: no job, no process, no file but tombstones.
    #[track_caller]
    pub(crate) fn assert_nothing_left(&self) {
        let jobs = self.cluster.jobs().unwrap();
        let live: Vec<_> = jobs.iter().filter(|job| !job.is_settled()).collect();
        assert!(live.is_empty(), "{live:?}");
        assert_eq!(self.records(), Vec::<String>::new());
        let mut left = Vec::new();
        until(seconds(10), "the last process to end", || {
            left = self.processes();
            left.is_empty()
        });
    }
}
