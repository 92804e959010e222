//! `squeue`.

use super::{Answer, Answering, listed};
use crate::call::Reply;
use crate::generation::Generation;
use crate::model::{Base, Flag, Job};
use crate::options::{Known, Parsed, Takes};
use crate::render::fields::Context;
use crate::render::format::{Format, long, short};
use crate::render::time::TimeStyle;

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

/// Which jobs are wanted.
struct Filter {
    jobs: Option<Vec<u32>>,
    /// None is all.
    states: Option<Vec<Wanted>>,
    users: Option<Vec<u32>>,
    names: Option<Vec<String>>,
    accounts: Option<Vec<String>>,
    partitions: Option<Vec<String>>,
    qos: Option<Vec<String>>,
    licenses: Option<Vec<String>>,
    nodes: Option<Vec<String>>,
}

#[derive(Clone, Copy)]
enum Wanted {
    Base(Base),
    Flag(Flag),
}

pub(super) fn run(answering: &mut Answering<'_>) -> Answer {
    let mut parsed = answering.parse(KNOWN, false)?;
    answering.version(&parsed)?;
    let explicit_format = ["format", "Format", "long"]
        .iter()
        .any(|name| parsed.has(name));
    let mut options = answering.defaults(VARIABLES);
    options.append(&mut parsed.options);
    parsed.options = options;
    separate_jobs(answering, &mut parsed)?;
    reject_what_is_not_played(answering, &parsed)?;
    let (clusters, named) = answering.clusters(&parsed)?;
    let mut reply = Reply::default();
    let filter = filter(answering, &parsed, &mut reply)?;
    let format = format(answering, &parsed, explicit_format)?;
    reply.stderr += &format.complaints;
    let style = TimeStyle::of(answering.call);
    let heading = !parsed.has("noheader");
    for (index, name) in clusters.iter().enumerate() {
        if named && heading {
            let gap = if index > 0 { "\n" } else { "" };
            reply.stdout += &format!("{gap}CLUSTER: {name}\n");
        }
        if let Some(unreachable) = answering.unreachable(name)? {
            let request = match (&filter.jobs, &filter.users) {
                (Some(jobs), _) if jobs.len() == 1 => "REQUEST_JOB_INFO_SINGLE",
                (None, Some(users)) if users.len() == 1 => "REQUEST_JOB_USER_INFO",
                _ => "REQUEST_JOB_INFO",
            };
            let failed = unreachable.reply("squeue", request, "slurm_load_jobs error: ", 1);
            return Err(after(reply, failed));
        }
        rows(
            answering, name, &filter, &format, &style, heading, &mut reply,
        )?;
    }
    Ok(reply)
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
        parsed.options.push(("jobs".to_owned(), jobs));
    }
    match parsed.operands.first() {
        Some(extra) => Err(answering.error(format!("Unrecognized option: {extra}"))),
        None => Ok(()),
    }
}

fn reject_what_is_not_played(answering: &Answering<'_>, parsed: &Parsed) -> Result<(), Reply> {
    for name in ["federation", "help", "reservation"] {
        if parsed.has(name) {
            return Err(answering.not_played(&format!("--{name}")));
        }
    }
    for name in [
        "SQUEUE_FEDERATION",
        "SQUEUE_PRIORITY",
        "SQUEUE_SIBLING",
        "SQUEUE_SORT",
    ] {
        if answering.call.variable(name).is_some() {
            return Err(answering.not_played(&format!("the variable {name}")));
        }
    }
    Ok(())
}

fn format(answering: &Answering<'_>, parsed: &Parsed, explicit: bool) -> Result<Format, Reply> {
    if parsed.has("start") {
        return Ok(short(START));
    }
    if parsed.has("long") {
        return Ok(short(LONG));
    }
    let last = parsed
        .options
        .iter()
        .rev()
        .find(|(name, _)| name == "format" || name == "Format");
    if let Some((name, value)) = last.filter(|_| explicit) {
        return Ok(if name == "format" {
            short(value)
        } else {
            long(value)
        });
    }
    let (first, second) = (
        answering.call.variable("SQUEUE_FORMAT"),
        answering.call.variable("SQUEUE_FORMAT2"),
    );
    match (first, second) {
        (Some(_), Some(_)) => {
            Err(answering.error("SQUEUE_FORMAT & SQUEUE_FORMAT2 may not be set simultaneously"))
        }
        (Some(text), None) => Ok(short(text)),
        (None, Some(text)) => Ok(long(text)),
        (None, None) => Ok(short(DEFAULT)),
    }
}

