//! Whatever the controller says or does not say, a lease is over only once that is proven.

use std::time::Duration;

use fake_slurm::{Accounting, Action, Base, ClusterConfig, Controller, Exit, Fault, Flag, Program};
use serde_json::Value;

use crate::client::{Identity, text};
use crate::fake_site::{Site, each};
use crate::truth::seconds;

/// That no look takes the lease for over, hands out what is not there, or cancels anything.
fn assert_kept(site: &Site, identity: &Identity, is_usable: bool) -> Value {
    let questions = || site.cluster.calls_of(Program::Squeue).unwrap().len();
    let asked = questions();
    site.forget_queue();
    let row = site.listed(identity).expect("a row");
    assert!(questions() > asked, "an old picture was good enough");
    assert_eq!(row["cloudId"], "slurm/job/1");
    assert_ne!(row["labels"]["state"], "terminated", "{row}");
    site.forget_queue();
    let cleaned = site.cleanup().within(seconds(60)).done();
    assert!(
        text(&cleaned["message"]).starts_with("removed 0"),
        "{cleaned}"
    );
    site.forget_queue();
    let resolved = site.resolve(identity).within(seconds(8)).answer;
    assert_eq!(resolved["lease"].is_object(), is_usable, "{resolved}");
    assert_eq!(site.records(), [identity.lease.as_str()]);
    let cancels = site.cluster.calls_of(Program::Scancel).unwrap();
    assert!(cancels.is_empty(), "{cancels:?}");
    row
}

/// A lease that is well again after it was kept.
fn assert_well(site: &Site, identity: &Identity) {
    site.cluster.clear_faults().unwrap();
    site.forget_queue();
    site.resolve(identity).lease();
    site.release(identity).within(seconds(25)).done();
    site.assert_nothing_left();
}

/// States in which something of a job is left, or may be.
const STATES: [(Base, &[Flag]); 21] = [
    (Base::Pending, &[]),
    (Base::Pending, &[Flag::Requeued]),
    (Base::Pending, &[Flag::RequeueHold]),
    (Base::Pending, &[Flag::RequeueFed]),
    (Base::Pending, &[Flag::SpecialExit]),
    (Base::Pending, &[Flag::ResvDelHold]),
    (Base::Pending, &[Flag::Completing]),
    (Base::Pending, &[Flag::Revoked]),
    (Base::Running, &[Flag::Configuring]),
    (Base::Running, &[Flag::Completing]),
    (Base::Running, &[Flag::StageOut]),
    (Base::Running, &[Flag::Stopped]),
    (Base::Running, &[Flag::Signaling]),
    (Base::Running, &[Flag::Resizing]),
    (Base::Suspended, &[]),
    (Base::Cancelled, &[Flag::Completing]),
    (Base::Completed, &[Flag::Completing]),
    (Base::NodeFail, &[Flag::Completing]),
    (Base::Completed, &[Flag::StageOut]),
    (Base::Cancelled, &[Flag::Revoked]),
    (Base::Failed, &[Flag::SpecialExit]),
];

#[test]
fn a_state_that_is_not_the_end_keeps_the_lease() {
    each(&STATES, |&(base, flags)| {
        // COMPLETING stays as long as the test wants it to.
        let site = Site::with_config(ClusterConfig {
            epilog: Duration::from_secs(100_000),
            ..ClusterConfig::default()
        });
        let identity = site.identity();
        site.warmup_modelled(&identity);
        site.cluster.force_state(1, base, flags).unwrap();
        assert_kept(&site, &identity, false);
        site.cluster
            .configure(|config| config.epilog = Duration::ZERO)
            .unwrap();
        site.cluster.force_state(1, Base::Running, &[]).unwrap();
        assert_well(&site, &identity);
    });
}

fn replace(from: &str, to: &str) -> Action {
    Action::Replace {
        from: from.to_owned(),
        to: to.to_owned(),
    }
}

/// What squeue can say that says nothing.
fn answers() -> Vec<Action> {
    let mut answers = vec![
        replace("RUNNING", "HIBERNATING"),
        replace("RUNNING", "?"),
        replace("RUNNING", ""),
        replace("RUNNING", "R\u{10feff}NNING"),
        replace("|", ""),
        replace("\n", "\0"),
        Action::DoNothing,
        Action::Garbage(String::new()),
        Action::Garbage("\n".to_owned()),
        Action::Garbage("\u{10fefe}\u{10fe80}\u{10fe00}".to_owned()),
        Action::Garbage("1|COMPLETED\n".to_owned()),
        Action::Kill(9),
        Action::KillAfter(9),
        Action::LoseReply,
        Action::Refuse {
            text: "slurm_load_jobs error: Something nobody ever saw".to_owned(),
            status: 1,
        },
        Action::Controller(Controller::Down),
        Action::Controller(Controller::Hung),
        Action::Controller(Controller::AuthenticationError),
        Action::Controller(Controller::MungeDown),
    ];
    answers.extend([1, 2, 7, 20, 40, 60, 80].map(Action::Truncate));
    answers
}

