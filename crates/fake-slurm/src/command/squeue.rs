//! `squeue`.

mod filter;
mod order;

use super::{Answer, Answering};
use crate::call::Reply;
use crate::model::Job;
use crate::options::{Known, Parsed, Takes};
use crate::render::fields::Context;
use crate::render::format::{Format, long, short};
use crate::render::time::TimeStyle;
use filter::Filter;

const KNOWN: &[Known] = &[
    ("account", Some('A'), Takes::Value),
    ("all", Some('a'), Takes::Nothing),
    ("array", Some('r'), Takes::Nothing),
    ("array-unique", None, Takes::Nothing),
    ("clusters", Some('M'), Takes::Value),
    ("federation", None, Takes::Nothing),
    ("Format", Some('O'), Takes::Value),
    ("format", Some('o'), Takes::Value),
    ("help", None, Takes::Nothing),
    ("hide", None, Takes::Nothing),
    ("jobs", Some('j'), Takes::MaybeValue),
    ("licenses", Some('L'), Takes::Value),
    ("local", None, Takes::Nothing),
    ("long", Some('l'), Takes::Nothing),
    ("me", None, Takes::Nothing),
    ("name", Some('n'), Takes::Value),
    ("noconvert", None, Takes::Nothing),
    ("nodelist", Some('w'), Takes::Value),
    ("noheader", Some('h'), Takes::Nothing),
    ("partition", Some('p'), Takes::Value),
    ("qos", Some('q'), Takes::Value),
    ("reservation", Some('R'), Takes::Value),
    ("sort", Some('S'), Takes::Value),
    ("start", None, Takes::Nothing),
    ("states", Some('t'), Takes::Value),
    ("user", Some('u'), Takes::Value),
    ("users", None, Takes::Value),
    ("verbose", Some('v'), Takes::Nothing),
    ("version", Some('V'), Takes::Nothing),
];

/// INPUT ENVIRONMENT VARIABLES of squeue's manual page.
const VARIABLES: &[(&str, &str)] = &[
    ("SQUEUE_ACCOUNT", "account"),
    ("SQUEUE_ALL", "all"),
    ("SQUEUE_ARRAY", "array"),
    ("SQUEUE_LICENSES", "licenses"),
    ("SQUEUE_LOCAL", "local"),
    ("SQUEUE_NAMES", "name"),
    ("SQUEUE_PARTITION", "partition"),
    ("SQUEUE_QOS", "qos"),
    ("SQUEUE_STATES", "states"),
    ("SQUEUE_USERS", "user"),
];

const DEFAULT: &str = "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R";
const LONG: &str = "%.18i %.9P %.8j %.8u %.8T %.10M %.9l %.6D %R";
const START: &str = "%.18i %.9P %.8j %.8u %.2t %.19S %.6D %20Y %R";

pub(super) fn run(answering: &mut Answering<'_>) -> Answer {
    let mut parsed = answering.parse(KNOWN, false)?;
    answering.version(&parsed)?;
    let names: Vec<&str> = VARIABLES.iter().map(|(variable, _)| *variable).collect();
    answering.reject_empty(&names)?;
    answering.reject_empty(&["SQUEUE_FORMAT", "SQUEUE_FORMAT2", "SQUEUE_SORT"])?;
    take_aliases_and_variables(answering, &mut parsed);
    separate_jobs(answering, &mut parsed)?;
    reject_what_is_not_played(answering, &parsed)?;
    let (clusters, named) = answering.clusters(&parsed)?;
    let mut reply = Reply::default();
    let filter = Filter::of(answering, &parsed, &mut reply.stderr)?;
    let asked = Asked {
        filter,
        format: format(answering, &parsed)?,
        sort: sort(answering, &parsed),
        style: TimeStyle::of(answering.call),
        heading: !parsed.has("noheader"),
    };
    reply.stderr += &asked.format.complaints;
    for (index, name) in clusters.iter().enumerate() {
        if named && asked.heading {
            let gap = if index > 0 { "\n" } else { "" };
            reply.stdout += &format!("{gap}CLUSTER: {name}\n");
        }
        if let Some(unreachable) = answering.unreachable(name)? {
            let request = match (&asked.filter.jobs, &asked.filter.users) {
                (Some(jobs), _) if jobs.len() == 1 => "REQUEST_JOB_INFO_SINGLE",
                (None, Some(users)) if users.len() == 1 => "REQUEST_JOB_USER_INFO",
                _ => "REQUEST_JOB_INFO",
            };
            let failed = unreachable.reply("squeue", request, "slurm_load_jobs error: ", 1);
            return Err(after(reply, failed));
        }
        if asked.heading && parsed.has("long") {
            let date = TimeStyle::with_format(answering.call, "%a %b %d %H:%M:%S %Y");
            reply.stdout += &format!("{}\n", date.show(answering.now));
        }
        rows(answering, name, &asked, &mut reply)?;
    }
    Ok(reply)
}

/// What a call asks for.
struct Asked {
    filter: Filter,
    format: Format,
    sort: String,
    style: TimeStyle,
    heading: bool,
}

/// Variables come before the options, and count where no option takes their place.
fn take_aliases_and_variables(answering: &Answering<'_>, parsed: &mut Parsed) {
    for (name, _) in parsed
        .options
        .iter_mut()
        .filter(|(name, _)| name == "users")
    {
        "user".clone_into(name);
    }
    let mut options = answering.defaults(VARIABLES);
    let users = parsed.has("user") || parsed.has("me");
    let overruled = |name: &str| parsed.has(name) || name == "user" && users;
    options.retain(|(name, _)| !overruled(name));
    options.append(&mut parsed.options);
    parsed.options = options;
}

