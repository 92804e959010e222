//! Cancelling: what is accepted is not yet done, and what is not ours is left alone.

use std::time::Duration;

use fake_slurm::{Action, Base, ClusterConfig, Controller, Execution, Exit, Program, SubmitPlugin};
use serde_json::json;

use crate::client::{acquire, list, release, text};
use crate::fake_site::{Site, each, greeter, publishing};
use crate::truth::{processes_of, seconds, until};

fn refuse(text: &str, status: u8) -> Action {
    Action::Refuse {
        text: text.to_owned(),
        status,
    }
}

/// What scancel can come to that leaves the job where it is.
fn idle_cancels() -> Vec<Action> {
    vec![
        Action::DoNothing,
        refuse(
            "scancel: error: Kill job error on job id 1: Invalid job id specified",
            0,
        ),
        refuse(
            "scancel: error: Kill job error on job id 1: Job/step already completing or completed",
            0,
        ),
        refuse(
            "scancel: error: Kill job error on job id 1: Access/permission denied",
            210,
        ),
        Action::Controller(Controller::Down),
        Action::Controller(Controller::MungeDown),
        Action::Kill(9),
        Action::Hang,
    ]
}

#[test]
fn a_cancel_that_did_nothing_is_repeated() {
    each(&idle_cancels(), |action| {
        let site = Site::new();
        let identity = site.identity();
        site.warmup(&identity, &json!({})).lease();
        site.cluster
            .inject_next(Program::Scancel, action.clone())
            .unwrap();
        let mut released = site.release(&identity).within(seconds(25));
        if *action == Action::Hang {
            // The first took its whole time, and the second may have been too late for this one.
            assert_eq!(
                site.records().is_empty(),
                released.answer.get("error").is_none()
            );
            released = site.release(&identity).within(seconds(25));
        }
        released.done();
        let cancels = site.cluster.calls_of(Program::Scancel).unwrap();
        assert!(cancels.len() >= 2, "{cancels:?}");
        site.assert_nothing_left();
    });
}

#[test]
fn a_cancel_whose_answer_was_lost_has_done_its_work() {
    let lost = [
        Action::LoseReply,
        Action::KillAfter(9),
        Action::Garbage("?".to_owned()),
    ];
    each(&lost, |action| {
        let site = Site::new();
        let identity = site.identity();
        site.warmup(&identity, &json!({})).lease();
        site.inject(Program::Scancel, action.clone());
        site.release(&identity).within(seconds(25)).done();
        site.assert_nothing_left();
    });
}

/// Who comes next after a release that failed.
#[derive(Clone, Copy, Debug)]
enum Next {
    List,
    Cleanup,
    Release,
    Acquire,
}

#[test]
fn a_wish_that_could_not_be_granted_is_pursued_by_whoever_comes_next() {
    let next = [Next::List, Next::Cleanup, Next::Release, Next::Acquire];
    each(&next, |next| {
        let site = Site::new();
        let identity = site.identity();
        let first = site.warmup(&identity, &json!({})).lease();
        let denied = refuse(
            "scancel: error: Kill job error on job id 1: Access/permission denied",
            210,
        );
        site.inject(Program::Scancel, denied);
        let error = site.release(&identity).within(seconds(25)).error();
        assert!(
            error.contains("is not released yet") && error.contains("remembered"),
            "{error}"
        );
        assert_eq!(site.live(&identity).len(), 1);
        assert_eq!(site.records(), [identity.lease.as_str()]);
        let row = site.listed(&identity).expect("a row");
        assert!(text(&row["status"]).starts_with("being released"), "{row}");
        assert_eq!(row["labels"]["state"], "deleting");
        site.resolve(&identity).error();
        site.cluster.clear_faults().unwrap();
        match next {
            Next::List => until(seconds(20), "the job to be over", || {
                site.ask(&list()).done();
                site.live(&identity).is_empty()
            }),
            Next::Cleanup => drop(site.cleanup().done()),
            Next::Release => {}
            Next::Acquire => {
                let second = site.warmup(&identity, &json!({})).lease();
                assert_ne!(first["cloudId"], second["cloudId"]);
                assert_eq!(site.live(&identity).len(), 1);
            }
        }
        if !matches!(next, Next::Cleanup) {
            site.release(&identity).within(seconds(25)).done();
        }
        site.assert_nothing_left();
    });
}

