//! What scancel, scontrol and sinfo answer.

use fake_slurm::{Accounting, Controller, Exit};

use crate::stage::{Setup, Stage};

pub(super) const ORDERS: &[(&str, Setup)] = &[
    ("scancel/accepted", Stage::held),
    ("scancel/accepted.v", Stage::held),
    ("scancel/already-over", |stage| stage.ended(Exit::default())),
    ("scancel/already-over.v", |stage| {
        stage.ended(Exit::default())
    }),
    ("scancel/by-name-unknown.v", |_| {}),
    ("scancel/cluster.known.unknown-id.v", |_| {}),
    ("scancel/cluster.unknown", |_| {}),
    ("scancel/clusters.not-asked.v", |stage| stage.beta()),
    ("scancel/clusters.other.v", |stage| stage.beta()),
    ("scancel/clusters.other.unknown.v", |stage| stage.beta()),
    ("scancel/completing.v", |stage| {
        stage.running();
        stage.cancel();
    }),
    ("scancel/environment.SCANCEL_NAME=other", Stage::held),
    ("scancel/environment.SCANCEL_PARTITION=short", Stage::held),
    ("scancel/environment.SCANCEL_STATE=RUNNING", Stage::held),
    ("scancel/environment.SCANCEL_USER=bob", Stage::held),
    ("scancel/environment.SLURM_CLUSTERS=nosuch", Stage::held),
    ("scancel/fault.controller-down", |stage| {
        stage.fault(Controller::Down)
    }),
    ("scancel/fault.controller-down.v", |stage| {
        stage.fault(Controller::Down)
    }),
    ("scancel/fault.controller-hung", |stage| {
        stage.fault(Controller::Hung)
    }),
    ("scancel/fault.controller-hung.v", |stage| {
        stage.fault(Controller::Hung)
    }),
    ("scancel/fault.munged-down", |stage| {
        stage.fault(Controller::MungeDown)
    }),
    ("scancel/fault.munged-down.v", |stage| {
        stage.fault(Controller::MungeDown)
    }),
    ("scancel/not-a-number", |_| {}),
    ("scancel/other-user", Stage::held),
    ("scancel/other-user.v", Stage::held),
    ("scancel/purged.v", |_| {}),
    ("scancel/unknown", |_| {}),
    ("scancel/unknown.v", |_| {}),
    ("scancel/unknown.several.v", |_| {}),
    ("scontrol/ping", |_| {}),
    ("scontrol/fault.controller-down.ping", |stage| {
        stage.fault(Controller::Down)
    }),
    ("scontrol/fault.controller-down.show-config", |stage| {
        stage.fault(Controller::Down)
    }),
    ("scontrol/fault.controller-hung.ping", |stage| {
        stage.fault(Controller::Hung)
    }),
    ("scontrol/fault.controller-hung.show-config", |stage| {
        stage.fault(Controller::Hung)
    }),
    ("scontrol/fault.munged-down.ping", |stage| {
        stage.fault(Controller::MungeDown)
    }),
    ("scontrol/fault.munged-down.show-config", |stage| {
        stage.fault(Controller::MungeDown)
    }),
    ("scontrol/show-config", |_| {}),
    ("scontrol/fault.no-database.show-config", |stage| {
        stage.enforce_nothing();
        stage.database(Accounting::NoDatabase);
    }),
    ("scontrol/fault.slurmdbd-down.show-config", |stage| {
        stage.enforce_nothing();
        stage.database(Accounting::Down);
    }),
    ("scontrol/requeue-completed", |stage| {
        stage.ended_requeueable()
    }),
    ("scontrol/requeue-completing", |stage| {
        stage.request.requeue = Some(false);
        stage.running();
        stage.cancel();
    }),
    ("scontrol/requeue-no-requeue", |stage| {
        stage.request.requeue = Some(false);
        stage.ended(Exit::default());
    }),
    ("scontrol/requeue-other-user", Stage::held),
    ("scontrol/requeue-unknown", |_| {}),
    ("scontrol/show-job.purged", |_| {}),
    ("scontrol/show-job.unknown", |_| {}),
    ("sinfo/partitions", |_| {}),
    ("scancel/fault.no-database", |stage| {
        stage.database(Accounting::NoDatabase);
        stage.held();
    }),
    ("scancel/fault.no-database.v", |stage| {
        stage.database(Accounting::NoDatabase);
        stage.held();
    }),
    ("scancel/fault.slurmdbd-down", |stage| {
        stage.database(Accounting::Down);
        stage.held();
    }),
    ("scancel/fault.slurmdbd-down.v", |stage| {
        stage.database(Accounting::Down);
        stage.held();
    }),
    ("scancel/other-user.private", |stage| {
        stage.cluster().config.private_jobs = true;
        stage.held();
    }),
    ("scancel/other-user.private.v", |stage| {
        stage.cluster().config.private_jobs = true;
        stage.held();
    }),
    ("scontrol/fault.no-database.ping", |stage| {
        stage.database(Accounting::NoDatabase)
    }),
    ("scontrol/fault.slurmdbd-down.ping", |stage| {
        stage.database(Accounting::Down)
    }),
];
