//! `sacct`.

mod fields;
mod names;
mod window;

use super::{Answer, Answering, munge_lines};
use crate::call::Reply;
use crate::generation::Generation;
use crate::model::{Accounting, Controller};
use crate::options::{Known, Parsed, Takes};
use crate::render::format::{Width, fit};
use crate::render::time::TimeStyle;
use crate::text;
use fields::{Cut, Field, Named};
use window::{Asked, selected};

const KNOWN: &[Known] = &[
    ("accounts", Some('A'), Takes::Value),
    ("allocations", Some('X'), Takes::Nothing),
    ("allusers", Some('a'), Takes::Nothing),
    ("clusters", Some('M'), Takes::Value),
    ("allclusters", Some('L'), Takes::Nothing),
    ("delimiter", None, Takes::Value),
    ("duplicates", Some('D'), Takes::Nothing),
    ("endtime", Some('E'), Takes::Value),
    ("format", Some('o'), Takes::Value),
    ("brief", Some('b'), Takes::Nothing),
    ("helpformat", Some('e'), Takes::Nothing),
    ("jobs", Some('j'), Takes::Value),
    ("local", None, Takes::Nothing),
    ("name", None, Takes::Value),
    ("nodelist", Some('N'), Takes::Value),
    ("noconvert", None, Takes::Nothing),
    ("noheader", Some('n'), Takes::Nothing),
    ("parsable", Some('p'), Takes::Nothing),
    ("parsable2", Some('P'), Takes::Nothing),
    ("partition", Some('r'), Takes::Value),
    ("qos", Some('q'), Takes::Value),
    ("starttime", Some('S'), Takes::Value),
    ("state", Some('s'), Takes::Value),
    ("user", Some('u'), Takes::Value),
    ("uid", None, Takes::Value),
    ("verbose", Some('v'), Takes::Nothing),
    ("version", Some('V'), Takes::Nothing),
];

const DEFAULT: &str = "JobID,JobName,Partition,Account,AllocCPUS,State,ExitCode";
const BRIEF: &str = "JobID,State,ExitCode";

