//! Several processes at once, and processes that die in the middle.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::{Client, Identity, acquire, warmup};
use crate::cluster::Cluster;
use crate::truth::{processes_of, seconds, until};

fn at_once(count: usize) {
    let client = Client::new(Cluster::shared());
    let identity = client.identity();
    let request = acquire(&identity, &json!({}));
    let running: Vec<_> = (0..count).map(|_| client.begin(&request)).collect();
    let leases: Vec<Value> = running
        .into_iter()
        .map(|running| running.finish(seconds(60)).lease())
        .collect();
    for lease in &leases {
        assert_eq!(lease["cloudId"], leases[0]["cloudId"]);
        assert_eq!(lease["ssh"], leases[0]["ssh"]);
    }
    let jobs = client.cluster.jobs(&identity.name);
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    client.release(&identity).done();
    client.assert_nothing_left(&identity);
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn two_acquires_at_once_share_one_job() {
    at_once(2);
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn four_acquires_at_once_share_one_job() {
    at_once(4);
}

/// What can be seen of an acquire from outside, in the order in which it comes about.
#[derive(Clone, Copy, Debug)]
enum Moment {
    Opened,
    Intended,
    Submitting,
    Answered,
    Published,
    Claimed,
}

const MOMENTS: [Moment; 6] = [
    Moment::Opened,
    Moment::Intended,
    Moment::Submitting,
    Moment::Answered,
    Moment::Published,
    Moment::Claimed,
];

impl Moment {
    fn has_come(self, client: &Client<'_>, identity: &Identity) -> bool {
        let journal = || {
            let path = client.lease_file(identity, "journal.jsonl");
            fs::read_to_string(path).unwrap_or_default()
        };
        match self {
            Self::Opened => client.lease_dir(identity).exists(),
            Self::Intended => journal().contains("submission_intended"),
            Self::Submitting => {
                let processes = processes_of(&identity.lease);
                processes
                    .iter()
                    .any(|process| process.command.contains("sbatch"))
                    || Self::Answered.has_come(client, identity)
            }
            Self::Answered => journal().contains("submission_answered"),
            Self::Published => client.lease_file(identity, "endpoint.json").exists(),
            Self::Claimed => client.lease_file(identity, "claimed").exists(),
        }
    }

    /// Kills an acquire at this moment, or right after it.
    fn kill(self, client: &Client<'_>, identity: &Identity) {
        let mut running = client.begin(&warmup(identity, &json!({})));
        let deadline = Instant::now() + seconds(30);
        while !self.has_come(client, identity) && running.is_going_on() {
            assert!(Instant::now() < deadline, "{self:?} did not come");
            std::thread::sleep(Duration::from_millis(1));
        }
        // One that has just answered is as good as one that is killed.
        if running.is_going_on() {
            running.signal(Signal::KILL);
        }
        running.wait(seconds(5));
    }
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn after_a_kill_at_any_moment_a_retry_attaches() {
    let client = Client::new(Cluster::shared());
    for moment in MOMENTS {
        let identity = client.identity();
        moment.kill(&client, &identity);
        client.acquire(&identity, &json!({})).lease();
        let jobs = client.cluster.jobs(&identity.name);
        assert_eq!(jobs.len(), 1, "{moment:?}: {jobs:?}");
        client.release(&identity).done();
        client.assert_nothing_left(&identity);
    }
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn after_a_kill_at_any_moment_a_release_ends_the_job() {
    let client = Client::new(Cluster::shared());
    for moment in MOMENTS {
        let identity = client.identity();
        moment.kill(&client, &identity);
        client.release(&identity).within(seconds(25)).done();
        let jobs = client.cluster.jobs(&identity.name);
        assert!(jobs.len() <= 1, "{moment:?}: {jobs:?}");
        client.assert_nothing_left(&identity);
    }
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_release_ends_an_acquire_that_waits() {
    let client = Client::new(Cluster::shared());
    let identity = client.identity();
    let config = json!({"extraSbatchArgs": ["--begin=now+1hour"]});
    let mut running = client.begin(&acquire(&identity, &config));
    client.cluster.wait_for(&identity.name, "PENDING");
    assert!(running.is_going_on());
    client.release(&identity).within(seconds(25)).done();
    let error = running.finish(seconds(15)).error();
    assert!(error.contains("was released"), "{error}");
    client.assert_nothing_left(&identity);
    assert_eq!(client.cluster.jobs(&identity.name).len(), 1);
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn two_releases_at_once_both_succeed() {
    let client = Client::new(Cluster::shared());
    let identity = client.identity();
    client.acquire(&identity, &json!({})).lease();
    let request = crate::client::release(&identity);
    let running = [client.begin(&request), client.begin(&request)];
    for running in running {
        running.finish(seconds(30)).done();
    }
    client.assert_nothing_left(&identity);
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn nobody_reaches_the_leases_of_others() {
    let cluster = Cluster::shared();
    let alice = Client::new(cluster);
    let identity = alice.identity();
    alice.acquire(&identity, &json!({})).lease();
    let bob = Client::of(cluster, "cbxbob");
    assert!(bob.listed(&identity).is_none());
    bob.resolve(&identity).error();
    let answer = bob.release(&identity).done();
    assert!(
        answer["message"].to_string().contains("nothing is known"),
        "{answer}"
    );
    let intruder = Client::of(cluster, "cbxbob").with_state_dir(&alice.state_dir());
    for request in [
        crate::client::list(),
        crate::client::resolve(&identity),
        crate::client::release(&identity),
    ] {
        intruder.ask(&request).error();
    }
    alice.resolve(&identity).lease();
    // Nor do two of the same name get in each other's way.
    let mut same = bob.identity();
    same.name.clone_from(&identity.name);
    bob.acquire(&same, &json!({})).lease();
    assert_eq!(cluster.live(&identity.name).len(), 2);
    alice.release(&identity).done();
    let left = cluster.live(&identity.name);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].user, "cbxbob");
    bob.release(&same).done();
    until(seconds(10), "both jobs to be over", || {
        cluster.live(&identity.name).is_empty()
    });
}
