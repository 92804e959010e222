//! `scontrol`: what people do to jobs by hand, and what a client asks about the configuration.

use super::{Answer, Answering, munge_lines, show_config, show_job};
use crate::call::{Effect, Reply};
use crate::generation::Generation;
use crate::model::{Execution, Hold, Job, Refusal, Requeued};
use crate::options::{Known, Takes};
use crate::render::fields::Context;
use crate::render::time::TimeStyle;

const KNOWN: &[Known] = &[
    ("all", Some('a'), Takes::Nothing),
    ("clusters", Some('M'), Takes::Value),
    ("local", None, Takes::Nothing),
    ("oneliner", Some('o'), Takes::Nothing),
    ("quiet", Some('Q'), Takes::Nothing),
    ("verbose", Some('v'), Takes::Nothing),
    ("version", Some('V'), Takes::Nothing),
];

/// SIGSTOP and SIGCONT, with which a job is suspended and resumed.
const SIGSTOP: u8 = 19;
const SIGCONT: u8 = 18;

pub(super) fn run(answering: &mut Answering<'_>) -> Answer {
    let parsed = answering.parse(KNOWN, false)?;
    answering.version(&parsed)?;
    for name in ["SCONTROL_ALL", "SCONTROL_FEDERATION", "SCONTROL_FUTURE"] {
        if answering.call.variable(name).is_some() {
            return Err(answering.not_played(&format!("the variable {name}")));
        }
    }
    let (clusters, _) = answering.clusters(&parsed)?;
    let [name] = clusters.as_slice() else {
        return Err(answering.not_played("several clusters"));
    };
    let words: Vec<&str> = parsed.operands.iter().map(String::as_str).collect();
    if words == ["ping"] {
        return ping(answering, name);
    }
    if let Some(unreachable) = answering.unreachable(name)? {
        let (request, what) = match words.as_slice() {
            ["show", "config", ..] if answering.generation() == Generation::V26_05 => {
                ("REQUEST_BUILD_INFO", "slurm_load_ctl_conf error:")
            }
            ["show", "config", ..] => ("REQUEST_BUILD_INFO", "slurm_load_ctl_conf error: "),
            ["show", ..] => ("REQUEST_JOB_INFO_SINGLE", "slurm_load_jobs error: "),
            ["update", ..] => ("REQUEST_UPDATE_JOB", ""),
            _ => ("REQUEST_JOB_REQUEUE", ""),
        };
        return Err(unreachable.reply("scontrol", request, what, 1));
    }
    match words.as_slice() {
        ["show", "config"] => {
            let (call, now) = (answering.call, answering.now);
            Ok(Reply::out(show_config::show(
                answering.cluster(name)?,
                call,
                now,
            )))
        }
        ["show", "job" | "jobs", rest @ ..] => {
            show_jobs(answering, name, rest, parsed.has("oneliner"))
        }
        ["show", "hostname" | "hostnames", list] => Ok(Reply::out(list.replace(',', "\n") + "\n")),
        ["update", assignments @ ..] => update(answering, name, assignments),
        [verb, rest @ ..] => operate(answering, name, verb, rest),
        [] => Err(answering.not_played("an interactive scontrol")),
    }
}

