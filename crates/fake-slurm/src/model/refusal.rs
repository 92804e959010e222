//! What slurmctld refuses, in the words and numbers of `slurm_errno.h`.

/// A request that the controller refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    missing_docs,
    reason = "each is named after the constant in slurm_errno.h"
)]
pub enum Refusal {
    InvalidPartitionName,
    AccessDenied,
    TooManyRequestedCpus,
    InvalidNodeCount,
    NodeConfigUnavailable,
    PartitionConfig,
    InvalidJobId,
    InvalidNodeName,
    AlreadyDone,
    TransitionStateNoUpdate,
    Disabled,
    JobPending,
    JobHeld,
    Dependency,
    InvalidTimeLimit,
    AccountingPolicy,
    PartitionNotAvailable,
    InvalidAccount,
    InvalidQos,
    InvalidGres,
    InvalidFeature,
    ReservationInvalid,
    InvalidLicense,
    JobFinished,
    QueueFull,
    NotSupported,
    NotSuspended,
    NotPending,
    UserId,
    UnexpectedMessage,
}

impl Refusal {
    /// The number in `slurm_errno.h`.
    pub const fn code(self) -> i32 {
        match self {
            Self::InvalidPartitionName => 2000,
            Self::AccessDenied => 2002,
            Self::TooManyRequestedCpus => 2005,
            Self::InvalidNodeCount => 2006,
            Self::NodeConfigUnavailable => 2014,
            Self::PartitionConfig => 2015,
            Self::InvalidJobId => 2017,
            Self::InvalidNodeName => 2018,
            Self::TransitionStateNoUpdate => 2020,
            Self::AlreadyDone => 2021,
            Self::JobFinished => 2021,
            Self::Disabled => 2029,
            Self::JobPending => 2035,
            Self::JobHeld => 2043,
            Self::Dependency => 2037,
            Self::QueueFull => 2009,
            Self::InvalidAccount => 2045,
            Self::AccountingPolicy => 2050,
            Self::InvalidTimeLimit => 2051,
            Self::PartitionNotAvailable => 2053,
            Self::InvalidQos => 2066,
            Self::InvalidGres => 2072,
            Self::ReservationInvalid => 2070,
            Self::InvalidFeature => 2095,
            Self::InvalidLicense => 2048,
            Self::NotSupported => 2084,
            Self::NotSuspended => 2101,
            Self::NotPending => 2022,
            Self::UserId => 2010,
            Self::UnexpectedMessage => 1000,
        }
    }

    /// The words of `slurm_strerror`.
    pub const fn text(self) -> &'static str {
        match self {
            Self::InvalidPartitionName => "Invalid partition name specified",
            Self::AccessDenied => "Access/permission denied",
            Self::TooManyRequestedCpus => "More processors requested than permitted",
            Self::InvalidNodeCount => "Node count specification invalid",
            Self::NodeConfigUnavailable => "Requested node configuration is not available",
            Self::PartitionConfig => "Requested partition configuration not available now",
            Self::InvalidJobId => "Invalid job id specified",
            Self::InvalidNodeName => "Invalid node name specified",
            Self::TransitionStateNoUpdate => "Job can not be altered now, try again later",
            Self::AlreadyDone => "Job/step already completing or completed",
            Self::JobFinished => "Job has already finished",
            Self::Disabled => "Requested operation is presently disabled",
            Self::JobPending => "Job is pending execution",
            Self::JobHeld => "Job is in held state, pending scheduler release",
            Self::Dependency => "Job dependency problem",
            Self::QueueFull => "Resource temporarily unavailable",
            Self::InvalidAccount => "Invalid account or account/partition combination specified",
            Self::AccountingPolicy => {
                "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
            }
            Self::InvalidTimeLimit => {
                "Requested time limit is invalid (missing or exceeds some limit)"
            }
            Self::PartitionNotAvailable => "Required partition not available (inactive or drain)",
            Self::InvalidQos => "Invalid qos specification",
            Self::InvalidGres => "Invalid generic resource (gres) specification",
            Self::ReservationInvalid => "Requested reservation is invalid",
            Self::InvalidLicense => "Invalid license specification",
            Self::InvalidFeature => "Invalid feature specification",
            Self::NotSuspended => "Job is not suspended",
            Self::NotPending => "Job is no longer pending execution",
            Self::UserId => "Invalid user id",
            Self::UnexpectedMessage => "Unexpected message received",
            Self::NotSupported => "Requested operation not supported on this system",
        }
    }
}