/// A failure behind what was printed before it: the name of the cluster that is asked.
fn after(mut reply: Reply, failure: Reply) -> Reply {
    reply.stdout += &failure.stdout;
    reply.stderr += &failure.stderr;
    Reply {
        delay: reply.delay.max(failure.delay),
        stdout: reply.stdout,
        stderr: reply.stderr,
        ..failure
    }
}

/// `-j 17`: to getopt the value of `-j` is optional, so 17 is an operand; squeue takes it.
fn separate_jobs(answering: &Answering<'_>, parsed: &mut Parsed) -> Result<(), Reply> {
    if parsed.value("jobs") == Some("") && !parsed.operands.is_empty() {
        let jobs = parsed.operands.remove(0);
        // An empty list is a list all the same.
        let jobs = if jobs.is_empty() {
            ",".to_owned()
        } else {
            jobs
        };
        parsed.options.push(("jobs".to_owned(), jobs));
    }
    match parsed.operands.first() {
        // squeue prints its usage.
        Some(extra) => Err(answering.not_played(&format!("what {extra} is to be"))),
        None => Ok(()),
    }
}

fn reject_what_is_not_played(answering: &Answering<'_>, parsed: &Parsed) -> Result<(), Reply> {
    for name in ["federation", "help", "verbose"] {
        if parsed.has(name) {
            return Err(answering.not_played(&format!("--{name}")));
        }
    }
    for name in ["SQUEUE_FEDERATION", "SQUEUE_PRIORITY", "SQUEUE_SIBLING"] {
        if answering.call.variable(name).is_some() {
            return Err(answering.not_played(&format!("the variable {name}")));
        }
    }
    Ok(())
}

fn sort(answering: &Answering<'_>, parsed: &Parsed) -> String {
    let variable = answering.call.variable("SQUEUE_SORT");
    let default = if parsed.has("start") {
        order::BY_START
    } else {
        order::DEFAULT
    };
    let wanted = parsed.value("sort").or(variable);
    wanted.unwrap_or(default).to_owned()
}

fn format(answering: &Answering<'_>, parsed: &Parsed) -> Result<Format, Reply> {
    let is_format = |(name, _): &&(String, String)| name == "format" || name == "Format";
    let mut formats = parsed.options.iter().filter(is_format);
    if let Some((first, _)) = formats.next()
        && let Some((second, _)) = formats.find(|(name, _)| name != first)
    {
        let [first, second] = [first, second].map(|name| {
            let letter = if name == "format" { 'o' } else { 'O' };
            format!("-{letter} (--{name})")
        });
        return Err(answering.error(format!("{second} is incompatible with {first}")));
    }
    let (short_one, long_one) = (parsed.value("format"), parsed.value("Format"));
    if parsed.has("long") && short_one.is_some() {
        let text = "Options -o(--format) and -l(--long) are mutually exclusive. \
                    Please remove one and retry.";
        return Err(Reply::fail(1, format!("squeue: fatal: {text}\n")));
    }
    let generation = answering.generation();
    let refused = |what: String| answering.not_played(&what);
    let read = |text: &str| short(text, generation).map_err(refused);
    let read_long = |text: &str| long(text, generation).map_err(refused);
    match (short_one, long_one) {
        (Some(text), _) => read(text),
        (None, _) if parsed.has("start") => read(START),
        (None, Some(text)) => read_long(text),
        (None, None) if parsed.has("long") => read(LONG),
        (None, None) => {
            match ["SQUEUE_FORMAT", "SQUEUE_FORMAT2"].map(|name| answering.call.variable(name)) {
                [Some(text), _] => read(text),
                [None, Some(text)] => read_long(text),
                [None, None] => read(DEFAULT),
            }
        }
    }
}

fn rows(
    answering: &mut Answering<'_>,
    name: &str,
    asked: &Asked,
    reply: &mut Reply,
) -> Result<(), Reply> {
    let (now, caller) = (answering.now, answering.call.uid);
    let cluster = &*answering.cluster(name)?;
    let filter = &asked.filter;
    let hidden =
        |job: &Job| cluster.config.private_jobs && caller != 0 && caller != job.request.uid;
    let visible = cluster.visible();
    // Only a question for one job says that the job is unknown.
    if let Some([only]) = filter.jobs.as_deref()
        && visible.get(only).is_none_or(hidden)
    {
        let text = "slurm_load_jobs error: Invalid job id specified\n";
        return Err(after(std::mem::take(reply), Reply::fail(1, text)));
    }
    let mut jobs: Vec<&Job> = visible
        .values()
        .filter(|job| !hidden(job) && filter.takes(job))
        .collect();
    let context = Context {
        cluster,
        style: &asked.style,
        now,
    };
    order::sort(&mut jobs, &asked.sort, &context, &mut reply.stderr)
        .map_err(|wrong| after(std::mem::take(reply), wrong))?;
    if asked.heading {
        reply.stdout += &asked.format.line(|field| field.heading.to_owned());
    }
    for job in jobs {
        reply.stdout += &asked.format.line(|field| (field.value)(job, &context));
    }
    Ok(())
}