#[test]
fn an_epilog_makes_nobody_wait() {
    let site = Site::with_config(ClusterConfig {
        epilog: Duration::from_secs(600),
        ..ClusterConfig::default()
    });
    let identity = site.identity();
    site.warmup_modelled(&identity);
    let released = site.release(&identity).within(seconds(12)).done();
    assert!(
        text(&released["message"]).contains("is ending"),
        "{released}"
    );
    let row = site.listed(&identity).expect("a row");
    assert!(
        text(&row["status"]).starts_with("ending (COMPLETING"),
        "{row}"
    );
    assert_eq!(row["labels"]["state"], "deleting");
    site.resolve(&identity).within(seconds(8)).error();
    site.cleanup().done();
    site.release(&identity).within(seconds(12)).done();
    assert_eq!(site.records(), [identity.lease.as_str()]);
    site.cluster.advance(Duration::from_secs(600)).unwrap();
    site.forget_queue();
    site.cleanup().done();
    site.assert_nothing_left();
}

#[test]
fn without_a_controller_the_runner_is_told() {
    each(&[Controller::Down, Controller::Hung], |&controller| {
        let site = Site::new();
        let identity = site.identity();
        let runner = site.runner(&format!(
            "{}until [ -e \"$lease/release\" ]; do sleep 0.1; done\n",
            publishing(greeter())
        ));
        let config = json!({"runnerScript": runner});
        site.warmup(&identity, &config).lease();
        site.cluster.controller(controller).unwrap();
        let mut running = site.begin(&release(&identity));
        let of_job = format!("CBX_LEASE_ID={}", identity.lease);
        until(seconds(15), "the runner to end", || {
            processes_of(&of_job).is_empty()
        });
        assert!(running.is_going_on(), "nothing proves its end");
        assert_eq!(site.records(), [identity.lease.as_str()]);
        site.cluster.controller(Controller::Up).unwrap();
        running.finish(seconds(25)).done();
        site.assert_nothing_left();
    });
}

/// A controller that lost its state, and a job of the same user that has our number since.
fn release_after_reuse(stranger: Option<&str>) -> (Site, u32) {
    let site = Site::with_config(ClusterConfig {
        first_job_id: 700,
        ..ClusterConfig::default()
    });
    let identity = site.identity();
    let lease = site.warmup_modelled(&identity);
    assert_eq!(lease["cloudId"], "slurm/job/700");
    site.cluster.lose_state().unwrap();
    // Nobody submits in the second in which ours was submitted: a controller takes that to start.
    site.cluster.advance(Duration::from_secs(2)).unwrap();
    let number = site.stranger(stranger.unwrap_or(&identity.name));
    assert_eq!(number, 700);
    site.forget_queue();
    site.resolve(&identity).within(seconds(8)).error();
    site.release(&identity).within(seconds(25)).done();
    site.cleanup().done();
    assert_eq!(site.base(number), Base::Running, "the stranger was touched");
    let cancels = site.cluster.calls_of(Program::Scancel).unwrap();
    assert!(cancels.is_empty(), "{cancels:?}");
    assert_eq!(site.records(), Vec::<String>::new());
    (site, number)
}

#[test]
fn a_job_that_took_our_number_survives() {
    release_after_reuse(Some("training"));
}

#[test]
fn a_job_that_took_our_number_and_name_survives() {
    release_after_reuse(None);
}

/// What a site's submit plugin can do.
fn plugins() -> Vec<SubmitPlugin> {
    let plugin = SubmitPlugin::default;
    vec![
        SubmitPlugin {
            comment: Some(String::new()),
            ..plugin()
        },
        SubmitPlugin {
            comment: Some("project=blue|walltime checked".to_owned()),
            ..plugin()
        },
        SubmitPlugin {
            message: Some("sbatch: Remember to acknowledge the cluster.".to_owned()),
            banner: Some("*** 3 days until maintenance ***".to_owned()),
            ..plugin()
        },
        SubmitPlugin {
            hold: true,
            ..plugin()
        },
        SubmitPlugin {
            hold: true,
            comment: Some(String::new()),
            ..plugin()
        },
        SubmitPlugin {
            force_requeue: true,
            ..plugin()
        },
    ]
}

