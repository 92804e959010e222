//! `scontrol`: what people do to jobs by hand, and what a client asks about the configuration.

mod operate;
mod show;
mod show_config;
mod show_job;
mod update;

use super::{Answer, Answering, munge_lines};
use crate::call::Reply;
use crate::generation::Generation;
use crate::options::{Known, Takes};

const KNOWN: &[Known] = &[
    ("all", Some('a'), Takes::Nothing),
    ("clusters", Some('M'), Takes::Value),
    ("local", None, Takes::Nothing),
    ("oneliner", Some('o'), Takes::Nothing),
    ("quiet", Some('Q'), Takes::Nothing),
    ("verbose", Some('v'), Takes::Nothing),
    ("version", Some('V'), Takes::Nothing),
];

/// Keywords that are played, and how few arguments they take.
const PLAYED: &[(&str, usize)] = &[
    ("hold", 1),
    ("uhold", 1),
    ("release", 1),
    ("requeue", 1),
    ("requeuehold", 1),
    ("suspend", 1),
    ("resume", 1),
    ("show", 1),
    ("update", 0),
    ("ping", 0),
    ("version", 0),
];

/// Keywords that are not.
const NOT_PLAYED: &[&str] = &[
    "!!",
    "abort",
    "all",
    "cancel_reboot",
    "checkpoint",
    "cluster",
    "clusters",
    "completing",
    "create",
    "delete",
    "details",
    "errnumstr",
    "exit",
    "federation",
    "fsdampeningfactor",
    "future",
    "getaddrs",
    "getent",
    "gethost",
    "help",
    "hide",
    "holdu",
    "listjobs",
    "listpids",
    "liststeps",
    "local",
    "notify",
    "oneliner",
    "pidinfo",
    "power",
    "quiet",
    "quit",
    "reboot",
    "reboot_nodes",
    "reconfigure",
    "schedloglevel",
    "script",
    "setdebug",
    "setdebugflags",
    "shutdown",
    "sibling",
    "takeover",
    "token",
    "top",
    "truncate",
    "unhold",
    "verbose",
    "wait_job",
    "write",
];

pub(super) fn run(answering: &mut Answering<'_>) -> Answer {
    let parsed = answering.parse(KNOWN, false)?;
    answering.version(&parsed)?;
    for name in ["SCONTROL_ALL", "SCONTROL_FEDERATION", "SCONTROL_FUTURE"] {
        if answering.call.variable(name).is_some() {
            return Err(answering.not_played(&format!("the variable {name}")));
        }
    }
    let (clusters, named) = answering.clusters(&parsed)?;
    let [name] = clusters.as_slice() else {
        return Err(answering.not_played("several clusters"));
    };
    let words: Vec<&str> = parsed.operands.iter().map(String::as_str).collect();
    let [first, rest @ ..] = words.as_slice() else {
        return Err(answering.not_played("an interactive scontrol"));
    };
    let verb = keyword(answering, first)?;
    if rest.len() < verb.1 {
        let text = format!("too few arguments for keyword:{first}\n");
        return Err(Reply::fail(1, text));
    }
    let answer = match (verb.0, rest) {
        ("ping", []) => ping(answering, name, named),
        (verb, _) => answer(answering, name, verb, rest, parsed.has("oneliner")),
    };
    // -Q silences what Slurm itself has to say.
    let quietly = |mut reply: Reply| {
        if parsed.has("quiet") && reply.status != super::NOT_PLAYED {
            reply.stderr.clear();
        }
        reply
    };
    answer.map(quietly).map_err(quietly)
}

/// What a word stands for. Keywords may be abbreviated; that is not played.
fn keyword(answering: &Answering<'_>, word: &str) -> Result<(&'static str, usize), Reply> {
    let lower = word.to_lowercase();
    if let Some(played) = PLAYED.iter().find(|(known, _)| *known == lower) {
        return Ok(*played);
    }
    let played = PLAYED.iter().map(|(known, _)| *known);
    let mut known = played.chain(NOT_PLAYED.iter().copied());
    // Some may be longer, too.
    if known.any(|known| known.starts_with(&lower) || lower.starts_with(known)) {
        return Err(answering.not_played(&format!("the keyword {word}")));
    }
    Err(Reply::fail(1, format!("invalid keyword: {word}\n")))
}

fn answer(
    answering: &mut Answering<'_>,
    name: &str,
    verb: &str,
    rest: &[&str],
    one_line: bool,
) -> Answer {
    match (verb, rest) {
        ("ping", _) if answering.generation() > Generation::V20_11 => {
            return Err(Reply::fail(1, "too many arguments for keyword:ping\n"));
        }
        ("version", []) => {
            return Ok(Reply::out(format!("{}\n", answering.generation().banner())));
        }
        ("ping" | "version", _) => return Err(answering.not_played("arguments of that")),
        ("show", _) if show::needs_no_controller(rest) => return show::hosts(answering, rest),
        _ => {}
    }
    if let Some(unreachable) = answering.unreachable(name)? {
        let (request, what) = match (verb, rest) {
            ("show", ["config", ..]) if answering.generation() == Generation::V26_05 => {
                ("REQUEST_BUILD_INFO", "slurm_load_ctl_conf error:")
            }
            ("show", ["config", ..]) => ("REQUEST_BUILD_INFO", "slurm_load_ctl_conf error: "),
            ("show", _) => ("REQUEST_JOB_INFO_SINGLE", "slurm_load_jobs error: "),
            ("update", _) => ("REQUEST_UPDATE_JOB", ""),
            _ => ("REQUEST_JOB_REQUEUE", ""),
        };
        return Err(unreachable.reply("scontrol", request, what, 1));
    }
    match verb {
        "show" => show::run(answering, name, rest, one_line),
        "update" => update::run(answering, name, rest),
        "hold" | "uhold" | "release" => operate::hold(answering, name, verb, rest),
        _ => operate::others(answering, name, verb, rest),
    }
}

fn ping(answering: &mut Answering<'_>, name: &str, named: bool) -> Answer {
    let generation = answering.generation();
    // From 26.05 on a cluster that was named is called so.
    let host = if named && generation >= Generation::V26_05 {
        name.to_owned()
    } else {
        answering.call.host_name.clone()
    };
    let Some(down) = answering.unreachable(name)? else {
        if answering.held_off.take().is_some() {
            // It does not wait, and takes the refusal for silence.
            return Ok(Reply {
                status: 1,
                ..Reply::out(format!("Slurmctld(primary) at {host} is DOWN\n"))
            });
        }
        return Ok(Reply::out(format!("Slurmctld(primary) at {host} is UP\n")));
    };
    let mut reply = Reply::out(format!("Slurmctld(primary) at {host} is DOWN\n"));
    if down.munge {
        reply.stderr = munge_lines("scontrol", "REQUEST_PING", generation);
    }
    // 20.11 finds nothing wrong with that.
    reply.status = u8::from(generation > Generation::V20_11);
    reply.delay = down.delay;
    Ok(reply)
}
