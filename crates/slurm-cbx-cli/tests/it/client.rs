//! The client's side of the protocol.

use std::cell::RefCell;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::fstat;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use crate::cluster::{Cluster, User, signal};
use crate::truth::{Lifeline, holders_of, processes_of, seconds, until};

/// How long after our end somebody may still hold the answer's pipe before the client calls it a
/// failure.
const PIPES_LIMIT: Duration = Duration::from_millis(250);

/// One person with a home and a state directory of their own.
#[derive(Debug)]
pub(crate) struct Client<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) user: User,
    home: tempfile::TempDir,
    environment: Vec<(String, String)>,
    options: Vec<String>,
    names: RefCell<Vec<String>>,
}

/// How the client names a lease.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) lease: String,
    pub(crate) slug: String,
    pub(crate) name: String,
}

impl Identity {
    /// One that nobody has used, on this kind of cluster.
    pub(crate) fn unused(kind: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self {
            lease: format!("cbx_{:08x}{count:04x}", std::process::id()),
            slug: format!("{kind}-{count}"),
            name: format!("crabbox-{kind}-{count}-{:08x}", std::process::id()),
        }
    }

    pub(crate) fn json(&self) -> Value {
        json!({"leaseId": self.lease, "slug": self.slug, "name": self.name})
    }
}

impl<'a> Client<'a> {
    /// The usual person on this cluster.
    pub(crate) fn new(cluster: &'a Cluster) -> Self {
        Self::of(cluster, "cbxalice")
    }

    /// The person of this name.
    pub(crate) fn of(cluster: &'a Cluster, name: &'static str) -> Self {
        let user = User::named(name);
        let home = tempfile::Builder::new()
            .prefix("slurm-cbx-home-")
            .tempdir()
            .unwrap();
        user.own(home.path());
        let conf = cluster.configuration();
        let environment = [
            ("HOME", home.path().to_str().unwrap()),
            ("USER", name),
            ("LOGNAME", name),
            ("PATH", &cluster.search_path()),
            ("SLURM_CONF", conf.to_str().unwrap()),
            // Everything that listens, listens on loopback.
            ("CBX_SSH_LISTEN", "127.0.0.1"),
            ("CBX_SSH_HOST", "127.0.0.1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let state = home.path().join("state");
        Self {
            cluster,
            user,
            environment: environment.to_vec(),
            options: vec!["--state-dir".to_owned(), state.to_str().unwrap().to_owned()],
            names: RefCell::default(),
            home,
        }
    }

    /// The same person with one more variable.
    pub(crate) fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same person with one more option.
    pub(crate) fn with_options(mut self, options: &[&str]) -> Self {
        self.options
            .extend(options.iter().map(|&option| option.to_owned()));
        self
    }

    /// The same person, who keeps leases elsewhere.
    pub(crate) fn with_state_dir(mut self, path: &Path) -> Self {
        self.options[1] = path.to_str().unwrap().to_owned();
        self
    }

    /// A path in this person's home.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        PathBuf::from(&self.options[1])
    }

    /// The directory of a lease.
    pub(crate) fn lease_dir(&self, identity: &Identity) -> PathBuf {
        self.state_dir().join("jobs").join(&identity.lease)
    }

    /// A file of a lease.
    pub(crate) fn lease_file(&self, identity: &Identity, name: &str) -> PathBuf {
        self.lease_dir(identity).join(name)
    }

    /// A runner of this person's own.
    pub(crate) fn runner(&self, text: &str) -> String {
        let path = self.path("runner");
        self.user.write_script(&path, text);
        path.to_str().unwrap().to_owned()
    }

    /// An identity that nobody has used.
    pub(crate) fn identity(&self) -> Identity {
        let identity = Identity::unused("live");
        self.names.borrow_mut().push(identity.name.clone());
        identity
    }

    /// The command for one operation.
    fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command
            .args(&self.options)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.home.path())
            .uid(self.user.uid)
            .gid(self.user.gid);
        command
    }

    /// Begins an operation.
    pub(crate) fn begin(&self, request: &Value) -> Running {
        self.begin_text(&request.to_string())
    }

    fn begin_text(&self, request: &str) -> Running {
        Running::start(self.command(), request)
    }

    /// Performs an operation.
    pub(crate) fn ask(&self, request: &Value) -> Reply {
        self.begin(request).finish(seconds(90))
    }

    /// Performs whatever this text asks for.
    pub(crate) fn ask_text(&self, request: &str) -> Reply {
        self.begin_text(request).finish(seconds(90))
    }

    pub(crate) fn doctor(&self, config: &Value) -> Reply {
        self.ask(&json!({"protocolVersion": 1, "operation": "doctor", "config": usual(config)}))
    }

    pub(crate) fn acquire(&self, identity: &Identity, config: &Value) -> Reply {
        self.ask(&acquire(identity, config))
    }

    pub(crate) fn resolve(&self, identity: &Identity) -> Reply {
        self.ask(&resolve(identity))
    }

    /// Waits until a resolve fails in these words: what was done to the job takes a moment.
    pub(crate) fn resolve_says(&self, identity: &Identity, words: &str) -> String {
        let mut last = String::new();
        until(seconds(6), words, || {
            let answer = self.resolve(identity).within(seconds(8)).answer;
            last = answer["error"].as_str().unwrap_or_default().to_owned();
            last.contains(words)
        });
        last
    }

    pub(crate) fn list(&self) -> Reply {
        self.ask(&list())
    }

    pub(crate) fn release(&self, identity: &Identity) -> Reply {
        self.ask(&release(identity))
    }

    /// Releases a lease as the client does that was given it.
    pub(crate) fn release_given(&self, lease: &Value) -> Reply {
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
        let answer = self.list().done();
        let rows = answer["leases"].as_array().expect("a list").clone();
        rows.into_iter()
            .find(|row| row["leaseId"] == identity.lease.as_str())
    }

    /// Runs a program as this person.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.home.path())
            .uid(self.user.uid)
            .gid(self.user.gid);
        command
    }

    /// Submits a job of the user's own, no lease, under this name: its number.
    pub(crate) fn submit_by_hand(&self, name: &str) -> String {
        let options = ["--parsable", "-J", name, "-o", "/dev/null"];
        let arguments = [&options[..], &["--wrap", "sleep 600"]].concat();
        let submitted = self.run("sbatch", &arguments).output().unwrap();
        assert!(submitted.status.success(), "{submitted:?}");
        String::from_utf8_lossy(&submitted.stdout).trim().to_owned()
    }

    /// Runs a command in a lease, as the client does, but with a host key that must be known.
    pub(crate) fn ssh(&self, lease: &Value, script: &str) -> String {
        let ssh = self.ssh_command(lease);
        let host = format!(
            "{}@{}",
            text(&lease["ssh"]["user"]),
            text(&lease["ssh"]["host"])
        );
        let mut arguments: Vec<&str> = ssh.split(' ').skip(1).collect();
        arguments.extend([host.as_str(), script]);
        let output = self
            .run("ssh", &arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "ssh: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// What rsync is to take for `-e`.
    pub(crate) fn ssh_command(&self, lease: &Value) -> String {
        let (key, port) = (text(&lease["ssh"]["key"]), text(&lease["ssh"]["port"]));
        let known_hosts = Path::new(&key).with_file_name("known_hosts");
        format!(
            "ssh -i {key} -p {port} -o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=10 -o StrictHostKeyChecking=yes -o UserKnownHostsFile={}",
            known_hosts.display()
        )
    }

    /// That the next looks see a lease to its end.
    pub(crate) fn assert_ends(&self, identity: &Identity) {
        until(seconds(60), "a release to come to its end", || {
            self.cleanup().done();
            self.listed(identity).is_none()
        });
        self.assert_nothing_left(identity);
    }

    /// That nothing of a lease is left: no job, no process, no file but its tombstone.
    pub(crate) fn assert_nothing_left(&self, identity: &Identity) {
        let live = self.cluster.live(&identity.name);
        assert!(live.is_empty(), "{live:?}");
        assert!(!self.lease_dir(identity).exists());
        until(seconds(10), "the last process of the lease to end", || {
            processes_of(&identity.lease).is_empty()
        });
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        let names = self.names.borrow().join(",");
        if !names.is_empty() {
            drop(self.cluster.run("scancel", &["-n", &names]));
        }
    }
}

/// A text of an answer.
pub(crate) fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("not a text: {value}"))
        .to_owned()
}