fn filter(answering: &Answering<'_>, parsed: &Parsed, reply: &mut Reply) -> Result<Filter, Reply> {
    let list = |option: &str| {
        let value = parsed.value(option).filter(|value| !value.is_empty())?;
        Some(
            listed(value)
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    };
    let mut jobs = None;
    for text in list("jobs").unwrap_or_default() {
        let id = text.parse::<u32>().ok().filter(|id| *id > 0);
        let Some(id) = id else {
            return Err(answering.error(format!("Invalid job id: {text}")));
        };
        jobs.get_or_insert_with(Vec::new).push(id);
    }
    let mut users = None;
    for text in list("user").or_else(|| list("users")).unwrap_or_default() {
        let found = uid(answering, &text);
        if found.is_none() {
            reply.stderr += &format!("squeue: error: Invalid user: {text}\n\n");
        }
        // A user that does not exist is left out; a list that is empty then matches nobody.
        users.get_or_insert_with(Vec::new).extend(found);
    }
    if parsed.has("me") {
        users = Some(vec![answering.call.uid]);
    }
    let everything = parsed.has("start");
    Ok(Filter {
        jobs,
        states: if everything {
            Some(vec![Wanted::Base(Base::Pending)])
        } else {
            states(answering, parsed.value("states"))?
        },
        users,
        names: list("name"),
        accounts: list("account"),
        partitions: list("partition"),
        qos: list("qos"),
        licenses: list("licenses"),
        nodes: list("nodelist"),
    })
}

/// A user by name or number. 22.05 and 24.11 refuse a number that has no name.
fn uid(answering: &Answering<'_>, text: &str) -> Option<u32> {
    if let Some(uid) = answering.host.uid_of(text) {
        return Some(uid);
    }
    let uid: u32 = text.parse().ok()?;
    let lenient = matches!(
        answering.generation(),
        Generation::V20_11 | Generation::V26_05
    );
    (lenient || answering.host.name_of(uid).is_some()).then_some(uid)
}

fn states(answering: &Answering<'_>, text: Option<&str>) -> Result<Option<Vec<Wanted>>, Reply> {
    let Some(text) = text else {
        // As squeue has them if none are named.
        let bases = [Base::Pending, Base::Running, Base::Suspended].map(Wanted::Base);
        return Ok(Some(
            bases
                .into_iter()
                .chain([Wanted::Flag(Flag::Completing)])
                .collect(),
        ));
    };
    if text.eq_ignore_ascii_case("all") {
        return Ok(None);
    }
    let find = |word: &str| {
        let same = |(long, compact): (&str, &str)| {
            long.eq_ignore_ascii_case(word) || compact.eq_ignore_ascii_case(word)
        };
        let base = Base::ALL
            .into_iter()
            .find(|base| same(base.names()))
            .map(Wanted::Base);
        base.or_else(|| {
            Flag::ALL
                .into_iter()
                .find(|flag| same(flag.names()))
                .map(Wanted::Flag)
        })
    };
    let mut wanted = Vec::new();
    for word in listed(text) {
        let Some(found) = find(word) else {
            let mut reply = answering.error(format!("Invalid job state specified: {word}"));
            let names = state_names(answering.generation());
            reply.stderr += &format!("squeue: error: Valid job states include: {names}\n\n");
            return Err(reply);
        };
        wanted.push(found);
    }
    Ok(Some(wanted))
}

/// The states that squeue lists to somebody who named another.
fn state_names(generation: Generation) -> String {
    let listed = |flag: &&Flag| match generation {
        Generation::V20_11 => LISTED_IN_20_11.contains(flag),
        Generation::V22_05 | Generation::V24_11 => **flag != Flag::Expediting,
        Generation::V26_05 => true,
    };
    let bases = Base::ALL.iter().map(|base| base.names().0);
    let flags = LISTED.iter().filter(listed).map(|flag| flag.names().0);
    let names = bases.chain(flags).collect::<Vec<_>>().join(",");
    if generation >= Generation::V24_11 {
        return names.to_lowercase();
    }
    names
}

const LISTED_IN_20_11: [Flag; 5] = [
    Flag::Completing,
    Flag::Configuring,
    Flag::Resizing,
    Flag::Revoked,
    Flag::SpecialExit,
];

const LISTED: [Flag; 13] = [
    Flag::Completing,
    Flag::Configuring,
    Flag::Expediting,
    Flag::Resizing,
    Flag::ResvDelHold,
    Flag::Requeued,
    Flag::RequeueFed,
    Flag::RequeueHold,
    Flag::Revoked,
    Flag::Signaling,
    Flag::SpecialExit,
    Flag::StageOut,
    Flag::Stopped,
];

impl Filter {
    fn takes(&self, job: &Job) -> bool {
        let request = &job.request;
        let within = |list: &Option<Vec<String>>, value: Option<&str>| {
            list.as_ref()
                .is_none_or(|list| list.iter().any(|wanted| Some(wanted.as_str()) == value))
        };
        self.jobs.as_ref().is_none_or(|jobs| jobs.contains(&job.id))
            && self.users.as_ref().is_none_or(|users| users.contains(&request.uid))
            && self.states.as_ref().is_none_or(|states| states.iter().any(|want| want.fits(job)))
            // Names are compared without regard to case.
            && self.names.as_ref().is_none_or(|names| {
                names.iter().any(|name| name.eq_ignore_ascii_case(&request.name))
            })
            && within(&self.accounts, job.account.as_deref())
            && within(&self.partitions, Some(&job.partition))
            && within(&self.qos, Some(request.qos.as_deref().unwrap_or("normal")))
            && within(&self.licenses, request.licenses.as_deref())
            && self.nodes.as_ref().is_none_or(|nodes| {
                job.nodes.iter().any(|node| nodes.contains(node))
            })
    }
}

impl Wanted {
    fn fits(self, job: &Job) -> bool {
        match self {
            Self::Base(base) => job.base == base,
            Self::Flag(flag) => job.flags.has(flag),
        }
    }
}

fn rows(
    answering: &mut Answering<'_>,
    name: &str,
    filter: &Filter,
    format: &Format,
    style: &TimeStyle,
    heading: bool,
    reply: &mut Reply,
) -> Result<(), Reply> {
    let (now, caller) = (answering.now, answering.call.uid);
    let cluster = &*answering.cluster(name)?;
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
    let generation = cluster.config.generation;
    let order = |job: &Job| {
        cluster
            .config
            .partitions
            .iter()
            .position(|partition| partition.name == job.partition)
    };
    jobs.sort_by_cached_key(|job| {
        let priority = std::cmp::Reverse(job.priority());
        (order(job), job.shown(generation).0, priority, job.id)
    });
    if heading {
        reply.stdout += &format.line(|field| field.heading.to_owned());
    }
    let context = Context {
        cluster,
        style,
        now,
    };
    for job in jobs {
        reply.stdout += &format.line(|field| (field.value)(job, &context));
    }
    Ok(())
}
