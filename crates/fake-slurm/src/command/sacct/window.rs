//! Which records sacct is asked for: of whom, of which time, and in which states.

use std::collections::BTreeMap;

use super::super::when::{Nearest, parse_when};
use super::super::{Answering, listed};
use super::fields::{Shown, eligible};
use crate::call::Reply;
use crate::generation::Generation;
use crate::model::{Accounting, Base, Cluster, Entry, Record};
use crate::moment::Moment;
use crate::options::Parsed;
use crate::render::hostlist::expand;
use crate::render::time::TimeStyle;

/// Everything that a record has to fulfil.
#[derive(Default)]
pub(super) struct Asked {
    ids: Option<Vec<u32>>,
    users: Option<Vec<u32>>,
    names: Option<Vec<String>>,
    accounts: Option<Vec<String>>,
    partitions: Option<Vec<String>>,
    qos: Option<Vec<String>>,
    nodes: Option<Vec<String>>,
    states: Option<Vec<Base>>,
    /// From when to when.
    window: (Moment, Moment),
    duplicates: bool,
}

impl Asked {
    /// Reads the options, in the order in which sacct complains about them.
    pub(super) fn of(answering: &Answering<'_>, parsed: &Parsed) -> Result<Self, Reply> {
        let list = |name: &str| {
            let words = listed(parsed.value(name)?);
            Some(words.into_iter().map(str::to_owned).collect::<Vec<_>>())
        };
        let mut asked = Self {
            names: list("name"),
            accounts: list("accounts"),
            partitions: list("partition"),
            duplicates: parsed.has("duplicates"),
            ..Self::default()
        };
        let (mut since, mut until) = (None, None);
        for (name, value) in &parsed.options {
            match name.as_str() {
                "starttime" => since = time(answering, value)?,
                "endtime" => until = time(answering, value)?,
                "jobs" => asked.ids = ids(answering, value)?,
                "state" => asked.states = states(answering, value)?,
                "user" | "uid" => asked.users = Some(users(answering, value)?),
                "nodelist" => {
                    let refused = || answering.not_played(&format!("the list of nodes {value}"));
                    asked.nodes = Some(expand(value).ok_or_else(refused)?);
                }
                "qos" => asked.qos = Some(qos(answering, value)?),
                _ => {}
            }
        }
        asked.window = asked.window(answering, since, until)?;
        if asked.users.is_none() && !parsed.has("allusers") && answering.call.uid != 0 {
            // A number that was named is shown whoever owns it.
            asked.users = asked.ids.is_none().then(|| vec![answering.call.uid]);
        }
        Ok(asked)
    }

    /// What is asked of today unless jobs or states are named, or times.
    fn window(
        &self,
        answering: &Answering<'_>,
        since: Option<Moment>,
        until: Option<Moment>,
    ) -> Result<(Moment, Moment), Reply> {
        let now = answering.now;
        let named = self.ids.is_some();
        let default = match &self.states {
            _ if named => Moment::from_seconds(0),
            Some(_) => now,
            None => parse_when("midnight", Nearest::Before, now, answering.call)
                .ok()
                .flatten()
                .unwrap_or(now),
        };
        let start = since.unwrap_or(default);
        // Whoever names states and a start asks for that moment.
        let end = match until {
            Some(until) => until,
            None if self.states.is_some() && since.is_some() => start,
            None => now,
        };
        if start > end {
            let style = TimeStyle::of(answering.call);
            let [start, end] = [start, end].map(|moment| style.show(moment));
            let text = format!("Start time ({start}) requested is after end time ({end}).");
            return Err(answering.error(text));
        }
        Ok((start, end))
    }

