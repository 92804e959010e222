//! Faults, as a client meets them.

use std::process::Stdio;
use std::time::{Duration, Instant};

use fake_slurm::{
    Accounting, Action, Base, ClusterConfig, Controller, Exit, Fault, Generation, Program,
    SubmitPlugin, Which,
};

use crate::{Bench, Said, wait_until};

const TIMED_OUT: &str =
    "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n";

#[test]
fn a_lost_reply_leaves_a_job() {
    let bench = Bench::new();
    let fault = Fault::on(Program::Sbatch, Action::LoseReply).nth(2);
    bench.cluster.inject(fault).unwrap();
    assert_eq!(bench.submit(&[]), 1);
    let said = bench.run("sbatch", &["--parsable", "--wrap=true"]);
    let expected = Said {
        status: Some(1),
        stdout: String::new(),
        stderr: TIMED_OUT.to_owned(),
    };
    assert_eq!(said, expected);
    assert_eq!(bench.cluster.jobs().unwrap().len(), 2);
    assert_eq!(bench.submit(&[]), 3);
}

#[test]
fn a_refusal_leaves_none() {
    let bench = Bench::new();
    let text = "sbatch: error: Batch job submission failed: Unspecified error".to_owned();
    bench
        .cluster
        .inject_next(Program::Sbatch, Action::Refuse { text, status: 1 })
        .unwrap();
    assert_eq!(bench.run("sbatch", &["--wrap=true"]).status, Some(1));
    assert!(bench.cluster.jobs().unwrap().is_empty());
}

#[test]
fn a_text_of_the_answer_is_replaced() {
    let bench = Bench::new();
    bench.submit(&[]);
    let (from, to) = ("RUNNING".to_owned(), "SLEEP\u{10fe00}ING".to_owned());
    bench
        .cluster
        .inject_next(Program::Squeue, Action::Replace { from, to })
        .unwrap();
    let output = bench.command("squeue").args(["-h", "-o", "%T"]).output();
    assert_eq!(output.unwrap().stdout, b"SLEEP\0ING\n");
    assert_eq!(bench.run("squeue", &["-h", "-o", "%T"]).stdout, "RUNNING\n");
}

#[test]
fn a_request_that_its_client_gave_up_arrives_later() {
    let bench = Bench::new();
    let later = Action::ArriveLater(Duration::from_secs(60));
    bench.cluster.inject_next(Program::Sbatch, later).unwrap();
    let mut client = bench
        .command("sbatch")
        .arg("--wrap=true")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the call is in the log", || {
        !bench.cluster.calls().unwrap().is_empty()
    });
    // The request is in the state once the stub has let go of the lock and hangs.
    wait_until("the request is on its way", || {
        bench
            .cluster
            .change(|cluster, _| cluster.late.len())
            .unwrap()
            == 1
    });
    client.kill().unwrap();
    client.wait().unwrap();
    assert!(bench.cluster.jobs().unwrap().is_empty());
    bench.cluster.advance(Duration::from_secs(61)).unwrap();
    assert_eq!(bench.run("squeue", &["-h", "-o", "%i"]).stdout, "1\n");
    let calls = bench.cluster.calls_of(Program::Sbatch).unwrap();
    assert_eq!(calls[0].status, None, "it was killed");
}

#[test]
fn a_command_hangs_before_and_after_its_request() {
    let bench = Bench::new();
    bench.submit(&["--hold"]);
    let hang = |action: Action| {
        bench.cluster.inject_next(Program::Scancel, action).unwrap();
        let known = bench.cluster.calls().unwrap().len();
        let client = bench.command("scancel").arg("1").spawn().unwrap();
        wait_until("the call is in the log", || {
            bench.cluster.calls().unwrap().len() > known
        });
        client
    };
    let mut before = hang(Action::Hang);
    assert_eq!(bench.state(1), "PENDING");
    assert_eq!(before.try_wait().unwrap(), None, "it still waits");
    before.kill().unwrap();
    before.wait().unwrap();
    let mut after = hang(Action::HangAfter);
    wait_until("the request is carried out", || {
        bench.state(1) == "CANCELLED"
    });
    assert_eq!(after.try_wait().unwrap(), None, "it still waits");
    after.kill().unwrap();
    after.wait().unwrap();
}

