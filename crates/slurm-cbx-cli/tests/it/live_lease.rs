//! A whole lease, as people use it.

use std::fs;

use serde_json::json;

use crate::client::{Client, text};
use crate::cluster::Cluster;
use crate::truth::{is_alive, listener};

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_lease_is_had_used_and_given_back() {
    let cluster = Cluster::shared();
    let client = Client::new(cluster);
    let identity = client.identity();

    let found = client.doctor(&json!({"partition": "batch"})).done();
    assert!(
        text(&found["message"]).starts_with("leases can be had"),
        "{found}"
    );

    let lease = client
        .acquire(&identity, &json!({"partition": "batch"}))
        .lease();
    let jobs = cluster.jobs(&identity.name);
    let [job] = &jobs[..] else { panic!("{jobs:?}") };
    assert_eq!(
        (job.state.as_str(), job.user.as_str()),
        ("RUNNING", "cbxalice")
    );
    assert_eq!(lease["leaseId"], identity.lease.as_str());
    assert_eq!(lease["slug"], identity.slug.as_str());
    assert_eq!(lease["name"], identity.name.as_str());
    assert_eq!(lease["cloudId"], format!("slurm/job/{}", job.id));
    assert_eq!(lease["labels"]["state"], "ready");
    assert_eq!(lease["ssh"]["fallbackPorts"], json!([lease["ssh"]["port"]]));

    // The key of the host is pinned before the client connects.
    assert_eq!(client.ssh(&lease, "echo $SLURM_JOB_ID"), job.id);

    let again = client.resolve(&identity).lease();
    assert_eq!(again["ssh"], lease["ssh"]);
    let row = client.listed(&identity).expect("a row");
    assert_eq!(row["cloudId"], lease["cloudId"]);
    assert_eq!(row["labels"]["state"], "ready");
    assert!(text(&row["status"]).starts_with("RUNNING on n"), "{row}");

    let touched = client.ask(&json!({
        "protocolVersion": 1, "operation": "touch", "lease": lease, "state": "running",
    }));
    assert_eq!(touched.done(), json!({"protocolVersion": 1}));

    let sshd = listener(&text(&lease["ssh"]["port"])).expect("an sshd");
    let released = client.release_given(&lease).done();
    assert_eq!(released["lease"]["leaseId"], identity.lease.as_str());
    assert!(!is_alive(sshd));
    client.assert_nothing_left(&identity);
    assert!(client.listed(&identity).is_none());
    assert!(client.resolve(&identity).error().contains("was released"));
    let repeated = client.release_given(&lease).done();
    assert_eq!(repeated["lease"]["leaseId"], identity.lease.as_str());
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_tree_goes_in_and_a_command_works_on_it() {
    let client = Client::new(Cluster::shared());
    let identity = client.identity();
    let lease = client.acquire(&identity, &json!({})).lease();
    let (tree, target) = (client.path("tree"), client.path("work"));
    for path in [&tree, &target] {
        fs::create_dir(path).unwrap();
        client.user.own(path);
    }
    let file = tree.join("sum.sh");
    client
        .user
        .write_script(&file, "#!/bin/sh\necho $((40 + 2))\n");
    let ssh = client.ssh_command(&lease);
    let from = format!("{}/", tree.display());
    let to = format!(
        "{}@127.0.0.1:{}/",
        text(&lease["ssh"]["user"]),
        target.display()
    );
    let copied = client
        .run("rsync", &["-a", "-e", &ssh, &from, &to])
        .output()
        .unwrap();
    assert!(
        copied.status.success(),
        "{}",
        String::from_utf8_lossy(&copied.stderr)
    );
    assert_eq!(
        client.ssh(&lease, &format!("cd {} && ./sum.sh", target.display())),
        "42"
    );
    client.release(&identity).done();
    client.assert_nothing_left(&identity);
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn the_same_identity_gets_the_same_job() {
    let client = Client::new(Cluster::shared());
    let identity = client.identity();
    let first = client.acquire(&identity, &json!({})).lease();
    let second = client.acquire(&identity, &json!({})).lease();
    assert_eq!(first["cloudId"], second["cloudId"]);
    assert_eq!(first["ssh"], second["ssh"]);
    assert_eq!(client.cluster.jobs(&identity.name).len(), 1);
    client.release(&identity).done();
    // A lease that was given back is had anew under the same identity, as another job.
    let third = client.acquire(&identity, &json!({})).lease();
    assert_ne!(first["cloudId"], third["cloudId"]);
    client.release(&identity).done();
    client.assert_nothing_left(&identity);
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn everything_that_is_kept_is_private() {
    use std::os::unix::fs::MetadataExt;
    let client = Client::new(Cluster::shared());
    let identity = client.identity();
    client.acquire(&identity, &json!({})).lease();
    let mut open = vec![client.state_dir()];
    let mut seen = 0;
    while let Some(path) = open.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        // What the job writes is private because its directory is.
        let is_output = path
            .extension()
            .is_some_and(|extension| extension == "out" || extension == "pub");
        assert!(
            is_output || metadata.mode() & 0o077 == 0,
            "{} {:o}",
            path.display(),
            metadata.mode()
        );
        if metadata.is_dir() {
            open.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
        seen += 1;
    }
    assert!(seen > 10);
    client.release(&identity).done();
}