fn ping(answering: &mut Answering<'_>, name: &str) -> Answer {
    let host = answering.call.host_name.clone();
    let generation = answering.generation();
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

fn show_jobs(answering: &mut Answering<'_>, name: &str, rest: &[&str], one_line: bool) -> Answer {
    let (call, now) = (answering.call, answering.now);
    let style = TimeStyle::of(call);
    let cluster = &*answering.cluster(name)?;
    let unknown = || Reply::fail(1, "slurm_load_jobs error: Invalid job id specified\n");
    let jobs: Vec<&Job> = match rest {
        [] => cluster.visible().values().collect(),
        [id] => {
            let id = id
                .trim_start_matches("JobId=")
                .parse::<u32>()
                .map_err(|_| unknown())?;
            vec![cluster.visible().get(&id).ok_or_else(unknown)?]
        }
        _ => return Err(answering.not_played("more than one job of scontrol show")),
    };
    if jobs.is_empty() {
        return Ok(Reply::out("No jobs in the system\n"));
    }
    let context = Context {
        cluster,
        style: &style,
        now,
    };
    let texts = jobs
        .into_iter()
        .map(|job| show_job::show(job, &context, one_line));
    Ok(Reply::out(texts.collect::<String>()))
}

/// `hold`, `release`, `requeue` … of a list of jobs.
fn operate(answering: &mut Answering<'_>, name: &str, verb: &str, rest: &[&str]) -> Answer {
    let (special, ids) = match rest {
        [state, ids @ ..] if state.to_lowercase().starts_with("state=special") => (true, ids),
        _ => (false, rest),
    };
    let known = [
        "hold",
        "uhold",
        "release",
        "requeue",
        "requeuehold",
        "suspend",
        "resume",
    ];
    if !known.contains(&verb) {
        return Err(Reply::fail(1, format!("invalid keyword: {verb}\n")));
    }
    let gap = if answering.generation() == Generation::V26_05 {
        ""
    } else {
        " "
    };
    let mut reply = Reply::default();
    for word in ids.iter().flat_map(|word| word.split(',')) {
        let Ok(id) = word.parse::<u32>() else {
            return Err(answering.not_played(&format!("the job {word}")));
        };
        let done = operate_on(answering, name, verb, special, id, &mut reply)?;
        if let Err(refusal) = done {
            let text = refusal.text();
            reply.stderr += &format!("{text} for job {id}\n");
            if matches!(verb, "hold" | "uhold" | "release") {
                reply.stderr += &format!("slurm_suspend error:{gap}{text}\n");
            }
            reply.status = 1;
        }
    }
    Ok(reply)
}

fn operate_on(
    answering: &mut Answering<'_>,
    name: &str,
    verb: &str,
    special: bool,
    id: u32,
    reply: &mut Reply,
) -> Result<Result<(), Refusal>, Reply> {
    let (uid, now) = (answering.call.uid, answering.now);
    let cluster = answering.cluster(name)?;
    let held = if special {
        Requeued::SpecialExit
    } else {
        Requeued::Held
    };
    // Root holds as the administrator, unless it says uhold.
    let hold = if uid == 0 && verb == "hold" {
        Hold::Admin
    } else {
        Hold::User
    };
    let done = match verb {
        "hold" | "uhold" => cluster.hold(id, uid, hold),
        "release" => cluster.release(id, uid, now),
        "requeue" => cluster.requeue(id, uid, None, now),
        "requeuehold" => cluster.requeue(id, uid, Some(held), now),
        _ => cluster.suspend(id, uid, verb == "suspend", now),
    };
    let signals = matches!(verb, "suspend" | "resume") && done.is_ok();
    if signals && cluster.config.execution == Execution::Processes {
        let signal = if verb == "suspend" { SIGSTOP } else { SIGCONT };
        let cluster = name.to_owned();
        reply.effects.push(Effect::Signal {
            cluster,
            id,
            signal,
            only_script: false,
        });
    }
    Ok(done)
}

fn update(answering: &mut Answering<'_>, name: &str, assignments: &[&str]) -> Answer {
    let mut id = None;
    let mut changes = Vec::new();
    for assignment in assignments {
        let (key, value) = assignment.split_once('=').unwrap_or((assignment, ""));
        match key.to_lowercase().as_str() {
            "jobid" | "job" => id = value.parse::<u32>().ok(),
            key => changes.push((key.to_owned(), value)),
        }
    }
    let Some(id) = id else {
        return Err(answering.not_played("an update of other than a job"));
    };
    for (key, value) in changes {
        let (uid, now) = (answering.call.uid, answering.now);
        let cluster = answering.cluster(name)?;
        let done = match key.as_str() {
            "requeue" => cluster.set_requeue(id, uid, value != "0"),
            "starttime" if value == "now" => cluster.start_now(id, uid, now),
            "comment" => cluster.set_comment(id, uid, value),
            "jobname" | "name" => cluster.set_name(id, uid, value),
            _ => return Err(answering.not_played(&format!("update of {key}"))),
        };
        if let Err(refusal) = done {
            return Err(Reply::fail(1, format!("{} for job {id}\n", refusal.text())));
        }
    }
    Ok(Reply::default())
}
