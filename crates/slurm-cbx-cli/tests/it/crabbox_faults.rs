//! What a person reads when something is wrong.

use serde_json::json;

use crate::cluster::Cluster;
use crate::crabbox::Crabbox;
use crate::truth::{seconds, until};

#[test]
#[ignore = "needs crabbox on PATH and a real Slurm"]
fn a_stop_with_the_controller_down() {
    let cluster = Cluster::own(&[]);
    let person = Crabbox::new(&cluster, "controller-down", &json!({}));
    person.run(&["warmup", "--slug", "smoke"]).done();
    let job = person.wait_for("RUNNING");
    cluster.stop("slurmctld");
    person.note("slurmctld is stopped");
    person.run(&["status", "smoke"]).failed(5, &["is unknown"]);
    let listed = person.run(&["list"]).done();
    assert!(listed.contains("unknown: "), "{listed}");
    person
        .run(&["stop", "smoke"])
        .failed(5, &["is not released yet"]);
    assert_eq!(person.claims().len(), 1);
    cluster.start("slurmctld");
    person.note("slurmctld is started");
    until(seconds(60), "the controller to answer", || {
        cluster.run("squeue", &["-h"]).status.success()
    });
    person.run(&["stop", "smoke"]).done();
    assert!(person.claims().is_empty());
    until(seconds(60), "the record to be removed", || {
        person.run(&["cleanup"]).done();
        person.records().is_empty()
    });
    person.assert_nothing_left();
    assert!(person.jobs().iter().all(|known| known.id == job.id));
}

#[test]
#[ignore = "needs crabbox on PATH and a real Slurm"]
fn a_job_that_somebody_cancelled() {
    let person = Crabbox::new(Cluster::shared(), "cancelled", &json!({}));
    person.run(&["warmup", "--slug", "smoke"]).done();
    let job = person.wait_for("RUNNING");
    person.client.cluster.must("scancel", &[&job.id]);
    until(seconds(30), "the job to be over", || {
        person.live().is_empty()
    });
    person.note(&format!("somebody else: scancel {}", job.id));
    let ended = format!("job {} ended: CANCELLED", job.id);
    let mut said = person.run(&["status", "smoke"]);
    until(seconds(10), &ended, || {
        said.stderr.contains(&ended) || {
            said = person.run(&["status", "smoke"]);
            false
        }
    });
    said.failed(5, &[&ended, "the next warmup or run makes a new one"]);
    person
        .run(&["run", "--id", "smoke", "--", "true"])
        .failed(5, &[&ended]);
    let listed = person.run(&["list", "--all"]).done();
    assert!(listed.contains("ended (CANCELLED"), "{listed}");
    person.run(&["stop", "smoke"]).done();
    person.assert_nothing_left();
}

#[test]
#[ignore = "needs crabbox on PATH and a real Slurm"]
fn a_partition_that_does_not_exist() {
    let person = Crabbox::new(
        Cluster::shared(),
        "no-partition",
        &json!({"partition": "bach"}),
    );
    let words = ["nvalid partition name specified"];
    let said = person.run(&["doctor", "--provider", "external"]);
    assert_ne!(said.code, Some(0));
    let said = format!("{}{}", said.stdout, said.stderr);
    assert!(said.contains(words[0]), "{said}");
    let refused = ["Slurm refused the job, so there is none", words[0]];
    person.run(&["warmup"]).failed(5, &refused);
    person.run(&["run", "--", "true"]).failed(5, &refused);
    assert!(person.jobs().is_empty());
    person.assert_nothing_left();
}

#[test]
#[ignore = "needs crabbox on PATH and a real Slurm"]
fn a_misspelt_key() {
    let person = Crabbox::new(
        Cluster::shared(),
        "misspelt-key",
        &json!({"partitoin": "batch"}),
    );
    let words = "has no key \"partitoin\"; did you mean partition?";
    let said = person.run(&["doctor", "--provider", "external"]);
    assert_ne!(said.code, Some(0));
    let said = format!("{}{}", said.stdout, said.stderr);
    assert!(said.contains(words), "{said}");
    person.run(&["warmup"]).failed(5, &[words]);
    assert!(person.jobs().is_empty());
    person.assert_nothing_left();
}

/// A job that ends before its sshd is there.
const BROKEN: &str = "#!/bin/sh\necho 'module: cannot find openssh/9' >&2\nexit 41\n";

#[test]
#[ignore = "needs crabbox on PATH and a real Slurm"]
fn a_runner_that_fails() {
    let person = Crabbox::new(Cluster::shared(), "runner-fails", &json!({}));
    let runner = person.client.runner(BROKEN);
    person.configure(&json!({"runnerScript": runner}));
    let words = ["exit code 41", "module: cannot find openssh/9"];
    person.run(&["run", "--", "true"]).failed(5, &words);
    person.assert_nothing_left();
}
