//! The scheduler itself: what a controller and its database know, and how it changes. No clock,
//! no files, no processes: time is an argument.

mod accounting;
mod cluster;
mod condition;
mod config;
mod dependency;
mod job;
mod lifecycle;
mod operate;
mod refusal;
mod schedule;
mod state;
mod submit;
mod variables;

pub use accounting::{Entry, Record};
pub use cluster::{Clock, Cluster, Late, World};
pub use condition::{Accounting, Condition, Controller, SubmitPlugin};
pub use config::{ClusterConfig, Execution, Node, Partition};
pub use dependency::{Bond, Dependencies, DependencyError, Outlook, Requirement, Standing};
pub use job::{Exit, Hold, Job, Request, Share};
pub use operate::Requeued;
pub use refusal::Refusal;
pub use state::{Base, Flag, Flags};
pub use variables::Variables;
