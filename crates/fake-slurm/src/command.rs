//! The commands: each reads a [`Call`] and answers from a [`World`], as Slurm's own would.

mod directives;
mod sacct;
mod sbatch;
mod sbatch_options;
mod sbatch_request;
mod sbatch_values;
mod scancel;
mod scontrol;
mod sinfo;
mod squeue;
mod when;

use std::time::Duration;

use crate::call::{Call, Host, Program, Reply};
use crate::generation::Generation;
use crate::model::{Accounting, Cluster, Controller, World};
use crate::moment::Moment;
use crate::options::{Known, Parsed, Wrong, parse};
use crate::render::hostlist::expand;

/// The exit status for what real Slurm knows and the fake does not (`EX_USAGE`).
pub const NOT_PLAYED: u8 = 64;

/// Answers a call.
pub fn answer(world: &mut World, call: &Call, host: &dyn Host, now: Moment) -> Reply {
    for cluster in world.clusters.values_mut() {
        cluster.tick(now);
    }
    let mut context = Answering {
        world,
        call,
        host,
        now,
        held_off: None,
    };
    let answered = match call.program {
        Program::Squeue => squeue::run(&mut context),
        Program::Sacct => sacct::run(&mut context),
        Program::Sbatch => sbatch::run(&mut context),
        Program::Scancel => scancel::run(&mut context),
        Program::Scontrol => scontrol::run(&mut context),
        Program::Sinfo => sinfo::run(&mut context),
    };
    let mut reply = answered.unwrap_or_else(|refused| refused);
    if let Some(wait) = context.held_off {
        hold_off(&mut reply, call, wait);
    }
    reply
}

/// A client that the rate limit holds off waits and asks again; only with -v it says so, after it
/// has said what it is about.
fn hold_off(reply: &mut Reply, call: &Call, wait: Duration) {
    reply.delay += wait;
    let verbose = |word: &String| word == "-v" || word == "--verbose";
    if !call.arguments.iter().any(verbose) {
        return;
    }
    let name = call.program.name();
    let text = format!("{name}: RPC rate limited 1 time(s). Sleeping then trying again.\n");
    let doing = format!("{name}: Terminating job ");
    let after = if reply.stderr.starts_with(&doing) {
        reply.stderr.find('\n').map_or(0, |end| end + 1)
    } else {
        0
    };
    reply.stderr.insert_str(after, &text);
}

/// Whether a call reads its script from stdin.
pub(crate) fn needs_stdin(call: &Call) -> bool {
    call.program == Program::Sbatch && sbatch::reads_stdin(&call.arguments)
}

/// A reply, or one that ends the command early.
type Answer = Result<Reply, Reply>;

/// What a command works with.
struct Answering<'a> {
    world: &'a mut World,
    call: &'a Call,
    host: &'a dyn Host,
    now: Moment,
    /// How long the controller's rate limit made the client wait.
    held_off: Option<Duration>,
}

