//! Waiting in the queue with `crabbox`, and not waiting any longer.

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::crabbox::Crabbox;
use crate::truth::{seconds, until};

const LEASE: &str = "cbx_0123456789ab";
const WARMUP: [&str; 5] = ["warmup", "--lease-id", LEASE, "--slug", "smoke"];

/// A cluster all of whose nodes somebody else has, and the number of that job.
fn busy() -> (Cluster, String) {
    let cluster = Cluster::own(&[]);
    let options = [
        "--parsable",
        "-N",
        "2",
        "--exclusive",
        "-t",
        "30",
        "-o",
        "/dev/null",
    ];
    let arguments = [&options[..], &["--wrap", "sleep 1800"]].concat();
    let job = cluster.must("sbatch", &arguments);
    until(seconds(30), "the nodes to be taken", || {
        cluster.must("squeue", &["-h", "-t", "RUNNING", "-o", "%A"]) == job
    });
    (cluster, job)
}

/// A job that nobody claimed is given up soon.
fn soon() -> Value {
    json!({"partition": "batch", "unclaimedGraceSeconds": 3})
}

#[test]
#[ignore = "needs crabbox on PATH and a real Slurm"]
fn a_queued_lease_is_shown_and_stopped() {
    let (cluster, _) = busy();
    let person = Crabbox::new(&cluster, "queued", &json!({"partition": "batch"}));
    let mut warmup = person.begin(&WARMUP);
    warmup.wait_for("PENDING (");
    let job = person.wait_for("PENDING");
    person.note("beside a warmup that waits");
    let listed = person.run(&["list"]).done();
    assert!(
        listed.contains("PENDING (") && listed.contains(&job.id),
        "{listed}"
    );
    let words = ["is queued", &*format!("job {} is PENDING (", job.id)];
    person.run(&["status", LEASE]).failed(5, &words);
    person.run(&["stop", LEASE]).done();
    person.note("and the warmup that waited:");
    let said = warmup.finish();
    let error = said.failed(5, &[LEASE, "released"]);
    assert!(!error.contains("signal"), "{error}");
    person.assert_nothing_left();
}

#[test]
#[ignore = "needs crabbox on PATH and a real Slurm"]
fn ctrl_c_while_queued_takes_the_job_out() {
    let (cluster, _) = busy();
    let person = Crabbox::new(&cluster, "ctrl-c", &soon());
    for (arguments, said) in [
        (&["run", "--", "true"][..], "Ctrl-C ends the job"),
        (
            &["warmup"][..],
            "after Ctrl-C the job ends in 3 s, unless lease cbx_",
        ),
    ] {
        let mut going = person.begin_in_terminal(arguments);
        going.wait_for(said);
        let job = person.wait_for("PENDING");
        going.press_ctrl_c();
        let said = going.finish();
        assert_ne!(said.code, Some(0), "{said:?}");
        until(seconds(30), "the job to leave the queue", || {
            person.live().is_empty()
        });
        person.note(&format!(
            "Ctrl-C; soon after job {} has left the queue",
            job.id
        ));
        person.assert_nothing_left();
    }
}

#[test]
#[ignore = "needs crabbox on PATH and a real Slurm"]
fn a_closed_terminal_takes_the_job_out() {
    let (cluster, _) = busy();
    let person = Crabbox::new(&cluster, "closed-terminal", &soon());
    for arguments in [&["run", "--", "true"][..], &["warmup"][..]] {
        let mut going = person.begin_in_terminal(arguments);
        going.wait_for("PENDING (");
        let job = person.wait_for("PENDING");
        going.close_terminal();
        until(seconds(30), "the job to leave the queue", || {
            person.live().is_empty()
        });
        person.note(&format!("soon after job {} has left the queue", job.id));
        person.assert_nothing_left();
    }
}

#[test]
#[ignore = "needs crabbox on PATH and a real Slurm"]
fn a_warmup_that_gave_up_can_be_gone_on_with_or_stopped() {
    let (cluster, _) = busy();
    let config = json!({"partition": "batch", "acquireTimeoutSeconds": 3});
    let person = Crabbox::new(&cluster, "gave-up", &config);
    let said = person.run(&["warmup"]);
    let job = person.wait_for("PENDING");
    let kept = format!("job {} is kept", job.id);
    let error = said.failed(5, &[&kept]);
    // What it says to type is typed.
    let typed: Vec<Vec<&str>> = error
        .split('`')
        .filter_map(|part| part.strip_prefix("crabbox "))
        .map(|command| command.split(' ').collect())
        .collect();
    let [go_on, end] = &typed[..] else {
        panic!("{error}")
    };
    person.run(go_on).failed(5, &[&kept]);
    assert_eq!(person.live(), std::slice::from_ref(&job));
    let lease = end.last().unwrap();
    person.run(&["status", lease]).failed(5, &["is queued"]);
    person.run(end).done();
    person.assert_nothing_left();
    let said = person.run(&["run", "--", "true"]);
    said.failed(5, &["not ready after 3 s", "the job was cancelled"]);
    person.assert_nothing_left();
}

#[test]
#[ignore = "needs crabbox on PATH and a real Slurm"]
fn ctrl_c_and_the_same_lease_again() {
    let (cluster, blocker) = busy();
    let person = Crabbox::new(&cluster, "ctrl-c-and-again", &json!({"partition": "batch"}));
    let mut going = person.begin_in_terminal(&WARMUP);
    going.wait_for("PENDING (");
    let job = person.wait_for("PENDING");
    going.press_ctrl_c();
    let said = going.finish();
    assert_ne!(said.code, Some(0), "{said:?}");
    person.note("Ctrl-C, and the same command again");
    let mut again = person.begin(&WARMUP);
    again.wait_for("PENDING (");
    cluster.must("scancel", &[&blocker]);
    again.finish().done();
    assert_eq!(
        person.jobs().iter().map(|job| &job.id).collect::<Vec<_>>(),
        [&job.id]
    );
    let line = person.run(&[
        "run",
        "--id",
        "smoke",
        "--no-sync",
        "--shell",
        "echo job $SLURM_JOB_ID",
    ]);
    assert!(line.done().contains(&format!("job {}", job.id)));
    person.run(&["stop", "smoke"]).done();
    person.assert_nothing_left();
}
