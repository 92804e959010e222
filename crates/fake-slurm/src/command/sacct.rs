//! `sacct`.

use std::collections::BTreeMap;

use super::{Answer, Answering, listed, munge_lines};
use crate::call::Reply;
use crate::generation::Generation;
use crate::model::{Accounting, Cluster, Controller, Entry, Exit, Record};
use crate::moment::Moment;
use crate::options::{Known, Parsed, Takes};
use crate::render::format::{Width, fit};
use crate::render::hostlist::hostlist;
use crate::render::time::{TimeStyle, limit, long_duration, parse_when};
use crate::text;

const KNOWN: &[Known] = &[
    ("allocations", Some('X'), Takes::Nothing),
    ("allusers", Some('a'), Takes::Nothing),
    ("clusters", Some('M'), Takes::Value),
    ("allclusters", Some('L'), Takes::Nothing),
    ("delimiter", None, Takes::Value),
    ("duplicates", Some('D'), Takes::Nothing),
    ("endtime", Some('E'), Takes::Value),
    ("format", Some('o'), Takes::Value),
    ("jobs", Some('j'), Takes::Value),
    ("local", None, Takes::Nothing),
    ("name", None, Takes::Value),
    ("noconvert", None, Takes::Nothing),
    ("noheader", Some('n'), Takes::Nothing),
    ("parsable", Some('p'), Takes::Nothing),
    ("parsable2", Some('P'), Takes::Nothing),
    ("partition", Some('r'), Takes::Value),
    ("starttime", Some('S'), Takes::Value),
    ("state", Some('s'), Takes::Value),
    ("user", Some('u'), Takes::Value),
    ("uid", None, Takes::Value),
    ("verbose", Some('v'), Takes::Nothing),
    ("version", Some('V'), Takes::Nothing),
];

const DEFAULT: &str = "JobID,JobName,Partition,Account,AllocCPUS,State,ExitCode";

/// What a field's value may depend on.
struct Shown<'a> {
    record: &'a Record,
    entry: &'a Entry,
    cluster: &'a Cluster,
    style: &'a TimeStyle,
    now: Moment,
}

struct Field {
    name: &'static str,
    /// How wide a column is without `-P`; on the left if negative.
    width: isize,
    value: fn(&Shown<'_>) -> String,
}

const fn field(name: &'static str, width: isize, value: fn(&Shown<'_>) -> String) -> Field {
    Field { name, width, value }
}

const FIELDS: &[Field] = &[
    field("Account", 10, |shown| {
        shown.record.account.clone().unwrap_or_default()
    }),
    field("AllocCPUS", 10, |shown| shown.record.cpus.to_string()),
    field("AllocNodes", 10, |shown| {
        shown.entry.nodes.len().to_string()
    }),
    field("Cluster", 10, |shown| shown.cluster.config.name.clone()),
    field("Comment", 14, |shown| {
        let stored = shown.entry.end.is_some() && shown.cluster.config.store_comment;
        shown
            .record
            .comment
            .clone()
            .filter(|_| stored)
            .unwrap_or_default()
    }),
    field("DerivedExitCode", 15, |_| "0:0".to_owned()),
    field("Elapsed", 10, |shown| long_duration(elapsed(shown))),
    field("ElapsedRaw", 10, |shown| elapsed(shown).to_string()),
    field("Eligible", 19, |shown| {
        shown.style.show(shown.entry.eligible)
    }),
    field("End", 19, |shown| {
        shown.style.show_or(shown.entry.end, "Unknown")
    }),
    field("ExitCode", 8, exit_code),
    field("GID", 6, |shown| shown.record.gid.to_string()),
    field("Group", 9, |shown| shown.record.group.clone()),
    field("JobID", -12, |shown| shown.record.id.to_string()),
    field("JobIDRaw", -12, |shown| shown.record.id.to_string()),
    field("JobName", 10, |shown| shown.record.name.clone()),
    field("NCPUS", 10, |shown| shown.record.cpus.to_string()),
    field("NNodes", 8, |shown| shown.record.node_count.to_string()),
    field("NodeList", 15, |shown| {
        let nodes = &shown.entry.nodes;
        if nodes.is_empty() {
            "None assigned".to_owned()
        } else {
            hostlist(nodes)
        }
    }),
    field("Partition", 10, |shown| shown.record.partition.clone()),
    field("QOS", 10, |shown| {
        shown
            .record
            .qos
            .clone()
            .unwrap_or_else(|| "normal".to_owned())
    }),
    field("Reason", 22, |shown| shown.entry.reason.clone()),
    field("ReqCPUS", 8, |shown| shown.record.cpus.to_string()),
    field("Start", 19, start),
    field("State", 10, |shown| shown.entry.state.clone()),
    field("Submit", 19, |shown| shown.style.show(shown.record.submit)),
    field("Timelimit", 10, |shown| limit(shown.record.time_limit)),
    field("TimelimitRaw", 12, |shown| {
        shown
            .record
            .time_limit
            .map_or_else(|| "UNLIMITED".to_owned(), |minutes| minutes.to_string())
    }),
    field("UID", 6, |shown| shown.record.uid.to_string()),
    field("User", 9, |shown| shown.record.user.clone()),
    field("WorkDir", 20, |shown| shown.record.workdir.clone()),
];