    fn takes(&self, shown: &Shown<'_>) -> bool {
        let (record, entry) = (shown.record, shown.entry);
        let within = |list: &Option<Vec<String>>, value: &str| {
            list.as_ref()
                .is_none_or(|list| list.iter().any(|wanted| wanted == value))
        };
        let qos = record.qos.as_deref().unwrap_or("normal");
        let nodes = |nodes: &Vec<String>| entry.nodes.iter().any(|node| nodes.contains(node));
        self.ids.as_ref().is_none_or(|ids| ids.contains(&record.id))
            && self
                .users
                .as_ref()
                .is_none_or(|users| users.contains(&record.uid))
            && within(&self.names, &record.name)
            && within(
                &self.accounts,
                record.account.as_deref().unwrap_or_default(),
            )
            && within(&self.partitions, &record.partition)
            && within(&self.qos, qos)
            && self.nodes.as_ref().is_none_or(nodes)
            && match &self.states {
                None => was_there(shown, self.window, self.ids.is_some()),
                Some(states) => states.iter().any(|state| was(shown, *state, self.window)),
            }
    }
}

/// Whether a job could run, and was not over, at some time of a window. If it was named it only
/// has to be there.
fn was_there(shown: &Shown<'_>, (start, end): (Moment, Moment), named: bool) -> bool {
    let ended = shown.entry.end;
    let over = ended.is_some_and(|ended| seconds(ended) < seconds(start));
    let since = if named {
        Some(shown.record.submit)
    } else {
        eligible(shown)
    };
    since.is_some_and(|at| seconds(at) <= seconds(end)) && !over
}

/// Whether a job was in a state at some time of a window.
fn was(shown: &Shown<'_>, state: Base, (start, end): (Moment, Moment)) -> bool {
    let entry = shown.entry;
    let after = |moment: Option<Moment>| moment.is_none_or(|at| seconds(at) >= seconds(start));
    match state {
        Base::Pending => was_there(shown, (start, end), false) && after(entry.start),
        Base::Running => {
            let begun = entry.start.is_some_and(|at| seconds(at) <= seconds(end));
            begun && after(entry.end) && !is(entry, Base::Suspended)
        }
        Base::Suspended => is(entry, state),
        _ => {
            let ended = entry.end.map(seconds);
            is(entry, state)
                && ended.is_some_and(|at| (seconds(start)..=seconds(end)).contains(&at))
        }
    }
}

/// The database keeps no fractions.
fn seconds(moment: Moment) -> i64 {
    moment.seconds()
}

fn is(entry: &Entry, state: Base) -> bool {
    entry.state.split(' ').next() == Some(state.names().0)
}

fn time(answering: &Answering<'_>, text: &str) -> Result<Option<Moment>, Reply> {
    let read = parse_when(text, Nearest::Before, answering.now, answering.call);
    read.map_err(|wrong| match wrong {
        Some(at) => Reply::fail(
            1,
            format!("Invalid time specification (pos={at}): {text}\n"),
        ),
        None => answering.not_played(&format!("the time {text}")),
    })
}

/// Numbers of jobs. Before 26.05 what follows the digits is not looked at. None if none is named.
fn ids(answering: &Answering<'_>, text: &str) -> Result<Option<Vec<u32>>, Reply> {
    let strict = answering.generation() >= Generation::V26_05;
    let fatal = |what: String| Reply::fail(1, format!("sacct: fatal: {what}\n"));
    let mut ids = Vec::new();
    for word in text.split(',').filter(|word| !word.is_empty()) {
        let rest = word.trim_start_matches(|character: char| character.is_ascii_digit());
        let digits = &word[..word.len() - rest.len()];
        if digits.is_empty() {
            return Err(fatal(format!("Bad job/step specified: {word}")));
        }
        if rest.starts_with(['_', '+']) {
            return Err(answering.not_played(&format!("arrays and heterogeneous jobs: {word}")));
        }
        if let Some(step) = rest.strip_prefix('.') {
            let named = ["batch", "extern", "interactive"].contains(&step);
            if !named && step.parse::<u32>().is_err() {
                return Err(fatal(if strict {
                    let why = "StepID includes unexpected non-numeric characters";
                    format!("Bad job/step specified: {word}: {why}")
                } else {
                    format!("Bad step specified: {digits}")
                }));
            }
        }
        let id = digits.parse::<u32>().unwrap_or(u32::MAX);
        let wrong = match id {
            _ if !strict => None,
            0 => Some("JobID can not be zero"),
            u32::MAX => Some("JobID larger than acceptable range"),
            _ if rest.is_empty() || rest.starts_with('.') => None,
            _ => Some("JobID includes unexpected non-numeric characters"),
        };
        if let Some(why) = wrong {
            return Err(fatal(format!("Bad job/step specified: {word}: {why}")));
        }
        // Zero is no job, and asks for nothing.
        ids.extend((id != 0).then_some(id));
    }
    Ok(Some(ids).filter(|ids| !ids.is_empty()))
}

