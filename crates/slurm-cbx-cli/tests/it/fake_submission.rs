//! Submissions whose answer says too little, comes too late, or does not come.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use fake_slurm::{Action, Fault, Program};
use serde_json::{Value, json};

use crate::client::{acquire, text, warmup};
use crate::cluster::signal;
use crate::fake_site::{Site, each};
use crate::truth::{eventually, is_alive, seconds, until};
use rustix::process::Signal;

/// What can happen to an answer whose request was carried out.
fn lost_answers() -> Vec<Action> {
    vec![
        Action::LoseReply,
        Action::KillAfter(9),
        Action::KillAfter(15),
        Action::Garbage(String::new()),
        Action::Garbage("\u{10feff}\u{10fe00} what is this?\n".to_owned()),
        Action::Garbage("Submitted batch job\n".to_owned()),
        Action::Truncate(0),
        Action::Banner("Welcome to the cluster.\nMaintenance on 7 May.".to_owned()),
        Action::Warn("sbatch: Your project has used 97 % of its hours".to_owned()),
        Action::Slow(Duration::from_millis(700)),
    ]
}

#[test]
fn a_job_whose_answer_was_lost_is_found_and_not_submitted_again() {
    each(&lost_answers(), |action| {
        let site = Site::new();
        let identity = site.identity();
        site.cluster
            .inject_next(Program::Sbatch, action.clone())
            .unwrap();
        let lease = site.acquire(&identity, &json!({})).lease();
        let jobs = site.jobs(&identity);
        assert_eq!(jobs.len(), 1);
        assert_eq!(lease["cloudId"], format!("slurm/job/{}", jobs[0].id));
        assert_eq!(site.submissions().len(), 1);
        site.release(&identity).done();
        site.assert_nothing_left();
    });
}

#[test]
fn a_request_that_arrives_after_its_answer_is_waited_for() {
    let site = Site::new().with_settle("3");
    let identity = site.identity();
    let later = Action::AcceptLater(Duration::from_secs(1));
    site.cluster.inject_next(Program::Sbatch, later).unwrap();
    let mut running = site.begin(&acquire(&identity, &json!({})));
    until(seconds(10), "the submission", || {
        !site.submissions().is_empty()
    });
    // Time passes for the controller where it is asked.
    until(seconds(20), "the job", || !site.jobs(&identity).is_empty());
    assert!(running.is_going_on());
    running.finish(seconds(30)).lease();
    assert_eq!(site.submissions().len(), 1);
    site.release(&identity).done();
    site.assert_nothing_left();
}

/// What can happen to a request that is not carried out, and what is said of it.
fn lost_requests() -> Vec<(Action, &'static str)> {
    let refuse = |text: &str| Action::Refuse {
        text: text.to_owned(),
        status: 1,
    };
    vec![
        (
            refuse("sbatch: error: Batch job submission failed: Invalid partition name specified"),
            "refused the job, so there is none: ",
        ),
        (
            refuse(
                "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
            ),
            "refused the job, so there is none: ",
        ),
        (
            refuse(
                "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
            ),
            "no job came of the submission",
        ),
        (
            refuse("something nobody ever saw"),
            "no job came of the submission",
        ),
        (Action::Kill(9), "no job came of the submission"),
        (Action::DoNothing, "no job came of the submission"),
    ]
}

#[test]
fn a_request_that_was_lost_leaves_the_identity_free() {
    each(&lost_requests(), |(action, words)| {
        let site = Site::new();
        let identity = site.identity();
        site.cluster
            .inject_next(Program::Sbatch, action.clone())
            .unwrap();
        let error = site.acquire(&identity, &json!({})).error();
        assert!(error.contains(words), "{error}");
        assert!(site.jobs(&identity).is_empty());
        assert_eq!(site.submissions().len(), 1, "nothing is sent twice");
        site.assert_nothing_left();
        site.acquire(&identity, &json!({})).lease();
        assert_eq!(site.jobs(&identity).len(), 1);
        site.release(&identity).done();
        site.assert_nothing_left();
    });
}

#[test]
fn a_submission_that_hangs_is_neither_repeated_nor_forgotten() {
    let site = Site::new();
    let identity = site.identity();
    site.cluster
        .inject_next(Program::Sbatch, Action::Hang)
        .unwrap();
    let mut running = site.begin(&acquire(&identity, &json!({})));
    let sbatch = eventually(seconds(10), "sbatch to be called", || {
        site.submissions().pop()
    });
    running.kill_group();
    let error = site.release(&identity).within(seconds(25)).error();
    assert!(
        error.contains("is not released yet") && error.contains("remembered"),
        "{error}"
    );
    let row = site.listed(&identity).expect("a row");
    assert!(text(&row["status"]).contains("unanswered"), "{row}");
    signal(sbatch.process, Signal::KILL);
    site.release(&identity).within(seconds(25)).done();
    assert_eq!(site.submissions().len(), 1);
    site.assert_nothing_left();
}

#[test]
fn a_submission_without_standard_input_is_waited_for_too() {
    let site = Site::new();
    let bin = site.root().join("wrapped");
    fs::create_dir(&bin).unwrap();
    let sbatch = site.cluster.bin_dir().join("sbatch");
    let wrapper = bin.join("sbatch");
    let script = format!("#!/bin/sh\nexec {} \"$@\" </dev/null\n", sbatch.display());
    fs::write(&wrapper, script).unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    let site = site.searching(&bin);
    let identity = site.identity();
    site.cluster
        .inject_next(Program::Sbatch, Action::Hang)
        .unwrap();
    let mut running = site.begin(&acquire(&identity, &json!({})));
    let sbatch = eventually(seconds(10), "sbatch to be called", || {
        site.submissions().pop()
    });
    running.kill_group();
    let error = site.release(&identity).within(seconds(25)).error();
    assert!(error.contains("is not released yet"), "{error}");
    assert_eq!(site.records(), [identity.lease.as_str()]);
    signal(sbatch.process, Signal::KILL);
    site.release(&identity).within(seconds(25)).done();
    site.assert_nothing_left();
}

