//! Job states: a base and flags, and the one word of them that Slurm prints.

use serde::{Deserialize, Serialize};

use crate::generation::Generation;

/// The base states of `slurm.h` (`enum job_states`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "Slurm's own words")]
pub enum Base {
    Pending,
    Running,
    Suspended,
    Completed,
    Cancelled,
    Failed,
    Timeout,
    NodeFail,
    Preempted,
    BootFail,
    Deadline,
    OutOfMemory,
}

impl Base {
    /// All of them, in the order of `slurm.h`.
    pub const ALL: [Self; 12] = [
        Self::Pending,
        Self::Running,
        Self::Suspended,
        Self::Completed,
        Self::Cancelled,
        Self::Failed,
        Self::Timeout,
        Self::NodeFail,
        Self::Preempted,
        Self::BootFail,
        Self::Deadline,
        Self::OutOfMemory,
    ];

    /// The long and the compact name.
    pub const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Pending => ("PENDING", "PD"),
            Self::Running => ("RUNNING", "R"),
            Self::Suspended => ("SUSPENDED", "S"),
            Self::Completed => ("COMPLETED", "CD"),
            Self::Cancelled => ("CANCELLED", "CA"),
            Self::Failed => ("FAILED", "F"),
            Self::Timeout => ("TIMEOUT", "TO"),
            Self::NodeFail => ("NODE_FAIL", "NF"),
            Self::Preempted => ("PREEMPTED", "PR"),
            Self::BootFail => ("BOOT_FAIL", "BF"),
            Self::Deadline => ("DEADLINE", "DL"),
            Self::OutOfMemory => ("OUT_OF_MEMORY", "OOM"),
        }
    }

    /// Whether nothing of the job is to run in this state unless somebody requeues it.
    pub const fn is_over(self) -> bool {
        !matches!(self, Self::Pending | Self::Running | Self::Suspended)
    }

    /// Whether a script may run.
    pub const fn is_started(self) -> bool {
        matches!(self, Self::Running | Self::Suspended)
    }
}

/// The state flags of `slurm.h`, in the order in which `job_state_string` looks for them: the
/// first that is set is printed, and hides the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "Slurm's own words")]
pub enum Flag {
    Completing,
    StageOut,
    Configuring,
    Expediting,
    Resizing,
    Requeued,
    RequeueFed,
    RequeueHold,
    SpecialExit,
    Stopped,
    Revoked,
    ResvDelHold,
    Signaling,
}

impl Flag {
    /// All of them, in the order of their precedence.
    pub const ALL: [Self; 13] = [
        Self::Completing,
        Self::StageOut,
        Self::Configuring,
        Self::Expediting,
        Self::Resizing,
        Self::Requeued,
        Self::RequeueFed,
        Self::RequeueHold,
        Self::SpecialExit,
        Self::Stopped,
        Self::Revoked,
        Self::ResvDelHold,
        Self::Signaling,
    ];

    /// The long and the compact name.
    pub const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Completing => ("COMPLETING", "CG"),
            Self::StageOut => ("STAGE_OUT", "SO"),
            Self::Configuring => ("CONFIGURING", "CF"),
            Self::Expediting => ("EXPEDITING", "EX"),
            Self::Resizing => ("RESIZING", "RS"),
            Self::Requeued => ("REQUEUED", "RQ"),
            Self::RequeueFed => ("REQUEUE_FED", "RF"),
            Self::RequeueHold => ("REQUEUE_HOLD", "RH"),
            Self::SpecialExit => ("SPECIAL_EXIT", "SE"),
            Self::Stopped => ("STOPPED", "ST"),
            Self::Revoked => ("REVOKED", "RV"),
            Self::ResvDelHold => ("RESV_DEL_HOLD", "RD"),
            Self::Signaling => ("SIGNALING", "SI"),
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A set of [`Flag`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Flags(u16);

impl Flags {
    /// Whether `flag` is set.
    pub const fn has(self, flag: Flag) -> bool {
        self.0 & flag.bit() != 0
    }

    /// Sets `flag`.
    pub fn set(&mut self, flag: Flag) {
        self.0 |= flag.bit();
    }

    /// Clears `flag`.
    pub fn clear(&mut self, flag: Flag) {
        self.0 &= !flag.bit();
    }

    /// Clears all.
    pub fn clear_all(&mut self) {
        self.0 = 0;
    }

    /// Whether none is set.
    pub const fn is_empty(&self) -> bool {
        self.0 == 0
    }
}

/// The long and compact name that squeue shows for a base and its flags.
pub(super) fn shown(
    base: Base,
    flags: Flags,
    generation: Generation,
) -> (&'static str, &'static str) {
    let known = |flag: &Flag| *flag != Flag::Expediting || generation >= Generation::V26_05;
    let first = Flag::ALL
        .into_iter()
        .filter(known)
        .find(|flag| flags.has(*flag));
    first.map_or_else(|| base.names(), Flag::names)
}
