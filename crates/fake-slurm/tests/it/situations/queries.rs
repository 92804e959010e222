//! What squeue and sacct answer besides: filters, clusters, and faults.

use fake_slurm::{Accounting, Controller, Exit, SubmitPlugin};

use crate::stage::{Setup, Stage};

pub(super) const QUERIES: &[(&str, Setup)] = &[
    ("squeue/completed.without-t-all", |stage| {
        stage.ended(Exit::default())
    }),
    ("squeue/by-name", |stage| {
        stage.request.name = "running".to_owned();
        stage.request.comment = Some("tag=2".to_owned());
        stage.running();
        stage.cancel();
        stage.exit(Exit::signal(9));
        stage.wait(60);
    }),
    ("squeue/cluster.known", Stage::held),
    ("squeue/cluster.unknown", Stage::held),
    ("squeue/unknown.field", Stage::held),
    ("squeue/unknown.name", |_| {}),
    ("squeue/unknown.uid", |_| {}),
    ("squeue/unknown.uid.ours", |_| {}),
    ("squeue/unknown.user", |_| {}),
    ("squeue/empty", |_| {}),
    ("squeue/no-slurmdbd.cluster", |stage| {
        stage.cluster().config.accounting = false
    }),
    ("squeue/clusters.not-asked", |stage| stage.beta()),
    ("squeue/clusters.other", |stage| stage.beta()),
    ("squeue/clusters.other.heading", |stage| stage.beta()),
    ("squeue/clusters.other.ours", |stage| {
        stage.request.name = "other".to_owned();
        stage.beta();
    }),
    ("squeue/clusters.other.ours.empty", |stage| stage.beta()),
    ("squeue/clusters.other.ours.down", |stage| {
        stage.beta();
        let beta = stage.world.clusters.get_mut("beta").unwrap();
        beta.set_controller(Controller::Down, stage.now);
    }),
    ("squeue/clusters.other.local", |stage| stage.beta()),
    ("squeue/clusters.other.unknown", |stage| stage.beta()),
    ("squeue/clusters.other.down", |stage| {
        stage.beta();
        let beta = stage.world.clusters.get_mut("beta").unwrap();
        beta.set_controller(Controller::Down, stage.now);
    }),
    ("squeue/environment.SLURM_CLUSTERS=cluster", Stage::held),
    ("squeue/environment.SLURM_CLUSTERS=nosuch", Stage::held),
    ("squeue/environment.SQUEUE_ACCOUNT=other", Stage::held),
    ("squeue/environment.SQUEUE_LICENSES=soft", Stage::held),
    ("squeue/environment.SQUEUE_NAMES=other", Stage::held),
    ("squeue/environment.SQUEUE_PARTITION=short", Stage::held),
    ("squeue/environment.SQUEUE_QOS=other", Stage::held),
    ("squeue/environment.SQUEUE_STATES=RUNNING", Stage::held),
    ("squeue/environment.SQUEUE_USERS=bob", Stage::held),
    ("squeue/fault.controller-down", |stage| {
        stage.fault(Controller::Down)
    }),
    ("squeue/fault.controller-down.o", |stage| {
        stage.fault(Controller::Down)
    }),
    ("squeue/fault.controller-down.by-name", |stage| {
        stage.fault(Controller::Down)
    }),
    ("squeue/fault.controller-hung", |stage| {
        stage.fault(Controller::Hung)
    }),
    ("squeue/fault.controller-hung.by-name", |stage| {
        stage.fault(Controller::Hung)
    }),
    ("squeue/fault.munged-down", |stage| {
        stage.fault(Controller::MungeDown)
    }),
    ("squeue/fault.munged-down.by-name", |stage| {
        stage.fault(Controller::MungeDown)
    }),
    ("squeue/fault.wiped", |stage| {
        stage.held();
        stage.cluster().lose_state();
    }),
    ("sacct/no-slurmdbd", |stage| {
        stage.cluster().config.accounting = false
    }),
    ("sacct/fault.slurmdbd-down", |stage| {
        stage.database(Accounting::Down)
    }),
    ("sacct/fault.no-database", |stage| {
        stage.database(Accounting::NoDatabase)
    }),
    ("sacct/fault.munged-down", |stage| {
        stage.fault(Controller::MungeDown)
    }),
    ("squeue/version", |_| {}),
    ("sacct/version", |_| {}),
    ("squeue/fault.wiped.reused", |stage| {
        stage.cluster().lose_state();
        stage.request.uid = 4002;
        stage.held();
    }),
    ("squeue/fault.controller-hung.after", |stage| {
        stage.request.name = "fault-controller-hung".to_owned();
        stage.request.comment = None;
        stage.held();
    }),
    ("squeue/site.rewritten", |stage| {
        stage.request.name = "rewritten".to_owned();
        let comment = Some("site:mine".to_owned());
        stage.cluster().condition.plugin = SubmitPlugin {
            comment,
            ..Default::default()
        };
        stage.held();
    }),
    ("squeue/fault.controller-hung.o", |stage| {
        stage.fault(Controller::Hung)
    }),
    ("squeue/fault.munged-down.o", |stage| {
        stage.fault(Controller::MungeDown)
    }),
    ("squeue/fault.wiped.o", |stage| stage.cluster().lose_state()),
    ("sacct/cluster.unknown", Stage::held),
    ("sacct/clusters.not-asked", |stage| stage.beta()),
    ("sacct/clusters.other", |stage| {
        stage.request.name = "other".to_owned();
        stage.beta();
    }),
    ("sacct/completed.without-duplicates", |stage| {
        stage.request.name = "completed".to_owned();
        stage.ended(Exit::default());
    }),
    ("sacct/requeued.without-duplicates", |stage| {
        stage.request.name = "requeued".to_owned();
        stage.ended_requeueable();
        stage.requeue();
        let (now, id) = (stage.now, stage.id);
        stage.cluster().start_now(id, 0, now).unwrap();
    }),
    ("sacct/just-submitted", |stage| {
        stage.request.name = "running".to_owned();
        stage.request.hold = true;
        stage.submit();
    }),
];
