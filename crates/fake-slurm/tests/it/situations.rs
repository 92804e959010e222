//! The situations in which the recordings were made, on the model.

use std::time::Duration;

use fake_slurm::{
    Accounting, Base, Controller, Exit, Flag, Generation, Hold, Node, Partition, Request, Requeued,
    SubmitPlugin,
};

use crate::stage::{Setup, Stage};

/// Situations, and the recordings that show them: under `squeue/`, `squeue/…​.o` and `sacct/` where
/// the name has no slash.
pub(crate) const SITUATIONS: &[(&str, Setup)] = &[
    ("completed", |stage| stage.ended(Exit::default())),
    ("failed", |stage| stage.ended(Exit::status(3))),
    ("failed.signal", |stage| stage.ended(Exit::signal(9))),
    ("failed.output", |stage| {
        let v20 = stage.generation == Generation::V20_11;
        stage.ended(if v20 {
            Exit::status(1)
        } else {
            Exit::NO_OUTPUT
        });
    }),
    ("running", Stage::running),
    ("cancelled.pending", |stage| {
        stage.held();
        stage.cancel();
    }),
    ("cancelled.running", |stage| {
        stage.running();
        stage.cancel();
        let killed = if stage.generation == Generation::V20_11 {
            15
        } else {
            9
        };
        stage.exit(Exit::signal(killed));
        stage.wait(60);
    }),
    ("completing.cancelled", |stage| {
        stage.running();
        stage.cancel();
    }),
    ("timeout", |stage| {
        stage.request.time_limit = Some(1);
        stage.running();
        stage.wait(90);
        stage.exit(Exit::signal(15));
        stage.wait(60);
    }),
    ("node-fail", |stage| {
        stage.running();
        let (now, id) = (stage.now, stage.id);
        let node = stage.cluster().jobs[&id].nodes[0].clone();
        stage.cluster().fail_node(&node, now);
        stage.exit(Exit::default());
        stage.wait(60);
    }),
    ("preempted", |stage| {
        stage.running();
        let (now, id) = (stage.now, stage.id);
        stage.cluster().preempt(id, now);
        stage.exit(Exit::signal(15));
        stage.wait(60);
    }),
    ("suspended", |stage| {
        stage.running();
        let (now, id) = (stage.now, stage.id);
        stage.cluster().suspend(id, 0, true, now).unwrap();
    }),
    ("stopped", |stage| {
        stage.running();
        let (now, id) = (stage.now, stage.id);
        stage
            .cluster()
            .force_state(id, Base::Running, &[Flag::Stopped], now);
    }),
    ("pending.held-user", Stage::held),
    ("pending.held-admin", |stage| {
        stage.held();
        let id = stage.id;
        stage.cluster().hold(id, 0, Hold::Admin).unwrap();
    }),
    ("pending.begin-time", |stage| {
        stage.request.begin = Some(stage.now + Duration::from_secs(3600));
        stage.submit();
    }),
    ("pending.dependency", |stage| {
        let other = stage.other(|_| {});
        stage.request.dependency = Some(format!("afterok:{other}"));
        stage.submit();
    }),
    ("pending.dependency-never", |stage| {
        let other = stage.other(|_| {});
        stage.request.dependency = Some(format!("afterok:{other}"));
        stage.submit();
        let now = stage.now;
        stage.cluster().finish(other, Exit::status(1), now);
        stage.cluster().exited(other, Exit::status(1), now);
        stage.cluster().cleared(other, now);
        stage.wait(60);
    }),
    ("pending.resources", |stage| {
        stage.other(|request| request.tasks = 16);
        stage.request.nodes = 2;
        stage.submit();
    }),
    ("pending.priority", |stage| {
        let now = stage.now;
        stage.other(|request| request.tasks = 16);
        let id = stage.id;
        stage.cluster().next_id = id - 1;
        let waits = Request {
            tasks: 16,
            ..Request::default()
        };
        stage.cluster().submit(waits, now).unwrap();
        stage.request.tasks = 16;
        stage.submit();
    }),
    ("pending.partition-down", |stage| {
        stage.request.partition = Some("short".to_owned());
        stage.request.hold = true;
        stage.submit();
        let (now, id) = (stage.now, stage.id);
        stage.cluster().config.partitions[1].up = false;
        stage.cluster().release(id, 0, now).unwrap();
    }),
    ("pending.partition-time-limit", |stage| {
        stage.request.partition = Some("short".to_owned());
        stage.submit();
    }),
    ("pending.partition-node-limit", |stage| {
        stage.request.nodes = 2;
        stage.submit();
    }),
    ("requeued.completing", |stage| {
        stage.running();
        stage.requeue();
    }),
    ("requeued.pending", |stage| {
        stage.running();
        stage.requeue();
        stage.exit(Exit::signal(15));
        stage.wait(26);
    }),
    ("requeued.running", |stage| {
        stage.running();
        stage.requeue();
        stage.exit(Exit::signal(15));
        stage.wait(26);
        let (now, id) = (stage.now, stage.id);
        stage.cluster().start_now(id, 0, now).unwrap();
    }),
    ("preempted.requeued", |stage| {
        stage.running();
        let (now, id) = (stage.now, stage.id);
        stage.cluster().preempt(id, now);
        stage.exit(Exit::signal(15));
        stage.wait(26);
    }),
    ("special-exit", |stage| {
        stage.running();
        let (now, id) = (stage.now, stage.id);
        stage
            .cluster()
            .requeue(id, 0, Some(Requeued::SpecialExit), now)
            .unwrap();
        stage.exit(Exit::signal(15));
        stage.wait(26);
    }),
    ("text.bytes", Stage::held),
    ("text.long", Stage::held),
    ("text.mark", Stage::held),
    ("text.newline", Stage::held),
    ("text.separators", Stage::held),
    ("text.utf8", Stage::held),
    ("unknown", |_| {}),
    ("unknown.several", |_| {}),
    ("unknown.beside-known", Stage::held),
    ("unknown.federated", |_| {}),
    ("purged", |stage| {
        stage.ended(Exit::default());
        stage.wait(301);
    }),
    ("purged.several", |_| {}),
    ("other-user", Stage::held),
    ("other-user.private", |stage| {
        stage.cluster().config.private_jobs = true;
        stage.held();
    }),
    ("not-a-number", |_| {}),
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
    ("squeue/version", |_| {}),
    ("sacct/version", |_| {}),
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
    ("requeued.held", |stage| {
        stage.request.requeue = Some(true);
        stage.running();
        stage.requeue();
        stage.exit(Exit::signal(15));
        stage.wait(26);
        let (now, id) = (stage.now, stage.id);
        stage.cluster().start_now(id, 0, now).unwrap();
        stage
            .cluster()
            .requeue(id, 0, Some(Requeued::Held), now)
            .unwrap();
        stage.exit(Exit::signal(15));
        stage.wait(26);
    }),
    ("requeued.cancelled", |stage| {
        stage.request.requeue = Some(true);
        stage.running();
        stage.requeue();
        stage.exit(Exit::signal(15));
        stage.wait(26);
        let (now, id) = (stage.now, stage.id);
        stage.cluster().start_now(id, 0, now).unwrap();
        stage
            .cluster()
            .requeue(id, 0, Some(Requeued::Held), now)
            .unwrap();
        stage.exit(Exit::signal(15));
        stage.wait(26);
        stage.cancel();
    }),
    ("requeued.completed", |stage| {
        stage.ended_requeueable();
        stage.requeue();
    }),
    ("configuring", |stage| {
        let config = &mut stage.cluster().config;
        config.configuring = Duration::from_secs(60);
        config.nodes.push(Node::new("cloud", 8));
        config.partitions.push(Partition::new("cloud", &["cloud"]));
        stage.submit();
    }),
    ("deadline", |stage| {
        stage.request.deadline = Some(stage.now + Duration::from_secs(30));
        stage.held();
        stage.wait(31);
    }),
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
