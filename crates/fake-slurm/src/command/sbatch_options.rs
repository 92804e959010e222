//! sbatch's options: which there are, which variables stand for them, and what they ask for.

use super::Answering;
use crate::call::Reply;
use crate::model::{Request, Variables};
use crate::options::{Known, Parsed, Takes};
use crate::render::time::{parse_limit, parse_when};

const fn flag(name: &'static str, short: Option<char>) -> Known {
    (name, short, Takes::Nothing)
}

const fn value(name: &'static str, short: Option<char>) -> Known {
    (name, short, Takes::Value)
}

/// The options that the fake plays, and at the end those that it takes and ignores, since they
/// change nothing that can be seen from outside the job.
pub(super) const KNOWN: &[Known] = &[
    value("account", Some('A')),
    value("begin", Some('b')),
    value("chdir", Some('D')),
    value("clusters", Some('M')),
    value("comment", None),
    value("constraint", Some('C')),
    value("cpus-per-task", Some('c')),
    value("deadline", None),
    value("dependency", Some('d')),
    value("error", Some('e')),
    value("exclude", Some('x')),
    ("exclusive", None, Takes::MaybeValue),
    value("export", None),
    value("gpus", Some('G')),
    value("gres", None),
    flag("hold", Some('H')),
    value("input", Some('i')),
    value("job-name", Some('J')),
    value("licenses", Some('L')),
    value("mem", None),
    value("mem-per-cpu", None),
    ("nice", None, Takes::MaybeValue),
    flag("no-requeue", None),
    value("nodelist", Some('w')),
    value("nodes", Some('N')),
    value("ntasks", Some('n')),
    value("ntasks-per-node", None),
    value("open-mode", None),
    value("output", Some('o')),
    flag("parsable", None),
    value("partition", Some('p')),
    value("qos", Some('q')),
    flag("quiet", Some('Q')),
    flag("requeue", None),
    value("reservation", None),
    flag("test-only", None),
    value("time", Some('t')),
    flag("verbose", Some('v')),
    flag("version", Some('V')),
    value("wckey", None),
    value("wrap", None),
    // Ignored.
    value("distribution", Some('m')),
    value("hint", None),
    value("kill-on-invalid-dep", None),
    value("mail-type", None),
    value("mail-user", None),
    value("signal", None),
    value("tmp", None),
];

/// INPUT ENVIRONMENT VARIABLES of sbatch's manual page. The options of some are not played: a
/// call that does not clear such a variable is refused by name.
pub(super) const VARIABLES: &[(&str, &str)] = &[
    ("SBATCH_ACCOUNT", "account"),
    ("SBATCH_ARRAY_INX", "array"),
    ("SBATCH_CLUSTERS", "clusters"),
    ("SBATCH_CONSTRAINT", "constraint"),
    ("SBATCH_CONTAINER", "container"),
    ("SBATCH_ERROR", "error"),
    ("SBATCH_EXCLUSIVE", "exclusive"),
    ("SBATCH_EXPORT", "export"),
    ("SBATCH_GET_USER_ENV", "get-user-env"),
    ("SBATCH_GPUS", "gpus"),
    ("SBATCH_GRES", "gres"),
    ("SBATCH_IGNORE_PBS", "ignore-pbs"),
    ("SBATCH_INPUT", "input"),
    ("SBATCH_JOB_NAME", "job-name"),
    ("SBATCH_MEM_PER_CPU", "mem-per-cpu"),
    ("SBATCH_MEM_PER_NODE", "mem"),
    ("SBATCH_NO_REQUEUE", "no-requeue"),
    ("SBATCH_OPEN_MODE", "open-mode"),
    ("SBATCH_OUTPUT", "output"),
    ("SBATCH_PARTITION", "partition"),
    ("SBATCH_QOS", "qos"),
    ("SBATCH_REQUEUE", "requeue"),
    ("SBATCH_RESERVATION", "reservation"),
    ("SBATCH_SIGNAL", "signal"),
    ("SBATCH_TIMELIMIT", "time"),
    ("SBATCH_WAIT", "wait"),
    ("SBATCH_WCKEY", "wckey"),
];

