//! What the caller's environment changes: nothing, but for what it is asked for.

use std::fs;

use serde_json::json;

use crate::client::{Client, text};
use crate::cluster::Cluster;
use crate::truth::processes_of;

/// Each of these changes what some command of Slurm does or says.
const HOSTILE: [(&str, &str); 37] = [
    ("SQUEUE_STATES", "PENDING"),
    ("SQUEUE_USERS", "root"),
    ("SQUEUE_NAMES", "nosuch"),
    ("SQUEUE_PARTITION", "nosuch"),
    ("SQUEUE_ACCOUNT", "nosuch"),
    ("SQUEUE_QOS", "nosuch"),
    ("SQUEUE_LICENSES", "nosuch"),
    ("SQUEUE_FORMAT", "%i"),
    ("SQUEUE_FORMAT2", "JobID"),
    ("SQUEUE_SORT", "-i"),
    ("SQUEUE_ARRAY", "1"),
    ("SCANCEL_STATE", "PENDING"),
    ("SCANCEL_NAME", "nosuch"),
    ("SCANCEL_USER", "root"),
    ("SCANCEL_PARTITION", "nosuch"),
    ("SCANCEL_ACCOUNT", "nosuch"),
    ("SCANCEL_INTERACTIVE", "1"),
    ("SCANCEL_BATCH", "1"),
    ("SBATCH_ARRAY_INX", "1-3"),
    ("SBATCH_WAIT", "1"),
    ("SBATCH_CLUSTERS", "nosuch"),
    ("SBATCH_EXPORT", "ALL"),
    ("SBATCH_JOB_NAME", "another"),
    ("SBATCH_OUTPUT", "/nonexistent/out"),
    ("SBATCH_REQUEUE", "1"),
    ("SBATCH_TIMELIMIT", "1"),
    ("SLURM_CLUSTERS", "nosuch"),
    ("SLURM_JOB_ID", "1"),
    ("SLURM_RESTART_COUNT", "7"),
    ("SLURM_TIME_FORMAT", "relative"),
    ("SACCT_FORMAT", "User"),
    ("TZ", "Pacific/Kiritimati"),
    ("LC_ALL", "tr_TR.UTF-8"),
    ("LANG", "de_DE.UTF-8"),
    ("ENV", "/nonexistent/env"),
    ("BASH_ENV", "/nonexistent/env"),
    ("POSIXLY_CORRECT", "1"),
];

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_hostile_environment_changes_nothing() {
    let cluster = Cluster::shared();
    let client = HOSTILE
        .into_iter()
        .fold(Client::new(cluster), |client, (name, value)| {
            client.with_variable(name, value)
        });
    let identity = client.identity();
    client.doctor(&json!({})).done();
    let lease = client.acquire(&identity, &json!({})).lease();
    let jobs = cluster.jobs(&identity.name);
    let [job] = &jobs[..] else { panic!("{jobs:?}") };
    assert_eq!(job.state, "RUNNING");
    let shown = cluster.must("scontrol", &["show", "job", "-o", &job.id]);
    assert!(
        shown.contains("TimeLimit=00:10:00") && shown.contains("Requeue=0"),
        "{shown}"
    );
    let row = client.listed(&identity).expect("a row");
    assert!(text(&row["status"]).starts_with("RUNNING on n"), "{row}");
    assert_eq!(client.resolve(&identity).lease()["ssh"], lease["ssh"]);
    client.cleanup().done();
    assert!(!cluster.live(&identity.name).is_empty());
    client.release(&identity).done();
    client.assert_nothing_left(&identity);
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn no_variable_reaches_the_job_that_was_not_named() {
    let secret = "hush-1f6c";
    let client = Client::new(Cluster::shared())
        .with_variable("API_TOKEN", secret)
        .with_variable("DATASET", "cifar-77");
    let identity = client.identity();
    let config = json!({"exportEnv": ["CBX_SSH_LISTEN", "CBX_SSH_HOST", "DATASET"]});
    let lease = client.acquire(&identity, &config).lease();
    let processes = processes_of(&format!("CBX_LEASE_ID={}", identity.lease));
    let mut named = 0;
    for process in &processes {
        let environment = fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment).into_owned();
        assert!(!environment.contains(secret), "{process:?}");
        named += usize::from(environment.contains("DATASET=cifar-77"));
    }
    assert!(named > 0, "{processes:?}");
    assert!(!client.ssh(&lease, "env").contains(secret));
    let shown = client.cluster.run(
        "scontrol",
        &[
            "write",
            "batch_script",
            text(&lease["cloudId"]).rsplit('/').next().unwrap(),
            "-",
        ],
    );
    assert!(!String::from_utf8_lossy(&shown.stdout).contains(secret));
    client.release(&identity).done();
    client.assert_nothing_left(&identity);
}
