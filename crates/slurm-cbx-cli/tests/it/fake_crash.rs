//! By crashing: each operation is killed with SIGKILL after every one of its steps, and whatever
//! comes next must find nothing lost and nothing twice.
//!
//! The steps are counted by the code itself (`slurm_lease::driver::crash_point`), so that a step
//! that is added is one that is tested.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use fake_slurm::Job;
use serde_json::{Value, json};

use crate::client::{Identity, Running, acquire, release, warmup};
use crate::fake_site::{Site, each};
use crate::truth::{seconds, until};

/// What is tried at every point of an operation.
trait Story: Sync {
    /// Prepares a site, and says what is to be killed.
    fn prepare(&self, site: &Site, identity: &Identity) -> Value;
    /// What must hold afterwards.
    fn check(&self, site: &Site, identity: &Identity);
}

/// The names of the points that an operation passes when nothing kills it.
fn points(story: &dyn Story) -> Vec<String> {
    let site = Site::new();
    let identity = site.identity();
    let request = story.prepare(&site, &identity);
    let log = site.root().join("points");
    run(
        &site,
        &request,
        "SLURM_LEASE_CRASH_LOG",
        log.to_str().unwrap(),
    );
    story.check(&site, &identity);
    let points = fs::read_to_string(log).unwrap();
    points.lines().map(str::to_owned).collect()
}

/// Runs an operation to its end, whatever that is.
fn run(site: &Site, request: &Value, variable: &str, value: &str) {
    let mut command = site.command();
    command.env(variable, value);
    Running::start(command, &request.to_string()).wait(seconds(60));
}

#[expect(clippy::print_stdout, reason = "how much was tried is worth knowing")]
fn try_every_point(operation: &str, story: &dyn Story) {
    let points = points(story);
    each(&points, |point| try_point(story, point));
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for point in &points {
        let name = point.split_once(' ').unwrap().1;
        *kinds.entry(name).or_default() += 1;
    }
    println!(
        "{operation}: {} points, each survived: {kinds:?}",
        points.len()
    );
    assert!(points.len() > 30, "{points:?}");
}

/// Point `7 renamed` is the seventh that the operation passes.
fn try_point(story: &dyn Story, point: &str) {
    let (number, _) = point.split_once(' ').unwrap();
    let site = Site::new();
    let identity = site.identity();
    let request = story.prepare(&site, &identity);
    run(&site, &request, "SLURM_LEASE_CRASH_AT", number);
    story.check(&site, &identity);
}

/// That no job of a lease was submitted before the one before it had ended, and that no
/// submission was sent twice.
fn assert_one_at_a_time(site: &Site, identity: &Identity) {
    let jobs = site.jobs(identity);
    for pair in jobs.windows(2) {
        let over = pair[0].is_settled() && pair[0].end.unwrap() <= pair[1].submit;
        assert!(over, "two jobs at once: {pair:?}");
    }
    let submissions = site.submissions();
    let comment = |arguments: &[String]| {
        let comment = arguments.iter().find(|a| a.starts_with("--comment"));
        comment.expect("a tag").clone()
    };
    let attempts: BTreeSet<String> = submissions
        .iter()
        .map(|call| comment(&call.arguments))
        .collect();
    assert_eq!(
        attempts.len(),
        submissions.len(),
        "an attempt was sent twice"
    );
    assert!(jobs.len() <= submissions.len());
}

fn release_and_check(site: &Site, identity: &Identity) {
    site.release(identity).done();
    assert_one_at_a_time(site, identity);
    site.assert_nothing_left();
}

/// A warmup is killed, and repeated: it attaches to the job that there is, or submits one.
struct Warmup;

impl Story for Warmup {
    fn prepare(&self, _: &Site, identity: &Identity) -> Value {
        warmup(identity, &json!({}))
    }

    fn check(&self, site: &Site, identity: &Identity) {
        let before: Vec<u32> = site.jobs(identity).iter().map(|job| job.id).collect();
        let lease = site.warmup(identity, &json!({})).lease();
        let live = site.live(identity);
        assert_eq!(live.len(), 1, "{live:?}");
        assert_eq!(lease["cloudId"], format!("slurm/job/{}", live[0].id));
        assert!(before.iter().all(|&id| id == live[0].id), "it attaches");
        assert_eq!(site.submissions().len(), 1.max(site.jobs(identity).len()));
        release_and_check(site, identity);
    }
}

#[test]
fn a_warmup_killed_at_any_point_is_gone_on_with() {
    try_every_point("warmup", &Warmup);
}

/// A one-shot run is killed, and nobody ever asks again.
struct OneShot;

impl Story for OneShot {
    fn prepare(&self, _: &Site, identity: &Identity) -> Value {
        acquire(identity, &json!({}))
    }

    fn check(&self, site: &Site, identity: &Identity) {
        let said = std::fs::read(site.lease_file(identity, "claimed"));
        if said.is_ok_and(|said| said.is_empty()) {
            // It was killed after it had answered: the lease is handed out.
            return release_and_check(site, identity);
        }
        until(seconds(30), "the job to end by itself", || {
            site.live(identity).is_empty() && site.processes().is_empty()
        });
        site.cleanup().done();
        assert_one_at_a_time(site, identity);
        site.assert_nothing_left();
    }
}

