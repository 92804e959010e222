//! The client's own requests, in the order in which its commands send them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::client::{Reply, Running, text};
use crate::fake_site::Site;
use crate::truth::{seconds, until};

const RECORDINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/protocol");
const LEASE: &str = "cbx_0123456789ab";

/// Labels to which the client gives a meaning of its own.
const RESERVED: [&str; 5] = [
    "lease",
    "slug",
    "name",
    "externalResourceName",
    "externalResourceNameFromEnv",
];

/// States that the client never takes for a lease that can be used.
const NOT_READY: [&str; 8] = [
    "provisioning",
    "failed",
    "stopped",
    "released",
    "missing",
    "expired",
    "terminated",
    "deleting",
];

/// The recorded request of this name, as the bytes that the client writes, about this job.
fn recorded(name: &str, cloud_id: &str) -> String {
    let path = Path::new(RECORDINGS).join(format!("{name}.request.json"));
    let request = fs::read_to_string(path).unwrap();
    request.replace("slurm/job/17", cloud_id)
}

impl Site {
    fn play_of(&self, name: &str, cloud_id: &str) -> Reply {
        let reply = Running::start(self.command(), &recorded(name, cloud_id)).finish(seconds(60));
        check_shape(&reply.answer);
        reply
    }

    /// Sends a recorded request that is about no job, or about the first.
    fn play(&self, name: &str) -> Reply {
        self.play_of(name, "slurm/job/1")
    }

    fn live_jobs(&self) -> usize {
        let jobs = self.cluster.jobs().unwrap();
        jobs.iter().filter(|job| !job.is_settled()).count()
    }
}

/// That an answer is what the client can read.
fn check_shape(answer: &Value) {
    let parts = answer.as_object().unwrap();
    assert_eq!(answer["protocolVersion"], 1);
    for (part, value) in parts {
        match part.as_str() {
            "protocolVersion" => {}
            "error" | "message" => assert!(value.is_string(), "{answer}"),
            "lease" => check_lease(value),
            "leases" => value.as_array().unwrap().iter().for_each(check_lease),
            other => panic!("{other} in {answer}"),
        }
    }
}

fn check_lease(lease: &Value) {
    for field in ["leaseId", "slug", "name", "cloudId", "status", "serverType"] {
        let value = text(&lease[field]);
        assert!(
            !value.is_empty() && value.trim() == value && value.len() <= 4096,
            "{lease}"
        );
        assert!(!value.contains(char::is_control), "{lease}");
    }
    let labels: BTreeMap<String, String> = serde_json::from_value(lease["labels"].clone()).unwrap();
    assert!(
        RESERVED.iter().all(|name| !labels.contains_key(*name)),
        "{lease}"
    );
    assert!(!labels["state"].is_empty());
    let Some(ssh) = lease.get("ssh") else {
        return assert_ne!(labels["state"], "ready", "{lease}");
    };
    assert!(!text(&ssh["host"]).is_empty() && !text(&ssh["user"]).is_empty());
    assert_eq!(
        ssh["fallbackPorts"],
        json!([ssh["port"]]),
        "no other port is tried"
    );
    assert!(text(&ssh["port"]).parse::<u16>().is_ok());
    assert!(!text(&ssh["key"]).contains([' ', '%', '"', '\'']));
}

/// The identity of the recorded warmup.
fn assert_identity(lease: &Value) {
    assert_eq!(lease["leaseId"], LEASE);
    assert_eq!(lease["slug"], "slurm-smoke");
    assert_eq!(lease["name"], "crabbox-slurm-smoke-40675f31");
    assert_eq!(lease["cloudId"], "slurm/job/1");
}

#[test]
fn doctor_submits_nothing() {
    let site = Site::new();
    let answer = site.play("doctor").within(seconds(10)).done();
    assert!(
        text(&answer["message"]).starts_with("leases can be had"),
        "{answer}"
    );
    assert!(site.submissions().is_empty() && site.records().is_empty());
}

