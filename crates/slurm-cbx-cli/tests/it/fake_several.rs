//! Several acquires of one lease: whoever gives up takes nothing away from another.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use fake_slurm::{Action, ClusterConfig, Controller, Execution, Fault, Program};
use rustix::process::Signal;
use serde_json::json;

use crate::client::{Identity, Running, acquire, release, warmup};
use crate::fake_site::{Site, each, publishing};
use crate::truth::{seconds, until};

/// An sshd that can be stopped, as by SIGSTOP: whoever connects then hears nothing.
struct Greeter {
    port: u16,
    is_stopped: Arc<AtomicBool>,
}

impl Greeter {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_stopped = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&is_stopped);
        thread::spawn(move || {
            let mut unheard = Vec::new();
            for stream in listener.incoming().flatten() {
                let mut stream = stream;
                if !stopped.load(Ordering::SeqCst) {
                    // Whoever has gone away needs no greeting.
                    drop(stream.write_all(b"SSH-2.0-greeter\r\n"));
                }
                unheard.push(stream);
            }
        });
        Self { port, is_stopped }
    }

    fn stop(&self, stopped: bool) {
        self.is_stopped.store(stopped, Ordering::SeqCst);
    }
}

/// How an acquire comes to nothing.
#[derive(Clone, Copy, Debug)]
enum Failure {
    TimeOut,
    Signal,
}

#[test]
fn a_lease_in_use_is_not_taken_back_by_an_acquire_that_gets_no_answer() {
    each(&[Failure::TimeOut, Failure::Signal], |failure| {
        let greeter = Greeter::new();
        let site = Site::with_config(ClusterConfig {
            execution: Execution::Processes,
            ..ClusterConfig::default()
        });
        let runner = site.runner(&format!("{}exec sleep 600\n", publishing(greeter.port)));
        let site = site.with_options(&["--runner-script", &runner]);
        let identity = site.identity();
        let lease = site.warmup(&identity, &json!({})).lease();
        greeter.stop(true);
        let limit = match failure {
            Failure::TimeOut => 2,
            Failure::Signal => 600,
        };
        let running = site.begin(&acquire(
            &identity,
            &json!({"acquireTimeoutSeconds": limit}),
        ));
        until(seconds(10), "the second acquire to wait", || {
            site.lease_file(&identity, "acquiring").exists()
        });
        if matches!(failure, Failure::Signal) {
            running.signal(Signal::TERM);
        }
        let error = running.finish(seconds(40)).error();
        assert!(error.contains("was handed out before"), "{error}");
        assert_eq!(site.live(&identity).len(), 1);
        greeter.stop(false);
        assert_eq!(site.resolve(&identity).lease()["ssh"], lease["ssh"]);
        site.release(&identity).done();
        site.assert_nothing_left();
    });
}

#[test]
fn an_acquire_that_gives_up_leaves_the_job_to_another_that_waits() {
    let failures = [Failure::TimeOut, Failure::Signal];
    each(&failures, |failure| {
        let site = Site::queueing();
        let identity = site.identity();
        let limit = match failure {
            Failure::TimeOut => 4,
            Failure::Signal => 600,
        };
        let first = site.begin(&acquire(
            &identity,
            &json!({"acquireTimeoutSeconds": limit}),
        ));
        site.wait_for_job(&identity);
        let mut second = site.begin(&acquire(&identity, &json!({})));
        let watching = format!("{} 0", identity.lease);
        until(seconds(10), "two keepers", || {
            let processes = site.processes();
            let keepers = processes
                .iter()
                .filter(|one| one.command.contains(&watching));
            keepers.count() == 2
        });
        if matches!(failure, Failure::Signal) {
            first.signal(Signal::TERM);
        }
        let error = first.finish(seconds(40)).error();
        assert!(error.contains("another process waits"), "{error}");
        assert_eq!(site.live(&identity).len(), 1);
        assert!(second.is_going_on());
        // The last one has nobody to leave it to.
        second.signal(Signal::TERM);
        let error = second.finish(seconds(60)).error();
        assert!(error.contains("was cancelled"), "{error}");
        assert_eq!(site.submissions().len(), 1);
        site.assert_nothing_left();
    });
}

#[test]
fn the_second_of_two_is_told_what_is_the_matter_itself() {
    let site = Site::new();
    let identity = site.identity();
    let down = Action::Controller(Controller::Down);
    site.cluster.inject(Fault::on_any(down)).unwrap();
    let request = acquire(&identity, &json!({}));
    let first = site.begin(&request);
    until(seconds(20), "the first to ask", || {
        site.cluster.calls_of(Program::Squeue).unwrap().len() >= 2
    });
    let second = site.begin(&request);
    for running in [first, second] {
        let error = running.finish(seconds(90)).error();
        assert!(error.contains("nothing was submitted"), "{error}");
    }
    // The record goes once the controller has said that there is no job: it may have lost its end.
    site.cluster.clear_faults().unwrap();
    site.cleanup().within(seconds(60)).done();
    site.assert_nothing_left();
}

/// What becomes of an acquire that waits for a job that an earlier one left in the queue.
#[derive(Clone, Copy, Debug)]
enum End {
    Told,
    Killed,
}