#[test]
fn a_slow_command_answers_all_the_same() {
    let bench = Bench::new();
    let wait = Duration::from_millis(300);
    bench
        .cluster
        .inject_next(Program::Sbatch, Action::Slow(wait))
        .unwrap();
    let begun = Instant::now();
    assert_eq!(bench.submit(&[]), 1);
    assert!(begun.elapsed() >= wait);
}

#[test]
fn a_rate_limit_holds_every_request_off() {
    let bench = Bench::new();
    bench.submit(&["--hold"]);
    let wait = Duration::from_millis(200);
    bench.cluster.rate_limit(Some(wait)).unwrap();
    let timed = |program: &str, arguments: &[&str]| {
        let begun = Instant::now();
        let said = bench.run(program, arguments);
        (said, begun.elapsed() >= wait)
    };
    let (said, held_off) = timed("scancel", &["-v", "1"]);
    assert!(held_off);
    assert_eq!(
        said.stderr,
        "scancel: Terminating job 1\n\
         scancel: RPC rate limited 1 time(s). Sleeping then trying again.\n"
    );
    let (said, held_off) = timed("squeue", &["-h", "-t", "all", "-o", "%i %T"]);
    assert!(held_off);
    assert_eq!(
        (said.stdout.as_str(), said.stderr.as_str()),
        ("1 CANCELLED\n", "")
    );
    assert!(timed("sbatch", &["--wrap=true"]).1);
    assert!(timed("scontrol", &["show", "config"]).1);
    // It asks once, and takes the refusal for silence.
    let ping = bench.run("scontrol", &["ping"]);
    assert_eq!(ping.status, Some(1));
    assert!(ping.stdout.ends_with(" is DOWN\n"), "{ping:?}");
    bench.cluster.rate_limit(None).unwrap();
    assert_eq!(bench.run("scontrol", &["ping"]).status, Some(0));
}

#[test]
fn a_requeued_job_has_the_same_number_and_another_run() {
    let bench = Bench::new();
    let id = bench.submit(&["--requeue"]);
    let stays = bench.submit(&["--no-requeue"]);
    assert!(bench.cluster.requeue(id).unwrap());
    assert!(!bench.cluster.requeue(stays).unwrap());
    assert_eq!(bench.state(id), "PENDING");
    assert_eq!(bench.state(stays), "RUNNING");
    bench.cluster.start(id).unwrap();
    let job = bench.cluster.job(id).unwrap().unwrap();
    assert_eq!((job.id, job.restarts), (id, 1));
    let question = ["-X", "-n", "-P", "-D", "-j", "1", "-o", "State"];
    assert_eq!(bench.run("sacct", &question).stdout, "REQUEUED\nRUNNING\n");
}

#[test]
fn what_a_hung_controller_was_sent_is_taken_up_when_it_goes_on() {
    let bench = Bench::new();
    bench.cluster.controller(Controller::Hung).unwrap();
    assert_eq!(bench.run("sbatch", &["--wrap=true"]).stderr, TIMED_OUT);
    bench.cluster.controller(Controller::Up).unwrap();
    assert_eq!(bench.state(1), "RUNNING");
}

#[test]
fn a_controller_that_is_down() {
    let bench = Bench::new();
    bench.submit(&[]);
    bench.cluster.controller(Controller::Down).unwrap();
    let reason = "Unable to contact slurm controller (connect failure)\n";
    let squeue = bench.run("squeue", &["-h", "-j", "1"]);
    assert_eq!(
        (squeue.status, squeue.stderr),
        (Some(1), format!("slurm_load_jobs error: {reason}"))
    );
    let scancel = bench.run("scancel", &["1"]);
    assert_eq!(scancel.status, Some(8));
    assert_eq!(
        scancel.stderr,
        format!("scancel: error: Kill job error on job id 1: {reason}")
    );
    // The database answers all the same.
    assert_eq!(
        bench
            .run("sacct", &["-X", "-n", "-P", "-j", "1", "-o", "State"])
            .status,
        Some(0)
    );
}

