//! Leases as a person has them with `crabbox`, while all is well.

use std::fs;

use serde_json::json;

use crate::cluster::Cluster;
use crate::crabbox::{Crabbox, SOON};
use crate::truth::{seconds, until};

const LEASE: &str = "cbx_0123456789ab";
const WARMUP: [&str; 5] = ["warmup", "--lease-id", LEASE, "--slug", "smoke"];

#[test]
#[ignore = "needs crabbox on PATH and a real Slurm"]
fn a_lease_from_doctor_to_stop() {
    let person = Crabbox::new(Cluster::shared(), "a-lease", &json!({"partition": "batch"}));
    let said = person.run(&["doctor", "--provider", "external"]).done();
    assert!(said.contains("leases can be had"), "{said}");
    assert!(person.jobs().is_empty(), "a check-up submits nothing");

    let began = std::time::Instant::now();
    let said = person.run(&WARMUP);
    assert!(began.elapsed() < SOON);
    let job = person.wait_for("RUNNING");
    assert!(
        said.stderr
            .contains(&format!("job {} is submitted", job.id)),
        "{said:?}"
    );
    assert!(said.done().contains(&format!("leased {LEASE} slug=smoke")));
    person.note("again: the same lease, the same job");
    let again = person.run(&WARMUP);
    assert!(
        again
            .stderr
            .contains(&format!("job {} of this lease is there already", job.id))
    );
    again.done();
    assert_eq!(person.jobs(), std::slice::from_ref(&job));

    let listed = person.run(&["list"]).done();
    for words in [
        &*format!("slurm/job/{}", job.id),
        "RUNNING on n",
        "slurm batch cpus=1",
    ] {
        assert!(listed.contains(words), "{words:?} is not in {listed}");
    }
    let status = person.run(&["status", "smoke"]).done();
    assert!(status.contains("ready=true"), "{status}");
    let inspected = person.run(&["inspect", "smoke"]).done();
    assert!(
        inspected.contains(&format!("label.slurmJobId={}", job.id)),
        "{inspected}"
    );

    let script = "echo job $SLURM_JOB_ID; cat tracked untracked; exit 7";
    let said = person.run(&["run", "--id", "smoke", "--shell", script]);
    assert_eq!(said.code, Some(7), "{said:?}");
    let expected = format!("job {}\nchanged\nnew\n", job.id);
    assert!(said.stdout.contains(&expected), "{said:?}");

    let line = person.run(&["ssh", "smoke"]).done();
    let line = line.trim();
    assert!(line.starts_with("'ssh' "), "{line}");
    let strict = line.replace(
        "StrictHostKeyChecking=accept-new",
        "StrictHostKeyChecking=yes",
    );
    assert_ne!(line, strict);
    person.note("that line, with a host key that must be known already");
    let pasted = person.paste(&format!("{strict} 'echo $SLURM_JOB_ID'"));
    assert_eq!(pasted.done().trim(), job.id);

    person.run(&["stop", "smoke"]).done();
    person.assert_nothing_left();
    assert!(person.claims().is_empty());
    person.note("again, by slug and by lease id");
    person.run(&["stop", "smoke"]).done();
    person.run(&["stop", LEASE]).done();
    person.run(&["status", LEASE]).failed(5, &["was released"]);
}

#[test]
#[ignore = "needs crabbox on PATH and a real Slurm"]
fn a_one_shot_run() {
    let person = Crabbox::new(Cluster::shared(), "one-shot", &json!({}));
    let script = "echo job $SLURM_JOB_ID; cat untracked; exit 3";
    let said = person.run(&["run", "--shell", script]);
    assert_eq!(said.code, Some(3), "{said:?}");
    let jobs = person.jobs();
    let [job] = &jobs[..] else { panic!("{jobs:?}") };
    assert!(
        said.stdout.contains(&format!("job {}\nnew\n", job.id)),
        "{said:?}"
    );
    person.assert_nothing_left();
    assert!(person.claims().is_empty());
    let listed = person.run(&["list", "--all"]).done();
    assert!(!listed.contains("slurm/job"), "{listed}");
}

#[test]
#[ignore = "needs crabbox on PATH and a real Slurm"]
fn ten_one_shot_runs_at_once() {
    let cluster = Cluster::own(&[]);
    let person = Crabbox::new(&cluster, "ten-at-once", &json!({}));
    let script = "echo job $SLURM_JOB_ID; exit 4";
    let begin = || person.begin(&["run", "--no-sync", "--shell", script]);
    let going: Vec<_> = (0..10).map(|_| begin()).collect();
    let mut ran: Vec<String> = going
        .into_iter()
        .map(|going| {
            let said = going.finish();
            assert_eq!(said.code, Some(4), "{said:?}");
            let job = said
                .stdout
                .lines()
                .find_map(|line| line.strip_prefix("job "));
            job.unwrap().to_owned()
        })
        .collect();
    let mut jobs: Vec<String> = person.jobs().into_iter().map(|job| job.id).collect();
    ran.sort();
    jobs.sort();
    assert_eq!(ran, jobs, "every run had a job of its own");
    person.assert_nothing_left();
    assert!(person.claims().is_empty());
}

#[test]
#[ignore = "needs crabbox on PATH and a real Slurm"]
fn cleanup_beside_live_leases() {
    let person = Crabbox::new(Cluster::shared(), "cleanup", &json!({}));
    person.run(&["warmup", "--slug", "kept"]).done();
    let kept = person.wait_for("RUNNING");
    person.run(&["warmup", "--slug", "over"]).done();
    let live = person.live();
    assert_eq!(live.len(), 2, "{live:?}");
    let over = live.iter().find(|job| job.id != kept.id).unwrap();
    person.note(&format!("scancel {}", over.id));
    person.client.cluster.must("scancel", &[&over.id]);
    until(seconds(30), "the job to be over", || {
        person.live().len() == 1
    });

    // What is known of the queue may be a second old.
    until(seconds(30), "the lease to be removed", || {
        let said = person.run(&["cleanup", "--dry-run"]);
        let would = said.stderr.contains("would remove cbx_");
        said.done();
        would
    });
    assert_eq!((person.records().len(), person.claims().len()), (2, 2));
    let said = person.run(&["cleanup"]);
    assert!(said.stderr.contains("removed cbx_"), "{said:?}");
    said.done();
    assert_eq!((person.records().len(), person.claims().len()), (1, 1));
    let listed = person.run(&["list"]).done();
    assert!(
        listed.contains("kept") && !listed.contains("over"),
        "{listed}"
    );
    person.run(&["status", "kept"]).done();

    person.note("the state directory can't be read");
    let jobs = person.client.state_dir().join("jobs");
    let set = |mode| {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&jobs, fs::Permissions::from_mode(mode)).unwrap();
    };
    set(0o000);
    for command in ["cleanup", "list"] {
        person.run(&[command]).failed(5, &["Permission denied"]);
    }
    assert_eq!(person.claims().len(), 1, "the client keeps its claims");
    set(0o700);
    person.note("it can be read again");
    person.run(&["status", "kept"]).done();
    person.run(&["stop", "kept"]).done();
    person.assert_nothing_left();
}