#[test]
fn warmup_twice_is_one_lease() {
    let site = Site::new();
    let lease = site.play("acquire-warmup").lease();
    assert_identity(&lease);
    assert_eq!(lease["labels"]["state"], "ready");
    assert!(lease["ssh"].is_object());
    for name in ["acquire-warmup", "acquire-warmup-reclaim"] {
        let again = site.play(name).lease();
        assert_identity(&again);
        assert_eq!(again["ssh"], lease["ssh"]);
    }
    assert_eq!(site.submissions().len(), 1);
    site.play("resolve-stop").lease();
    site.play("release-stop").done();
    site.assert_nothing_left();
}

#[test]
fn status_and_run_find_the_lease_by_what_was_typed() {
    let site = Site::new();
    let ssh = site.play("acquire-warmup").lease()["ssh"].clone();
    for name in [
        "resolve-status",
        "resolve-status-typed",
        "resolve-run",
        "resolve-run-typed",
        "resolve-run-reclaim",
    ] {
        let lease = site.play(name).within(seconds(10)).lease();
        assert_identity(&lease);
        assert_eq!(lease["ssh"], ssh, "{name}");
    }
    for name in ["touch-ready", "touch-running", "touch-ready-after"] {
        let answer = site.play(name).done();
        assert_eq!(
            answer,
            json!({"protocolVersion": 1}),
            "a lease would stop the idle clock"
        );
    }
    for name in ["list", "list-all", "list-refresh", "list-cleanup"] {
        let answer = site.play(name).done();
        let rows = answer["leases"].as_array().unwrap();
        assert_eq!(rows.len(), 1);
        assert_identity(&rows[0]);
        assert!(
            text(&rows[0]["status"]).starts_with("RUNNING on n"),
            "{answer}"
        );
        assert_eq!(
            rows[0]["serverType"],
            "slurm batch cpus=2 mem=2G time=01:00:00"
        );
    }
    site.play("release-stop").done();
    site.assert_nothing_left();
}

#[test]
fn stop_is_answered_again_and_again() {
    let site = Site::new();
    site.play("acquire-warmup").lease();
    let typed = [
        "resolve-stop",
        "resolve-stop-typed-slug",
        "resolve-stop-typed-lease-id",
    ];
    for name in typed {
        let lease = site.play(name).lease();
        assert_identity(&lease);
        assert!(lease.get("ssh").is_none());
    }
    for _ in 0..2 {
        site.play("release-stop").done();
        site.assert_nothing_left();
        for name in typed {
            let lease = site.play(name).lease();
            assert_identity(&lease);
            assert_eq!(lease["labels"]["state"], "released");
        }
    }
    let error = site.play("resolve-status").error();
    assert!(error.contains("was released"), "{error}");
    let error = site.play("touch-ready").error();
    assert!(error.contains("was released"), "{error}");
    assert_eq!(site.play("list-all").done()["leases"], json!([]));
}

#[test]
fn a_stop_that_expects_another_lease_ends_nothing() {
    let site = Site::new();
    site.play("acquire-warmup").lease();
    let wrong = [
        ("slurm/job/1\"", "slurm/job/2\""),
        ("\"slug\":\"slurm-smoke\"", "\"slug\":\"slurm-smok\""),
        (
            "\"attemptLeaseId\":\"cbx_0123456789ab\"",
            "\"attemptLeaseId\":\"cbx_0123456789ac\"",
        ),
    ];
    for name in [
        "resolve-stop-expected",
        "release-stop-expected",
        "resolve-stop-expected-unclaimed",
    ] {
        for (right, changed) in wrong {
            let request = recorded(name, "slurm/job/1");
            let (before, expected) = request.split_once("\"expected\":").unwrap();
            let request = format!("{before}\"expected\":{}", expected.replace(right, changed));
            let reply = Running::start(site.command(), &request).finish(seconds(60));
            let error = reply.error();
            assert!(error.contains("contradicts itself"), "{error}");
            assert_eq!(site.live_jobs(), 1);
        }
    }
    site.play("resolve-stop-expected-unclaimed").lease();
    let lease = site.play("resolve-stop-expected").lease();
    assert_identity(&lease);
    site.play("release-stop-expected").done();
    site.assert_nothing_left();
    assert_identity(&site.play("resolve-stop-expected").lease());
    site.play("release-stop-expected").done();
}

