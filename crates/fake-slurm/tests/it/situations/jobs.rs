//! Jobs in every state: what squeue and sacct show of them.

use std::time::Duration;

use fake_slurm::{Base, Exit, Flag, Generation, Hold, Node, Partition, Request, Requeued};

use crate::stage::{Setup, Stage};

pub(super) const JOBS: &[(&str, Setup)] = &[
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
    ("purged", purged),
    ("purged.several", purged),
    ("other-user", Stage::held),
    ("other-user.private", |stage| {
        stage.cluster().config.private_jobs = true;
        stage.request.name = "hers".to_owned();
        stage.held();
    }),
    ("not-a-number", |_| {}),
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
        stage.request.time_limit = Some(1);
        stage.request.deadline = Some(stage.now + Duration::from_secs(75));
        stage.held();
        stage.wait(76);
    }),
];

/// The controller has forgotten it, the database has not.
fn purged(stage: &mut Stage) {
    stage.request.name = "purged".to_owned();
    stage.ended(Exit::default());
    stage.wait(301);
}