#[test]
fn a_site_with_a_submit_plugin_works_all_the_same() {
    each(&plugins(), |plugin| {
        let site = Site::new();
        let identity = site.identity();
        site.cluster.plugin(plugin.clone()).unwrap();
        let running = site.begin(&acquire(&identity, &json!({})));
        let id = site.wait_for_job(&identity);
        if plugin.hold {
            let row = site.listed(&identity).expect("a row");
            assert!(text(&row["status"]).starts_with("PENDING"), "{row}");
            let released = site
                .cluster
                .change(|cluster, now| cluster.release(id, 0, now));
            released.unwrap().unwrap();
        }
        let lease = running.finish(seconds(60)).lease();
        assert_eq!(lease["cloudId"], format!("slurm/job/{id}"));
        let row = site.listed(&identity).expect("a row");
        assert_eq!(row["cloudId"], lease["cloudId"]);
        site.cleanup().done();
        assert_eq!(site.live(&identity).len(), 1);
        site.release(&identity).within(seconds(25)).done();
        assert_eq!(site.submissions().len(), 1);
        site.cluster.requeue(id).unwrap();
        site.assert_nothing_left();
    });
}

/// Of one that ended by itself it could not be forbidden any more.
#[test]
fn a_job_that_a_site_lets_be_put_back_may_not_be_once_it_is_leased() {
    let site = Site::modelled();
    let plugin = SubmitPlugin {
        force_requeue: true,
        ..SubmitPlugin::default()
    };
    site.cluster.plugin(plugin).unwrap();
    let identity = site.identity();
    site.warmup_modelled(&identity);
    let job = site.live(&identity)[0].id;
    site.cluster.finish(job, Exit::default()).unwrap();
    site.forget_queue();
    site.release(&identity).within(seconds(10)).done();
    site.assert_nothing_left();
}

/// The runner ends the job at once when it finds the wish.
#[test]
fn a_release_forbids_that_the_job_is_put_back_before_its_runner_hears_of_it() {
    let site = Site::new();
    let identity = site.identity();
    site.warmup(&identity, &json!({})).lease();
    let job = site.live(&identity)[0].id;
    let permit = |cluster: &mut fake_slurm::Cluster, _| cluster.set_requeue(job, 0, true);
    site.cluster.change(permit).unwrap().unwrap();
    // Somebody has seen that.
    site.forget_queue();
    site.listed(&identity).expect("a row");
    site.inject(Program::Scontrol, Action::Slow(seconds(2)));
    site.release(&identity).within(seconds(20)).done();
    assert!(!site.cluster.requeue(job).unwrap());
    site.assert_nothing_left();
}

#[test]
fn a_job_without_its_comment_whose_answer_was_lost_is_found_by_its_directory() {
    each(&plugins(), |plugin| {
        let site = Site::new();
        let identity = site.identity();
        site.cluster
            .plugin(SubmitPlugin {
                hold: false,
                ..plugin.clone()
            })
            .unwrap();
        site.cluster
            .inject_next(Program::Sbatch, Action::LoseReply)
            .unwrap();
        site.acquire(&identity, &json!({})).lease();
        assert_eq!(site.submissions().len(), 1);
        site.release(&identity).within(seconds(25)).done();
        site.assert_nothing_left();
    });
}

#[test]
fn a_held_job_is_cancelled() {
    let site = Site::new();
    let identity = site.identity();
    site.cluster
        .plugin(SubmitPlugin {
            hold: true,
            ..SubmitPlugin::default()
        })
        .unwrap();
    let running = site.begin(&acquire(&identity, &json!({})));
    site.wait_for_job(&identity);
    site.release(&identity).within(seconds(12)).done();
    let error = running.finish(seconds(20)).error();
    assert!(error.contains("was released"), "{error}");
    site.assert_nothing_left();
}

#[test]
fn a_number_that_exists_on_two_clusters_is_cancelled_on_the_right_one() {
    let site = Site::new();
    let other = site
        .cluster
        .add_cluster(ClusterConfig {
            name: "beta".to_owned(),
            execution: Execution::Processes,
            ..ClusterConfig::default()
        })
        .unwrap();
    let identity = site.identity();
    // The same number, the same name, the same user.
    let number = site.stranger(&identity.name);
    let config = json!({"cluster": "beta"});
    let lease = site.acquire(&identity, &config).lease();
    assert_eq!(lease["cloudId"], format!("slurm/job/{number};beta"));
    site.resolve(&identity).lease();
    let row = site.listed(&identity).expect("a row");
    assert_eq!(row["cloudId"], lease["cloudId"]);
    site.ask(&release(&identity)).within(seconds(25)).done();
    assert_eq!(
        site.base(number),
        Base::Running,
        "the wrong job was touched"
    );
    assert_eq!(other.job(number).unwrap().unwrap().base, Base::Cancelled);
    assert_eq!(site.records(), Vec::<String>::new());
}