pub(super) fn run(answering: &mut Answering<'_>) -> Answer {
    let parsed = answering.parse(KNOWN, false)?;
    answering.version(&parsed)?;
    answering.reject_empty(&["SACCT_FORMAT"])?;
    if parsed.has("helpformat") {
        return Ok(Reply::out(names::table(answering.generation())));
    }
    if parsed.has("verbose") {
        return Err(answering.not_played("--verbose"));
    }
    if !parsed.has("allocations") {
        // Steps are not played; a caller that reads them must not think that there are none.
        return Err(answering.not_played("job steps: name -X"));
    }
    if !parsed.operands.is_empty() {
        let unknown = parsed.operands.iter();
        let unknown: String = unknown
            .map(|word| format!("sacct: error:  {word}\n"))
            .collect();
        let text = format!("sacct: error: Unknown arguments:\n{unknown}");
        return Err(Reply::fail(1, text));
    }
    reject_repeated(answering, &parsed)?;
    let asked = Asked::of(answering, &parsed)?;
    let variable = answering.call.variable("SACCT_FORMAT");
    let format = if parsed.has("brief") {
        Some(BRIEF)
    } else {
        variable
    };
    let format = parsed.value("format").or(format).unwrap_or(DEFAULT);
    let fields = fields(answering, format)?;
    let (clusters, _) = answering.clusters(&parsed)?;
    database(answering)?;
    let mut reply = Reply::default();
    let layout = Layout::of(&parsed);
    if !parsed.has("noheader") {
        reply.stdout += &layout.heading(&fields, answering.generation());
    }
    let style = TimeStyle::of(answering.call);
    let there = |name: &&String| answering.world.clusters.contains_key(*name);
    for name in clusters.iter().filter(there) {
        let cluster = &answering.world.clusters[name];
        for shown in selected(answering, cluster, &asked, &style) {
            // The database takes UTF-8 only: other bytes come back as question marks.
            let value = |field: &Field| text::printable(&(field.value)(&shown));
            let generation = cluster.config.generation;
            let cell = |(field, width): &(&Field, isize)| match layout {
                Layout::Separated { .. } => value(field),
                Layout::Columns => {
                    let value = value(field);
                    column(&value, *width, field.cut(&value, generation))
                }
            };
            reply.stdout += &layout.line(fields.iter().map(cell));
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

/// sacct puts lists together that are given in pieces.
fn reject_repeated(answering: &Answering<'_>, parsed: &Parsed) -> Result<(), Reply> {
    let lists = [
        "accounts",
        "format",
        "jobs",
        "name",
        "nodelist",
        "partition",
        "qos",
        "state",
        "uid",
        "user",
    ];
    let count = |name: &str| {
        parsed
            .options
            .iter()
            .filter(|(known, _)| known == name)
            .count()
    };
    match lists.into_iter().find(|name| count(name) > 1) {
        Some(name) => Err(answering.not_played(&format!("--{name} twice"))),
        None => Ok(()),
    }
}

/// The fields of `-o`, and how wide they are. A width that is named for a field is that of each
/// column of it; one that is no number is none.
fn fields(answering: &Answering<'_>, text: &str) -> Result<Vec<(&'static Field, isize)>, Reply> {
    let mut fields: Vec<(&'static Field, isize)> = Vec::new();
    // What follows an empty name is not looked at.
    let words = text.split(',').map(str::trim);
    for word in words.take_while(|word| !word.is_empty()) {
        let (name, width) = match word.split_once('%') {
            Some((name, width)) => (name, Some(leading_number(width))),
            None => (word, None),
        };
        if name.is_empty() {
            return Err(answering.not_played(&format!("the field {word}")));
        }
        let field = match fields::named(answering.generation(), name) {
            Named::Field(field) => field,
            Named::NotPlayed(full) => {
                return Err(answering.not_played(&format!("the field {full}")));
            }
            Named::Unknown => {
                return Err(answering.error(format!("Invalid field requested: \"{name}\"")));
            }
        };
        let same = |(known, _): &(&Field, isize)| std::ptr::eq(*known, field);
        let before = fields
            .iter()
            .find(|known| same(known))
            .map(|(_, width)| *width);
        let width = width.or(before).unwrap_or(field.width);
        for (_, known) in fields.iter_mut().filter(|known| same(known)) {
            *known = width;
        }
        fields.push((field, width));
    }
    Ok(fields)
}

fn leading_number(text: &str) -> isize {
    let text = text.trim_start();
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let rest = unsigned.trim_start_matches(|character: char| character.is_ascii_digit());
    text[..text.len() - rest.len()].parse().unwrap_or(0)
}

/// `-P`, `-p`, or columns.
enum Layout {
    Separated { delimiter: String, last: bool },
    Columns,
}

impl Layout {
    fn of(parsed: &Parsed) -> Self {
        let mut options = parsed.options.iter().rev();
        let separated = options.find(|(name, _)| name.starts_with("parsable"));
        let Some((name, _)) = separated else {
            return Self::Columns;
        };
        let last = name == "parsable";
        let delimiter = parsed.value("delimiter").unwrap_or("|").to_owned();
        Self::Separated { delimiter, last }
    }

    fn line(&self, cells: impl Iterator<Item = String>) -> String {
        match self {
            Self::Separated { delimiter, last } => {
                let cells: Vec<String> = cells.collect();
                let end = if *last { delimiter.as_str() } else { "" };
                format!("{}{end}\n", cells.join(delimiter))
            }
            Self::Columns => cells.collect::<String>() + "\n",
        }
    }

    fn heading(&self, fields: &[(&'static Field, isize)], generation: Generation) -> String {
        let Self::Columns = self else {
            return self.line(fields.iter().map(|(field, _)| field.name.to_owned()));
        };
        // Names are cut without a mark, and 20.11 puts all of them on the right.
        let old = generation == Generation::V20_11;
        let name = |(field, width): &(&Field, isize)| {
            let width = if old { width.abs() } else { *width };
            column(field.name, width, Cut::Plain)
        };
        let rule = |(_, width): &(&Field, isize)| {
            let width = width.unsigned_abs();
            "-".repeat(width) + " "
        };
        self.line(fields.iter().map(name)) + &self.line(fields.iter().map(rule))
    }
}

/// A column, and one blank after it.
fn column(value: &str, width: isize, cut: Cut) -> String {
    let size = width.unsigned_abs();
    let right = width > 0;
    let long = value.chars().count() > size;
    let mut text = match cut {
        _ if !long => fit(value, Width { size, right }),
        Cut::Never => value.to_owned(),
        Cut::Hidden => "#".repeat(size),
        Cut::Plain | Cut::Marked => value.chars().take(size).collect(),
    };
    if long && cut == Cut::Marked && size > 0 {
        text.pop();
        text.push('+');
    }
    text + " "
}
