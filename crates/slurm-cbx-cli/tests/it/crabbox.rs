//! The real client, `crabbox`, as a person uses it: in a directory with a dirty git tree, with a
//! configuration of their own, in a terminal or not.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use crate::client::{Client, binary, usual};
use crate::cluster::Cluster;
use crate::transcript::Transcript;
use crate::truth::{Lifeline, Process, eventually, processes_of, seconds, until};

/// One person who uses crabbox on one cluster.
#[derive(Debug)]
pub(crate) struct Crabbox<'a> {
    pub(crate) client: Client<'a>,
    adapter: (String, Vec<String>),
    transcript: Transcript,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A command that is being performed.
#[derive(Debug)]
pub(crate) struct Going<'a> {
    person: &'a Crabbox<'a>,
    shown: String,
    child: Child,
    output: PathBuf,
}

/// What squeue is asked for every job: its number, state and directory.
const JOBS: [&str; 7] = ["--local", "-h", "-a", "-t", "all", "-o", "%A|%T|%Z"];

/// A job of this person's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) state: String,
}

impl Job {
    fn is_there(&self) -> bool {
        [
            "PENDING",
            "CONFIGURING",
            "RUNNING",
            "COMPLETING",
            "SUSPENDED",
        ]
        .contains(&&*self.state)
    }
}

impl<'a> Crabbox<'a> {
    /// Somebody with a dirty git tree and a configuration with these keys.
    pub(crate) fn new(cluster: &'a Cluster, story: &str, config: &Value) -> Self {
        let client = Client::new(cluster);
        let (state, settings) = (client.path("local-state"), client.path("settings"));
        let client = client
            .with_variable("XDG_STATE_HOME", state.to_str().unwrap())
            .with_variable("XDG_CONFIG_HOME", settings.to_str().unwrap());
        let state_dir = client.state_dir().to_str().unwrap().to_owned();
        let person = Self {
            adapter: (
                binary().to_str().unwrap().to_owned(),
                vec!["--state-dir".to_owned(), state_dir],
            ),
            transcript: Transcript::new(story),
            client,
        };
        person.make_tree();
        person.configure(config);
        person
    }

    /// Changes the command that the configuration names, and nothing else.
    pub(crate) fn with_adapter(mut self, command: &str, arguments: &[&str]) -> Self {
        let mut all: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
        all.extend([
            "--state-dir".to_owned(),
            self.client.state_dir().to_str().unwrap().to_owned(),
        ]);
        self.adapter = (command.to_owned(), all);
        self
    }

    /// What is to stand in the transcript before the next command.
    pub(crate) fn note(&self, text: &str) {
        self.transcript.note(text);
    }

    fn make_tree(&self) {
        let client = &self.client;
        let script = "mkdir app work && cd app && git init -q -b main \
            && git config user.email a@example.org && git config user.name A \
            && echo committed >tracked && git add tracked && git commit -q -m first \
            && echo changed >tracked && echo new >untracked";
        let made = client.run("sh", &["-ec", script]).output().unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
    }

