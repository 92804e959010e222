//! What the caller's environment changes: nothing, but for what it is asked for.

use fake_slurm::Program;
use serde_json::json;

use crate::fake_site::Site;
use crate::hostile::HOSTILE;

/// What commands find in their environment besides, and what for.
const PINNED: [&str; 3] = ["SLURM_TIME_FORMAT", "TZ", "LC_ALL"];

#[test]
fn a_hostile_environment_changes_nothing() {
    let site = HOSTILE
        .into_iter()
        .fold(Site::new(), |site, (name, value)| {
            site.with_variable(name, value)
        });
    let identity = site.identity();
    site.doctor(&json!({})).done();
    let lease = site.acquire(&identity, &json!({})).lease();
    let jobs = site.jobs(&identity);
    assert_eq!(jobs.len(), 1);
    assert_eq!((jobs[0].time_limit, jobs[0].requeue), (Some(10), false));
    let row = site.listed(&identity).expect("a row");
    assert_eq!(row["labels"]["state"], "ready", "{row}");
    assert_eq!(site.resolve(&identity).lease()["ssh"], lease["ssh"]);
    site.cleanup().done();
    assert_eq!(site.live(&identity).len(), 1);
    site.release(&identity).done();
    site.assert_nothing_left();
    for call in site.cluster.calls().unwrap() {
        // What Slurm sets in a job is not of the caller's environment.
        for (name, _) in HOSTILE {
            let given = call.variables.iter().any(|variable| variable == name);
            assert!(!given || PINNED.contains(&name), "{name}: {call:?}");
        }
    }
}

#[test]
fn defaults_that_only_choose_policy_are_let_through() {
    let site = Site::new()
        .with_variable("SBATCH_ACCOUNT", "blue")
        .with_variable("SBATCH_QOS", "long");
    let identity = site.identity();
    site.acquire(&identity, &json!({})).lease();
    let job = &site.jobs(&identity)[0];
    assert_eq!(job.request.account.as_deref(), Some("blue"));
    assert_eq!(job.request.qos.as_deref(), Some("long"));
    site.release(&identity).done();
    site.assert_nothing_left();
}

#[test]
fn no_variable_reaches_the_job_that_was_not_named() {
    let site = Site::new()
        .with_variable("API_TOKEN", "hush-1f6c")
        .with_variable("DATASET", "cifar-77");
    let identity = site.identity();
    let config = json!({"exportEnv": ["DATASET"]});
    site.acquire(&identity, &config).lease();
    let environment = &site.jobs(&identity)[0].request.environment;
    assert!(environment.contains(&"DATASET=cifar-77".to_owned()));
    let secret = |text: &String| text.contains("hush-1f6c") || text.contains("API_TOKEN");
    assert!(!environment.iter().any(secret), "{environment:?}");
    for call in site.cluster.calls_of(Program::Sbatch).unwrap() {
        assert!(!call.arguments.iter().any(secret), "{call:?}");
        assert!(!call.variables.iter().any(secret), "{call:?}");
    }
    site.release(&identity).done();
    site.assert_nothing_left();
}
