//! The fields of sacct that are played, and the names of all that it has.

use super::names;
use crate::generation::Generation;
use crate::model::{Cluster, Entry, Exit, Record};
use crate::moment::Moment;
use crate::render::fields::{mebibytes_text, memory_in_all, memory_tres};
use crate::render::hostlist::hostlist;
use crate::render::time::{TimeStyle, limit_long, long_duration};

/// What a field's value may depend on.
pub(super) struct Shown<'a> {
    pub(super) record: &'a Record,
    pub(super) entry: &'a Entry,
    pub(super) cluster: &'a Cluster,
    pub(super) style: &'a TimeStyle,
    pub(super) now: Moment,
}

impl Shown<'_> {
    fn generation(&self) -> Generation {
        self.cluster.config.generation
    }
}

pub(super) struct Field {
    pub(super) name: &'static str,
    /// How wide a column is without `-P`; on the left if negative.
    pub(super) width: isize,
    pub(super) value: fn(&Shown<'_>) -> String,
}

/// What becomes of a value that is longer than its column is wide.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// Its last character is a `+`.
    Marked,
    /// It is just shorter.
    Plain,
    /// There are only `#`.
    Hidden,
    /// It is printed all the same.
    Never,
}

impl Field {
    /// How a value is cut. Of a time it is only shown from 24.11 on that it does not fit.
    pub(super) fn cut(&self, value: &str, generation: Generation) -> Cut {
        let is_time = value.starts_with(|first: char| first.is_ascii_digit());
        match self.name {
            "Eligible" | "End" | "Start" | "Submit"
                if is_time && generation >= Generation::V24_11 =>
            {
                Cut::Hidden
            }
            "Eligible" | "End" | "Start" | "Submit" => Cut::Plain,
            "AllocCPUS" | "CPUTime" | "CPUTimeRAW" | "Elapsed" | "ElapsedRaw" | "GID" | "NCPUS"
            | "NNodes" | "ReqCPUS" | "Suspended" | "UID" => Cut::Never,
            _ => Cut::Marked,
        }
    }
}

const fn field(name: &'static str, width: isize, value: fn(&Shown<'_>) -> String) -> Field {
    Field { name, width, value }
}

const FIELDS: &[Field] = &[
    field("Account", 10, |shown| {
        shown.record.account.clone().unwrap_or_default()
    }),
    empty("AdminComment", 15),
    field("AllocCPUS", 10, |shown| cpus(shown).to_string()),
    field("AllocNodes", 10, |shown| {
        shown.entry.nodes.len().to_string()
    }),
    field("AllocTRES", 10, |shown| {
        let nodes = shown.entry.nodes.len();
        let cpus = cpus(shown);
        tres(cpus, memory_of(shown, cpus, nodes, true), nodes)
    }),
    field("Cluster", 10, |shown| shown.cluster.config.name.clone()),
    field("Comment", 14, |shown| {
        let stored = shown.entry.end.is_some() && shown.cluster.config.store_comment;
        let comment = shown.record.comment.clone();
        comment.filter(|_| stored).unwrap_or_default()
    }),
    field("Constraints", 19, |shown| {
        shown.record.features.clone().unwrap_or_default()
    }),
    empty("Container", 19),
    field("CPUTime", 10, |shown| long_duration(cpu_seconds(shown))),
    field("CPUTimeRAW", 10, |shown| cpu_seconds(shown).to_string()),
    field("DerivedExitCode", 15, |_| "0:0".to_owned()),
    field("Elapsed", 10, |shown| long_duration(elapsed(shown))),
    field("ElapsedRaw", 10, |shown| elapsed(shown).to_string()),
    field("Eligible", 19, |shown| {
        shown.style.show_or(eligible(shown), "Unknown")
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
    empty("Layout", 9),
    empty("McsLabel", 12),
    field("NCPUS", 10, |shown| cpus(shown).to_string()),
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
        let asked = shown.record.qos.as_deref().unwrap_or("normal");
        let known = shown.cluster.config.qos.is_some() || asked == "normal";
        if known { asked } else { "Unknown" }.to_owned()
    }),
    field("ReqCPUS", 8, |shown| shown.record.cpus.to_string()),
    field("ReqMem", 10, |shown| {
        mebibytes_text(memory(shown).unwrap_or(0))
    }),
    field("ReqNodes", 8, |shown| shown.record.node_count.to_string()),
    field("ReqTRES", 10, |shown| {
        let nodes = shown.record.node_count as usize;
        tres(shown.record.cpus, memory(shown), nodes)
    }),
    empty("Reservation", 20),
    empty("ReservationId", 8),
    field("Start", 19, start),
    field("State", 10, |shown| shown.entry.state.clone()),
    field("Submit", 19, |shown| shown.style.show(shown.record.submit)),
    field("Suspended", 10, |shown| long_duration(suspended(shown))),
    empty("SystemComment", 15),
    field("Timelimit", 10, |shown| time_limit(shown, limit_long)),
    field("TimelimitRaw", 10, |shown| {
        let raw = |minutes: u64| minutes.to_string();
        time_limit(shown, |limit| limit.map_or_else(|| limit_long(None), raw))
    }),
    field("UID", 6, |shown| shown.record.uid.to_string()),
    field("User", 9, |shown| shown.record.user.clone()),
    field("WorkDir", 20, |shown| shown.record.workdir.clone()),
];