/// What every test asks for, and these keys besides.
pub(crate) fn usual(config: &Value) -> Value {
    let mut usual = json!({
        "cpus": 1,
        "timeLimit": "10",
        "exportEnv": ["CBX_SSH_LISTEN", "CBX_SSH_HOST"],
    });
    for (key, value) in config.as_object().unwrap() {
        usual[key] = value.clone();
    }
    usual
}

pub(crate) fn acquire(identity: &Identity, config: &Value) -> Value {
    json!({
        "protocolVersion": 1, "operation": "acquire", "config": usual(config),
        "desired": identity.json(),
    })
}

/// An acquire by `crabbox warmup`.
pub(crate) fn warmup(identity: &Identity, config: &Value) -> Value {
    let mut request = acquire(identity, config);
    request["keep"] = json!(true);
    request
}

pub(crate) fn resolve(identity: &Identity) -> Value {
    json!({
        "protocolVersion": 1, "operation": "resolve", "id": identity.name,
        "desired": identity.json(),
    })
}

pub(crate) fn list() -> Value {
    json!({"protocolVersion": 1, "operation": "list", "all": true, "refresh": true})
}

pub(crate) fn release(identity: &Identity) -> Value {
    json!({
        "protocolVersion": 1, "operation": "release", "lease": identity.json(), "force": true,
    })
}

/// An operation that is being performed.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    began: Instant,
}