impl Answering<'_> {
    fn name(&self) -> &'static str {
        self.call.program.name()
    }

    fn home(&self) -> Option<&Cluster> {
        self.world.clusters.get(&self.world.home)
    }

    fn generation(&self) -> Generation {
        self.home()
            .map(|cluster| cluster.config.generation)
            .unwrap_or_default()
    }

    /// A cluster that the command was resolved to.
    fn cluster(&mut self, name: &str) -> Result<&mut Cluster, Reply> {
        let unknown = || Reply::fail(NOT_PLAYED, format!("fake-slurm: no cluster {name}\n"));
        self.world.clusters.get_mut(name).ok_or_else(unknown)
    }

    /// `NAME: error: TEXT`, and status 1.
    fn error(&self, text: impl std::fmt::Display) -> Reply {
        Reply::fail(1, format!("{}: error: {text}\n", self.name()))
    }

    /// The refusal of what the fake does not play.
    fn not_played(&self, what: &str) -> Reply {
        let name = self.name();
        Reply::fail(
            NOT_PLAYED,
            format!("{name}: fake-slurm does not know {what}\n"),
        )
    }

    fn parse(&self, known: &[Known], stop_early: bool) -> Result<Parsed, Reply> {
        let name = self.name();
        let of_sbatch = self.call.program == Program::Sbatch;
        let parsed =
            parse(known, &self.call.arguments, stop_early).map_err(|wrong| match wrong {
                Wrong::Unknown(option) => self.not_played(&format!("the option {option}")),
                // Slurm names the options that it could be.
                Wrong::Ambiguous(text) if !of_sbatch => self.not_played(&text),
                Wrong::NoValue(text) | Wrong::Ambiguous(text) => {
                    let hint = match self.call.program {
                        Program::Sacct => String::new(),
                        _ => format!("Try \"{name} --help\" for more information\n"),
                    };
                    // sbatch ends with -1 where the others say 1.
                    let status = if of_sbatch { 255 } else { 1 };
                    Reply::fail(status, format!("{name}: {text}\n{hint}"))
                }
            })?;
        match &parsed.abbreviated {
            // What it stands for depends on options that the fake does not have.
            Some(option) if !of_sbatch => {
                Err(self.not_played(&format!("the abbreviated option {option}")))
            }
            _ => Ok(parsed),
        }
    }

    /// A variable that is set to nothing: to Slurm that is a value, and its answer is another
    /// than without the variable.
    fn reject_empty(&self, variables: &[&str]) -> Result<(), Reply> {
        let mut set = self.call.environment.iter();
        let empty =
            |(name, value): &&(String, String)| value.is_empty() && variables.contains(&&**name);
        match set.find(empty) {
            Some((name, _)) => Err(self.not_played(&format!("an empty {name}"))),
            None => Ok(()),
        }
    }

    /// Options that variables of the environment stand for. The command line comes after them.
    fn defaults(&self, table: &[(&str, &str)]) -> Vec<(String, String)> {
        let set = |(variable, option): &(&str, &str)| {
            Some((
                (*option).to_owned(),
                self.call.variable(variable)?.to_owned(),
            ))
        };
        table.iter().filter_map(set).collect()
    }

    /// `--version` ends a command at once.
    fn version(&self, parsed: &Parsed) -> Result<(), Reply> {
        if parsed.has("version") {
            return Err(Reply::out(format!("{}\n", self.generation().banner())));
        }
        Ok(())
    }

    /// The clusters that `-M` or SLURM_CLUSTERS names, or the configuration's own, and whether
    /// any was named.
    fn clusters(&self, parsed: &Parsed) -> Result<(Vec<String>, bool), Reply> {
        let from_variable = self.call.variable("SLURM_CLUSTERS").filter(|_| {
            // sacct has no such variable.
            self.call.program != Program::Sacct && !parsed.has("clusters")
        });
        let Some(named) = parsed.value("clusters").or(from_variable) else {
            return Ok((vec![self.world.home.clone()], false));
        };
        self.database_for_clusters(named)?;
        if named == "all" {
            return Ok((self.world.clusters.keys().cloned().collect(), true));
        }
        let mut names: Vec<String> = Vec::new();
        for name in named.split(',').map(str::trim) {
            // One that is named twice is asked once.
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        let unknown = |name: &&String| !self.world.clusters.contains_key(*name);
        let several = names.len() > 1 && names.iter().filter(unknown).count() < names.len();
        if several && names.iter().any(|name| unknown(&name)) {
            return Err(self.not_played("clusters that are there, and others that are not"));
        }
        for name in &names {
            if !self.world.clusters.contains_key(name) && self.call.program != Program::Sacct {
                return Err(self.unknown_cluster(name, from_variable.is_some()));
            }
        }
        self.down_clusters(&names)?;
        if from_variable.is_some() && parsed.has("local") {
            return Ok((vec![self.world.home.clone()], false));
        }
        Ok((names, true))
    }

    /// `-M` needs the database to know where the cluster is.
    fn database_for_clusters(&self, named: &str) -> Result<(), Reply> {
        let Some(home) = self.home() else {
            return Ok(());
        };
        let gone = matches!(
            home.condition.accounting,
            Accounting::Down | Accounting::NoDatabase | Accounting::Disabled
        );
        if (gone || !home.config.accounting) && self.call.program != Program::Sacct {
            let first = format!("{}: error: Problem talking to database\n", self.name());
            return Err(Reply::fail(
                1,
                first + &self.unreachable_cluster(named, false),
            ));
        }
        Ok(())
    }

    /// A cluster that is known but whose controller does not answer: `-M` does not find it.
    fn down_clusters(&self, names: &[String]) -> Result<(), Reply> {
        let down = |name: &&String| {
            let controller = self
                .world
                .clusters
                .get(*name)
                .map(|known| known.condition.controller);
            **name != self.world.home && controller == Some(Controller::Down)
        };
        match names.iter().find(down) {
            Some(name) => Err(Reply::fail(1, self.unreachable_cluster(name, false))),
            None => Ok(()),
        }
    }

    fn unreachable_cluster(&self, name: &str, from_variable: bool) -> String {
        let command = self.name();
        let recent = self.generation() >= Generation::V24_11;
        let named = [Program::Squeue, Program::Scontrol].contains(&self.call.program);
        let variable = from_variable && !recent && named;
        let place = if variable {
            "SLURM_CLUSTERS"
        } else {
            "--cluster"
        };
        let mut text = format!(
            "{command}: error: '{name}' can't be reached now, or it is an invalid entry for \
             {place}.  Use 'sacctmgr list clusters' to see available clusters.\n"
        );
        if recent && self.call.program != Program::Sbatch {
            text += &format!("{command}: fatal: Could not get cluster information\n");
        }
        text
    }

    fn unknown_cluster(&self, name: &str, from_variable: bool) -> Reply {
        let command = self.name();
        let first = format!("{command}: error: No cluster '{name}' known by database.\n");
        Reply::fail(1, first + &self.unreachable_cluster(name, from_variable))
    }

    /// Why no answer comes from a cluster's controller: the words and number of Slurm's error.
    fn unreachable(&mut self, name: &str) -> Result<Option<Unreachable>, Reply> {
        let backoff = self.cluster(name)?.condition.backoff;
        self.held_off = self.held_off.max(backoff);
        let cluster = self.cluster(name)?;
        let (code, text, prelude) = match cluster.condition.controller {
            Controller::Up | Controller::Stale => return Ok(None),
            Controller::Down => (
                1800,
                "Unable to contact slurm controller (connect failure)",
                false,
            ),
            Controller::Hung => (5004, "Socket timed out on send/recv operation", false),
            Controller::AuthenticationError => (1007, "Protocol authentication error", false),
            Controller::MungeDown => (1007, "Protocol authentication error", true),
        };
        let delay = cluster.config.patience;
        let generation = cluster.config.generation;
        Ok(Some(Unreachable {
            code,
            text,
            munge: prelude,
            generation,
            delay,
        }))
    }
}

