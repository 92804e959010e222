//! Clients that go away: by Ctrl-C, by a signal, or without a word.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::{Client, Identity, Running, acquire, warmup};
use crate::cluster::{Cluster, signal};
use crate::truth::{Process, processes_of, seconds, until};

fn queued(grace: u64) -> Value {
    json!({"extraSbatchArgs": ["--begin=now+1hour"], "unclaimedGraceSeconds": grace})
}

/// An acquire whose job waits in the queue.
fn begin(client: &Client<'_>, identity: &Identity, request: &Value) -> Running {
    let mut running = client.begin(request);
    client.cluster.wait_for(&identity.name, "PENDING");
    assert!(running.is_going_on());
    running
}

fn assert_ends(client: &Client<'_>, identity: &Identity) {
    until(seconds(20), "the job to leave the queue", || {
        client.cluster.live(&identity.name).is_empty()
    });
    until(seconds(10), "the record to be removed", || {
        !client.lease_dir(identity).exists()
    });
    client.assert_nothing_left(identity);
}

fn keeper(identity: &Identity) -> Option<u32> {
    let processes = processes_of(&identity.lease);
    let is_keeper = |process: &&Process| process.command.contains(" keep ");
    processes.iter().find(is_keeper).map(|process| process.pid)
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn ctrl_c_takes_the_job_out_of_the_queue() {
    let client = Client::new(Cluster::shared());
    let identity = client.identity();
    begin(&client, &identity, &acquire(&identity, &queued(120))).kill_group();
    assert_ends(&client, &identity);
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn ctrl_c_in_a_warmup_leaves_the_grace() {
    let client = Client::new(Cluster::shared());
    let identity = client.identity();
    begin(&client, &identity, &warmup(&identity, &queued(2))).kill_group();
    assert!(!client.cluster.live(&identity.name).is_empty());
    assert_ends(&client, &identity);
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_replay_within_the_grace_attaches() {
    let client = Client::new(Cluster::shared());
    let identity = client.identity();
    let request = warmup(&identity, &queued(3));
    begin(&client, &identity, &request).kill_group();
    let first = keeper(&identity).expect("a keeper");
    let replay = client.begin(&request);
    until(seconds(15), "the first keeper to stand down", || {
        !crate::truth::is_alive(first)
    });
    let jobs = client.cluster.jobs(&identity.name);
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].state, "PENDING");
    client.cluster.must(
        "scontrol",
        &["update", &format!("jobid={}", jobs[0].id), "starttime=now"],
    );
    let lease = replay.finish(seconds(60)).lease();
    assert_eq!(lease["cloudId"], format!("slurm/job/{}", jobs[0].id));
    assert_eq!(keeper(&identity), None);
    client.release(&identity).done();
    client.assert_nothing_left(&identity);
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn signals_roll_back() {
    let client = Client::new(Cluster::shared());
    for which in [Signal::TERM, Signal::INT, Signal::HUP] {
        let identity = client.identity();
        let running = begin(&client, &identity, &acquire(&identity, &queued(120)));
        running.signal(which);
        let error = running.finish(seconds(25)).error();
        assert!(
            error.contains("interrupted") && error.contains("cancelled"),
            "{error}"
        );
        assert_ends(&client, &identity);
    }
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_client_that_vanished_is_noticed() {
    let client = Client::new(Cluster::shared());
    let identity = client.identity();
    let mut running = begin(&client, &identity, &acquire(&identity, &queued(120)));
    running.hang_up();
    running.wait(seconds(25));
    assert_ends(&client, &identity);
    let identity = client.identity();
    let mut running = begin(&client, &identity, &warmup(&identity, &queued(2)));
    running.hang_up();
    running.wait(seconds(25));
    assert_ends(&client, &identity);
}

fn without_a_keeper(after: impl Fn(&Client<'_>)) {
    let client = Client::new(Cluster::shared());
    let identity = client.identity();
    let mut running = begin(&client, &identity, &warmup(&identity, &queued(1)));
    signal(keeper(&identity).expect("a keeper"), Signal::KILL);
    until(seconds(5), "the keeper to be gone", || {
        keeper(&identity).is_none()
    });
    running.kill_group();
    until(seconds(30), "the job to leave the queue", || {
        after(&client);
        client.cluster.live(&identity.name).is_empty()
    });
    client.cleanup().done();
    client.assert_nothing_left(&identity);
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn where_the_keeper_was_killed_too_a_list_does_its_work() {
    without_a_keeper(|client| drop(client.list().done()));
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn where_the_keeper_was_killed_too_a_cleanup_does_its_work() {
    without_a_keeper(|client| drop(client.cleanup().done()));
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn an_answered_acquire_leaves_no_process_behind() {
    let client = Client::new(Cluster::shared());
    let identity = client.identity();
    client.ask(&warmup(&identity, &json!({}))).lease();
    assert_eq!(keeper(&identity), None);
    client.release(&identity).done();
    client.assert_nothing_left(&identity);
}