#[test]
fn a_one_shot_run_is_released_at_its_end() {
    let site = Site::new();
    let lease = site.play("acquire-run").lease();
    assert_eq!(lease["leaseId"], "cbx_a1b2c3d4e5f1");
    site.play("release-run").done();
    site.assert_nothing_left();
    site.play("release-run").done();
}

#[test]
fn a_rollback_needs_no_lease_id() {
    let site = Site::new();
    site.play("acquire-warmup").lease();
    let other_name = recorded("release-rollback-no-lease-id", "slurm/job/1")
        .replace("crabbox-slurm-smoke-40675f31", "crabbox-other-40675f31");
    let reply = Running::start(site.command(), &other_name).finish(seconds(60));
    reply.done();
    assert_eq!(
        site.live_jobs(),
        1,
        "name and cloud id must both be those of the lease"
    );
    site.play_of("release-rollback-no-lease-id", "slurm/job/2")
        .done();
    assert_eq!(site.live_jobs(), 1);
    site.play("release-rollback-no-lease-id")
        .within(seconds(30))
        .done();
    site.assert_nothing_left();
    site.play("release-rollback").done();
}

#[test]
fn cleanup_leaves_what_is_in_use() {
    let site = Site::new();
    site.play("acquire-warmup").lease();
    for name in ["cleanup-dry-run", "cleanup"] {
        site.play(name).done();
        let rows = site.play("list-cleanup").done();
        assert_identity(&rows["leases"][0]);
    }
    site.cancel(1);
    until(seconds(20), "the job to be over", || site.live_jobs() == 0);
    // The client shows no message, so it is told on stderr.
    let line = format!("slurm-cbx: would remove {LEASE}\n");
    until(seconds(20), "the lease to be seen over", || {
        site.play("cleanup-dry-run").stderr.contains(&line)
    });
    assert_eq!(site.records(), [LEASE]);
    let reply = site.play("cleanup");
    let line = format!("slurm-cbx: removed {LEASE}\n");
    assert!(reply.stderr.contains(&line), "{reply:?}");
    assert_eq!(site.play("list-cleanup").done()["leases"], json!([]));
    site.assert_nothing_left();
}

#[test]
fn while_it_is_queued_no_answer_waits() {
    let site = Site::queueing();
    let waiting = Running::start(site.command(), &recorded("acquire-warmup", "slurm/job/1"));
    until(seconds(20), "a job", || site.live_jobs() == 1);
    let rows = site.play("list-all").within(seconds(10)).done();
    let row = &rows["leases"][0];
    assert_identity(row);
    assert_eq!(row["labels"]["state"], "provisioning");
    assert!(NOT_READY.contains(&text(&row["labels"]["state"]).as_str()));
    for name in ["resolve-status", "resolve-run", "resolve-status-typed"] {
        let error = site.play(name).within(seconds(10)).error();
        assert!(
            error.contains("is queued") && error.contains("PENDING"),
            "{error}"
        );
    }
    site.play("resolve-stop-typed-slug")
        .within(seconds(10))
        .lease();
    site.play("release-stop").within(seconds(30)).done();
    let error = waiting.finish(seconds(30)).error();
    assert!(error.contains("released"), "{error}");
    site.assert_nothing_left();
}

#[test]
fn nobody_listening_to_the_progress_is_no_failure() {
    let site = Site::queueing();
    let mut waiting = Running::start(site.command(), &recorded("acquire-warmup", "slurm/job/1"));
    waiting.stop_listening();
    until(seconds(20), "a job", || site.live_jobs() == 1);
    site.cluster.start(1).unwrap();
    let job = site.cluster.job(1).unwrap().unwrap();
    let endpoint = crate::fake_site::endpoint(&job);
    let directory = site.state_dir().join("jobs").join(LEASE);
    fs::write(directory.join("endpoint.new"), endpoint).unwrap();
    fs::rename(
        directory.join("endpoint.new"),
        directory.join("endpoint.json"),
    )
    .unwrap();
    assert_identity(&waiting.finish(seconds(60)).lease());
    site.play("release-stop").done();
}