#[test]
fn a_job_that_was_left_in_the_queue_is_not_left_twice() {
    each(&[End::Told, End::Killed], |end| {
        let site = Site::queueing();
        let identity = site.identity();
        let config = json!({"acquireTimeoutSeconds": 1});
        let error = site.warmup(&identity, &config).error();
        assert!(error.contains("job 1 is kept"), "{error}");
        assert!(site.lease_file(&identity, "claimed").exists());
        let mut again = site.begin(&warmup(&identity, &json!({"unclaimedGraceSeconds": 2})));
        until(seconds(20), "the job to be waited for", || {
            !site.lease_file(&identity, "claimed").exists() && site.keeper(&identity).is_some()
        });
        match end {
            End::Told => again.signal(Signal::TERM),
            End::Killed => again.kill_group(),
        }
        until(seconds(30), "the job to leave the queue", || {
            site.live(&identity).is_empty()
        });
        if matches!(end, End::Told) {
            let error = again.finish(seconds(60)).error();
            assert!(error.contains("kept for a while"), "{error}");
        }
        until(seconds(20), "the record to be removed", || {
            site.records().is_empty()
        });
        assert_eq!(site.submissions().len(), 1);
        site.assert_nothing_left();
    });
}

#[test]
fn abandoned_leases_cost_others_no_time() {
    let site = Site::queueing();
    let abandoned: Vec<_> = (0..6).map(|_| site.identity()).collect();
    let config = json!({"unclaimedGraceSeconds": 1});
    let mut running: Vec<_> = abandoned
        .iter()
        .map(|identity| site.begin(&warmup(identity, &config)))
        .collect();
    for identity in &abandoned {
        site.wait_for_job(identity);
    }
    for identity in &abandoned {
        let keeper = site.keeper(identity).expect("a keeper").pid;
        crate::cluster::signal(keeper, Signal::KILL);
    }
    running.iter_mut().for_each(|one| one.kill_group());
    until(seconds(10), "their grace to be over", || {
        abandoned
            .iter()
            .all(|identity| site.is_past_grace(identity, seconds(1)))
    });
    for program in [Program::Squeue, Program::Scontrol, Program::Scancel] {
        site.inject(program, Action::Hang);
    }
    site.forget_queue();
    let limit = json!({"acquireTimeoutSeconds": 1});
    let reply = site.acquire(&site.identity(), &limit);
    // Its own limit, and ten seconds for what it was about.
    reply.within(Duration::from_secs(18)).error();
    site.cluster.clear_faults().unwrap();
    until(seconds(60), "the abandoned jobs to leave the queue", || {
        abandoned
            .iter()
            .all(|identity| site.live(identity).is_empty())
    });
    site.cleanup().done();
    site.assert_nothing_left();
}

/// The acquire has read the record of a lease that another process then removes.
#[test]
fn an_acquire_that_finds_its_lease_ended_begins_anew() {
    let site = Site::new();
    let identity = site.identity();
    let before = site.warmup(&identity, &json!({})).lease();
    let mut command = site.command();
    command.env("SLURM_LEASE_STOP_AT", "keeper started");
    let again = Running::start(command, &warmup(&identity, &json!({})).to_string());
    until(seconds(20), "it to stop", || again.is_stopped());
    site.release(&identity).done();
    again.signal(Signal::CONT);
    let after = again.finish(seconds(60)).lease();
    assert_ne!(before["cloudId"], after["cloudId"]);
    assert_eq!(site.live(&identity).len(), 1);
    site.release(&identity).done();
    site.assert_nothing_left();
}

/// The release comes between the beginning of the acquire and its first record.
#[test]
fn a_release_ends_an_acquire_that_is_just_beginning() {
    let site = Site::new();
    let identity = site.identity();
    let mut command = site.command();
    command.env("SLURM_LEASE_STOP_AT", "keeper started");
    let acquiring = Running::start(command, &warmup(&identity, &json!({})).to_string());
    until(seconds(20), "it to stop", || acquiring.is_stopped());
    let releasing = site.begin(&release(&identity));
    let journal = site.lease_file(&identity, "journal.jsonl");
    until(seconds(20), "the wish to be on disk", || {
        fs::read_to_string(&journal).is_ok_and(|journal| journal.contains("release_wished"))
    });
    acquiring.signal(Signal::CONT);
    let error = acquiring.finish(seconds(60)).error();
    assert!(error.contains("was released while"), "{error}");
    releasing.finish(seconds(25)).done();
    assert!(site.submissions().is_empty());
    site.assert_nothing_left();
}

/// Both are asked for before either is on disk.
#[test]
fn of_two_names_for_one_lease_at_once_the_second_is_refused() {
    let site = Site::new();
    let identity = site.identity();
    let other = Identity {
        slug: "other".to_owned(),
        ..identity.clone()
    };
    let mut command = site.command();
    command.env("SLURM_LEASE_STOP_AT", "keeper started");
    let second = Running::start(command, &warmup(&other, &json!({})).to_string());
    until(seconds(20), "it to stop", || second.is_stopped());
    let lease = site.warmup(&identity, &json!({})).lease();
    second.signal(Signal::CONT);
    let error = second.finish(seconds(60)).error();
    assert!(error.contains("exists already as"), "{error}");
    assert_eq!(site.resolve(&identity).lease()["cloudId"], lease["cloudId"]);
    assert_eq!(site.submissions().len(), 1);
    site.release(&identity).done();
    site.assert_nothing_left();
}
