//! Which jobs squeue is asked for.

use super::super::{Answering, hostnames};
use crate::call::Reply;
use crate::generation::Generation;
use crate::model::{Base, Flag, Job};
use crate::options::Parsed;

/// Which jobs are wanted. A list that is empty is nobody's; none at all is everybody's.
#[derive(Default)]
pub(super) struct Filter {
    pub(super) jobs: Option<Vec<u32>>,
    /// None is all.
    pub(super) states: Option<Vec<Wanted>>,
    pub(super) users: Option<Vec<u32>>,
    names: Option<Vec<String>>,
    accounts: Option<Vec<String>>,
    partitions: Option<Vec<String>>,
    qos: Option<Vec<String>>,
    licenses: Option<Vec<String>>,
    reservation: Option<String>,
    nodes: Option<Vec<String>>,
}

#[derive(Clone, Copy)]
pub(super) enum Wanted {
    Base(Base),
    Flag(Flag),
}

impl Filter {
    /// Reads the options in their order, as squeue does: of two of a kind the last one counts,
    /// but each is checked.
    pub(super) fn of(
        answering: &Answering<'_>,
        parsed: &Parsed,
        complaints: &mut String,
    ) -> Result<Self, Reply> {
        let default = |states: &[Base]| {
            let bases = states.iter().copied().map(Wanted::Base);
            Some(bases.chain([Wanted::Flag(Flag::Completing)]).collect())
        };
        let mut filter = Self {
            states: if parsed.has("start") {
                Some(vec![Wanted::Base(Base::Pending)])
            } else {
                default(&[Base::Pending, Base::Running, Base::Suspended])
            },
            ..Self::default()
        };
        for (name, value) in &parsed.options {
            let words = || Some(words(value).map(str::to_owned).collect());
            match name.as_str() {
                "account" => filter.accounts = words(),
                // Without a value `-j` alone asks for nothing.
                "jobs" if !value.is_empty() => filter.jobs = Some(ids(answering, value)?),
                "licenses" => filter.licenses = words(),
                "me" => filter.users = Some(vec![answering.call.uid]),
                "name" => filter.names = words(),
                "nodelist" => filter.nodes = Some(hostnames(answering, value)?),
                "partition" => filter.partitions = words(),
                "qos" => filter.qos = words(),
                "reservation" => filter.reservation = Some(value.clone()),
                "states" => filter.states = states(answering, value)?,
                "user" => filter.users = Some(users(answering, value, complaints)),
                _ => {}
            }
        }
        Ok(filter)
    }

    pub(super) fn takes(&self, job: &Job) -> bool {
        let request = &job.request;
        // Accounts, QOS and names are compared without regard to case.
        let within = |list: &Option<Vec<String>>, value: Option<&str>| {
            list.as_ref().is_none_or(|list| {
                list.iter()
                    .any(|wanted| value.is_some_and(|value| wanted.eq_ignore_ascii_case(value)))
            })
        };
        self.jobs.as_ref().is_none_or(|jobs| jobs.contains(&job.id))
            && self
                .users
                .as_ref()
                .is_none_or(|users| users.contains(&request.uid))
            && self
                .states
                .as_ref()
                .is_none_or(|states| states.iter().any(|want| want.fits(job)))
            && within(&self.names, Some(&request.name))
            && within(&self.accounts, job.account.as_deref())
            && self
                .partitions
                .as_ref()
                .is_none_or(|list| list.iter().any(|name| is_in(job, name)))
            && within(&self.qos, Some(&job.qos))
            && within(&self.licenses, request.licenses.as_deref())
            && (self.reservation.is_none() || self.reservation == request.reservation)
            && self
                .nodes
                .as_ref()
                .is_none_or(|nodes| job.nodes.iter().any(|node| nodes.contains(node)))
    }
}

/// Whether a job is in a partition, or waits for it.
fn is_in(job: &Job, partition: &str) -> bool {
    let mut shown = job.shown_partition().split(',');
    shown.any(|name| name == partition)
}

impl Wanted {
    fn fits(self, job: &Job) -> bool {
        match self {
            Self::Base(base) => job.base == base,
            Self::Flag(flag) => job.flags.has(flag),
        }
    }
}

/// As `strtok` takes a list apart: nothing is trimmed, and empty words do not count.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|word| !word.is_empty())
}

/// Numbers of jobs. Before 26.05 what follows the digits is not looked at; of a step the job is
/// meant.
fn ids(answering: &Answering<'_>, text: &str) -> Result<Vec<u32>, Reply> {
    let lenient = answering.generation() < Generation::V26_05;
    let mut ids = Vec::new();
    for word in words(text) {
        // strtol skips blanks and a sign.
        let number = word.trim_start();
        let number = number.strip_prefix('+').unwrap_or(number);
        let rest = number.trim_start_matches(|character: char| character.is_ascii_digit());
        let digits = &number[..number.len() - rest.len()];
        if !digits.is_empty() && rest.starts_with(['_', '+']) {
            return Err(answering.not_played(&format!("arrays and heterogeneous jobs: {word}")));
        }
        let strict = digits.parse().ok();
        #[expect(clippy::cast_possible_truncation, reason = "so did squeue")]
        let id = match digits.parse::<u64>() {
            Ok(number) if lenient => Some(number as u32),
            _ if rest.is_empty() || rest.starts_with('.') => strict,
            _ => None,
        };
        match id.filter(|id| *id > 0) {
            Some(id) => ids.push(id),
            None => return Err(answering.error(format!("Invalid job id: {word}"))),
        }
    }
    Ok(ids)
}

/// A user that does not exist is left out; a list that is empty then matches nobody.
fn users(answering: &Answering<'_>, text: &str, complaints: &mut String) -> Vec<u32> {
    let mut users = Vec::new();
    for word in words(text) {
        let found = uid(answering, word);
        if found.is_none() {
            complaints.push_str(&format!("squeue: error: Invalid user: {word}\n\n"));
        }
        users.extend(found);
    }
    users
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

fn states(answering: &Answering<'_>, text: &str) -> Result<Option<Vec<Wanted>>, Reply> {
    if text.eq_ignore_ascii_case("all") {
        return Ok(None);
    }
    let mut wanted = Vec::new();
    for word in words(text) {
        let young = ["RD", "RESV_DEL_HOLD"]
            .iter()
            .any(|name| word.eq_ignore_ascii_case(name));
        if young && answering.generation() == Generation::V20_11 {
            return Err(answering.not_played(&format!("the state {word}")));
        }
        let Some(found) = state(word, answering.generation()) else {
            let mut reply = answering.error(format!("Invalid job state specified: {word}"));
            let names = state_names(answering.generation());
            reply.stderr += &format!("squeue: error: Valid job states include: {names}\n\n");
            return Err(reply);
        };
        wanted.push(found);
    }
    Ok(Some(wanted))
}

fn state(word: &str, generation: Generation) -> Option<Wanted> {
    let same = |(long, compact): (&str, &str)| {
        long.eq_ignore_ascii_case(word) || compact.eq_ignore_ascii_case(word)
    };
    let mut bases = Base::ALL.into_iter();
    let recent = generation >= Generation::V26_05;
    let known = |flag: &Flag| recent || *flag != Flag::Expediting;
    let mut flags = Flag::ALL.into_iter().filter(known);
    let base = bases.find(|base| same(base.names())).map(Wanted::Base);
    base.or_else(|| flags.find(|flag| same(flag.names())).map(Wanted::Flag))
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
