//! Fields of `squeue -O` that are the same for every job that the fake can have, and names that
//! some generation has and the fake does not play.

use super::fields::{Field, NONE, field};
use crate::generation::Generation;

/// Fields with one value.
pub(crate) const CONSTANT: &[Field] = &[
    field("BoardsPerNode", NONE, "BOARDS_PER_NODE", |_, _| zero()),
    field("BurstBuffer", NONE, "BURST_BUFFER", |_, _| null()),
    field("BurstBufferState", NONE, "BURST_BUFFER_STATE", |_, _| {
        null()
    }),
    field("Container", NONE, "CONTAINER", |_, _| null()),
    field("cpus-per-tres", NONE, "CPUS_PER_TRES", |_, _| none()),
    field("HetJobOffset", NONE, "HET_JOB_OFFSET", |_, _| none()),
    field("HetJobIDSet", NONE, "HET_JOB_ID_SET", |_, _| none()),
    field("mem-per-tres", NONE, "MEM_PER_TRES", |_, _| none()),
    field("Network", NONE, "NETWORK", |_, _| null()),
    field("OriginRaw", NONE, "ORIGIN_RAW", |_, _| federation()),
    field("Profile", NONE, "PROFILE", |_, _| "NotSet".to_owned()),
    field("ResizeTime", NONE, "RESIZE_TIME", |_, _| none()),
    field("SiblingsActive", NONE, "ACTIVE_SIBLINGS", |_, _| {
        federation()
    }),
    field("SiblingsActiveRaw", NONE, "ACTIVE_SIBLINGS_RAW", |_, _| {
        federation()
    }),
    field("SiblingsViable", NONE, "VIABLE_SIBLINGS", |_, _| {
        federation()
    }),
    // Slurm's own spelling.
    field("SiblingsViableRaw", NONE, "VIALBLE_SIBLINGS_RAW", |_, _| {
        federation()
    }),
    field("SPerBoard", NONE, "SOCKETS_PER_BOARD", |_, _| zero()),
    field("tres-bind", NONE, "TRES_BIND", |_, _| none()),
    field("tres-freq", NONE, "TRES_FREQ", |_, _| none()),
    field("tres-per-job", NONE, "TRES_PER_JOB", |_, _| none()),
    field("tres-per-socket", NONE, "TRES_PER_SOCKET", |_, _| none()),
    field("tres-per-task", NONE, "TRES_PER_TASK", |_, _| none()),
    field("Wait4Switch", NONE, "WAIT4SWITCH", |_, _| "0:00".to_owned()),
];

/// Names that squeue knows, of which the model knows nothing.
const NOT_PLAYED: &[&str] = &[
    "AllocSID",
    "AssocID",
    "ContainerID",
    "ContainerType",
    "CronJob",
    "CPUFreq",
    "CpusPerTask",
    "Exclusive",
    "ExcNodes",
    "LicensesAlloc",
    "NTPerBoard",
    "NTPerCore",
    "NTPerNode",
    "NTPerSocket",
    // Of a job that ended before it started it is nonsense, unless it named its tasks.
    "NumTasks",
    "PackJobID",
    "PackJobIDSet",
    "PackJobOffset",
    "Prefer",
    "ReqSwitch",
    "ResvPort",
    "SegmentSize",
    "Shared",
    "SLUID",
    "StepID",
    "StepName",
    "StepState",
    "tres",
];

/// Whether a name is one of squeue's that is not played.
pub(crate) fn is_not_played(name: &str) -> bool {
    NOT_PLAYED
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether a generation has a field of those that the fake plays.
pub(crate) fn has(generation: Generation, name: &str) -> bool {
    match name {
        "Container" => generation >= Generation::V22_05,
        "SelectJobInfo" => generation < Generation::V24_11,
        _ => true,
    }
}

fn zero() -> String {
    "0".to_owned()
}

fn null() -> String {
    "(null)".to_owned()
}

fn none() -> String {
    "N/A".to_owned()
}

/// Of jobs that are in no federation.
fn federation() -> String {
    "NA".to_owned()
}
