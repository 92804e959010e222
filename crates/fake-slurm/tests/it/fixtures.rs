//! Conformance: each recorded command is put to a model that was brought into the same situation,
//! and must get the same answer. What differs and is known stands in `KNOWN` with its reason; the
//! table in docs/fake-slurm.md is written from the run.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::time::Duration;

use fake_slurm::{
    Accounting, Base, Call, Clock, Cluster, ClusterConfig, Controller, Execution, Exit, Flag,
    Generation, Hold, Host, Moment, Partition, Reply, Request, Requeued, SubmitPlugin, World,
    answer,
};

use crate::recording::{MARK, Recording, normalised, users};

/// A cluster as the recordings were made on, and the job in question.
struct Stage {
    world: World,
    now: Moment,
    generation: Generation,
    /// The number that the recorded command names.
    id: u32,
    /// What the job asks for, as far as its recorded row tells.
    request: Request,
}

type Setup = fn(&mut Stage);

/// Situations, and the recordings that show them: under `squeue/`, `squeue/…​.o` and `sacct/` where
/// the name has no slash.
const SITUATIONS: &[(&str, Setup)] = &[
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
    ("squeue/unknown.user", |_| {}),
    ("squeue/no-slurmdbd.cluster", |stage| {
        stage.cluster().config.accounting = false
    }),
    ("squeue/clusters.not-asked", |stage| stage.beta()),
    ("squeue/clusters.other", |stage| stage.beta()),
    ("squeue/clusters.other.heading", |stage| stage.beta()),
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
];

/// Whether a known difference shows in every recording.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// It depends on when the real cluster was asked.
    Sometimes,
}

/// Differences that are known: which cases (with a star all that begin so), in which generations (none
/// is all), whether always, and why.
const KNOWN: &[(&str, &[Generation], When, &str)] = include!("known_differences.rs");

impl Stage {
    fn new(generation: Generation, case: &str, recording: &Recording) -> Self {
        let now = Moment::from_seconds(1_700_000_000);
        let nodes = ["n1", "n2"];
        let mut short = Partition::new("short", &nodes);
        short.max_time = Some(5);
        short.default_time = Some(1);
        let partitions = ["low", "high"].map(|name| Partition::new(name, &nodes));
        let [low, high] = partitions;
        let mut all = vec![Partition::new("batch", &nodes), short, low, high];
        if case.contains("node-limit") {
            all.push(Partition::new("one", &["n1"]));
        }
        let home = if case.contains("clusters.") {
            "alpha"
        } else {
            "cluster"
        };
        let config = ClusterConfig {
            name: home.to_owned(),
            generation,
            partitions: all,
            epilog: Duration::from_secs(25),
            accounts: Some(vec!["lab".to_owned()]),
            qos: Some(vec!["normal".to_owned()]),
            execution: Execution::Processes,
            ..ClusterConfig::default()
        };
        let id = recording.job().unwrap_or(1);
        let mut world = World::new(config, Clock::Manual(now), now);
        world.clusters.get_mut(home).unwrap().next_id = id;
        Self {
            world,
            now,
            generation,
            id,
            request: request_of(generation, case),
        }
    }

    fn cluster(&mut self) -> &mut Cluster {
        let home = self.world.home.clone();
        self.world.clusters.get_mut(&home).unwrap()
    }

    fn submit(&mut self) {
        let (request, now, id) = (self.request.clone(), self.now, self.id);
        self.cluster().next_id = id;
        assert_eq!(self.cluster().submit(request, now), Ok(id));
    }

    /// Another job, with the number before.
    fn other(&mut self, change: impl FnOnce(&mut Request)) -> u32 {
        let (now, other) = (self.now, self.id - 2);
        let mut request = Request {
            uid: 4001,
            ..Request::default()
        };
        change(&mut request);
        self.cluster().next_id = other;
        self.cluster().submit(request, now).unwrap()
    }

    fn held(&mut self) {
        self.request.hold = true;
        self.submit();
    }

    fn running(&mut self) {
        self.submit();
        let id = self.id;
        assert_eq!(self.cluster().jobs[&id].base, Base::Running);
    }

    fn cancel(&mut self) {
        let (id, now) = (self.id, self.now);
        self.cluster().cancel(id, 4001, now).unwrap();
    }

    fn requeue(&mut self) {
        let (id, now) = (self.id, self.now);
        self.cluster().requeue(id, 0, None, now).unwrap();
    }

    /// The script ends, and with it every process.
    fn exit(&mut self, exit: Exit) {
        let (id, now) = (self.id, self.now);
        self.cluster().exited(id, exit, now);
        self.cluster().cleared(id, now);
    }

