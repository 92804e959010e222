//! Releases when Slurm is slow, hung, down, or wrong.

use std::fs;

use serde_json::json;

use crate::client::{Client, Reply, acquire, text};
use crate::cluster::Cluster;
use crate::truth::{is_alive, kill_all_of, listener, seconds, until};

/// An sbatch that says when it is called and goes on when it is told to.
const PATIENT_SBATCH: &str = r#"#!/bin/sh
touch "$HOME/called"
until [ -e "$HOME/go" ]; do sleep 0.05; done
PATH=${PATH#*:} exec sbatch "$@"
"#;

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_submission_that_times_out_is_found_and_ended() {
    let cluster = Cluster::own(&[]);
    let client = Client::new(&cluster);
    let identity = client.identity();
    let wrappers = client.path("wrappers");
    fs::create_dir(&wrappers).unwrap();
    client.user.own(&wrappers);
    client
        .user
        .write_script(&wrappers.join("sbatch"), PATIENT_SBATCH);
    let search_path = format!("{}:{}", wrappers.display(), cluster.search_path());
    let client = client.with_variable("PATH", &search_path);

    let running = client.begin(&acquire(&identity, &json!({})));
    until(seconds(10), "sbatch to be called", || {
        client.path("called").exists()
    });
    let frozen = cluster.freeze("slurmctld");
    fs::write(client.path("go"), "").unwrap();
    let error = client.release(&identity).within(seconds(25)).error();
    assert!(
        error.contains("is not released yet") && error.contains("remembered"),
        "{error}"
    );
    running.finish(seconds(30)).error();
    let row = client.listed(&identity).expect("a row");
    assert!(text(&row["status"]).starts_with("unknown: "), "{row}");
    frozen.thaw();
    // The controller takes the request that waited for it.
    until(seconds(20), "the job to appear", || {
        !cluster.jobs(&identity.name).is_empty()
    });
    client.release(&identity).within(seconds(25)).done();
    client.assert_nothing_left(&identity);
    assert_eq!(cluster.jobs(&identity.name).len(), 1);
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn an_epilog_makes_nobody_wait() {
    let directory = tempfile::Builder::new()
        .prefix("slurm-cbx-epilog-")
        .tempdir()
        .unwrap();
    let (epilog, flag) = (
        directory.path().join("epilog"),
        directory.path().join("busy"),
    );
    let script = format!(
        "#!/bin/sh\nwhile [ -e {} ]; do sleep 0.2; done\n",
        flag.display()
    );
    fs::write(&epilog, script).unwrap();
    std::process::Command::new("chmod")
        .args(["-R", "755"])
        .arg(directory.path())
        .status()
        .unwrap();
    let cluster = Cluster::own(&["--conf", &format!("Epilog={}", epilog.display())]);
    let client = Client::new(&cluster);
    let identity = client.identity();
    client.acquire(&identity, &json!({})).lease();

    fs::write(&flag, "").unwrap();
    let released = client.release(&identity).within(seconds(12)).done();
    assert!(
        text(&released["message"]).contains("is ending"),
        "{released}"
    );
    assert_eq!(cluster.jobs(&identity.name)[0].state, "COMPLETING");
    let row = client.listed(&identity).expect("a row");
    assert!(
        text(&row["status"]).starts_with("ending (COMPLETING"),
        "{row}"
    );
    assert_eq!(row["labels"]["state"], "deleting");
    client.resolve(&identity).within(seconds(8)).error();
    client.cleanup().done();
    assert!(client.listed(&identity).is_some());
    client.release(&identity).within(seconds(12)).done();

    fs::remove_file(&flag).unwrap();
    cluster.wait_for(&identity.name, "CANCELLED");
    client.cleanup().done();
    assert!(client.listed(&identity).is_none());
    client.assert_nothing_left(&identity);
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn without_a_controller_the_job_ends_itself() {
    let cluster = Cluster::own(&[]);
    let client = Client::new(&cluster);
    let identity = client.identity();
    let lease = client.acquire(&identity, &json!({})).lease();
    let sshd = listener(&text(&lease["ssh"]["port"])).expect("an sshd");
    cluster.stop("slurmctld");
    let error = client.release(&identity).within(seconds(25)).error();
    assert!(error.contains("is not released yet"), "{error}");
    until(seconds(15), "the runner and its sshd to end", || {
        !is_alive(sshd)
    });
    assert!(client.listed(&identity).is_some());
    cluster.start("slurmctld");
    client.assert_ends(&identity);
}

/// A controller that lost its state, and a job of the same user that has our number since.
/// Returns what a release says then.
fn release_after_reuse(cluster: &Cluster, stranger: Option<&str>) -> Reply {
    let client = Client::new(cluster).with_options(&["--settle", "3"]);
    let identity = client.identity();
    let lease = client.acquire(&identity, &json!({})).lease();
    let cloud_id = text(&lease["cloudId"]);
    // The first number that a controller gives out: 20.11's begins one later than FirstJobId.
    let number = cloud_id.strip_prefix("slurm/job/").expect("a job");
    assert!(["700", "701"].contains(&number), "{cloud_id}");
    for daemon in ["slurmctld", "slurmd-n1", "slurmd-n2"] {
        cluster.stop(daemon);
    }
    kill_all_of(&identity.lease);
    for name in ["state", "spool/n1", "spool/n2"] {
        fs::remove_dir_all(cluster.path(name)).unwrap();
        fs::create_dir_all(cluster.path(name)).unwrap();
    }
    for daemon in ["slurmctld", "slurmd-n1", "slurmd-n2"] {
        cluster.start(daemon);
    }
    let name = stranger.unwrap_or(&identity.name);
    assert_eq!(client.submit_by_hand(name), number);
    cluster.wait_for(name, "RUNNING");
    client.resolve(&identity).within(seconds(8)).error();
    let reply = client.release(&identity).within(seconds(25));
    client.cleanup().done();
    let jobs = cluster.jobs(name);
    assert!(
        jobs.iter()
            .any(|job| job.id == number && job.state == "RUNNING"),
        "the stranger was touched: {jobs:?}"
    );
    let is_listed = client.listed(&identity).is_some();
    assert_eq!(is_listed, reply.answer.get("error").is_some());
    assert_eq!(is_listed, client.lease_dir(&identity).exists());
    reply
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_job_that_took_our_number_survives() {
    let cluster = Cluster::own(&["--conf", "FirstJobId=700"]);
    release_after_reuse(&cluster, Some("training")).done();
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_job_that_took_our_number_and_name_survives() {
    let cluster = Cluster::own(&["--conf", "FirstJobId=700"]);
    // Our job was seen with its comment, and this one has none.
    release_after_reuse(&cluster, None).done();
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_requeued_job_is_another_machine_and_ends_all_the_same() {
    let cluster = Cluster::shared();
    let client = Client::new(cluster);
    let identity = client.identity();
    let first = client.acquire(&identity, &json!({})).lease();
    let job = cluster.wait_for(&identity.name, "RUNNING");
    let update = format!("jobid={}", job.id);
    cluster.must("scontrol", &["update", &update, "requeue=1"]);
    cluster.must("scontrol", &["requeue", &job.id]);
    client.resolve_says(&identity, "is not ready");
    cluster.wait_for(&identity.name, "PENDING");
    client.resolve_says(&identity, "is queued");
    let row = client.listed(&identity).expect("a row");
    assert!(row.get("ssh").is_none(), "{row}");

    cluster.must("scontrol", &["update", &update, "starttime=now"]);
    let second = client.acquire(&identity, &json!({})).lease();
    assert_eq!(first["cloudId"], second["cloudId"]);
    assert_ne!(first["ssh"]["port"], second["ssh"]["port"]);
    assert_eq!(client.ssh(&second, "echo $SLURM_RESTART_COUNT"), "1");

    // The acquire has forbidden it.
    let forbidden = cluster.run("scontrol", &["requeue", &job.id]);
    assert!(!forbidden.status.success(), "{forbidden:?}");
    cluster.must("scontrol", &["update", &update, "requeue=1"]);
    cluster.must("scontrol", &["requeue", &job.id]);
    cluster.wait_for(&identity.name, "PENDING");
    client.release(&identity).within(seconds(25)).done();
    client.assert_nothing_left(&identity);
    cluster.run("scontrol", &["requeue", &job.id]);
    assert!(
        cluster.live(&identity.name).is_empty(),
        "it can't be brought back"
    );
}

fn a_purged_job_is_proven_gone(options: &[&str]) {
    let cluster = Cluster::own(&[&["--conf", "MinJobAge=2"], options].concat());
    let client = Client::new(&cluster).with_options(&["--settle", "3"]);
    let identity = client.identity();
    client.acquire(&identity, &json!({})).lease();
    // No stop marker: the runner has no time to write one.
    kill_all_of(&identity.lease);
    until(seconds(150), "the job to be purged", || {
        cluster.jobs(&identity.name).is_empty()
    });
    let error = client.resolve(&identity).within(seconds(8)).error();
    assert!(!error.is_empty());
    client.cleanup().within(seconds(60)).done();
    assert!(client.listed(&identity).is_none());
    assert!(!client.lease_dir(&identity).exists());
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_purged_job_is_proven_gone_without_accounting() {
    a_purged_job_is_proven_gone(&[]);
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_purged_job_is_proven_gone_with_accounting() {
    a_purged_job_is_proven_gone(&["--accounting"]);
}