#[test]
fn a_submission_that_nobody_limits_any_more_is_ended_by_whoever_finds_it() {
    let site = Site::new();
    let identity = site.identity();
    site.cluster
        .inject_next(Program::Sbatch, Action::Hang)
        .unwrap();
    let mut running = site.begin(&acquire(&identity, &json!({})));
    let sbatch = eventually(seconds(10), "sbatch to be called", || {
        site.submissions().pop()
    });
    let lock = site.lease_file(&identity, "submit.lock");
    until(seconds(10), "the lock to be signed", || {
        fs::metadata(&lock).unwrap().len() > 0
    });
    running.kill_group();
    let error = site.release(&identity).within(seconds(25)).error();
    assert!(error.contains("is not released yet"), "{error}");
    assert!(is_alive(sbatch.process), "its time is not over yet");
    let long_ago = SystemTime::now() - seconds(170);
    let lock = fs::File::options().append(true).open(lock).unwrap();
    lock.set_modified(long_ago).unwrap();
    drop(lock);
    site.release(&identity).within(seconds(25)).done();
    assert!(!is_alive(sbatch.process));
    assert_eq!(site.submissions().len(), 1);
    site.assert_nothing_left();
}

#[test]
fn whoever_stops_waiting_is_answered_while_sbatch_runs() {
    each(&[false, true], |&keep| {
        let site = Site::new();
        let identity = site.identity();
        // The job is there, and its number is never told.
        site.cluster
            .inject_next(Program::Sbatch, Action::HangAfter)
            .unwrap();
        let mut request = acquire(&identity, &json!({"unclaimedGraceSeconds": 1}));
        request["keep"] = json!(keep);
        let running = site.begin(&request);
        let sbatch = eventually(seconds(10), "sbatch to be called", || {
            site.submissions().pop()
        });
        site.wait_for_job(&identity);
        running.signal(Signal::TERM);
        let error = running.finish(seconds(40)).error();
        let words = if keep {
            "kept for a while"
        } else {
            "was cancelled"
        };
        assert!(error.contains(words), "{error}");
        until(seconds(30), "the record to be removed", || {
            site.records().is_empty()
        });
        assert!(is_alive(sbatch.process), "it was not cut short");
        signal(sbatch.process, Signal::KILL);
        assert_eq!(site.submissions().len(), 1);
        site.assert_nothing_left();
    });
}

#[test]
fn several_acquires_at_once_make_one_submission() {
    each(&[2, 4], |&count| {
        let site = Site::new();
        let identity = site.identity();
        let slow = Action::Slow(Duration::from_millis(400));
        site.inject(Program::Sbatch, slow);
        let request = acquire(&identity, &json!({}));
        let running: Vec<_> = (0..count).map(|_| site.begin(&request)).collect();
        let leases: Vec<Value> = running
            .into_iter()
            .map(|running| running.finish(seconds(60)).lease())
            .collect();
        for lease in &leases {
            assert_eq!(lease["cloudId"], leases[0]["cloudId"]);
            assert_eq!(lease["ssh"], leases[0]["ssh"]);
        }
        assert_eq!(site.submissions().len(), 1);
        assert_eq!(site.jobs(&identity).len(), 1);
        site.release(&identity).done();
        site.assert_nothing_left();
    });
}

#[test]
fn a_release_of_an_interrupted_submission_waits_for_its_job_and_ends_it() {
    // In the first, the job appears after the release has begun; in the second, before.
    let delays = [
        Action::Slow(Duration::from_secs(1)),
        Action::KillAfter(9),
        Action::LoseReply,
    ];
    each(&delays, |action| {
        let site = Site::new();
        let identity = site.identity();
        site.cluster
            .inject_next(Program::Sbatch, action.clone())
            .unwrap();
        let mut running = site.begin(&warmup(&identity, &json!({})));
        until(seconds(10), "the submission", || {
            !site.submissions().is_empty()
        });
        running.kill_group();
        site.release(&identity).within(seconds(25)).done();
        assert_eq!(site.submissions().len(), 1);
        assert_eq!(site.jobs(&identity).len(), 1);
        site.assert_nothing_left();
    });
}

#[test]
fn a_controller_that_can_not_be_asked_gets_no_submission() {
    let down = Action::Controller(fake_slurm::Controller::Down);
    let silences = [
        Fault::on_any(down),
        // Exit status 0 and not a word: that there is no job yet was not said.
        Fault::on(Program::Squeue, Action::DoNothing),
        Fault::on(Program::Squeue, Action::Garbage(String::new())),
    ];
    each(&silences, |silence| {
        let site = Site::new();
        let identity = site.identity();
        site.cluster.inject(silence.clone()).unwrap();
        let mut running = site.begin(&acquire(&identity, &json!({})));
        until(seconds(10), "questions", || {
            site.cluster.calls_of(Program::Squeue).unwrap().len() >= 2
        });
        assert!(running.is_going_on());
        assert!(site.submissions().is_empty());
        // It comes back while the acquire still waits.
        site.cluster.clear_faults().unwrap();
        running.finish(seconds(60)).lease();
        assert_eq!(site.submissions().len(), 1);
        site.release(&identity).done();
        site.assert_nothing_left();
    });
}