fn states(answering: &Answering<'_>, text: &str) -> Result<Option<Vec<Base>>, Reply> {
    let mut states = Vec::new();
    for word in listed(text) {
        let same = |(long, compact): (&str, &str)| {
            long.eq_ignore_ascii_case(word) || compact.eq_ignore_ascii_case(word)
        };
        let base = Base::ALL.into_iter().find(|base| same(base.names()));
        let flag = || {
            let mut flags = crate::model::Flag::ALL.into_iter();
            flags.any(|flag| same(flag.names()))
        };
        match base {
            Some(base) => states.push(base),
            None if flag() => return Err(answering.not_played(&format!("the state {word}"))),
            None => {
                let text = format!("sacct: fatal: unrecognized job state value '{word}'\n");
                return Err(Reply::fail(1, text));
            }
        }
    }
    Ok(Some(states).filter(|states| !states.is_empty()))
}

fn users(answering: &Answering<'_>, text: &str) -> Result<Vec<u32>, Reply> {
    if listed(text).is_empty() {
        return Err(answering.not_played("an empty list of users"));
    }
    let uid = |name: &str| {
        if let Some(uid) = answering.host.uid_of(name) {
            return Ok(uid);
        }
        let uid: Option<u32> = name.parse().ok();
        let lenient = answering.generation() == Generation::V20_11;
        uid.filter(|uid| lenient || answering.host.name_of(*uid).is_some())
            .ok_or_else(|| answering.error(format!("Invalid user id: {name}")))
    };
    listed(text).into_iter().map(uid).collect()
}

/// Names of QOS, which the database must have. A new one has `normal`.
fn qos(answering: &Answering<'_>, text: &str) -> Result<Vec<String>, Reply> {
    if answering.generation() == Generation::V20_11 {
        return Err(answering.not_played("--qos: that sacct crashes"));
    }
    let known = answering.home().and_then(|home| home.config.qos.clone());
    let standard = known.is_none();
    let known = known.unwrap_or_else(|| vec!["normal".to_owned()]);
    for word in listed(text) {
        if known.iter().any(|name| name == word) {
            continue;
        }
        if !standard {
            return Err(answering.not_played(&format!("the QOS {word}")));
        }
        let text = format!(
            "sacct: error: You gave a bad qos '{word}'. Valid QOS's are normal\n\
             sacct: fatal: problem processing qos list\n"
        );
        return Err(Reply::fail(1, text));
    }
    Ok(listed(text).into_iter().map(str::to_owned).collect())
}

/// The records that a call asks for, oldest submission first.
pub(super) fn selected<'a>(
    answering: &Answering<'_>,
    cluster: &'a Cluster,
    asked: &Asked,
    style: &'a TimeStyle,
) -> Vec<Shown<'a>> {
    let now = answering.now;
    let lag = match cluster.condition.accounting {
        Accounting::Lagging(lag) => i64::try_from(lag.as_millis()).unwrap_or(i64::MAX),
        Accounting::Up | Accounting::Down | Accounting::NoDatabase | Accounting::Disabled => 0,
    };
    let until = Moment::from_millis(now.millis().saturating_sub(lag));
    let shown = cluster.records.iter().filter_map(|record| {
        let shown = Shown {
            record,
            entry: record.as_of(until)?,
            cluster,
            style,
            now,
        };
        asked.takes(&shown).then_some(shown)
    });
    let mut found: Vec<Shown<'a>> = shown.collect();
    if !asked.duplicates {
        // The last run of those that are asked for.
        let newest = found.iter().map(|shown| (shown.record.id, shown.record));
        let newest: BTreeMap<u32, &Record> = newest.collect();
        found.retain(|shown| {
            let newest = newest.get(&shown.record.id);
            newest.is_none_or(|newest| std::ptr::eq(*newest, shown.record))
        });
    }
    found.sort_by_key(|shown| shown.record.submit);
    found
}
