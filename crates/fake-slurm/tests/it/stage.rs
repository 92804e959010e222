//! A model as the clusters of the recordings were: their partitions, users and host.

use std::io;
use std::time::Duration;

use fake_slurm::{
    Accounting, Base, Call, Clock, Cluster, ClusterConfig, Controller, Execution, Exit, Generation,
    Host, Moment, Partition, Reply, Request, World, answer,
};

use crate::recording::{MARK, Recording, users};

/// A cluster as the recordings were made on, and the job in question.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) now: Moment,
    pub(crate) generation: Generation,
    /// The number that the recorded command names.
    pub(crate) id: u32,
    /// What the job asks for, as far as its recorded row tells.
    pub(crate) request: Request,
}

pub(crate) type Setup = fn(&mut Stage);

impl Stage {
    pub(crate) fn new(generation: Generation, case: &str, recording: &Recording) -> Self {
        let now = Moment::from_seconds(1_700_000_000);
        let nodes = ["n1", "n2"];
        let mut short = Partition::new("short", &nodes);
        short.max_time = Some(5);
        short.default_time = Some(1);
        let partitions = ["low", "high"].map(|name| Partition::new(name, &nodes));
        let [low, high] = partitions;
        let mut all = vec![Partition::new("batch", &nodes), short, low, high];
        if case.contains("node-limit") {
            let mut one = Partition::new("one", &["n1"]);
            one.max_nodes = Some(1);
            all.push(one);
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

    pub(crate) fn cluster(&mut self) -> &mut Cluster {
        let home = self.world.home.clone();
        self.world.clusters.get_mut(&home).unwrap()
    }

    pub(crate) fn submit(&mut self) {
        let (request, now, id) = (self.request.clone(), self.now, self.id);
        self.cluster().next_id = id;
        assert_eq!(self.cluster().submit(request, now), Ok(id));
    }

    /// Another job, with the number before.
    pub(crate) fn other(&mut self, change: impl FnOnce(&mut Request)) -> u32 {
        let (now, other) = (self.now, self.id - 2);
        let mut request = Request {
            uid: 4001,
            ..Request::default()
        };
        change(&mut request);
        self.cluster().next_id = other;
        self.cluster().submit(request, now).unwrap()
    }

    pub(crate) fn held(&mut self) {
        self.request.hold = true;
        self.submit();
    }

    pub(crate) fn running(&mut self) {
        self.submit();
        let id = self.id;
        assert_eq!(self.cluster().jobs[&id].base, Base::Running);
    }

    pub(crate) fn cancel(&mut self) {
        let (id, now) = (self.id, self.now);
        self.cluster().cancel(id, 4001, now).unwrap();
    }

    pub(crate) fn requeue(&mut self) {
        let (id, now) = (self.id, self.now);
        self.cluster().requeue(id, 0, None, now).unwrap();
    }

    /// The script ends, and with it every process.
    pub(crate) fn exit(&mut self, exit: Exit) {
        let (id, now) = (self.id, self.now);
        self.cluster().exited(id, exit, now);
        self.cluster().cleared(id, now);
    }

    pub(crate) fn ended(&mut self, exit: Exit) {
        self.running();
        self.exit(exit);
        self.wait(60);
    }

    pub(crate) fn ended_requeueable(&mut self) {
        self.request.requeue = Some(true);
        self.ended(Exit::default());
    }

    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        let now = self.now;
        self.cluster().tick(now);
    }

    pub(crate) fn fault(&mut self, controller: Controller) {
        let now = self.now;
        self.cluster().set_controller(controller, now);
    }

    /// Any account and QOS will do.
    pub(crate) fn enforce_nothing(&mut self) {
        let config = &mut self.cluster().config;
        (config.accounts, config.qos) = (None, None);
    }

    pub(crate) fn database(&mut self, accounting: Accounting) {
        self.cluster().condition.accounting = accounting;
    }

    pub(crate) fn empty_beta(&mut self) {
        let config = ClusterConfig {
            name: "beta".to_owned(),
            ..self.cluster().config.clone()
        };
        let mut beta = Cluster::new(config, self.now);
        beta.next_id = self.id;
        self.world.clusters.insert("beta".to_owned(), beta);
    }

    /// A second cluster, on which the job in question is.
    pub(crate) fn beta(&mut self) {
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

    pub(crate) fn ask(&mut self, recording: &Recording) -> Reply {
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
        .filter(|fields| fields.len() >= 17)
    else {
        return request;
    };
    let text = |index: usize| model_text(&fields[index]);
    request.requeue = Some(text(7) == "1");
    request.partition = Some(text(12));
    request.workdir = text(14);
    request.name = text(15);
    let comment = text(16);
    request.comment = Some(comment).filter(|comment| comment != "(null)");
    request.time_limit = minutes(&text(13));
    if situation == "text.mark" {
        // Its name and its comment hold the mark.
        let all: Vec<String> = fields.iter().map(|field| model_text(field)).collect();
        request.name = all[15..17].join(MARK);
        request.comment = Some(all[17..].join(MARK).trim_end_matches('\n').to_owned());
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
