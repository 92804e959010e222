//! Two clusters on which the same job number exists.

use std::fs;

use serde_json::json;

use crate::client::{Client, text};
use crate::cluster::Cluster;
use crate::truth::{seconds, until};

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn the_job_of_the_same_number_elsewhere_survives() {
    let cluster = Cluster::own(&["--clusters", "2"]);
    let beta = cluster.path("beta/slurm.conf");
    let client = Client::new(&cluster);
    let identity = client.identity();
    let number = client.submit_by_hand(&identity.name);
    cluster.wait_for(&identity.name, "RUNNING");

    let lease = client
        .acquire(&identity, &json!({"cluster": "beta"}))
        .lease();
    assert_eq!(lease["cloudId"], format!("slurm/job/{number};beta"));
    let (here, there) = (
        cluster.jobs(&identity.name),
        cluster.jobs_with(&beta, &identity.name),
    );
    assert_eq!((here.len(), there.len()), (1, 1));
    assert_eq!(here[0].id, there[0].id);
    let row = client.listed(&identity).expect("a row");
    assert!(text(&row["status"]).starts_with("RUNNING on n"), "{row}");
    assert_eq!(client.resolve(&identity).lease()["ssh"], lease["ssh"]);
    assert_eq!(client.ssh(&lease, "echo $SLURM_CLUSTER_NAME"), "beta");
    client.release(&identity).within(seconds(25)).done();
    until(seconds(10), "the job on beta to be over", || {
        cluster
            .jobs_with(&beta, &identity.name)
            .iter()
            .all(|job| !job.is_there())
    });
    assert_eq!(
        cluster.jobs(&identity.name),
        here,
        "the job on alpha was not touched"
    );
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_lease_elsewhere_is_found_without_its_record() {
    let cluster = Cluster::own(&["--clusters", "2"]);
    let beta = cluster.path("beta/slurm.conf");
    let client = Client::new(&cluster).with_options(&["--settle", "1"]);
    for everything in [false, true] {
        let identity = client.identity();
        let lease = client
            .acquire(&identity, &json!({"cluster": "beta"}))
            .lease();
        if everything {
            fs::remove_dir_all(client.lease_dir(&identity)).unwrap();
        } else {
            let journal = client.lease_file(&identity, "journal.jsonl");
            fs::write(journal, "what is this?\n").unwrap();
        }
        let row = client.listed(&identity).expect("a row");
        assert_eq!(row["cloudId"], lease["cloudId"], "{row}");
        client.cleanup().done();
        assert_eq!(cluster.jobs_with(&beta, &identity.name).len(), 1);
        client.release(&identity).within(seconds(25)).done();
        until(seconds(10), "the job on beta to be over", || {
            let jobs = cluster.jobs_with(&beta, &identity.name);
            jobs.iter().all(|job| !job.is_there())
        });
    }
}