/// What the options ask for, before the script is known.
pub(super) fn request(answering: &Answering<'_>, parsed: &Parsed) -> Result<Request, Reply> {
    let text = |name: &str| parsed.value(name).map(str::to_owned);
    let call = answering.call;
    let nodes = count(parsed, "nodes")?;
    let per_node = count(parsed, "ntasks-per-node")?;
    let tasks_given = count(parsed, "ntasks")?;
    let tasks = match tasks_given {
        0 => per_node.max(1) * nodes.max(1),
        tasks => tasks,
    };
    let cpus_per_task = count(parsed, "cpus-per-task")?.max(1);
    let directory = chdir(answering, parsed);
    let requeue = parsed
        .options
        .iter()
        .rev()
        .find_map(|(name, _)| match name.as_str() {
            "requeue" => Some(true),
            "no-requeue" => Some(false),
            _ => None,
        });
    Ok(Request {
        uid: call.uid,
        gid: call.gid,
        user: answering
            .host
            .name_of(call.uid)
            .unwrap_or_else(|| call.uid.to_string()),
        group: answering
            .host
            .group_of(call.gid)
            .unwrap_or_else(|| call.gid.to_string()),
        comment: text("comment"),
        account: text("account"),
        partition: text("partition"),
        qos: text("qos"),
        reservation: text("reservation"),
        features: text("constraint"),
        gres: text("gres").or_else(|| text("gpus").map(|gpus| format!("gpu:{gpus}"))),
        licenses: text("licenses"),
        wckey: text("wckey"),
        dependency: text("dependency"),
        time_limit: time_limit(parsed)?,
        nodes: nodes.max(1),
        max_nodes: most_nodes(parsed, tasks_given),
        tasks,
        cpus_per_task,
        memory: memory(parsed, tasks * cpus_per_task)?,
        exclusive: parsed.has("exclusive"),
        nodelist: text("nodelist"),
        exclude: text("exclude"),
        begin: when(answering, parsed, "begin")?,
        deadline: when(answering, parsed, "deadline")?,
        hold: parsed.has("hold"),
        nice: parsed
            .value("nice")
            .map_or(0, |nice| nice.parse().unwrap_or(100)),
        requeue,
        stdin: text("input").unwrap_or_else(|| "/dev/null".to_owned()),
        stdout: text("output").map(|path| absolute(&directory, &path)),
        stderr: text("error").map(|path| absolute(&directory, &path)),
        append: append(parsed)?,
        workdir: directory,
        name: text("job-name").unwrap_or_default(),
        command: String::new(),
        environment: Variables::default(),
        arguments: Vec::new(),
    })
}

fn chdir(answering: &Answering<'_>, parsed: &Parsed) -> String {
    let here = &answering.call.directory;
    parsed
        .value("chdir")
        .map_or_else(|| here.clone(), |path| absolute(here, path))
}

/// `path`, seen from `directory`.
pub(super) fn absolute(directory: &str, path: &str) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{directory}/{path}")
    }
}

/// `sbatch: error: Invalid numeric value "x" for --nodes.`: status 255, as every error of an
/// option's value.
fn invalid(text: impl std::fmt::Display) -> Reply {
    Reply::fail(255, format!("sbatch: error: {text}\n"))
}

fn count(parsed: &Parsed, name: &str) -> Result<u32, Reply> {
    let Some(text) = parsed.value(name) else {
        return Ok(0);
    };
    // `-N 1-2` asks for at least one.
    let least = text.split('-').next().unwrap_or(text);
    let number = least.parse::<u32>().ok().filter(|number| *number > 0);
    number.ok_or_else(|| match name {
        "nodes" => invalid(format!(
            "\"{text}\" is not a valid node count\n\
            sbatch: error: invalid node count '{text}'"
        )),
        // An option of its own kind: it ends with 1.
        "ntasks" => Reply::fail(
            1,
            format!("sbatch: error: Invalid numeric value \"{text}\" for --ntasks.\n"),
        ),
        _ => invalid(format!("Invalid numeric value \"{text}\" for --{name}.")),
    })
}

/// `-N 1-2` takes two where they are free, but not more than there are tasks, if those are named.
fn most_nodes(parsed: &Parsed, tasks: u32) -> u32 {
    let range = parsed.value("nodes").and_then(|text| text.split_once('-'));
    let most = range.and_then(|(_, most)| most.parse().ok()).unwrap_or(0);
    if tasks == 0 { most } else { tasks.min(most) }
}

fn time_limit(parsed: &Parsed) -> Result<Option<u64>, Reply> {
    let Some(text) = parsed.value("time") else {
        return Ok(None);
    };
    parse_limit(text)
        .map(Some)
        .ok_or_else(|| invalid("Invalid --time specification"))
}

fn when(
    answering: &Answering<'_>,
    parsed: &Parsed,
    name: &str,
) -> Result<Option<crate::moment::Moment>, Reply> {
    let Some(text) = parsed.value(name) else {
        return Ok(None);
    };
    parse_when(text, answering.now).map(Some).ok_or_else(|| {
        let mut reply = invalid(format!("Invalid --{name} specification"));
        reply.stderr = format!(
            "Invalid time specification (pos=0): {text}\n{}",
            reply.stderr
        );
        reply
    })
}

fn append(parsed: &Parsed) -> Result<bool, Reply> {
    match parsed.value("open-mode") {
        Some("a" | "append") => Ok(true),
        // Without the option JobFileAppend=0 holds.
        Some("t" | "truncate") | None => Ok(false),
        Some(_) => Err(invalid("Invalid --open-mode specification")),
    }
}

fn memory(parsed: &Parsed, cpus: u32) -> Result<Option<u64>, Reply> {
    if let Some(text) = parsed.value("mem") {
        let wrong = || invalid("Invalid --mem specification");
        return mebibytes(text).map(Some).ok_or_else(wrong);
    }
    let Some(text) = parsed.value("mem-per-cpu") else {
        return Ok(None);
    };
    let wrong = || invalid("Invalid --mem-per-cpu specification");
    let each = mebibytes(text).ok_or_else(wrong)?;
    Ok(Some(each.saturating_mul(u64::from(cpus))))
}

fn mebibytes(text: &str) -> Option<u64> {
    let text = text.trim_end_matches(['B', 'b']);
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    match &text[digits.len()..] {
        "" | "M" | "m" => Some(number),
        "K" | "k" => Some(number.div_ceil(1024)),
        "G" | "g" => number.checked_mul(1024),
        "T" | "t" => number.checked_mul(1024 * 1024),
        _ => None,
    }
}