/// Why a controller cannot be asked.
struct Unreachable {
    code: i32,
    text: &'static str,
    munge: bool,
    generation: Generation,
    delay: Duration,
}

impl Unreachable {
    /// The failure of a command that says `before` in front of the reason. `request` is what it
    /// would have sent: munge's complaint names it.
    fn reply(&self, command: &str, request: &str, before: &str, status: u8) -> Reply {
        let mut text = String::new();
        if self.munge {
            text += &munge_lines(command, request, self.generation);
        }
        text += &format!("{before}{}\n", self.text);
        Reply {
            delay: self.delay,
            ..Reply::fail(status, text)
        }
    }
}

/// What a command says whose munged does not answer, when it wants to send `request`.
fn munge_lines(command: &str, request: &str, generation: Generation) -> String {
    let (hint, function, call, end) = match generation {
        Generation::V20_11 => (
            "",
            "slurm_send_node_msg",
            "g_slurm_auth_create",
            ": Invalid authentication credential",
        ),
        Generation::V22_05 => (
            " (Did you start munged?)",
            "slurm_send_node_msg",
            "auth_g_create",
            "",
        ),
        Generation::V24_11 | Generation::V26_05 => (
            " (Did you start munged?)",
            "slurm_buffers_pack_msg",
            "auth_g_create",
            "",
        ),
    };
    format!(
        "{command}: error: If munged is up, restart with --num-threads=10\n\
         {command}: error: Munge encode failed: Failed to access \"/run/munge/munge.socket.2\": No \
         such file or directory{hint}\n\
         {command}: error: {function}: {call}: {request} has authentication error{end}\n"
    )
}

/// The nodes that a list such as `n[1-2]` names, each of which must exist.
///
/// # Errors
/// Slurm's words for one that does not.
fn hostnames(answering: &Answering<'_>, list: &str) -> Result<Vec<String>, Reply> {
    let Some(names) = expand(list) else {
        return Err(answering.not_played(&format!("the list of nodes {list}")));
    };
    let nodes = answering.home().map(|home| home.config.nodes.as_slice());
    let known = |name: &String| {
        let mut nodes = nodes.into_iter().flatten();
        nodes.any(|node| node.name == *name)
    };
    match names.iter().find(|name| !known(name)) {
        // Slurm looks for a node at the address of this host.
        Some(host) if *host == answering.call.host_name || host == "localhost" => {
            Err(answering.not_played(&format!("the node of host {host}")))
        }
        Some(name) => Err(answering.error(format!("Invalid node name {name}"))),
        None => Ok(names),
    }
}

/// Splits a list of names at commas.
fn listed(text: &str) -> Vec<&str> {
    text.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect()
}