fn elapsed(shown: &Shown<'_>) -> u64 {
    let until = shown.entry.end.unwrap_or(shown.now);
    shown
        .entry
        .start
        .map_or(0, |start| until.since(start).as_secs())
}

fn start(shown: &Shown<'_>) -> String {
    let entry = shown.entry;
    // Cancelled before it started: 20.11 says when, the others that there was no start.
    let unknown = if entry.end.is_some() {
        "None"
    } else {
        "Unknown"
    };
    let old = shown.cluster.config.generation == Generation::V20_11;
    let start = if old {
        entry.start.or(entry.end)
    } else {
        entry.start
    };
    shown.style.show_or(start, unknown)
}

/// The exit code of the batch script. Where it was not the script that ended the job, there is
/// none; for a failed node 24.11 and later say 1.
fn exit_code(shown: &Shown<'_>) -> String {
    let generation = shown.cluster.config.generation;
    let base = shown.entry.state.split(' ').next().unwrap_or_default();
    match base {
        "FAILED" if shown.entry.exit == Exit::NO_OUTPUT && generation == Generation::V20_11 => {
            "1:0".to_owned()
        }
        "COMPLETED" | "FAILED" | "OUT_OF_MEMORY" => shown.entry.exit.to_string(),
        "NODE_FAIL" if generation >= Generation::V24_11 => "1:0".to_owned(),
        "DEADLINE" => "1:0".to_owned(),
        _ => "0:0".to_owned(),
    }
}

pub(super) fn run(answering: &mut Answering<'_>) -> Answer {
    let parsed = answering.parse(KNOWN, false)?;
    answering.version(&parsed)?;
    for option in ["state", "endtime"] {
        if parsed.has(option) {
            return Err(answering.not_played(&format!("--{option}")));
        }
    }
    if !parsed.has("allocations") {
        // Steps are not played; a caller that reads them must not think that there are none.
        return Err(answering.not_played("job steps: name -X"));
    }
    let variable = answering.call.variable("SACCT_FORMAT");
    let fields = fields(
        answering,
        parsed.value("format").or(variable).unwrap_or(DEFAULT),
    )?;
    let (clusters, _) = answering.clusters(&parsed)?;
    database(answering)?;
    let ids = ids(answering, parsed.value("jobs"))?;
    let mut reply = Reply::default();
    let layout = Layout::of(&parsed);
    if !parsed.has("noheader") {
        reply.stdout += &layout.heading(&fields);
    }
    let style = TimeStyle::of(answering.call);
    for name in clusters
        .iter()
        .filter(|name| answering.world.clusters.contains_key(*name))
    {
        let (cluster, now) = (&answering.world.clusters[name], answering.now);
        for (record, entry) in selected(answering, cluster, &parsed, ids.as_deref()) {
            let shown = Shown {
                record,
                entry,
                cluster,
                style: &style,
                now,
            };
            // The database takes UTF-8 only: other bytes come back as question marks.
            let value = |field: &Field| text::printable(&(field.value)(&shown));
            let values = fields.iter().map(|(field, width)| (value(field), *width));
            reply.stdout += &layout.line(values);
        }
    }
    Ok(reply)
}