/// Fields of steps, which are empty in the row of an allocation, and how wide they are.
const OF_STEPS: &[Field] = &[
    empty("AveCPU", 10),
    empty("AveCPUFreq", 10),
    empty("AveDiskRead", 14),
    empty("AveDiskWrite", 14),
    empty("AvePages", 10),
    empty("AveRSS", 10),
    empty("AveVMSize", 10),
    empty("MaxDiskRead", 12),
    empty("MaxDiskReadNode", 15),
    empty("MaxDiskReadTask", 15),
    empty("MaxDiskWrite", 12),
    empty("MaxDiskWriteNode", 16),
    empty("MaxDiskWriteTask", 16),
    empty("MaxPages", 8),
    empty("MaxPagesNode", 12),
    empty("MaxPagesTask", 14),
    empty("MaxRSS", 10),
    empty("MaxRSSNode", 10),
    empty("MaxRSSTask", 10),
    empty("MaxVMSize", 10),
    empty("MaxVMSizeNode", 14),
    empty("MaxVMSizeTask", 14),
    empty("MinCPU", 10),
    empty("MinCPUNode", 10),
    empty("MinCPUTask", 10),
    empty("NTasks", 8),
];

const fn empty(name: &'static str, width: isize) -> Field {
    field(name, width, |_| String::new())
}