#[test]
fn killed_garbled_cut_and_heralded() {
    let bench = Bench::new();
    bench.submit(&[]);
    let run = |action: Action| {
        bench.cluster.inject_next(Program::Squeue, action).unwrap();
        let said = bench.run("squeue", &["-h", "-o", "%i|%T"]);
        bench.cluster.clear_faults().unwrap();
        (said.status, said.stdout)
    };
    assert_eq!(run(Action::Kill(9)), (None, String::new()));
    assert_eq!(
        run(Action::Garbage("?\u{1}".to_owned())),
        (Some(0), "?\u{1}".to_owned())
    );
    assert_eq!(run(Action::Truncate(4)), (Some(0), "1|RU".to_owned()));
    assert_eq!(
        run(Action::Banner("Hello".to_owned())),
        (Some(0), "Hello\n1|RUNNING\n".to_owned())
    );
    assert_eq!(run(Action::DoNothing), (Some(0), String::new()));
    assert_eq!(run(Action::KillAfter(9)), (None, String::new()));
}

#[test]
fn a_client_that_is_killed_after_its_request_leaves_a_job() {
    let bench = Bench::new();
    let killed = Action::KillAfter(9);
    bench.cluster.inject_next(Program::Sbatch, killed).unwrap();
    assert_eq!(bench.run("sbatch", &["--wrap=true"]).status, None);
    assert_eq!(bench.cluster.jobs().unwrap().len(), 1);
}

#[test]
fn a_warning_comes_before_what_is_said() {
    let bench = Bench::new();
    let warning = Action::Warn("sbatch: soon full".to_owned());
    bench.cluster.inject_next(Program::Sbatch, warning).unwrap();
    let said = bench.run("sbatch", &["--wrap=true", "-p", "nosuch"]);
    assert_eq!(said.status, Some(1));
    assert!(
        said.stderr
            .starts_with("sbatch: soon full\nsbatch: error: "),
        "{}",
        said.stderr
    );
}

#[test]
fn a_fault_befalls_the_calls_that_were_meant() {
    let struck = |which: Which| {
        let bench = Bench::new();
        let refuse = Action::Refuse {
            text: "no".to_owned(),
            status: 7,
        };
        let fault = Fault::on(Program::Squeue, refuse);
        bench.cluster.inject(Fault { which, ..fault }).unwrap();
        // What it does not match is not counted.
        bench.run("sinfo", &["-h"]);
        let calls = [1, 2, 3, 4];
        calls.map(|_| bench.run("squeue", &["-h"]).status == Some(7))
    };
    assert_eq!(struck(Which::Nth(2)), [false, true, false, false]);
    assert_eq!(struck(Which::From(2)), [false, true, true, true]);
    assert_eq!(struck(Which::First(2)), [true, true, false, false]);
    assert_eq!(struck(Which::Every), [true; 4]);
}

#[test]
fn a_cancel_that_did_nothing() {
    let bench = Bench::new();
    bench.submit(&[]);
    let fault = Fault::on(Program::Scancel, Action::DoNothing)
        .with_argument("1")
        .nth(1);
    bench.cluster.inject(fault).unwrap();
    assert_eq!(bench.run("scancel", &["1"]).status, Some(0));
    assert_eq!(bench.state(1), "RUNNING");
    assert_eq!(bench.run("scancel", &["1"]).status, Some(0));
    assert_eq!(bench.state(1), "CANCELLED");
}

#[test]
fn a_controller_that_lost_its_state_gives_a_number_again() {
    let bench = Bench::new();
    assert_eq!(bench.submit(&["-J", "mine"]), 1);
    bench.cluster.lose_state().unwrap();
    let unknown = bench.run("squeue", &["-h", "-t", "all", "-j", "1"]);
    assert_eq!(
        unknown.stderr,
        "slurm_load_jobs error: Invalid job id specified\n"
    );
    assert_eq!(bench.submit(&["-J", "theirs"]), 1);
    assert_eq!(
        bench.run("squeue", &["-h", "-j", "1", "-o", "%j"]).stdout,
        "theirs\n"
    );
}

