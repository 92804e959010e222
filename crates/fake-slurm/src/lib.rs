//! A Slurm to test against: commands that answer as Slurm's do, jobs that run or only seem to, and
//! faults where you want them.
//!
//! [`FakeCluster`] puts `sbatch`, `squeue`, `sacct`, `scancel`, `scontrol` and `sinfo` into a
//! directory. Put it first in the `PATH` of the program that you test, and tell the cluster what
//! is to happen:
//!
//! ```
//! use std::process::Command;
//! use std::time::Duration;
//!
//! use fake_slurm::{Exit, FakeCluster, Generation};
//!
//! # let directory = tempfile::tempdir()?;
//! let cluster = FakeCluster::new(directory.path().join("cluster"))?
//!     .generation(Generation::V24_11)?;
//! let run = |program: &str, arguments: &[&str]| {
//!     let command = cluster.bin_dir().join(program);
//!     let output = Command::new(command).args(arguments).env_clear().output()?;
//!     Ok::<_, std::io::Error>(String::from_utf8_lossy(&output.stdout).into_owned())
//! };
//!
//! assert_eq!(run("sbatch", &["--parsable", "--wrap=sleep 1000"])?, "1\n");
//! assert_eq!(run("squeue", &["-h", "-o", "%i %T"])?, "1 RUNNING\n");
//! cluster.finish(1, Exit::status(3))?;
//! assert_eq!(run("squeue", &["-h", "-t", "all", "-O", "State:0,exit_code:.5"])?, "FAILED  3:0\n");
//! cluster.advance(Duration::from_secs(301))?;
//! assert_eq!(cluster.job(1)?, None, "the controller forgets after MinJobAge");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Options that the fake does not play end a command with status [`NOT_PLAYED`] and the option's
//! name: a client that leans on them finds out, instead of being told something wrong.
//!
//! The model itself, [`Cluster`], and [`answer`], which lets a command answer from it, do no input
//! or output and take the time as an argument: a simulation can drive them without processes.

mod admin;
mod call;
mod cluster;
mod command;
mod environment;
mod fault;
mod generation;
mod host;
mod last_words;
mod launch;
mod locate;
mod log;
mod model;
mod moment;
mod options;
mod process_tree;
mod render;
mod step;
mod store;
mod stub;
mod supervisor;
mod text;

pub use call::{Call, Effect, Host, Program, Reply};
pub use cluster::FakeCluster;
pub use command::{NOT_PLAYED, answer};
pub use fault::{Action, Fault, Which};
pub use generation::{Generation, UnknownGeneration};
pub use locate::stub_executable;
pub use log::LoggedCall;
pub use model::{
    Accounting, Base, Bond, Clock, Cluster, ClusterConfig, Condition, Controller, Dependencies,
    DependencyError, Entry, Execution, Exit, Flag, Flags, Hold, Job, Late, Node, Outlook,
    Partition, Record, Refusal, Request, Requeued, Requirement, Share, Standing, SubmitPlugin,
    Variables, World,
};
pub use moment::Moment;
pub use store::StoreError;
pub use stub::play;