fn database(answering: &Answering<'_>) -> Result<(), Reply> {
    let Some(home) = answering.home() else {
        return Ok(());
    };
    if !home.config.accounting || home.condition.accounting == Accounting::Disabled {
        return Err(Reply::fail(1, "Slurm accounting storage is disabled\n"));
    }
    let recent = home.config.generation >= Generation::V24_11;
    let wrong = match home.condition.accounting {
        _ if home.condition.controller == Controller::MungeDown => {
            let text = format!(
                "{}sacct: error: slurm_persist_conn_open: failed to send persistent connection \
                 init message to 127.0.0.1:6819\n",
                munge_lines("sacct", "REQUEST_PERSIST_INIT", home.config.generation)
            );
            (text, "Protocol authentication error")
        }
        Accounting::Down => {
            let function = if recent {
                "_open_persist_conn"
            } else {
                "slurm_persist_conn_open_without_init"
            };
            let text = format!(
                "sacct: error: {function}: failed to open persistent connection to \
                 host:127.0.0.1:6819: Connection refused\n"
            );
            (text, "Connection refused")
        }
        Accounting::NoDatabase => {
            let text = "sacct: error: slurm_persist_conn_open: Something happened with the \
                receiving/processing of the persistent connection init message to 127.0.0.1:6819: \
                Unable to connect to database\n";
            (text.to_owned(), "Unable to connect to database")
        }
        Accounting::Up | Accounting::Lagging(_) | Accounting::Disabled => return Ok(()),
    };
    let (first, why) = wrong;
    let rest = format!(
        "sacct: error: Sending PersistInit msg: {why}\n\
         sacct: error: Problem talking to the database: {why}\n"
    );
    Err(Reply::fail(1, first + &rest))
}

fn ids(answering: &Answering<'_>, text: Option<&str>) -> Result<Option<Vec<u32>>, Reply> {
    let Some(text) = text else { return Ok(None) };
    let mut ids = Vec::new();
    for word in listed(text) {
        let number = word.split('.').next().unwrap_or(word).parse();
        let wrong = |_| Reply::fail(1, format!("sacct: fatal: Bad job/step specified: {word}\n"));
        ids.push(number.map_err(wrong)?);
    }
    if ids.is_empty() {
        return Err(answering.not_played("an empty -j"));
    }
    Ok(Some(ids))
}

fn fields(answering: &Answering<'_>, text: &str) -> Result<Vec<(&'static Field, isize)>, Reply> {
    let mut fields = Vec::new();
    for word in listed(text) {
        let (name, width) = word.split_once('%').unwrap_or((word, ""));
        let found = FIELDS
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case(name));
        let Some(field) = found else {
            return Err(answering.error(format!("Invalid field requested: \"{name}\"")));
        };
        fields.push((field, width.parse().unwrap_or(field.width)));
    }
    Ok(fields)
}

