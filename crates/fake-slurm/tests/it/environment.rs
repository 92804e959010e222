//! Variables that filter, redirect and reshape what Slurm answers do so here, so that a client
//! that does not clear them is found out.

use fake_slurm::NOT_PLAYED;

use crate::{Bench, Said};

fn with(bench: &Bench, variable: (&str, &str), program: &str, arguments: &[&str]) -> Said {
    let mut command = bench.command(program);
    command.env(variable.0, variable.1).args(arguments);
    command.output().expect("the command can be started").into()
}

#[test]
fn squeue_is_filtered_into_silence() {
    let bench = Bench::new();
    bench.submit(&["--account=lab"]);
    let question = ["-h", "-t", "all", "-j", "1", "-o", "%i"];
    assert_eq!(bench.run("squeue", &question).stdout, "1\n");
    for variable in [
        ("SQUEUE_USERS", "daemon"),
        ("SQUEUE_NAMES", "other"),
        ("SQUEUE_PARTITION", "other"),
        ("SQUEUE_ACCOUNT", "other"),
        ("SQUEUE_QOS", "other"),
        ("SQUEUE_LICENSES", "other"),
    ] {
        let said = with(&bench, variable, "squeue", &question);
        let silence = Said {
            status: Some(0),
            stdout: String::new(),
            stderr: String::new(),
        };
        assert_eq!(said, silence, "{variable:?}");
    }
    let said = with(
        &bench,
        ("SQUEUE_STATES", "PENDING"),
        "squeue",
        &["-h", "-j", "1"],
    );
    assert_eq!(said.stdout, "");
    assert_eq!(
        with(&bench, ("SQUEUE_FORMAT", "%T"), "squeue", &["-h"]).stdout,
        "RUNNING\n"
    );
    assert_eq!(
        with(&bench, ("SQUEUE_FORMAT2", "State:0"), "squeue", &["-h"]).stdout,
        "RUNNING\n"
    );
}

#[test]
fn scancel_does_nothing_and_says_nothing() {
    let bench = Bench::new();
    bench.submit(&[]);
    for variable in [
        ("SCANCEL_STATE", "PENDING"),
        ("SCANCEL_NAME", "other"),
        ("SCANCEL_USER", "nobody"),
    ] {
        let said = with(&bench, variable, "scancel", &["1"]);
        let silence = Said {
            status: Some(0),
            stdout: String::new(),
            stderr: String::new(),
        };
        assert_eq!(said, silence, "{variable:?}");
        assert_eq!(bench.state(1), "RUNNING");
    }
    let asks = with(&bench, ("SCANCEL_INTERACTIVE", "1"), "scancel", &["1"]);
    assert_eq!(asks.status, Some(i32::from(NOT_PLAYED)));
}

#[test]
fn clusters_are_looked_up_before_anything_else() {
    let bench = Bench::new();
    for program in ["squeue", "scancel", "sbatch"] {
        let arguments: &[&str] = match program {
            "squeue" => &["--local", "-h"],
            "scancel" => &["1"],
            _ => &["--wrap=true"],
        };
        let said = with(&bench, ("SLURM_CLUSTERS", "nosuch"), program, arguments);
        assert_eq!(said.status, Some(1), "{program}");
        assert!(
            said.stderr
                .contains("No cluster 'nosuch' known by database."),
            "{said:?}"
        );
    }
    let named = with(
        &bench,
        ("SLURM_CLUSTERS", "cluster"),
        "sbatch",
        &["--parsable", "--wrap=true"],
    );
    assert_eq!(named.stdout, "1;cluster\n");
}