    fn ended(&mut self, exit: Exit) {
        self.running();
        self.exit(exit);
        self.wait(60);
    }

    fn ended_requeueable(&mut self) {
        self.request.requeue = Some(true);
        self.ended(Exit::default());
    }

    fn wait(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        let now = self.now;
        self.cluster().tick(now);
    }

    fn fault(&mut self, controller: Controller) {
        let now = self.now;
        self.cluster().set_controller(controller, now);
    }

    fn database(&mut self, accounting: Accounting) {
        self.cluster().condition.accounting = accounting;
    }

    fn empty_beta(&mut self) {
        let config = ClusterConfig {
            name: "beta".to_owned(),
            ..self.cluster().config.clone()
        };
        let mut beta = Cluster::new(config, self.now);
        beta.next_id = self.id;
        self.world.clusters.insert("beta".to_owned(), beta);
    }

    /// A second cluster, on which the job in question is.
    fn beta(&mut self) {
        self.empty_beta();
        let request = Request {
            hold: true,
            ..self.request.clone()
        };
        let beta = self.world.clusters.get_mut("beta").unwrap();
        if self.id < 1000 {
            beta.submit(request, self.now).unwrap();
        }
    }

    fn ask(&mut self, recording: &Recording) -> Reply {
        let uid = users()[recording.user.as_str()];
        let call = Call {
            program: recording.program,
            arguments: recording.arguments.clone(),
            environment: recording.environment.clone(),
            uid,
            gid: uid,
            directory: "/home".to_owned(),
            host_name: "login".to_owned(),
        };
        answer(&mut self.world, &call, &Recorded, self.now)
    }
}

/// What the job asked for: its name, comment, partition and so on are in its recorded row.
fn request_of(generation: Generation, case: &str) -> Request {
    let situation = case
        .trim_start_matches("squeue/")
        .trim_start_matches("sacct/");
    let situation = situation.trim_end_matches(".o");
    let mut request = Request {
        uid: 4001,
        gid: 4001,
        user: "alice".to_owned(),
        group: "alice".to_owned(),
        name: "job".to_owned(),
        account: Some("lab".to_owned()),
        ..Request::default()
    };
    let row = Recording::read(generation, &format!("squeue/{situation}"));
    let Some(fields) = row
        .map(|row| row.fields())
        .filter(|fields| fields.len() >= 16)
    else {
        return request;
    };
    let text = |index: usize| model_text(&fields[index]);
    request.requeue = Some(text(7) == "1");
    request.partition = Some(text(12));
    request.name = text(14);
    let comment = text(15);
    request.comment = Some(comment).filter(|comment| comment != "(null)");
    request.time_limit = minutes(&text(13));
    if situation == "text.mark" {
        // Its name and its comment hold the mark.
        let all: Vec<String> = fields.iter().map(|field| model_text(field)).collect();
        request.name = all[14..16].join(MARK);
        request.comment = Some(all[16..].join(MARK).trim_end_matches('\n').to_owned());
        let comment = request.comment.as_deref().unwrap_or_default();
        request.comment = comment.strip_suffix(MARK).map(str::to_owned);
    }
    request
}

/// Text as the model keeps it: a byte that is no UTF-8 is a private-use character.
fn model_text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        let bytes = chunk.invalid().iter();
        text.extend(bytes.filter_map(|byte| char::from_u32(0x10_FE00 + u32::from(*byte))));
    }
    text
}

/// A time left, rounded up to the limit that it was.
fn minutes(text: &str) -> Option<u64> {
    let mut seconds = 0;
    for part in text.split(':') {
        seconds = seconds * 60 + part.parse::<u64>().ok()?;
    }
    Some(seconds.div_ceil(60))
}

/// The host of the recordings.
struct Recorded;

