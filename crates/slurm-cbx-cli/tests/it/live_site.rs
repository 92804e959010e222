//! Sites whose submit plugin changes what is submitted, and jobs of the user's own beside a lease's.
//! 20.11 looks for the plugin's script in /etc/slurm alone, so these begin with 22.05.

use std::collections::BTreeSet;
use std::fs;

use serde_json::json;

use crate::client::{Client, Identity};
use crate::cluster::{Cluster, generation};
use crate::truth::seconds;

/// A cluster whose plugin does this to each job; none where that is not possible.
fn with_plugin(change: &str) -> Option<Cluster> {
    if generation() == "20.11" {
        return None;
    }
    let directory = tempfile::Builder::new()
        .prefix("slurm-cbx-site-")
        .tempdir()
        .unwrap();
    let script = directory.path().join("job_submit.lua");
    let text = format!(
        "function slurm_job_submit(job, partitions, uid)\n    {change}\n    return slurm.SUCCESS\nend\n\
         function slurm_job_modify(job, record, partitions, uid)\n    return slurm.SUCCESS\nend\n\
         return slurm.SUCCESS\n"
    );
    fs::write(&script, text).unwrap();
    Some(Cluster::own(&[
        "--conf",
        "JobSubmitPlugins=lua",
        "--file",
        script.to_str().unwrap(),
    ]))
}

fn assert_only_left(cluster: &Cluster, identity: &Identity, expected: &[&str]) {
    let live = cluster.live(&identity.name);
    let left: BTreeSet<&str> = live.iter().map(|job| job.id.as_str()).collect();
    let expected = expected.iter().copied().collect();
    assert_eq!(left, expected, "{:?}", cluster.jobs(&identity.name));
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_job_of_the_users_own_that_has_our_name_is_left_alone() {
    let cluster = Cluster::shared();
    let client = Client::new(cluster);
    let identity = client.identity();
    let before = client.submit_by_hand(&identity.name);
    let lease = client.acquire(&identity, &json!({})).lease();
    let after = client.submit_by_hand(&identity.name);
    assert_eq!(
        client.resolve(&identity).lease()["cloudId"],
        lease["cloudId"]
    );
    for _ in 0..2 {
        client.release(&identity).within(seconds(25)).done();
        client.cleanup().done();
    }
    assert_only_left(cluster, &identity, &[&before, &after]);
    cluster.must("scancel", &[&before, &after]);
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn where_comments_are_taken_away_a_job_is_known_by_its_directory() {
    let Some(cluster) = with_plugin("job.comment = 'of the site'") else {
        return;
    };
    let client = Client::new(&cluster);
    let identity = client.identity();
    let wrappers = client.path("wrappers");
    fs::create_dir(&wrappers).unwrap();
    client.user.own(&wrappers);
    // It submits, and its answer is lost.
    let sbatch = "#!/bin/sh\nPATH=${PATH#*:} sbatch \"$@\" >/dev/null\n\
                  echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2\n\
                  exit 1\n";
    client.user.write_script(&wrappers.join("sbatch"), sbatch);
    let search_path = format!("{}:{}", wrappers.display(), cluster.search_path());
    let losing = Client::new(&cluster).with_variable("PATH", &search_path);
    let lost = losing.identity();
    let lease = losing.acquire(&lost, &json!({})).lease();
    let [job] = &cluster.live(&lost.name)[..] else {
        panic!("{:?}", cluster.jobs(&lost.name));
    };
    assert_eq!(job.comment, "of the site");
    assert_eq!(lease["cloudId"], format!("slurm/job/{}", job.id));
    losing.release(&lost).within(seconds(25)).done();
    losing.assert_nothing_left(&lost);

    let lease = client.acquire(&identity, &json!({})).lease();
    let own = client.submit_by_hand(&identity.name);
    fs::remove_dir_all(client.lease_dir(&identity)).unwrap();
    let row = client.listed(&identity).expect("a row");
    assert_eq!(row["cloudId"], lease["cloudId"], "{row}");
    let by_id = json!({
        "protocolVersion": 1, "operation": "release", "lease": {"leaseId": identity.lease}, "force": true,
    });
    client.ask(&by_id).within(seconds(25)).done();
    assert_only_left(&cluster, &identity, &[&own]);
    cluster.must("scancel", &[&own]);
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn where_jobs_may_be_put_back_one_that_ended_by_itself_is_over_at_once() {
    let Some(cluster) = with_plugin("job.requeue = 1") else {
        return;
    };
    let client = Client::new(&cluster);
    let identity = client.identity();
    client.acquire(&identity, &json!({})).lease();
    let job = cluster.wait_for(&identity.name, "RUNNING");
    // The runner ends by itself.
    cluster.must("scancel", &["--batch", "--signal=TERM", &job.id]);
    cluster.wait_for(&identity.name, "FAILED");
    client.release(&identity).within(seconds(15)).done();
    client.assert_nothing_left(&identity);
    assert!(
        !cluster
            .run("scontrol", &["requeue", &job.id])
            .status
            .success()
    );
}