    /// Writes the configuration with these keys of `external.config`.
    pub(crate) fn configure(&self, config: &Value) {
        let work = self.client.path("work");
        let mut config = usual(config);
        config["runnerWorkRoot"] = json!(work);
        let (command, arguments) = &self.adapter;
        let written = json!({
            "provider": "external",
            "target": "linux",
            "external": {
                "command": command,
                "args": arguments,
                "capabilities": {"idempotentLeaseId": true},
                "config": config,
                "connection": {"ssh": {"trustProviderOutput": true}},
                "workRoot": work,
            },
        });
        let directory = self.client.path("settings/crabbox");
        fs::create_dir_all(&directory).unwrap();
        // Of YAML, JSON is a part.
        let path = directory.join("config.yaml");
        fs::write(&path, written.to_string()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for path in [self.client.path("settings"), directory, path] {
            self.client.user.own(&path);
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.client.run(program().to_str().unwrap(), arguments);
        command.current_dir(self.client.path("app"));
        command
    }

    /// Runs `crabbox` with these arguments to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        self.begin(arguments).finish()
    }

    /// Begins a command whose output goes to files, since it may outlive who started it.
    pub(crate) fn begin(&'a self, arguments: &[&str]) -> Going<'a> {
        let mut command = self.command(arguments);
        command.process_group(0);
        self.start(command, arguments)
    }

    /// Begins a command in a terminal of its own.
    pub(crate) fn begin_in_terminal(&'a self, arguments: &[&str]) -> Going<'a> {
        let words = arguments.iter().map(|word| format!("'{word}'"));
        let words = words.collect::<Vec<_>>().join(" ");
        let line = format!("exec {} {words}", program().display());
        let mut command = self.client.run("script", &["-qefc", &line, "/dev/null"]);
        command.current_dir(self.client.path("app"));
        self.start(command, arguments)
    }

    fn start(&'a self, mut command: Command, arguments: &[&str]) -> Going<'a> {
        let output = tempfile::tempdir_in(self.client.path("")).unwrap().keep();
        let file = |name: &str| fs::File::create(output.join(name)).unwrap();
        let child = command
            .stdin(Stdio::piped())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .unwrap();
        Going {
            person: self,
            shown: arguments.join(" "),
            child,
            output,
        }
    }

    /// Runs what a person pasted into a shell.
    pub(crate) fn paste(&self, line: &str) -> Said {
        let output = self.client.run("sh", &["-c", line]).output().unwrap();
        let said = Said {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        self.transcript.command(line, &said, &self.client);
        said
    }

    /// Every job of this person's that the controller knows, over or not.
    pub(crate) fn jobs(&self) -> Vec<Job> {
        self.own(&self.client.cluster.must("squeue", &JOBS))
    }

    fn own(&self, listed: &str) -> Vec<Job> {
        let home = self.client.path("");
        let job = |line: &str| {
            let fields: Vec<&str> = line.splitn(3, '|').collect();
            let [id, state, directory] = fields[..] else {
                return None;
            };
            Path::new(directory).starts_with(&home).then(|| Job {
                id: id.to_owned(),
                state: state.to_owned(),
            })
        };
        listed.lines().filter_map(job).collect()
    }

    /// The jobs that hold or wait for resources.
    pub(crate) fn live(&self) -> Vec<Job> {
        let jobs = self.jobs();
        jobs.into_iter().filter(Job::is_there).collect()
    }

    /// Waits for the one job that is there to be in this state.
    pub(crate) fn wait_for(&self, state: &str) -> Job {
        let job = eventually(seconds(60), &format!("a job to be {state}"), || {
            self.live().into_iter().find(|job| job.state == state)
        });
        assert_eq!(self.live().len(), 1);
        job
    }

    /// The leases of which there is a record.
    pub(crate) fn records(&self) -> Vec<String> {
        let jobs = self.client.state_dir().join("jobs");
        let Ok(entries) = fs::read_dir(jobs) else {
            return Vec::new();
        };
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        entries
            .map(|entry| name(entry).into_string().unwrap())
            .collect()
    }

    /// The leases that the client remembers.
    pub(crate) fn claims(&self) -> Vec<String> {
        let directory = self.client.path("local-state/crabbox/claims");
        let Ok(entries) = fs::read_dir(directory) else {
            return Vec::new();
        };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
            .collect()
    }

    /// That nothing is left: no job, no process, no file but tombstones.
    pub(crate) fn assert_nothing_left(&self) {
        until(seconds(60), "the jobs to end", || self.live().is_empty());
        until(seconds(30), "the records to be removed", || {
            self.records().is_empty()
        });
        let home = self.client.path("");
        let mut left: Vec<Process> = Vec::new();
        until(seconds(30), "the last process to end", || {
            left = processes_of(home.to_str().unwrap());
            left.is_empty()
        });
    }
}

impl Drop for Crabbox<'_> {
    fn drop(&mut self) {
        let cluster = self.client.cluster;
        let listed = cluster.run("squeue", &JOBS);
        for job in self.own(&String::from_utf8_lossy(&listed.stdout)) {
            if job.is_there() {
                drop(cluster.run("scancel", &[&job.id]));
            }
        }
    }
}

impl Going<'_> {
    /// What it has said up to now.
    pub(crate) fn said(&self) -> Said {
        let read = |name: &str| {
            let bytes = fs::read(self.output.join(name)).unwrap();
            // A terminal ends its lines in its own way, and shows what is pressed.
            let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
            text.replace("^C", "")
        };
        Said {
            code: None,
            stdout: read("stdout"),
            stderr: read("stderr"),
        }
    }

    /// Waits until it has said these words.
    pub(crate) fn wait_for(&mut self, words: &str) {
        until(seconds(60), words, || {
            let said = self.said();
            said.stdout.contains(words) || said.stderr.contains(words)
        });
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> Said {
        let mut ended = None;
        until(seconds(180), &self.shown, || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        let mut said = self.said();
        said.code = ended.and_then(|status| status.code());
        let shown = format!("crabbox {}", self.shown);
        self.person
            .transcript
            .command(&shown, &said, &self.person.client);
        said
    }

    /// Presses Ctrl-C in the terminal.
    pub(crate) fn press_ctrl_c(&mut self) {
        let terminal = self.child.stdin.as_mut().unwrap();
        terminal.write_all(b"\x03").unwrap();
        terminal.flush().unwrap();
    }

    /// Closes the terminal: the kernel tells those in it, and nobody else does.
    pub(crate) fn close_terminal(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let mut said = self.said();
        said.stderr.push_str("(the terminal was closed)\n");
        let shown = format!("crabbox {}", self.shown);
        self.person
            .transcript
            .command(&shown, &said, &self.person.client);
    }
}

impl Drop for Going<'_> {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let group = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
            let _not_a_group = kill_process_group(group, Signal::KILL);
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

impl Said {
    /// That it succeeded; its output.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// That it failed with this status, and said so in these words on stderr.
    #[track_caller]
    pub(crate) fn failed(self, code: i32, words: &[&str]) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        for words in words {
            assert!(self.stderr.contains(words), "{words:?} is not in {self:?}");
        }
        self.stderr
    }
}

/// The client, where any user can run it.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<(PathBuf, Lifeline)> = OnceLock::new();
    let (path, _) = PROGRAM.get_or_init(|| {
        let found = which("crabbox").expect("crabbox is not on PATH");
        let directory = tempfile::Builder::new()
            .prefix("slurm-cbx-crabbox-")
            .tempdir()
            .unwrap()
            .keep();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        let lifeline = Lifeline::new("rm", &["-rf", directory.to_str().unwrap()]).unwrap();
        let path = directory.join("crabbox");
        fs::copy(found, &path).unwrap();
        (path, lifeline)
    });
    path
}

fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let candidates = std::env::split_paths(&path).map(|directory| directory.join(program));
    candidates.into_iter().find(|path| path.is_file())
}

/// How long a person may wait for a lease on an idle cluster, with a busy machine allowed for.
pub(crate) const SOON: Duration = Duration::from_secs(60);