#[test]
fn an_acquire_killed_at_any_point_leaves_no_job() {
    try_every_point("acquire", &OneShot);
}

/// A release is killed, and the client acquires again under the same identity.
struct Release;

impl Story for Release {
    fn prepare(&self, site: &Site, identity: &Identity) -> Value {
        site.warmup(identity, &json!({})).lease();
        release(identity)
    }

    fn check(&self, site: &Site, identity: &Identity) {
        let lease = site.warmup(identity, &json!({})).lease();
        let live = site.live(identity);
        assert_eq!(live.len(), 1, "{live:?}");
        assert_eq!(lease["cloudId"], format!("slurm/job/{}", live[0].id));
        release_and_check(site, identity);
    }
}

#[test]
fn a_release_killed_at_any_point_is_gone_on_with() {
    try_every_point("release", &Release);
}

/// A cleanup is killed beside a lease that is over, one that is to end, and one in use.
struct Cleanup;

impl Cleanup {
    fn used(site: &Site) -> PathBuf {
        site.root().join("used")
    }
}

impl Story for Cleanup {
    fn prepare(&self, site: &Site, identity: &Identity) -> Value {
        let (over, to_end) = (site.identity(), site.identity());
        for identity in [&over, &to_end, identity] {
            site.warmup(identity, &json!({})).lease();
        }
        site.cancel(site.wait_for_job(&over));
        // The picture of the queue that a cleanup goes by may be a second old.
        until(seconds(10), "a picture of the queue with its end", || {
            site.listed(&over).unwrap()["labels"]["state"] == "terminated"
        });
        // Killed once its wish is on disk.
        let wished = "journal synced";
        run(site, &release(&to_end), "SLURM_LEASE_CRASH_AT", wished);
        assert_eq!(site.live(&to_end).len(), 1);
        let job: Vec<Job> = site.live(identity);
        fs::write(Self::used(site), job[0].id.to_string()).unwrap();
        json!({"protocolVersion": 1, "operation": "cleanup"})
    }

    fn check(&self, site: &Site, identity: &Identity) {
        site.cleanup().done();
        let used = fs::read_to_string(Self::used(site)).unwrap();
        let jobs = site.cluster.jobs().unwrap();
        let live: Vec<String> = jobs
            .iter()
            .filter(|job| !job.is_settled())
            .map(|job| job.id.to_string())
            .collect();
        assert_eq!(
            live,
            [used],
            "the lease in use is left alone, and only that"
        );
        assert_eq!(site.records(), [identity.lease.as_str()]);
        site.resolve(identity).lease();
        release_and_check(site, identity);
    }
}

#[test]
fn a_cleanup_killed_at_any_point_is_gone_on_with() {
    try_every_point("cleanup", &Cleanup);
}

/// A warmup is killed, and the client releases what it never got.
struct Interrupted;

impl Story for Interrupted {
    fn prepare(&self, _: &Site, identity: &Identity) -> Value {
        warmup(identity, &json!({}))
    }

    fn check(&self, site: &Site, identity: &Identity) {
        release_and_check(site, identity);
        assert!(site.jobs(identity).len() <= 1);
    }
}

#[test]
fn a_release_after_a_kill_at_any_point_of_a_warmup_ends_it() {
    try_every_point("warmup, then release", &Interrupted);
}

/// An acquire whose job waits is killed, as by Ctrl-C, and its keeper ends the lease, or is killed
/// too. Waits until there is no keeper any more.
fn abandon(site: &Site, identity: &Identity, keeper: &[(&str, &str)]) {
    let mut command = site.command();
    command.envs(keeper.iter().copied());
    let mut running = Running::start(command, &acquire(identity, &json!({})).to_string());
    site.wait_for_job(identity);
    assert!(site.keeper(identity).is_some(), "nobody keeps it");
    running.kill_group();
    until(seconds(60), "the keeper to end", || {
        site.keeper(identity).is_none()
    });
}

#[test]
fn a_keeper_killed_at_any_point_is_gone_on_with() {
    let site = Site::modelled();
    let identity = site.identity();
    let log = site.root().join("points");
    let logged = ("SLURM_LEASE_KEEPER_CRASH_LOG", log.to_str().unwrap());
    abandon(&site, &identity, &[logged]);
    site.assert_nothing_left();
    let points = fs::read_to_string(&log).unwrap();
    let points: Vec<&str> = points.lines().collect();
    assert!(points.len() > 10, "{points:?}");

    each(&points, |point| {
        let (number, _) = point.split_once(' ').unwrap();
        let site = Site::modelled();
        let identity = site.identity();
        abandon(&site, &identity, &[("SLURM_LEASE_KEEPER_CRASH_AT", number)]);
        until(seconds(30), "the next cleanup to end the lease", || {
            site.cleanup().done();
            site.records().is_empty()
        });
        assert_one_at_a_time(&site, &identity);
        assert_eq!(site.submissions().len(), 1);
        site.assert_nothing_left();
    });
    println!("keeper: {} points, each survived: {points:?}", points.len());
}