#[test]
fn sbatch_takes_defaults_and_refuses_what_is_not_played() {
    let bench = Bench::new();
    let line = ["--parsable", "--wrap=true"];
    let refused = with(&bench, ("SBATCH_PARTITION", "nosuch"), "sbatch", &line);
    assert!(
        refused
            .stderr
            .ends_with("Invalid partition name specified\n"),
        "{refused:?}"
    );
    for variable in ["SBATCH_ARRAY_INX", "SBATCH_WAIT"] {
        let said = with(&bench, (variable, "1"), "sbatch", &line);
        assert_eq!(said.status, Some(i32::from(NOT_PLAYED)));
        assert!(said.stderr.contains(variable), "{said:?}");
    }
    // The command line wins.
    let line = ["--parsable", "-p", "batch", "--wrap=true"];
    assert_eq!(
        with(&bench, ("SBATCH_PARTITION", "nosuch"), "sbatch", &line).stdout,
        "1\n"
    );
}

#[test]
fn times_take_the_form_that_is_asked_for() {
    let bench = Bench::new();
    bench.submit(&["-H"]);
    let line = ["-h", "-o", "%V|%S"];
    assert_eq!(bench.run("squeue", &line).stdout, "1700000000|N/A\n");
    let standard = with(&bench, ("SLURM_TIME_FORMAT", "standard"), "squeue", &line);
    assert_eq!(standard.stdout, "2023-11-14T22:13:20|N/A\n");
    let other = with(&bench, ("SLURM_TIME_FORMAT", "%H:%M"), "squeue", &line);
    assert_eq!(other.stdout, "22:13|N/A\n");
}

#[test]
fn slurm_conf_names_another_cluster_or_nothing() {
    let (here, there) = (Bench::new(), Bench::new());
    there.submit(&["-J", "there"]);
    let conf = there.cluster.slurm_conf();
    let said = with(
        &here,
        ("SLURM_CONF", conf.to_str().unwrap()),
        "squeue",
        &["-h", "-o", "%j"],
    );
    assert_eq!(said.stdout, "there\n");
    let missing = with(
        &here,
        ("SLURM_CONF", "/nonexistent/slurm.conf"),
        "squeue",
        &["-h"],
    );
    assert_eq!(missing.status, Some(1));
    assert!(
        missing
            .stderr
            .contains("cannot stat file /nonexistent/slurm.conf"),
        "{missing:?}"
    );
    let foreign = with(&here, ("SLURM_CONF", "/etc/passwd"), "squeue", &["-h"]);
    assert_eq!(foreign.status, Some(i32::from(NOT_PLAYED)));
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    let bench = Bench::new();
    for (program, option) in [
        ("squeue", "--json"),
        ("sbatch", "--array=1-2"),
        ("scancel", "--ctld"),
        ("sacct", "--json"),
        ("sinfo", "--long"),
        ("scontrol", "--details"),
    ] {
        let said = bench.run(program, &[option]);
        assert_eq!(said.status, Some(i32::from(NOT_PLAYED)), "{program}");
        let name = option.split('=').next().unwrap();
        assert!(said.stderr.contains(name), "{said:?}");
    }
}

#[test]
fn every_call_is_logged_without_values() {
    let bench = Bench::new();
    let said = with(
        &bench,
        ("SECRET", "value-of-it"),
        "squeue",
        &["-h", "--bogus"],
    );
    assert_eq!(said.status, Some(64));
    let calls = bench.cluster.calls().unwrap();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].arguments, ["-h", "--bogus"]);
    assert!(calls[0].variables.contains(&"SECRET".to_owned()));
    assert_eq!(calls[0].status, Some(64));
    let log = std::fs::read_to_string(bench.directory.path().join("cluster/calls.jsonl")).unwrap();
    assert!(!log.contains("value-of-it"));
}

#[test]
fn times_are_shown_in_the_zone_of_the_caller() {
    let bench = Bench::new();
    let id = bench.submit(&[]).to_string();
    let shown = |zone: &str| {
        let mut squeue = bench.command("squeue");
        squeue.env_remove("SLURM_TIME_FORMAT").env("TZ", zone);
        let output = squeue.args(["-h", "-j", &id, "-o", "%V"]).output().unwrap();
        Said::from(output).stdout
    };
    assert_eq!(shown("UTC"), "2023-11-14T22:13:20\n");
    assert_eq!(shown("JST-9"), "2023-11-15T07:13:20\n");
}