#[test]
fn a_stale_backup_shows_an_old_picture() {
    let bench = Bench::new();
    bench.submit(&[]);
    bench.cluster.controller(Controller::Stale).unwrap();
    bench.cluster.finish(1, Exit::default()).unwrap();
    assert_eq!(bench.state(1), "RUNNING");
    assert_eq!(bench.run("sbatch", &["--wrap=true"]).status, Some(1));
    bench.cluster.controller(Controller::Up).unwrap();
    assert_eq!(bench.state(1), "COMPLETED");
}

#[test]
fn accounting_lags_fails_and_is_missing() {
    let bench = Bench::new();
    bench
        .cluster
        .accounting(Accounting::Lagging(Duration::from_secs(5)))
        .unwrap();
    bench.submit(&[]);
    let ask = || bench.run("sacct", &["-X", "-n", "-P", "-D", "-j", "1", "-o", "State"]);
    assert_eq!(ask().stdout, "");
    bench.cluster.advance(Duration::from_secs(6)).unwrap();
    assert_eq!(ask().stdout, "RUNNING\n");
    bench.cluster.accounting(Accounting::Down).unwrap();
    assert_eq!(ask().status, Some(1));
    assert!(
        ask()
            .stderr
            .ends_with("Problem talking to the database: Connection refused\n")
    );
    bench.cluster.accounting(Accounting::Disabled).unwrap();
    assert_eq!(ask().stderr, "Slurm accounting storage is disabled\n");
}

#[test]
fn a_site_that_rewrites_holds_and_greets() {
    let bench = Bench::new();
    let plugin = SubmitPlugin {
        comment: Some(String::new()),
        banner: Some("Welcome to the cluster!".to_owned()),
        message: Some("your comment was changed".to_owned()),
        hold: true,
        ..SubmitPlugin::default()
    };
    bench.cluster.plugin(plugin).unwrap();
    let said = bench.run("sbatch", &["--parsable", "--comment=mine", "--wrap=true"]);
    assert_eq!(said.stdout, "Welcome to the cluster!\n1\n");
    assert_eq!(said.stderr, "sbatch: your comment was changed\n");
    let row = || bench.run("squeue", &["-h", "-o", "%T|%r|%k"]).stdout;
    assert_eq!(row(), "PENDING|JobHeldAdmin|(null)\n");
    bench
        .cluster
        .change(|cluster, now| cluster.release(1, 0, now))
        .unwrap()
        .unwrap();
    assert_eq!(row(), "RUNNING|None|(null)\n");
}

#[test]
fn a_full_queue_refuses() {
    let bench = Bench::new();
    bench.submit(&[]);
    let refused = |generation: Generation| {
        let set = |config: &mut ClusterConfig| config.generation = generation;
        bench.cluster.configure(set).unwrap();
        bench.cluster.limit_queue(1).unwrap();
        bench.run("sbatch", &["--wrap=true"]).stderr
    };
    // The real sbatch takes two minutes between the lines.
    let old = "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying\n\
        sbatch: error: Batch job submission failed: Resource temporarily unavailable\n";
    assert_eq!(refused(Generation::V20_11), old);
    assert_eq!(refused(Generation::V24_11), old);
    assert_eq!(
        refused(Generation::V26_05),
        "sbatch: error: Slurm job queue full, sleeping and retrying\n\
         sbatch: error: Batch job submission failed: MaxJobCount limit reached\n"
    );
}

#[test]
fn a_job_that_is_over_takes_up_room_until_it_is_forgotten() {
    let bench = Bench::new();
    bench.cluster.limit_queue(1).unwrap();
    let job = bench.submit(&[]);
    bench.run("scancel", &[&job.to_string()]);
    assert_eq!(bench.state(job), "CANCELLED");
    assert_eq!(bench.run("sbatch", &["--wrap=true"]).status, Some(1));
    bench.cluster.advance(Duration::from_secs(301)).unwrap();
    bench.submit(&[]);
}