/// The records that a call asks for, oldest submission first.
fn selected<'a>(
    answering: &Answering<'_>,
    cluster: &'a Cluster,
    parsed: &Parsed,
    ids: Option<&[u32]>,
) -> Vec<(&'a Record, &'a Entry)> {
    let now = answering.now;
    let lag = match cluster.condition.accounting {
        Accounting::Lagging(lag) => i64::try_from(lag.as_millis()).unwrap_or(i64::MAX),
        Accounting::Up | Accounting::Down | Accounting::NoDatabase | Accounting::Disabled => 0,
    };
    let until = Moment::from_millis(now.millis().saturating_sub(lag));
    let since = parsed
        .value("starttime")
        .and_then(|text| parse_when(text, now));
    let uid = |name: &str| answering.host.uid_of(name).or_else(|| name.parse().ok());
    let users: Option<Vec<u32>> = match parsed.value("user").or(parsed.value("uid")) {
        Some(names) => Some(listed(names).into_iter().filter_map(uid).collect()),
        None if parsed.has("allusers") || answering.call.uid == 0 => None,
        // A number that was named is shown whoever owns it.
        None if ids.is_some() => None,
        None => Some(vec![answering.call.uid]),
    };
    let names = parsed.value("name").map(listed);
    let partitions = parsed.value("partition").map(listed);
    let takes = |record: &Record, entry: &Entry| {
        ids.is_none_or(|ids| ids.contains(&record.id))
            && users
                .as_ref()
                .is_none_or(|users| users.contains(&record.uid))
            && names
                .as_ref()
                .is_none_or(|names| names.contains(&record.name.as_str()))
            && partitions
                .as_ref()
                .is_none_or(|all| all.contains(&record.partition.as_str()))
            && since.is_none_or(|since| entry.end.is_none_or(|end| end >= since))
            && !(cluster.config.private_jobs
                && answering.call.uid != 0
                && answering.call.uid != record.uid)
    };
    let known = cluster
        .records
        .iter()
        .filter_map(|record| Some((record, record.as_of(until)?)));
    let mut found: Vec<_> = known
        .filter(|(record, entry)| takes(record, entry))
        .collect();
    if !parsed.has("duplicates") {
        let newest: BTreeMap<u32, &Record> = found
            .iter()
            .map(|(record, _)| (record.id, *record))
            .collect();
        found.retain(|(record, _)| {
            newest
                .get(&record.id)
                .is_none_or(|newest| std::ptr::eq(*newest, *record))
        });
    }
    found.sort_by_key(|(record, _)| record.submit);
    found
}

/// `-P`, `-p`, or columns.
enum Layout {
    Separated { delimiter: String, last: bool },
    Columns,
}

impl Layout {
    fn of(parsed: &Parsed) -> Self {
        let last = parsed.has("parsable");
        if !last && !parsed.has("parsable2") {
            return Self::Columns;
        }
        let delimiter = parsed.value("delimiter").unwrap_or("|").to_owned();
        Self::Separated { delimiter, last }
    }

    fn line(&self, values: impl Iterator<Item = (String, isize)>) -> String {
        match self {
            Self::Separated { delimiter, last } => {
                let values: Vec<String> = values.map(|(value, _)| value).collect();
                let end = if *last { delimiter.as_str() } else { "" };
                format!("{}{end}\n", values.join(delimiter))
            }
            Self::Columns => {
                let cells = values.map(|(value, width)| column(&value, width));
                cells.collect::<String>() + "\n"
            }
        }
    }

    fn heading(&self, fields: &[(&'static Field, isize)]) -> String {
        let names = fields
            .iter()
            .map(|(field, width)| (field.name.to_owned(), *width));
        let mut heading = self.line(names);
        if matches!(self, Self::Columns) {
            let rule = |(_, width): &(&Field, isize)| ("-".repeat(width.unsigned_abs()), *width);
            heading += &self.line(fields.iter().map(rule));
        }
        heading
    }
}

/// A column: cut with a `+` where it is too long, and one blank after it.
fn column(value: &str, width: isize) -> String {
    let size = width.unsigned_abs();
    let mut text = fit(
        value,
        Width {
            size,
            right: width > 0,
        },
    );
    if value.chars().count() > size {
        text.pop();
        text.push('+');
    }
    text.push(' ');
    text
}
