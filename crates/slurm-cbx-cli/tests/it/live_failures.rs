//! Failures that people meet first.

use std::time::Duration;

use serde_json::json;

use crate::client::{Client, text, warmup};
use crate::cluster::Cluster;
use crate::truth::{seconds, until};

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_partition_that_does_not_exist() {
    let client = Client::new(Cluster::shared());
    let identity = client.identity();
    let config = json!({"partition": "nosuch"});
    let error = client.doctor(&config).error();
    assert!(
        error.contains("Invalid partition name specified"),
        "{error}"
    );
    let error = client.acquire(&identity, &config).error();
    assert!(
        error.contains("Invalid partition name specified"),
        "{error}"
    );
    assert!(client.cluster.jobs(&identity.name).is_empty());
    assert!(client.listed(&identity).is_none());
    client.assert_nothing_left(&identity);
    // The identity is free for a request that can be met.
    client
        .acquire(&identity, &json!({"partition": "batch"}))
        .lease();
    client.release(&identity).done();
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_runner_that_exits_at_once() {
    let client = Client::new(Cluster::shared());
    let identity = client.identity();
    let runner = client.runner(
        "#!/bin/sh\necho preparing\necho 'no licence for the fortran compiler' >&2\nexit 37\n",
    );
    let error = client
        .acquire(&identity, &json!({"runnerScript": runner}))
        .error();
    assert!(error.contains("exit code 37"), "{error}");
    assert!(
        error.contains("  no licence for the fortran compiler"),
        "{error}"
    );
    assert!(client.listed(&identity).is_none());
    client.assert_nothing_left(&identity);
}

const SILENT: &str = "#!/bin/sh\nexec sleep 600\n";

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_job_that_never_publishes_is_cancelled() {
    let client = Client::new(Cluster::shared());
    let identity = client.identity();
    let config = json!({"runnerScript": client.runner(SILENT), "acquireTimeoutSeconds": 4});
    let reply = client.acquire(&identity, &config).within(seconds(25));
    assert!(reply.took >= seconds(4), "{:?}", reply.took);
    let error = reply.error();
    assert!(
        error.contains("not ready after 4 s") && error.contains("cancelled"),
        "{error}"
    );
    until(seconds(10), "the job to be over", || {
        client.cluster.live(&identity.name).is_empty()
    });
    client.release(&identity).done();
    client.assert_nothing_left(&identity);
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_job_that_is_to_be_kept_stays_queued() {
    let client = Client::new(Cluster::shared());
    let identity = client.identity();
    let config = json!({
        "extraSbatchArgs": ["--begin=now+1hour"], "acquireTimeoutSeconds": 3, "unclaimedGraceSeconds": 1,
    });
    let error = client.ask(&warmup(&identity, &config)).error();
    let jobs = client.cluster.live(&identity.name);
    let [job] = &jobs[..] else {
        panic!("{jobs:?}: {error}")
    };
    assert!(
        error.contains(&format!("job {} is kept", job.id)),
        "{error}"
    );
    // It was answered for, so nobody takes it for abandoned, whenever that is looked at.
    let row = client.listed(&identity).expect("a row");
    assert!(
        text(&row["status"]).starts_with("PENDING (BeginTime)"),
        "{row}"
    );
    client.cleanup().done();
    assert_eq!(client.cluster.live(&identity.name), jobs);
    // Asked for again, it is the same job that is waited for.
    let running = client.begin(&warmup(&identity, &json!({})));
    client.cluster.must(
        "scontrol",
        &["update", &format!("jobid={}", job.id), "starttime=now"],
    );
    let lease = running.finish(seconds(60)).lease();
    assert_eq!(lease["cloudId"], format!("slurm/job/{}", job.id));
    client.release(&identity).done();
    client.assert_nothing_left(&identity);
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_controller_that_is_down() {
    let cluster = Cluster::own(&[]);
    let client = Client::new(&cluster);
    let (kept, refused) = (client.identity(), client.identity());
    client.acquire(&kept, &json!({})).lease();
    cluster.stop("slurmctld");
    let error = client.doctor(&json!({})).within(seconds(8)).error();
    assert!(
        error.contains("controller") || error.contains("did not answer"),
        "{error}"
    );
    let error = client
        .acquire(&refused, &json!({}))
        .within(seconds(60))
        .error();
    assert!(error.contains("nothing was submitted"), "{error}");
    let error = client.resolve(&kept).within(seconds(8)).error();
    assert!(
        error.contains("is unknown") && error.contains("nothing is lost"),
        "{error}"
    );
    let row = client.listed(&kept).expect("a row");
    assert!(text(&row["status"]).starts_with("unknown: "), "{row}");
    cluster.start("slurmctld");
    client.resolve(&kept).lease();
    client.release(&kept).done();
    client.assert_nothing_left(&kept);
    assert!(cluster.jobs(&refused.name).is_empty());
    client.assert_nothing_left(&refused);
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn what_is_no_request_is_answered_all_the_same() {
    let client = Client::new(Cluster::shared());
    let limit = Duration::from_secs(2);
    for text in [
        "",
        "hello",
        "[]",
        "{}",
        "{\"protocolVersion\":1}",
        "{\"protocolVersion\":2,\"operation\":\"list\"}",
    ] {
        let error = client.ask_text(text).within(limit).error();
        assert!(!error.is_empty(), "{text}");
    }
    let identity = client.identity();
    let error = client
        .acquire(&identity, &json!({"partion": "batch"}))
        .error();
    assert!(error.contains("did you mean partition?"), "{error}");
    let error = client.doctor(&json!({"cpus": "two"})).error();
    assert!(error.contains("cpus"), "{error}");
    let mut odd = identity.clone();
    odd.lease = "../../etc".to_owned();
    client.acquire(&odd, &json!({})).error();
    assert!(client.cluster.jobs(&identity.name).is_empty());
    assert!(
        !client.state_dir().exists(),
        "a request that is refused leaves nothing behind"
    );
}
