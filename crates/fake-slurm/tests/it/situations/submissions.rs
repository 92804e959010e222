//! What sbatch accepts, and what it refuses.

use fake_slurm::{Accounting, Controller, Partition, SubmitPlugin};

use crate::stage::Setup;

pub(super) const SUBMISSIONS: &[(&str, Setup)] = &[
    ("sbatch/accepted", |_| {}),
    ("sbatch/accepted.chdir-missing", |_| {}),
    ("sbatch/accepted.cluster", |_| {}),
    ("sbatch/accepted.cpus", |_| {}),
    ("sbatch/accepted.dependency-unknown", |_| {}),
    ("sbatch/accepted.held-cpus", |_| {}),
    ("sbatch/accepted.held-nodes", |_| {}),
    ("sbatch/accepted.nodes", |_| {}),
    ("sbatch/accepted.over-partition-limit", |_| {}),
    ("sbatch/accepted.parsable", |_| {}),
    ("sbatch/accepted.quiet", |_| {}),
    ("sbatch/accepted.script-bad-shell", |_| {}),
    ("sbatch/clusters.here", |stage| stage.beta()),
    ("sbatch/clusters.other", |stage| stage.empty_beta()),
    ("sbatch/clusters.other.refused", |stage| stage.empty_beta()),
    ("sbatch/clusters.other.test-only", |stage| {
        stage.empty_beta()
    }),
    ("sbatch/clusters.other.text", |stage| stage.empty_beta()),
    ("sbatch/clusters.other.down", |stage| {
        stage.empty_beta();
        let beta = stage.world.clusters.get_mut("beta").unwrap();
        beta.set_controller(Controller::Down, stage.now);
    }),
    ("sbatch/environment.SBATCH_CLUSTERS", |_| {}),
    ("sbatch/environment.SBATCH_PARTITION", |_| {}),
    ("sbatch/environment.SLURM_CLUSTERS", |_| {}),
    ("sbatch/fault.controller-down", |stage| {
        stage.fault(Controller::Down)
    }),
    ("sbatch/fault.controller-down.test-only", |stage| {
        stage.fault(Controller::Down)
    }),
    ("sbatch/fault.controller-hung", |stage| {
        stage.fault(Controller::Hung)
    }),
    ("sbatch/fault.controller-hung.test-only", |stage| {
        stage.fault(Controller::Hung)
    }),
    ("sbatch/fault.munged-down", |stage| {
        stage.fault(Controller::MungeDown)
    }),
    ("sbatch/fault.munged-down.test-only", |stage| {
        stage.fault(Controller::MungeDown)
    }),
    ("sbatch/fault.slurmdbd-down", |stage| {
        stage.database(Accounting::Down)
    }),
    ("sbatch/fault.slurmdbd-down.test-only", |stage| {
        stage.database(Accounting::Down)
    }),
    ("sbatch/no-slurmdbd.cluster", |stage| {
        stage.cluster().config.accounting = false
    }),
    ("sbatch/refused.account", |_| {}),
    ("sbatch/refused.argument-missing", |_| {}),
    ("sbatch/refused.begin-text", |_| {}),
    ("sbatch/refused.cluster", |_| {}),
    ("sbatch/refused.constraint", |_| {}),
    ("sbatch/refused.cpus-per-task", |_| {}),
    ("sbatch/refused.deadline-past", |_| {}),
    ("sbatch/refused.dependency-kind", |_| {}),
    ("sbatch/refused.dependency-text", |_| {}),
    ("sbatch/refused.submit-limit", |stage| {
        stage.cluster().config.max_submit_jobs = Some(0);
    }),
    ("sbatch/refused.queue-full", |stage| {
        stage.cluster().config.limit_queue(0);
    }),
    ("sbatch/refused.gpus", |_| {}),
    ("sbatch/refused.gres", |_| {}),
    ("sbatch/refused.licenses", |_| {}),
    ("sbatch/refused.memory-text", |_| {}),
    ("sbatch/refused.memory", |_| {}),
    ("sbatch/refused.nodelist", |_| {}),
    ("sbatch/refused.nodelist-excluded", |_| {}),
    ("sbatch/refused.over-partition-limit", |stage| {
        stage.cluster().config.enforce_part_limits = true;
    }),
    ("sbatch/refused.partition", |_| {}),
    ("sbatch/refused.partition-of-list", |_| {}),
    ("sbatch/refused.qos", |_| {}),
    ("sbatch/refused.reservation", |_| {}),
    ("sbatch/refused.script-directory", |_| {}),
    ("sbatch/refused.script-dos", |_| {}),
    ("sbatch/refused.script-empty", |_| {}),
    ("sbatch/refused.script-missing", |_| {}),
    ("sbatch/refused.script-no-shebang", |_| {}),
    ("sbatch/refused.script-nul", |_| {}),
    ("sbatch/refused.script-stdin-empty", |_| {}),
    ("sbatch/refused.script-unreadable", |_| {}),
    ("sbatch/refused.tasks-zero", |_| {}),
    ("sbatch/refused.time-text", |_| {}),
    ("sbatch/refused.wrap-and-script", |_| {}),
    ("sbatch/site.banner", |stage| {
        let banner = Some("Welcome to the cluster!".to_owned());
        stage.cluster().condition.plugin = SubmitPlugin {
            banner,
            ..Default::default()
        };
    }),
    ("sbatch/site.rewritten", |stage| {
        let message = Some("your comment was changed".to_owned());
        stage.cluster().condition.plugin = SubmitPlugin {
            message,
            ..Default::default()
        };
    }),
    ("sbatch/test-only.bad-account", |_| {}),
    ("sbatch/test-only.bad-partition", |_| {}),
    ("sbatch/test-only.ok", |_| {}),
    ("sbatch/test-only.parsable", |_| {}),
    ("sbatch/test-only.too-many-nodes", |_| {}),
    ("sbatch/version", |_| {}),
    ("sbatch/fault.no-database", |stage| {
        stage.database(Accounting::NoDatabase)
    }),
    ("sbatch/fault.no-database.test-only", |stage| {
        stage.database(Accounting::NoDatabase)
    }),
    ("sbatch/refused.dependency-unknown", |_| {}),
    ("sbatch/accepted.partition-closed", |stage| {
        let closed = Partition::new("closed", &["n1"]);
        stage.cluster().config.partitions.push(closed);
    }),
];
