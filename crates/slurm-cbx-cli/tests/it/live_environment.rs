//! What the caller's environment changes: nothing, but for what it is asked for.

use std::fs;

use serde_json::json;

use crate::client::{Client, text};
use crate::cluster::{Cluster, generation};
use crate::hostile::HOSTILE;
use crate::truth::{files_with, processes_of};

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
    // sbatch hands it on unasked. Where it means something, commands authenticate with it.
    let client = match generation().as_str() {
        "20.11" | "22.05" => client.with_variable("SLURM_SACK_KEY", secret),
        _ => client,
    };
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

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn no_secret_is_told_or_kept() {
    let secret = "hush-1f6c";
    let cluster = Cluster::shared();
    let client = Client::new(cluster)
        .with_variable("API_TOKEN", secret)
        .with_variable("DATASET", secret);
    let identity = client.identity();
    let config = json!({"exportEnv": ["CBX_SSH_LISTEN", "CBX_SSH_HOST", "DATASET"]});
    client.doctor(&config).done();
    let acquired = client.acquire(&identity, &config);
    let told = acquired.stderr.clone();
    let lease = acquired.lease();
    assert_eq!(client.ssh(&lease, "echo $DATASET"), secret, "it was named");
    let private = fs::read_to_string(text(&lease["ssh"]["key"])).unwrap();
    let private = private.lines().nth(1).unwrap();

    let cloud_id = text(&lease["cloudId"]);
    let job = cloud_id.rsplit('/').next().unwrap();
    let mut said = vec![told, lease.to_string(), client.list().done().to_string()];
    for (program, arguments) in [
        ("squeue", &["-j", job, "-o", "%all"][..]),
        ("scontrol", &["show", "job", "-dd", job]),
        ("scontrol", &["write", "batch_script", job, "-"]),
    ] {
        said.push(cluster.must(program, arguments));
    }
    cluster.must("scancel", &[job]);
    said.push(client.resolve_says(&identity, "CANCELLED"));
    let kept = |text: &str| files_with(&client.state_dir(), text);
    assert_eq!(kept(secret), Vec::<std::path::PathBuf>::new());
    let key = client.lease_file(&identity, "id_ed25519");
    assert_eq!(kept(private), [key]);
    let released = client.release(&identity);
    said.push(released.stderr.clone());
    said.push(released.done().to_string());
    for text in &said {
        assert!(!text.contains(secret) && !text.contains(private), "{text}");
    }
    client.assert_nothing_left(&identity);
    assert_eq!(kept(private), Vec::<std::path::PathBuf>::new());
}
