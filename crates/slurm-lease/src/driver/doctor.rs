//! Whether leases could be had here, without making one.

use std::io::{self, Read};
use std::time::Duration;

use camino::Utf8Path;

use crate::answer::Exit;
use crate::command::Submission;
use crate::driver::Leases;
use crate::driver::clock::Deadline;
use crate::driver::order::{BUNDLED, Order, Runner};
use crate::driver::{files, keys, process};
use crate::id::{Nonce, Tag};
use crate::parse::scontrol::Configuration;
use crate::resources::check_script;

/// How long a check-up may take: the client kills it after 10 s.
const DOCTOR_LIMIT: Duration = Duration::from_millis(7500);

/// How long looking up a login name may take.
const LOOKUP_LIMIT: Duration = Duration::from_secs(2);

/// How much of a runner script is read for its options, in bytes; Slurm takes scripts of 4 MiB.
const SCRIPT_LIMIT: u64 = 4 << 20;

/// What a check-up found.
#[derive(Clone, Debug, Default)]
pub struct CheckUp {
    /// What keeps leases from being had.
    pub faults: Vec<String>,
    /// What is in order.
    pub facts: Vec<String>,
}

impl Leases {
    /// Checks everything that an acquire of this order would need, up to whether Slurm would take
    /// the job (`sbatch --test-only`).
    pub fn check_up(&self, order: &Order) -> CheckUp {
        let deadline = Deadline::after(DOCTOR_LIMIT);
        self.pursue_abandoned(None);
        let mut found = CheckUp::default();
        found
            .facts
            .push(format!("state directory {}", self.store.root()));
        found.faults.extend(self.check_local(order));
        if let Err(error) = order.resources.options() {
            found.faults.push(error.to_string());
        }
        if found.faults.is_empty() {
            self.check_slurm(order, deadline, &mut found);
        }
        found
    }

    /// What keeps a job of this order from being served, as far as this machine knows.
    pub(super) fn check_local(&self, order: &Order) -> Vec<String> {
        let missing = self.slurm.missing().into_iter();
        let ssh_keygen = which::which("ssh-keygen").err().map(|_| "ssh-keygen");
        let mut faults: Vec<String> = missing
            .chain(ssh_keygen)
            .map(|name| format!("{name} is not on PATH"))
            .collect();
        faults.extend(check_files(order));
        if order.runner == Runner::Bundled && !self.is_own_name(&order.ssh_user) {
            let user = &order.ssh_user;
            faults.push(format!(
                "nobody can log in as {user}: the bundled runner lets in the user whose job it is (sshUser)"
            ));
        }
        faults
    }

    /// Whether a login name is the caller's; it is where no name is given, or none can be looked
    /// up.
    fn is_own_name(&self, name: &str) -> bool {
        if name.is_empty() {
            return true;
        }
        let mut lookup = process::command("id");
        let answer = process::answer(lookup.args(["-u", "--", name]), None, LOOKUP_LIMIT);
        let uid = String::from_utf8_lossy(&answer.stdout).trim().parse().ok();
        match answer.exit {
            Exit::Status(_) => uid == Some(self.slurm.uid().0),
            Exit::Signal(_) | Exit::TimedOut | Exit::NotStarted(_) => true,
        }
    }

    fn check_slurm(&self, order: &Order, deadline: Deadline, found: &mut CheckUp) {
        let half = deadline.left() / 2;
        match self.slurm.configuration(order.cluster.as_ref(), half) {
            Ok(configuration) => {
                self.note_site(order.cluster.as_ref(), &configuration);
                found.facts.push(describe(&configuration));
            }
            Err(why) => {
                found.faults.push(why.to_string());
                return;
            }
        }
        match self.trial(order) {
            Ok(submission) => {
                let answer = self.slurm.test(&submission, deadline.left());
                let said = String::from_utf8_lossy(&answer.stderr);
                let lines = || {
                    said.lines()
                        .map(|line| line.trim_start_matches("sbatch: ").trim())
                };
                match answer.exit {
                    Exit::Status(0) => found.facts.extend(lines().next_back().map(would_run)),
                    Exit::Status(_) => {
                        let said = lines().collect::<Vec<_>>().join("; ");
                        found
                            .faults
                            .push(format!("Slurm could not start such a job: {said}"));
                    }
                    Exit::TimedOut => found
                        .faults
                        .push("sbatch --test-only did not answer in time".to_owned()),
                    other => found
                        .faults
                        .push(format!("sbatch --test-only failed: {other:?}")),
                }
            }
            Err(error) => found
                .faults
                .push(format!("cannot try a submission: {error}")),
        }
    }

    /// The submission that an acquire would make, with a script that only has to exist.
    fn trial(&self, order: &Order) -> io::Result<Submission> {
        let dir = self.store.dir(&order.lease);
        let tag = Tag {
            store: self.store.id().clone(),
            lease: order.lease.clone(),
            nonce: Nonce::from_bits(0),
        };
        let mut submission = order
            .submission(&self.store, &dir, tag)
            .map_err(io::Error::other)?;
        submission.directory = self.store.root().to_owned();
        if order.runner == Runner::Bundled {
            let script = self.store.root().join("runner.sh");
            files::write_whole(&script, BUNDLED.as_bytes(), 0o700)?;
            submission.script = script;
        }
        Ok(submission)
    }
}

/// What can't be read, by what it is for.
fn check_files(order: &Order) -> Vec<String> {
    let readable = |what: &str, path: &Utf8Path| {
        let opened = fs_err::File::open(path);
        opened
            .err()
            .map(|error| format!("{what} cannot be read: {error}"))
    };
    let mut faults = Vec::new();
    if let Runner::Script(path) = &order.runner {
        match read_script(path) {
            Ok(script) => {
                let refused = check_script(&script).err();
                faults.extend(refused.map(|error| format!("the runner script {path}: {error}")));
            }
            Err(error) => faults.push(format!("the runner script cannot be read: {error}")),
        }
    }
    if let Some(key) = &order.access.key {
        faults.extend(readable("the configured ssh key", key));
        faults.extend(readable("its public half", &keys::public(key)));
    }
    faults
}

fn read_script(path: &Utf8Path) -> io::Result<Vec<u8>> {
    let mut script = Vec::new();
    let file = fs_err::File::open(path)?;
    file.take(SCRIPT_LIMIT).read_to_end(&mut script)?;
    Ok(script)
}

/// What a trial came to, of `Job 14 to start at 1795494189 using 1 processors on nodes n1 in
/// partition batch`: all but the number, which no job will have, and the guessed time.
fn would_run(line: &str) -> String {
    let on = line.split_once(" using ").map_or(line, |(_, on)| on);
    format!("a job would run with {on}")
}

fn describe(configuration: &Configuration) -> String {
    let cluster = configuration.cluster_name.as_deref().unwrap_or("unnamed");
    let version = configuration
        .version
        .as_deref()
        .unwrap_or("of unknown version");
    format!("cluster {cluster}, Slurm {version}")
}
