//! The stub executable under its own name: what the README shows at a shell.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Said, wait_until};

/// A cluster that was made at a shell.
struct Shell {
    directory: tempfile::TempDir,
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Nothing of a test that failed is to run on.
        self.admin("stop", &[]);
    }
}

impl Shell {
    fn new(options: &[&str]) -> Self {
        let shell = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        let said = shell.admin("new", options);
        assert_eq!(said.status, Some(0), "{}", said.stderr);
        assert_eq!(said.stdout.trim(), shell.bin().to_str().unwrap());
        shell
    }

    fn cluster(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join("fake")
    }

    fn bin(&self) -> PathBuf {
        self.cluster().join("bin")
    }

    fn admin(&self, verb: &str, rest: &[&str]) -> Said {
        let stub = fake_slurm::stub_executable().unwrap();
        let cluster = self.cluster();
        let mut arguments = vec![verb, cluster.to_str().unwrap()];
        arguments.extend(rest);
        self.run(&stub, &arguments)
    }

    fn call(&self, program: &str, arguments: &[&str]) -> Said {
        self.run(&self.bin().join(program), arguments)
    }

    fn run(&self, program: &Path, arguments: &[&str]) -> Said {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        Said::from(command.output().unwrap())
    }

    fn state(&self) -> String {
        let said = self.call("squeue", &["-h", "-t", "all", "-o", "%T"]);
        said.stdout.trim().to_owned()
    }
}

const NO_CANCEL: &str =
    r#"{"program":"scancel","argument":null,"which":{"nth":1},"action":"do-nothing"}"#;

#[test]
fn what_the_readme_shows() {
    let shell = Shell::new(&["--run-jobs", "--generation", "24.11"]);
    let submitted = shell.call("sbatch", &["--parsable", "--wrap", "sleep 60"]);
    assert_eq!(submitted.stdout, "1\n");
    wait_until("it runs", || shell.state() == "RUNNING");
    assert_eq!(shell.admin("fault", &[NO_CANCEL]).status, Some(0));
    assert_eq!(shell.call("scancel", &["1"]).status, Some(0));
    assert_eq!(shell.state(), "RUNNING");
    let jobs = shell.admin("jobs", &[]).stdout;
    let job: serde_json::Value = serde_json::from_str(&jobs).expect("one job, on a line");
    assert_eq!(job["base"], "RUNNING");
    let log = shell.admin("log", &[]).stdout;
    let scancel = log.lines().find(|line| line.contains("scancel"));
    assert!(scancel.is_some_and(|line| line.contains(r#""arguments":["1"]"#)));
    assert_eq!(shell.admin("stop", &[]).status, Some(0));
    assert_eq!(shell.admin("jobs", &[]).stdout.lines().count(), 1);
}

#[test]
fn conditions_and_time() {
    let shell = Shell::new(&["--name", "alpha", "--start-delay", "3"]);
    shell.call("sbatch", &["--wrap=true"]);
    assert_eq!(shell.state(), "PENDING");
    assert_eq!(shell.admin("advance", &["5"]).status, Some(0));
    assert_eq!(shell.state(), "RUNNING");
    for condition in ["down", "hung", "authentication", "munge", "stale"] {
        assert_eq!(shell.admin("controller", &[condition]).status, Some(0));
        let healthy = shell.call("squeue", &[]).status == Some(0);
        assert_eq!(healthy, condition == "stale", "{condition}");
    }
    shell.admin("controller", &["up"]);
    for (condition, status) in [("down", 1), ("no-database", 1), ("disabled", 1), ("9", 0)] {
        assert_eq!(shell.admin("accounting", &[condition]).status, Some(0));
        let said = shell.call("sacct", &["-X", "-n"]);
        assert_eq!(said.status, Some(status), "{condition}: {}", said.stderr);
    }
    assert_eq!(shell.admin("lose-state", &[]).status, Some(0));
    assert_eq!(shell.state(), "");
    shell.admin("fault", &[NO_CANCEL]);
    shell.admin("fault", &["clear"]);
    assert_eq!(
        shell.call("scancel", &["-v", "1"]).stderr.lines().count(),
        2
    );
}

#[test]
fn mistakes_are_named() {
    let shell = Shell::new(&[]);
    let said = shell.admin("new", &[]);
    assert_eq!(said.status, Some(1));
    assert!(said.stderr.ends_with("exists\n"), "{}", said.stderr);
    let said = shell.admin("fault", &["{}"]);
    assert_eq!(said.status, Some(1));
    assert!(
        said.stderr
            .starts_with("fake-slurm: not a fault: missing field")
    );
    let said = shell.admin("frobnicate", &[]);
    assert_eq!(said.status, Some(2));
    assert!(said.stderr.contains("usage: fake-slurm new"));
}

#[test]
fn a_reader_that_has_enough_is_no_mistake() {
    let shell = Shell::new(&[]);
    for _ in 0..3 {
        shell.call("squeue", &[]);
    }
    let mut log = Command::new(fake_slurm::stub_executable().unwrap());
    log.arg("log").arg(shell.cluster());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = log.stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// Help is given, and what is no directory makes none.
#[test]
fn help_and_options_are_no_directories() {
    let directory = tempfile::tempdir().unwrap();
    let stub = fake_slurm::stub_executable().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&stub);
        command.args(arguments).current_dir(directory.path());
        Said::from(command.stdin(Stdio::null()).output().unwrap())
    };
    let verbs = [
        "new",
        "fault",
        "controller",
        "accounting",
        "lose-state",
        "advance",
        "jobs",
    ];
    for verb in verbs.into_iter().chain(["log", "stop"]) {
        for help in [
            &[verb, "--help"][..],
            &[verb, "-h"],
            &[verb, "somewhere", "--help"],
        ] {
            let said = run(help);
            assert_eq!(said.status, Some(0), "{help:?}: {}", said.stderr);
            assert!(
                said.stdout.starts_with("usage: fake-slurm new DIR"),
                "{help:?}"
            );
        }
        let said = run(&[verb, "--bogus"]);
        assert_eq!(said.status, Some(2), "{verb}: {}", said.stdout);
        assert!(
            said.stderr.contains("no such option: --bogus"),
            "{}",
            said.stderr
        );
    }
    for help in ["--help", "-h", "help"] {
        assert!(run(&[help]).stdout.starts_with("usage: "));
    }
    assert_eq!(run(&["new", "cluster", "--bogus"]).status, Some(2));
    let left = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 0, "a directory was made");
}