impl Host for Recorded {
    fn read_file(&self, path: &str) -> io::Result<Vec<u8>> {
        match path.rsplit('/').next().unwrap_or(path) {
            "empty" => Ok(Vec::new()),
            "dos" => Ok(b"#!/bin/sh\r\ntrue\r\n".to_vec()),
            "nul" => Ok(b"#!/bin/sh\ntrue \0\n".to_vec()),
            "no-shebang" => Ok(b"true\n".to_vec()),
            "bad-shell" => Ok(b"#!/nonexistent\n".to_vec()),
            "directory" => Err(io::ErrorKind::IsADirectory.into()),
            "unreadable" => Err(io::ErrorKind::PermissionDenied.into()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn read_stdin(&self) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn uid_of(&self, name: &str) -> Option<u32> {
        users().get(name).copied()
    }

    fn name_of(&self, uid: u32) -> Option<String> {
        users()
            .into_iter()
            .find(|(_, known)| *known == uid)
            .map(|(name, _)| name.to_owned())
    }

    fn group_of(&self, gid: u32) -> Option<String> {
        self.name_of(gid)
    }
}

/// What became of a case in a generation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Agreed,
    Known,
    Absent,
}

fn compare(generation: Generation, case: &str, setup: Setup) -> Result<Outcome, String> {
    let Some(recording) = Recording::read(generation, case) else {
        return Ok(Outcome::Absent);
    };
    let mut stage = Stage::new(generation, case, &recording);
    setup(&mut stage);
    let reply = stage.ask(&recording);
    let shown = |status: u8, stdout: &[u8], stderr: &[u8]| {
        format!(
            "[{status}]\n{}--\n{}",
            normalised(stdout),
            normalised(stderr)
        )
    };
    let real = shown(recording.status, &recording.stdout, &recording.stderr)
        .replace("/usr/bin/", "")
        .replace("/var/cache/slurm-cluster/bullseye", "")
        .replace("/var/cache/slurm-cluster/trixie", "")
        .replace("/var/cache/slurm-cluster/sid", "");
    let fake = shown(reply.status, &reply.stdout_bytes(), &reply.stderr_bytes());
    let known = KNOWN.iter().find(|(name, generations, ..)| {
        let named = match name.strip_suffix('*') {
            Some(start) => case.starts_with(start),
            None => case == *name,
        };
        named && (generations.is_empty() || generations.contains(&generation))
    });
    match (real == fake, known) {
        (true, None) => Ok(Outcome::Agreed),
        (true, Some((_, _, When::Sometimes, _))) => Ok(Outcome::Agreed),
        (false, Some(_)) => Ok(Outcome::Known),
        (true, Some(_)) => Err(format!("{generation} {case}: is no difference any more\n")),
        (false, None) => Err(format!(
            "{generation} {case}:\nreal: {real}\nfake: {fake}\n"
        )),
    }
}

/// Every case: its name, and how to bring it about.
fn cases() -> Vec<(String, Setup)> {
    let mut cases = Vec::new();
    for (name, setup) in SITUATIONS {
        if name.contains('/') {
            cases.push(((*name).to_owned(), *setup));
        } else {
            for case in [
                format!("squeue/{name}"),
                format!("squeue/{name}.o"),
                format!("sacct/{name}"),
            ] {
                cases.push((case, *setup));
            }
        }
    }
    cases
}

#[test]
fn the_fake_answers_as_the_recordings() {
    let mut complaints = String::new();
    let mut table =
        String::from("| case | 20.11 | 22.05 | 24.11 | 26.05 |\n|---|---|---|---|---|\n");
    let mut counts = [0; 3];
    for (case, setup) in cases() {
        write!(table, "| {case} |").unwrap();
        for generation in Generation::ALL {
            let outcome = compare(generation, &case, setup).unwrap_or_else(|complaint| {
                complaints += &complaint;
                Outcome::Known
            });
            counts[outcome as usize] += 1;
            let cell = match outcome {
                Outcome::Agreed => "agreed",
                Outcome::Known => "known",
                Outcome::Absent => "–",
            };
            write!(table, " {cell} |").unwrap();
        }
        table += "\n";
    }
    assert!(complaints.is_empty(), "{complaints}");
    let [agreed, known, _] = counts;
    let mut text = format!("{agreed} answers agree, {known} differ as listed below.\n\n{table}\n");
    text += "| differs | in | because |\n|---|---|---|\n";
    for (case, generations, _, reason) in KNOWN {
        let list: Vec<&str> = generations
            .iter()
            .map(|generation| generation.series())
            .collect();
        let list = if list.is_empty() {
            "all".to_owned()
        } else {
            list.join(", ")
        };
        writeln!(text, "| {case} | {list} | {reason} |").unwrap();
    }
    compare_with_docs(&text);
}

/// The table in the docs is what the run says; `UPDATE_DOCS=1` writes it.
fn compare_with_docs(text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/fake-slurm.md");
    let docs = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = (
        "<!-- conformance: written by the test -->\n",
        "<!-- end -->",
    );
    let (before, rest) = docs
        .split_once(begin)
        .expect("the docs have a place for the table");
    let (old, after) = rest.split_once(end).expect("the table has an end");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{begin}{text}{end}{after}")).unwrap();
    } else {
        assert_eq!(
            old, text,
            "docs/fake-slurm.md is old: run the test with UPDATE_DOCS=1"
        );
    }
}