/// What an operation came to.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) answer: Value,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Running {
    /// Starts the program as the client does, and hands it a request.
    pub(crate) fn start(command: Command, request: &str) -> Self {
        Self::start_with_bytes(command, request.as_bytes())
    }

    pub(crate) fn start_with_bytes(mut command: Command, request: &[u8]) -> Self {
        command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let began = Instant::now();
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // One that does not want to hear more is not our failure.
        drop(stdin.write_all(request));
        drop(stdin);
        Self {
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            child,
            began,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Does what the client does when somebody presses Ctrl-C.
    pub(crate) fn kill_group(&mut self) {
        let group = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process_group(group, Signal::KILL).unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal to the process alone.
    pub(crate) fn signal(&self, which: Signal) {
        signal(self.pid(), which);
    }

    /// Nobody reads the progress any more.
    pub(crate) fn stop_listening(&mut self) {
        self.stderr = None;
    }

    /// Nobody reads the answer any more.
    pub(crate) fn hang_up(&mut self) {
        self.stdout = None;
        self.stderr = None;
    }

    /// Whether it still goes on.
    pub(crate) fn is_going_on(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Whether it is stopped, as by SIGSTOP.
    pub(crate) fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        stat.contains(") T ")
    }

    /// Waits for its end without reading anything.
    pub(crate) fn wait(&mut self, limit: Duration) {
        until(limit, "slurm-cbx to end", || !self.is_going_on());
    }

    /// Waits for its answer.
    pub(crate) fn finish(mut self, limit: Duration) -> Reply {
        let stdout = Collected::from(self.stdout.take());
        let stderr = Collected::from(self.stderr.take());
        let deadline = self.began + limit;
        while self.is_going_on() {
            assert!(
                Instant::now() < deadline,
                "no answer after {limit:?}; it said: {}",
                stderr.so_far()
            );
            thread::sleep(Duration::from_millis(20));
        }
        let took = self.began.elapsed();
        let status = self.child.wait().unwrap();
        let (stdout, stderr) = (stdout.all(), stderr.all());
        assert!(status.success(), "{status}: {stdout}\n{stderr}");
        let answer = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout:?}"));
        Reply {
            answer,
            stderr,
            took,
        }
    }
}

/// What comes out of a pipe, read by a thread of its own.
struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    end: mpsc::Receiver<()>,
    /// The number of the pipe.
    pipe: Option<u64>,
}

impl Collected {
    fn from(pipe: Option<impl Read + AsFd + Send + 'static>) -> Self {
        let number = pipe.as_ref().map(|pipe| fstat(pipe).unwrap().st_ino);
        let bytes: Arc<Mutex<Vec<u8>>> = Arc::default();
        let (at_end, end) = mpsc::channel();
        let shared = Arc::clone(&bytes);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            let mut pipe = pipe;
            while let Some(read) = pipe.as_mut().and_then(|pipe| pipe.read(&mut buffer).ok())
                && read > 0
            {
                shared.lock().unwrap().extend_from_slice(&buffer[..read]);
            }
            at_end.send(())
        });
        Self {
            bytes,
            end,
            pipe: number,
        }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    /// Everything. The process has ended: whoever still holds the pipe is one too many.
    fn all(self) -> String {
        if self.end.recv_timeout(PIPES_LIMIT).is_err() {
            // On a busy machine it may be our own thread that is late.
            let holders = holders_of(self.pipe.unwrap());
            assert!(
                holders.is_empty(),
                "who holds the client's pipe: {holders:?}"
            );
            let ended = self.end.recv_timeout(seconds(30));
            ended.expect("the end of a pipe that nobody holds");
        }
        self.so_far()
    }
}

impl Reply {
    /// The answer of an operation that succeeded.
    #[track_caller]
    pub(crate) fn done(self) -> Value {
        let Self { answer, stderr, .. } = &self;
        assert!(answer.get("error").is_none(), "{answer}\n{stderr}");
        assert_eq!(answer["protocolVersion"], 1);
        self.answer
    }

    /// The lease of an operation that succeeded.
    #[track_caller]
    pub(crate) fn lease(self) -> Value {
        let answer = self.done();
        assert!(answer["lease"].is_object(), "{answer}");
        answer["lease"].clone()
    }

    /// What went wrong with an operation that failed.
    #[track_caller]
    pub(crate) fn error(self) -> String {
        let error = self.answer["error"].as_str();
        error
            .unwrap_or_else(|| panic!("no error: {}", self.answer))
            .to_owned()
    }

    /// The same answer, which must not have taken longer.
    #[track_caller]
    pub(crate) fn within(self, limit: Duration) -> Self {
        assert!(self.took <= limit, "{:?}: {}", self.took, self.answer);
        self
    }
}

/// The program under test, where any user can run it.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<(PathBuf, Lifeline)> = OnceLock::new();
    let (path, _) = BINARY.get_or_init(|| {
        let directory = tempfile::Builder::new()
            .prefix("slurm-cbx-bin-")
            .tempdir()
            .unwrap()
            .keep();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        let lifeline = Lifeline::new("rm", &["-rf", directory.to_str().unwrap()]).unwrap();
        let path = directory.join("slurm-cbx");
        fs::copy(env!("CARGO_BIN_EXE_slurm-cbx"), &path).unwrap();
        (path, lifeline)
    });
    path
}