#[test]
fn an_answer_that_says_nothing_keeps_the_lease() {
    each(&answers(), |action| {
        let site = Site::modelled();
        let identity = site.identity();
        site.warmup_modelled(&identity);
        site.inject(Program::Squeue, action.clone());
        assert_kept(&site, &identity, false);
        assert_well(&site, &identity);
    });
}

#[test]
fn a_banner_before_the_answer_changes_nothing() {
    let banners = [
        "Welcome to the cluster.",
        "1|COMPLETED",
        "JOBID STATE\n\n***",
        "\u{10fefe}\u{10fe80}",
    ];
    each(&banners, |&banner| {
        let site = Site::modelled();
        let identity = site.identity();
        // While there is no job yet, too.
        let fault = Fault::on_any(Action::Banner(banner.to_owned()));
        site.cluster.inject(fault).unwrap();
        site.warmup_modelled(&identity);
        let row = assert_kept(&site, &identity, true);
        assert!(text(&row["status"]).starts_with("RUNNING"), "{row}");
        site.release(&identity).within(seconds(25)).done();
        site.assert_nothing_left();
    });
}

#[test]
fn a_stale_backup_that_does_not_know_the_job_yet_proves_nothing() {
    let site = Site::queueing();
    let identity = site.identity();
    site.warmup_modelled(&identity);
    // It took over with a picture from before the start of the job.
    site.cluster
        .change(|cluster, now| {
            let jobs = cluster.jobs.clone();
            cluster.jobs.clear();
            cluster.set_controller(Controller::Stale, now);
            cluster.jobs = jobs;
        })
        .unwrap();
    site.forget_queue();
    site.resolve(&identity).within(seconds(8)).error();
    assert_eq!(site.records(), [identity.lease.as_str()]);
    site.cluster.controller(Controller::Up).unwrap();
    assert_well(&site, &identity);
}

/// What can bring a job back to the queue.
#[derive(Clone, Copy, Debug)]
enum Requeue {
    ByHand,
    Preempted,
    NodeFailed,
}

#[test]
fn a_job_that_is_requeued_is_the_same_lease() {
    let all = [Requeue::ByHand, Requeue::Preempted, Requeue::NodeFailed];
    each(&all, |requeue| {
        let site = Site::queueing();
        let identity = site.identity();
        site.warmup_modelled(&identity);
        // It was submitted with --no-requeue, which an administrator can change.
        let allowed = site
            .cluster
            .change(|cluster, _| cluster.set_requeue(1, 0, true));
        allowed.unwrap().unwrap();
        match requeue {
            Requeue::ByHand => assert!(site.cluster.requeue(1).unwrap()),
            Requeue::Preempted => site.cluster.preempt(1).unwrap(),
            Requeue::NodeFailed => site.cluster.fail_node("n1").unwrap(),
        }
        assert_eq!(site.base(1), Base::Pending);
        assert_kept(&site, &identity, false);
        let error = site.resolve(&identity).error();
        assert!(error.contains("is queued"), "{error}");
        site.cluster.advance(Duration::from_secs(300)).unwrap();
        site.cluster.start(1).unwrap();
        // What the first run published is still there, and is not of this run.
        assert_kept(&site, &identity, false);
        site.publish(&identity);
        assert_kept(&site, &identity, true);
        assert_well(&site, &identity);
    });
}

#[test]
fn a_purged_job_is_proven_gone() {
    let databases = [
        Accounting::Up,
        Accounting::Lagging(Duration::from_secs(3600)),
        Accounting::Down,
        Accounting::NoDatabase,
        Accounting::Disabled,
    ];
    each(&databases, |&database| {
        let site = Site::with_config(ClusterConfig {
            accounting: database != Accounting::Disabled,
            ..ClusterConfig::default()
        });
        site.cluster.accounting(database).unwrap();
        let (gone, used) = (site.identity(), site.identity());
        site.warmup_modelled(&gone);
        site.warmup_modelled(&used);
        site.cluster.finish(1, Exit::status(3)).unwrap();
        site.cluster.advance(Duration::from_secs(400)).unwrap();
        assert!(site.jobs(&gone).is_empty());
        site.forget_queue();
        site.resolve(&gone).within(seconds(8)).error();
        site.cleanup().within(seconds(60)).done();
        assert_eq!(site.records(), [used.lease.as_str()]);
        site.release(&used).done();
        site.assert_nothing_left();
    });
}

#[test]
fn one_clean_look_proves_nothing() {
    let site = Site::modelled().with_settle("3600");
    let identity = site.identity();
    site.warmup_modelled(&identity);
    site.cluster.finish(1, Exit::status(0)).unwrap();
    site.cluster.advance(Duration::from_secs(1000)).unwrap();
    for _ in 0..2 {
        site.forget_queue();
        let row = site.listed(&identity).expect("a row");
        assert!(text(&row["status"]).contains("does not show"), "{row}");
        site.resolve(&identity).within(seconds(8)).error();
    }
    let cleaned = site.cleanup().within(seconds(60)).done();
    assert!(
        text(&cleaned["message"]).contains("is not visible just now"),
        "{cleaned}"
    );
    assert_eq!(site.records(), [identity.lease.as_str()]);
}
