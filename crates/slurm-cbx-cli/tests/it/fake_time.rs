//! Whatever hangs, every answer comes in time.

use std::fs;
use std::io::Write;
use std::thread;
use std::time::Duration;

use fake_slurm::{Action, Controller, Fault, Program};
use serde_json::json;

use crate::client::{list, text};
use crate::fake_site::{Site, each};
use crate::truth::{seconds, until};

/// What hangs, or is so slow that it might as well.
fn faults() -> Vec<Fault> {
    let programs = [
        Program::Squeue,
        Program::Scancel,
        Program::Sacct,
        Program::Scontrol,
    ];
    let mut faults = vec![
        Fault::on_any(Action::Hang),
        Fault::on_any(Action::Slow(Duration::from_secs(5))),
        Fault::on_any(Action::HangAfter),
    ];
    faults.extend(programs.map(|program| Fault::on(program, Action::Hang)));
    faults
}

#[test]
fn whatever_hangs_every_answer_is_in_time() {
    let once_told = faults().into_iter().map(|fault| (fault, true));
    // What the controller told of itself is too old, or was never asked.
    let hang = Fault::on_any(Action::Hang);
    let cases: Vec<_> = once_told.chain([(hang, false)]).collect();
    each(&cases, |(fault, told)| {
        let site = Site::new();
        let identity = site.identity();
        site.warmup(&identity, &json!({})).lease();
        if !told {
            site.forget_site();
        }
        site.cluster.inject(fault.clone()).unwrap();
        site.forget_queue();
        // All at the same time: none makes another wait beyond its own limit.
        thread::scope(|scope| {
            scope.spawn(|| site.doctor(&json!({})).within(seconds(8)));
            scope.spawn(|| site.resolve(&identity).within(seconds(8)));
            scope.spawn(|| {
                let answer = site.ask(&list()).within(seconds(8)).done();
                assert_eq!(answer["leases"][0]["cloudId"], "slurm/job/1", "{answer}");
            });
        });
        let released = site.release(&identity).within(seconds(25));
        if released.answer.get("error").is_some() {
            assert_eq!(site.records(), [identity.lease.as_str()]);
        }
        site.cluster.clear_faults().unwrap();
        site.release(&identity).within(seconds(25)).done();
        site.assert_nothing_left();
    });
}

#[test]
fn many_clusters_that_hang_make_nobody_late() {
    let site = Site::new();
    let identity = site.identity();
    site.warmup(&identity, &json!({})).lease();
    for number in 1..7 {
        let picture = site.state_dir().join(format!("queue/c{number}.squeue"));
        fs::write(picture, "").unwrap();
    }
    fs::remove_file(site.lease_file(&identity, "journal.jsonl")).unwrap();
    site.cluster.inject(Fault::on_any(Action::Hang)).unwrap();
    site.resolve(&identity).within(seconds(8)).error();
    site.ask(&list()).within(seconds(8)).done();
    site.release(&identity).within(seconds(25)).error();
    site.cluster.clear_faults().unwrap();
}

#[test]
fn whoever_stopped_while_it_wrote_makes_nobody_late() {
    each(&[false, true], |&torn| {
        let site = Site::new();
        let identity = site.identity();
        site.warmup(&identity, &json!({})).lease();
        if torn {
            let path = site.lease_file(&identity, "journal.jsonl");
            let mut journal = fs::OpenOptions::new().append(true).open(path).unwrap();
            journal.write_all(b"{\"v\":1,").unwrap();
        }
        let lock = format!("locks/{}.lock", identity.lease);
        let lock = fs::File::open(site.state_dir().join(lock)).unwrap();
        lock.lock().unwrap();
        site.cluster.inject(Fault::on_any(Action::Hang)).unwrap();
        site.forget_queue();
        thread::scope(|scope| {
            scope.spawn(|| site.resolve(&identity).within(seconds(8)).error());
            scope.spawn(|| site.ask(&list()).within(seconds(8)).done());
        });
        site.release(&identity).within(seconds(25)).error();
        site.cluster.clear_faults().unwrap();
        lock.unlock().unwrap();
        site.release(&identity).within(seconds(25)).done();
        site.assert_nothing_left();
    });
}

#[test]
fn an_acquire_that_can_ask_nobody_gives_up_in_time() {
    let answers = [
        Action::Hang,
        Action::Controller(Controller::Down),
        Action::Controller(Controller::MungeDown),
    ];
    each(&answers, |action| {
        let site = Site::new();
        let identity = site.identity();
        site.cluster.inject(Fault::on_any(action.clone())).unwrap();
        let error = site
            .acquire(&identity, &json!({}))
            .within(seconds(60))
            .error();
        assert!(error.contains("nothing was submitted"), "{error}");
        assert!(site.submissions().is_empty());
        site.assert_nothing_left();
    });
}

#[test]
fn an_acquire_does_not_wait_for_a_slow_sbatch_beyond_its_time() {
    each(&[false, true], |&keep| {
        let site = Site::new();
        let identity = site.identity();
        let later = Action::ArriveLater(seconds(60));
        site.cluster.inject_next(Program::Sbatch, later).unwrap();
        let config = json!({"acquireTimeoutSeconds": 1});
        let reply = if keep {
            site.warmup(&identity, &config)
        } else {
            site.acquire(&identity, &config)
        };
        // Its own limit, ten seconds for what it is about, twenty to take it back.
        let error = reply.within(seconds(40)).error();
        let told = ["not ready after 1 s", "may still appear", "is remembered"];
        assert!(told.iter().all(|words| error.contains(words)), "{error}");
        assert_eq!(site.records(), [identity.lease.as_str()]);
        assert_eq!(site.submissions().len(), 1);
        // The keeper is about it, and ends what comes of it.
        let sbatch = site.submissions()[0].process;
        crate::cluster::signal(sbatch, rustix::process::Signal::KILL);
        site.cluster.advance(seconds(60)).unwrap();
        until(seconds(60), "the lease to be ended", || {
            site.records().is_empty()
        });
        assert!(site.live(&identity).is_empty());
        site.assert_nothing_left();
    });
}

#[test]
fn an_acquire_with_a_time_limit_keeps_to_it() {
    each(&[false, true], |&keep| {
        let site = Site::queueing();
        let identity = site.identity();
        let config = json!({"acquireTimeoutSeconds": 2, "unclaimedGraceSeconds": 1});
        let reply = if keep {
            site.warmup(&identity, &config)
        } else {
            site.acquire(&identity, &config)
        };
        assert!(reply.took >= seconds(2), "{:?}", reply.took);
        let error = reply.within(seconds(25)).error();
        assert!(error.contains("not ready after 2 s"), "{error}");
        let live = site.live(&identity);
        if keep {
            assert!(error.contains("job 1 is kept"), "{error}");
            let how = format!(
                "`crabbox warmup --lease-id {} --slug {}`",
                identity.lease, identity.slug
            );
            assert!(error.contains(&how), "{error}");
            // It was answered for, so nobody takes it for abandoned.
            let row = site.listed(&identity).expect("a row");
            assert!(text(&row["status"]).starts_with("PENDING"), "{row}");
            site.cleanup().done();
            assert_eq!(site.live(&identity), live);
            let lease = site.warmup_modelled(&identity);
            assert_eq!(lease["cloudId"], "slurm/job/1");
            site.release(&identity).done();
        } else {
            assert!(error.contains("cancelled"), "{error}");
            assert!(live.is_empty());
        }
        assert_eq!(site.submissions().len(), 1);
        site.assert_nothing_left();
    });
}
