//! What the caller's environment changes: nothing, but for what it is asked for.

use fake_slurm::Program;
use serde_json::json;

use crate::client::{list, text};
use crate::fake_site::Site;
use crate::hostile::HOSTILE;
use crate::truth::files_with;

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

/// Slurm takes an empty SLURM_JWT for a token.
#[test]
fn what_is_set_to_nothing_reaches_no_command() {
    let site = Site::new().with_variable("SLURM_JWT", "");
    let identity = site.identity();
    site.acquire(&identity, &json!({})).lease();
    site.release(&identity).done();
    for call in site.cluster.calls().unwrap() {
        let given = |variable: &String| variable == "SLURM_JWT";
        assert!(!call.variables.iter().any(given), "{call:?}");
    }
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
    assert_eq!(environment.value("DATASET"), Some("cifar-77"));
    let is_secret = |text: &str| text.contains("hush-1f6c") || text.contains("API_TOKEN");
    assert!(!environment.iter().any(is_secret), "{environment:?}");
    let secret = |text: &String| is_secret(text);
    for call in site.cluster.calls_of(Program::Sbatch).unwrap() {
        assert!(!call.arguments.iter().any(secret), "{call:?}");
        assert!(!call.variables.iter().any(secret), "{call:?}");
    }
    site.release(&identity).done();
    site.assert_nothing_left();
}

#[test]
fn no_secret_is_told_or_kept() {
    let secret = "hush-1f6c";
    let site = Site::new()
        .with_variable("API_TOKEN", secret)
        .with_variable("DATASET", secret);
    let identity = site.identity();
    let config = json!({"exportEnv": ["DATASET"]});
    let acquired = site.acquire(&identity, &config);
    let mut said = vec![acquired.stderr.clone()];
    let lease = acquired.lease();
    let key = site.lease_file(&identity, "id_ed25519");
    assert_eq!(text(&lease["ssh"]["key"]), key.to_str().unwrap());
    let private = std::fs::read_to_string(&key).unwrap();
    let private = private.lines().nth(1).unwrap();
    let kept = |text: &str| files_with(&site.state_dir(), text);
    assert_eq!(kept(private), std::slice::from_ref(&key));
    assert_eq!(kept(secret), Vec::<std::path::PathBuf>::new());
    // One row after another, while it is there, when its job has ended, and when it is released.
    said.push(lease.to_string());
    site.cancel(1);
    site.forget_queue();
    said.push(site.resolve_says(&identity, "CANCELLED"));
    for reply in [
        site.doctor(&config),
        site.ask(&list()),
        site.release(&identity),
        site.resolve(&identity),
        site.cleanup(),
    ] {
        said.extend([reply.stderr.clone(), reply.answer.to_string()]);
    }
    for text in &said {
        assert!(!text.contains(secret) && !text.contains(private), "{text}");
    }
    site.assert_nothing_left();
    assert_eq!(kept(private), Vec::<std::path::PathBuf>::new());
    assert_eq!(kept(secret), Vec::<std::path::PathBuf>::new());
}