#[test]
fn nodes_fail_and_jobs_are_preempted() {
    let bench = Bench::new();
    let stays = bench.submit(&["--no-requeue", "-w", "n1"]);
    let returns = bench.submit(&["-w", "n1"]);
    let preempted = bench.submit(&["--no-requeue", "-w", "n2"]);
    bench.cluster.fail_node("n1").unwrap();
    bench.cluster.preempt(preempted).unwrap();
    assert_eq!(bench.state(stays), "NODE_FAIL");
    assert_eq!(bench.state(returns), "PENDING");
    assert_eq!(bench.cluster.job(returns).unwrap().unwrap().restarts, 1);
    assert_eq!(bench.state(preempted), "PREEMPTED");
}

#[test]
fn what_is_done_to_nothing_is_an_error() {
    let bench = Bench::new();
    let cluster = &bench.cluster;
    for outcome in [
        cluster.start(7),
        cluster.finish(7, Exit::default()),
        cluster.preempt(7),
        cluster.force_state(7, Base::Running, &[]),
        cluster.requeue(7).map(drop),
    ] {
        assert_eq!(outcome.unwrap_err().to_string(), "there is no job 7");
    }
    let outcome = cluster.fail_node("n7");
    assert_eq!(outcome.unwrap_err().to_string(), "there is no node n7");
    let running = Bench::running();
    let id = running.submit(&["-H", "-o", "/dev/null"]);
    assert!(running.cluster.finish(id, Exit::default()).is_err());
}

#[test]
fn of_two_faults_of_a_call_the_first_befalls_it() {
    let bench = Bench::new();
    let banner = |text: &str| Fault::on(Program::Squeue, Action::Banner(text.to_owned()));
    bench.cluster.inject(banner("first\n").nth(2)).unwrap();
    bench.cluster.inject(banner("second").first(2)).unwrap();
    let said = || bench.run("squeue", &["-h"]).stdout;
    assert_eq!([said(), said(), said()], ["second\n", "first\n", ""]);
}

#[test]
fn two_clusters_have_numbers_of_their_own() {
    let bench = Bench::new();
    let config = fake_slurm::ClusterConfig {
        name: "beta".to_owned(),
        ..Default::default()
    };
    let beta = bench.cluster.add_cluster(config).unwrap();
    assert_eq!(
        bench.run("sbatch", &["--parsable", "--wrap=true"]).stdout,
        "1\n"
    );
    let other = bench.run("sbatch", &["--parsable", "-M", "beta", "--wrap=true"]);
    assert_eq!(other.stdout, "1;beta\n");
    assert_eq!(bench.run("scancel", &["-M", "beta", "1"]).status, Some(0));
    assert_eq!(bench.state(1), "RUNNING");
    let own = bench.run("squeue", &["-M", "beta", "-h", "-t", "all", "-o", "%T"]);
    assert_eq!(own.stdout, "CANCELLED\n");
    // beta's own commands mean beta.
    let output = std::process::Command::new(beta.bin_dir().join("squeue"))
        .args(["-h", "-t", "all", "-o", "%T"])
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"CANCELLED\n");
}

#[test]
fn a_script_from_stdin_keeps_nobody_waiting() {
    let bench = Bench::new();
    let mut slow = bench.command("sbatch");
    let mut slow = slow
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("the call is in the log", || {
        !bench.cluster.calls().unwrap().is_empty()
    });
    // Its stdin is still open; another call gets its answer meanwhile.
    assert_eq!(bench.submit(&[]), 1);
    let mut stdin = slow.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, b"#!/bin/sh\n#SBATCH -J named -H\ntrue\n").unwrap();
    drop(stdin);
    let output = slow.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"Submitted batch job 2\n");
    let row = bench.run("squeue", &["-h", "-j", "2", "-o", "%j|%T|%o"]);
    assert_eq!(row.stdout, "named|PENDING|(null)\n");
}

#[test]
fn arguments_of_any_bytes_come_back() {
    use std::os::unix::ffi::OsStrExt as _;
    let bench = Bench::new();
    let comment = std::ffi::OsStr::from_bytes(b"--comment=a\xff|\n\xc3\xa9");
    let mut sbatch = bench.command("sbatch");
    assert!(
        sbatch
            .args(["--wrap=true"])
            .arg(comment)
            .status()
            .unwrap()
            .success()
    );
    let output = bench
        .command("squeue")
        .args(["-h", "-o", "%k"])
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"a\xff|\n\xc3\xa9\n");
}
