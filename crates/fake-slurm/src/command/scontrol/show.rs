//! `scontrol show`.

use super::super::{Answer, Answering};
use super::{show_config, show_job};
use crate::call::Reply;
use crate::generation::Generation;
use crate::model::Job;
use crate::render::fields::Context;
use crate::render::hostlist::{expand, hostlist};
use crate::render::time::TimeStyle;

/// What can be shown and is not played, and what is played in full words only.
const ENTITIES: &[&str] = &[
    "aliases",
    "assoc_mgr",
    "bbstat",
    "burstbuffer",
    "config",
    "daemons",
    "dwstat",
    "federation",
    "frontend",
    "hostlist",
    "hostlistsorted",
    "hostnames",
    "jobids",
    "jobs",
    "layouts",
    "licenses",
    "nodes",
    "partitions",
    "powercap",
    "reservations",
    "slurmd",
    "steps",
    "topoconf",
    "topology",
];

/// Whether the answer is not the controller's.
pub(super) fn needs_no_controller(rest: &[&str]) -> bool {
    let entity = rest.first().map(|word| word.to_lowercase());
    entity.is_some_and(|entity| entity.starts_with("host"))
}

/// `show hostnames LIST` and `show hostlist LIST`.
pub(super) fn hosts(answering: &Answering<'_>, rest: &[&str]) -> Answer {
    let unknown = || answering.not_played(&format!("show {}", rest.join(" ")));
    let [entity, list] = rest else {
        return Err(unknown());
    };
    let names = expand(list).ok_or_else(unknown)?;
    match entity.to_lowercase().as_str() {
        "hostname" | "hostnames" => {
            let lines = names.iter().map(|name| format!("{name}\n"));
            Ok(Reply::out(lines.collect::<String>()))
        }
        // Slurm keeps the order, and names that come twice.
        "hostlist" if names.is_sorted() && names.windows(2).all(|pair| pair[0] != pair[1]) => {
            Ok(Reply::out(format!("{}\n", hostlist(&names))))
        }
        _ => Err(unknown()),
    }
}

pub(super) fn run(
    answering: &mut Answering<'_>,
    name: &str,
    rest: &[&str],
    one_line: bool,
) -> Answer {
    let (entity, rest) = rest.split_first().unwrap_or((&"", &[]));
    // `show job=17` is `show job 17`.
    let (entity, value) = match entity.split_once('=') {
        Some((entity, value)) => (entity, Some(value)),
        None => (*entity, None),
    };
    let rest: Vec<&str> = value.into_iter().chain(rest.iter().copied()).collect();
    match entity.to_lowercase().as_str() {
        "config" => {
            let (call, now) = (answering.call, answering.now);
            let text = show_config::show(answering.cluster(name)?, call, now);
            Ok(Reply::out(text))
        }
        "job" | "jobs" | "jobid" => jobs(answering, name, &rest, one_line),
        "reservation" | "reservations" if rest.is_empty() => {
            Ok(Reply::out("No reservations in the system\n"))
        }
        word if ENTITIES.iter().any(|known| known.starts_with(word)) => {
            Err(answering.not_played(&format!("show {entity}")))
        }
        _ => {
            let recent = answering.generation() == Generation::V26_05;
            let end = if recent { "" } else { " " };
            let text = format!("invalid entity:{entity} for keyword:show{end}\n");
            Err(Reply::fail(1, text))
        }
    }
}

fn jobs(answering: &mut Answering<'_>, name: &str, rest: &[&str], one_line: bool) -> Answer {
    let id = match rest {
        [] => 0,
        [text] => job_id(answering, text)?,
        [_, ..] => {
            return Err(Reply::fail(1, "too many arguments for keyword:show\n"));
        }
    };
    let (call, now) = (answering.call, answering.now);
    let style = TimeStyle::of(call);
    let cluster = &*answering.cluster(name)?;
    let unknown = || Reply::fail(1, "slurm_load_jobs error: Invalid job id specified\n");
    let jobs: Vec<&Job> = match id {
        0 => cluster.visible().values().collect(),
        id => vec![cluster.visible().get(&id).ok_or_else(unknown)?],
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

/// A number; an empty word and 0 stand for all jobs.
fn job_id(answering: &Answering<'_>, text: &str) -> Result<u32, Reply> {
    let rest = text.trim_start_matches(|character: char| character.is_ascii_digit());
    let digits = &text[..text.len() - rest.len()];
    match rest.chars().next() {
        None if text.is_empty() => Ok(0),
        None => text.parse().map_err(|_| answering.not_played(text)),
        Some('_' | '+') if !digits.is_empty() => {
            Err(answering.not_played(&format!("arrays and heterogeneous jobs: {text}")))
        }
        Some(_) => {
            let text = "scontrol_print_job error: Invalid job id specified\n";
            Err(Reply::fail(1, text))
        }
    }
}