/// What the client kills an adapter for writing more than, in bytes.
const LIMIT: usize = 1 << 20;
const ROWS: u32 = 300;

/// The answer to a list of many leases whose slugs are this long.
fn list_of_many(slug_length: usize) -> Value {
    let site = Site::modelled();
    let slug = "s".repeat(slug_length);
    for number in 0..ROWS {
        former_lease(&site, number, &slug);
    }
    site.play("list-all").answer
}

/// A lease that the Python adapter left in the state directory.
fn former_lease(site: &Site, number: u32, slug: &str) {
    let lease = format!("cbx_{number:012x}");
    let directory = site.state_dir().join("jobs").join(&lease);
    fs::create_dir_all(&directory).unwrap();
    let state = json!({
        "leaseId": lease, "slug": slug, "name": format!("crabbox-{number}"),
        "jobId": (1000 + number).to_string(), "createdAt": "2026-01-01T10:00:00Z",
    });
    fs::write(directory.join("state.json"), state.to_string()).unwrap();
}

#[test]
fn a_list_that_would_be_too_long_is_whole_or_an_error() {
    let short = list_of_many(100);
    let rows = short["leases"].as_array().unwrap();
    assert_eq!(rows.len(), ROWS as usize);
    assert!(
        rows.iter()
            .all(|row| row["labels"]["slurmJobId"].is_string())
    );

    // A little too long: what is optional is left out.
    let missing = LIMIT + 10 * ROWS as usize - short.to_string().len();
    let longer = list_of_many(100 + missing / ROWS as usize);
    let rows = longer["leases"].as_array().unwrap();
    assert_eq!(rows.len(), ROWS as usize);
    assert!(longer.to_string().len() < LIMIT);
    assert!(
        rows.iter()
            .all(|row| row["labels"].as_object().unwrap().len() == 1)
    );

    let much_longer = list_of_many(4000);
    let error = text(&much_longer["error"]);
    assert!(error.contains("1 MiB"), "{error}");
    assert!(
        much_longer.get("leases").is_none(),
        "a part would cost the client its claims"
    );
}

/// The numbers of the points at which this request can be made to panic, but for the last: the
/// answer is ready then.
#[cfg(feature = "crash-points")]
fn points(site: &Site, name: &str) -> u32 {
    let log = site.root().join("points");
    let mut command = site.command();
    command.env("SLURM_LEASE_CRASH_LOG", &log);
    Running::start(command, &recorded(name, "slurm/job/1"))
        .finish(seconds(60))
        .done();
    let log = fs::read_to_string(log).unwrap();
    let before = log
        .lines()
        .take_while(|line| !line.ends_with("answer ready"));
    u32::try_from(before.count()).unwrap()
}

#[cfg(feature = "crash-points")]
#[test]
fn a_panic_is_answered_and_loses_nothing() {
    for name in ["acquire-warmup", "release-stop"] {
        let prepare = |site: &Site| {
            if name == "release-stop" {
                site.play("acquire-warmup").lease();
            }
        };
        let counted = Site::new();
        prepare(&counted);
        let last = points(&counted, name);
        assert!(last > 5, "{name} passes {last} points");
        counted.play("release-stop").done();
        let numbers: Vec<u32> = (1..=last).step_by(4).chain([last]).collect();
        crate::fake_site::each(&numbers, |number| {
            let site = Site::new();
            prepare(&site);
            let mut command = site.command();
            command.env("SLURM_LEASE_PANIC_AT", number.to_string());
            let reply = Running::start(command, &recorded(name, "slurm/job/1")).finish(seconds(60));
            assert!(reply.stderr.contains("asked for at point"), "{reply:?}");
            check_shape(&reply.answer);
            let error = reply.error();
            assert!(error.starts_with("internal error"), "{error}");
            let lease = site.play("acquire-warmup").lease();
            assert_eq!(site.live_jobs(), 1);
            site.play_of("release-stop", &text(&lease["cloudId"]))
                .done();
            site.assert_nothing_left();
        });
    }
}
