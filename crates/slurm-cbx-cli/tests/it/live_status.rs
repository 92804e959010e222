//! What is said of a lease that can't be used, and that no dead endpoint is handed out.

use std::fs;

use serde_json::json;

use crate::client::{Client, text, warmup};
use crate::cluster::{Cluster, signal};
use crate::truth::{is_alive, listener, seconds, until};
use rustix::process::Signal;

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_queued_lease_says_so_at_once() {
    let client = Client::new(Cluster::shared());
    let identity = client.identity();
    let config = json!({"extraSbatchArgs": ["--begin=now+1hour"], "acquireTimeoutSeconds": 2});
    client.ask(&warmup(&identity, &config)).error();
    let error = client.resolve(&identity).within(seconds(8)).error();
    assert!(
        error.contains("is queued") && error.contains("PENDING (BeginTime)"),
        "{error}"
    );
    client.release(&identity).done();
    client.assert_nothing_left(&identity);
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_lease_whose_job_was_cancelled_names_its_end() {
    let client = Client::new(Cluster::shared());
    let identity = client.identity();
    client.acquire(&identity, &json!({})).lease();
    let job = client.cluster.wait_for(&identity.name, "RUNNING");
    client.cluster.must("scancel", &[&job.id]);
    client.cluster.wait_for(&identity.name, "CANCELLED");
    let words = format!("job {} ended: CANCELLED", job.id);
    client.resolve_says(&identity, &words);
    let row = client
        .listed(&identity)
        .expect("a row until it is released");
    assert_eq!(row["labels"]["state"], "terminated");
    assert!(row.get("ssh").is_none());
    client.release(&identity).done();
    client.assert_nothing_left(&identity);
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn an_sshd_that_died_ends_the_lease() {
    let client = Client::new(Cluster::shared());
    let identity = client.identity();
    let lease = client.acquire(&identity, &json!({})).lease();
    signal(
        listener(&text(&lease["ssh"]["port"])).expect("an sshd"),
        Signal::KILL,
    );
    client.cluster.wait_for(&identity.name, "FAILED");
    let error = client.resolve_says(&identity, "FAILED");
    assert!(error.contains("sshd ended by itself"), "{error}");
    client.release(&identity).done();
    client.assert_nothing_left(&identity);
}

/// Publishes an endpoint where nobody listens.
const LIAR: &str = r#"#!/bin/sh
dir=$CBX_STATE_DIR/jobs/$CBX_LEASE_ID
printf '{"host":"127.0.0.1","port":9,"user":"%s","readyCheck":"true"}' "$(id -un)" >"$dir/endpoint.new"
mv "$dir/endpoint.new" "$dir/endpoint.json"
"#;

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn an_endpoint_that_nobody_serves_is_not_handed_out() {
    let client = Client::new(Cluster::shared());
    let identity = client.identity();
    let runner = client.runner(&format!("{LIAR}exec sleep 600\n"));
    let config = json!({"runnerScript": runner, "acquireTimeoutSeconds": 5});
    let error = client
        .acquire(&identity, &config)
        .within(seconds(30))
        .error();
    assert!(error.contains("not ready after 5 s"), "{error}");
    client.release(&identity).done();
    client.assert_nothing_left(&identity);
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_runner_that_published_and_died_is_reported() {
    let client = Client::new(Cluster::shared());
    let identity = client.identity();
    let runner = client.runner(&format!(
        "{LIAR}echo 'the licence server hung up'\nexit 41\n"
    ));
    let error = client
        .acquire(&identity, &json!({"runnerScript": runner}))
        .within(seconds(30))
        .error();
    assert!(
        error.contains("exit code 41") && error.contains("the licence server hung up"),
        "{error}"
    );
    client.assert_nothing_left(&identity);
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn with_a_hung_controller_every_answer_is_in_time() {
    let cluster = Cluster::own(&[]);
    let client = Client::new(&cluster);
    let identity = client.identity();
    client.acquire(&identity, &json!({})).lease();
    let frozen = cluster.freeze("slurmctld");
    client.doctor(&json!({})).within(seconds(8)).error();
    let error = client.resolve(&identity).within(seconds(8)).error();
    assert!(error.contains("is unknown"), "{error}");
    let reply = client.list().within(seconds(8)).done();
    assert!(
        text(&reply["leases"][0]["status"]).starts_with("unknown: "),
        "{reply}"
    );
    client.cleanup().within(seconds(60)).done();
    let error = client.release(&identity).within(seconds(25)).error();
    assert!(error.contains("is not released yet"), "{error}");
    frozen.thaw();
    client.release(&identity).within(seconds(25)).done();
    client.assert_ends(&identity);
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn without_munge_nothing_is_dropped() {
    let cluster = Cluster::own(&[]);
    let client = Client::new(&cluster);
    let (kept, refused) = (client.identity(), client.identity());
    client.acquire(&kept, &json!({})).lease();
    cluster.stop("munged");
    let error = client
        .acquire(&refused, &json!({}))
        .within(seconds(60))
        .error();
    assert!(
        error.contains("nothing was submitted") && error.contains("authentication"),
        "{error}"
    );
    let error = client.resolve(&kept).within(seconds(8)).error();
    assert!(
        error.contains("is unknown") && error.contains("authentication"),
        "{error}"
    );
    client.cleanup().done();
    assert!(client.listed(&kept).is_some());
    cluster.start("munged");
    client.resolve(&kept).lease();
    cluster.stop("munged");
    client.release(&kept).within(seconds(25)).error();
    cluster.start("munged");
    client.release(&kept).within(seconds(25)).done();
    client.assert_ends(&kept);
    assert!(cluster.jobs(&refused.name).is_empty());
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn processes_on_a_node_that_slurm_gave_up_end_too() {
    let cluster = Cluster::own(&["--conf", "SlurmdTimeout=5"]);
    let client = Client::new(&cluster);
    let identity = client.identity();
    let lease = client.acquire(&identity, &json!({})).lease();
    let sshd = listener(&text(&lease["ssh"]["port"])).expect("an sshd");
    let frozen = [cluster.freeze("slurmd-n1"), cluster.freeze("slurmd-n2")];
    let released = client.release(&identity).within(seconds(25));
    drop(released);
    until(seconds(60), "the record to be removed", || {
        client.cleanup().done();
        !client.lease_dir(&identity).exists()
    });
    // Slurm reports their end; the processes go since the runner reads the wish as well.
    until(seconds(15), "the runner and its sshd to end", || {
        !is_alive(sshd)
    });
    drop(frozen);
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn an_endpoint_of_an_earlier_job_is_not_handed_out() {
    let client = Client::new(Cluster::shared());
    let identity = client.identity();
    client.acquire(&identity, &json!({})).lease();
    let old = fs::read(client.lease_file(&identity, "endpoint.json")).unwrap();
    let job = client.cluster.wait_for(&identity.name, "RUNNING");
    client.cluster.must("scancel", &[&job.id]);
    client.cluster.wait_for(&identity.name, "CANCELLED");
    client.release(&identity).done();
    // As a copy of the directory, or a late write on a network file system, would leave it.
    let config = json!({"extraSbatchArgs": ["--begin=now+1hour"], "acquireTimeoutSeconds": 2});
    client.ask(&warmup(&identity, &config)).error();
    let path = client.lease_file(&identity, "endpoint.json");
    fs::write(&path, old).unwrap();
    client.user.own(&path);
    let queued = client.cluster.wait_for(&identity.name, "PENDING");
    client.cluster.must(
        "scontrol",
        &["update", &format!("jobid={}", queued.id), "starttime=now"],
    );
    let lease = client.acquire(&identity, &json!({})).lease();
    assert_eq!(client.ssh(&lease, "echo $SLURM_JOB_ID"), queued.id);
    client.release(&identity).done();
    client.assert_nothing_left(&identity);
}