/// What became of a name that was asked for.
pub(super) enum Named {
    Field(&'static Field),
    /// sacct has it, the fake does not.
    NotPlayed(&'static str),
    /// sacct does not have it.
    Unknown,
}

/// A field by its name, or by the beginning of one: the first that fits is meant.
pub(super) fn named(generation: Generation, name: &str) -> Named {
    let begins = |full: &str| {
        full.get(..name.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(name))
    };
    if begins("ALL") {
        return Named::NotPlayed("ALL");
    }
    let mut all = names::of(generation);
    let Some(full) = all.find(|full| begins(full)) else {
        return Named::Unknown;
    };
    // In 20.11 the unit says what it is for, which is not kept.
    if full == "ReqMem" && generation == Generation::V20_11 {
        return Named::NotPlayed(full);
    }
    let mut played = FIELDS.iter().chain(OF_STEPS);
    match played.find(|field| field.name == full) {
        Some(field) => Named::Field(field),
        None => Named::NotPlayed(full),
    }
}

/// CPUs it has or had. Of a job that never ran: what it asked for, or, from 24.11 on and where it
/// was refused, none.
fn cpus(shown: &Shown<'_>) -> u32 {
    let entry = shown.entry;
    if entry.nodes.is_empty() && !was_refused(entry) && shown.generation() < Generation::V24_11 {
        return shown.record.cpus;
    }
    entry.cpus
}

/// Whether no node would do, which the controller found when the job had its number.
fn was_refused(entry: &Entry) -> bool {
    entry.nodes.is_empty() && entry.state == "FAILED"
}

fn cpu_seconds(shown: &Shown<'_>) -> u64 {
    elapsed(shown) * u64::from(cpus(shown))
}

/// MiB that it asked for in all.
fn memory(shown: &Shown<'_>) -> Option<u64> {
    let record = shown.record;
    memory_of(shown, record.cpus, record.node_count as usize, false)
}

/// MiB that a job of that kind has, or is to get, on so many CPUs and nodes.
fn memory_of(shown: &Shown<'_>, cpus: u32, nodes: usize, has: bool) -> Option<u64> {
    let asked = (shown.record.memory, shown.record.memory_per_cpu);
    memory_in_all(asked, shown.cluster, (cpus, nodes), has)
}

/// A time limit. What the partition is to say of a job is known when it starts.
fn time_limit(shown: &Shown<'_>, show: impl Fn(Option<u64>) -> String) -> String {
    if shown.record.limited_by_partition && shown.entry.nodes.is_empty() {
        return "Partition_Limit".to_owned();
    }
    show(shown.record.time_limit)
}

fn tres(cpus: u32, mebibytes: Option<u64>, nodes: usize) -> String {
    if nodes == 0 {
        return String::new();
    }
    let memory = memory_tres(mebibytes);
    format!("billing={cpus},cpu={cpus},{memory}node={nodes}")
}

/// From when on it could have started.
pub(super) fn eligible(shown: &Shown<'_>) -> Option<Moment> {
    let entry = shown.entry;
    // The database hears when what it waits for changes.
    let live = shown.cluster.jobs.get(&shown.record.id);
    let live = live.filter(|job| job.is_waiting() && entry.end.is_none());
    live.map_or(entry.eligible, crate::model::Job::known_eligible)
}

/// Seconds that it ran, without those in which it was suspended.
fn elapsed(shown: &Shown<'_>) -> u64 {
    let entry = shown.entry;
    let until = entry.end.unwrap_or(shown.now);
    let seconds = |start| until.since(start).as_secs();
    let whole = entry.start.map_or(0, seconds);
    whole.saturating_sub(suspended(shown))
}

fn suspended(shown: &Shown<'_>) -> u64 {
    let entry = shown.entry;
    let until = entry.end.unwrap_or(shown.now);
    let now = entry
        .suspended
        .map_or(0, |since| until.since(since).as_secs());
    entry.idle.as_secs() + now
}

fn start(shown: &Shown<'_>) -> String {
    let entry = shown.entry;
    // Cancelled before it started: 20.11 says when, the others that there was no start. Of a job
    // that was refused after it had its number 22.05 says when, too.
    let unknown = if entry.end.is_some() {
        "None"
    } else {
        "Unknown"
    };
    let start = match shown.generation() {
        Generation::V20_11 => entry.start.or(entry.end),
        Generation::V22_05 => entry.start,
        Generation::V24_11 | Generation::V26_05 => entry.start.filter(|_| !was_refused(entry)),
    };
    shown.style.show_or(start, unknown)
}

/// The exit code of the batch script. Where it was not the script that ended the job, there is
/// none; for a failed node 24.11 and later say 1.
fn exit_code(shown: &Shown<'_>) -> String {
    let generation = shown.generation();
    let base = shown.entry.state.split(' ').next().unwrap_or_default();
    match base {
        "COMPLETED" | "FAILED" | "OUT_OF_MEMORY" => {
            // sacct takes a shell's 128 for a signal and leaves it out.
            let exit = shown.entry.exit;
            let status = exit.status & 0x7f;
            Exit { status, ..exit }.to_string()
        }
        "NODE_FAIL" if generation >= Generation::V24_11 => "1:0".to_owned(),
        "DEADLINE" => "1:0".to_owned(),
        _ => "0:0".to_owned(),
    }
}
