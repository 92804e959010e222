//! One call of a Slurm command as data, and what it answers.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::text;

/// A command that the stub plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "Slurm's own names")]
pub enum Program {
    Sbatch,
    Squeue,
    Sacct,
    Scancel,
    Scontrol,
    Sinfo,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Sbatch,
        Self::Squeue,
        Self::Sacct,
        Self::Scancel,
        Self::Scontrol,
        Self::Sinfo,
    ];

    /// Its name on `PATH`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sbatch => "sbatch",
            Self::Squeue => "squeue",
            Self::Sacct => "sacct",
            Self::Scancel => "scancel",
            Self::Scontrol => "scontrol",
            Self::Sinfo => "sinfo",
        }
    }

    /// The program of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|program| program.name() == name)
    }
}

/// What a command needs of the host it runs on.
pub trait Host {
    /// A file's content.
    ///
    /// # Errors
    /// As `std::fs::read`.
    fn read_file(&self, path: &str) -> io::Result<Vec<u8>>;
    /// All of stdin.
    ///
    /// # Errors
    /// As `Read::read_to_end`.
    fn read_stdin(&self) -> io::Result<Vec<u8>>;
    /// The uid of a user's name.
    fn uid_of(&self, name: &str) -> Option<u32>;
    /// The name of a uid.
    fn name_of(&self, uid: u32) -> Option<String>;
    /// The name of a gid.
    fn group_of(&self, gid: u32) -> Option<String>;
}

/// One call of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which command.
    pub program: Program,
    /// Its arguments, without the command's own name.
    pub arguments: Vec<String>,
    /// Its environment.
    pub environment: Vec<(String, String)>,
    /// Who calls.
    pub uid: u32,
    /// In which group.
    pub gid: u32,
    /// Where.
    pub directory: String,
    /// The caller's host's name, for SLURM_SUBMIT_HOST.
    pub host_name: String,
}

impl Call {
    /// A variable of the environment, unless it is empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        let same = |(known, _): &&(String, String)| known == name;
        let found = self
            .environment
            .iter()
            .find(same)
            .map(|(_, value)| value.as_str());
        found.filter(|value| !value.is_empty())
    }
}

/// Something that is to happen to processes after the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Keep a script, and start a supervisor for the job.
    Launch {
        /// Of which cluster.
        cluster: String,
        /// Its number.
        id: u32,
        /// Its script.
        script: String,
    },
    /// Send a signal to the processes of a job.
    Signal {
        /// Of which cluster.
        cluster: String,
        /// Its number.
        id: u32,
        /// The signal's number.
        signal: u8,
        /// Only to the script itself.
        only_script: bool,
    },
}

/// The answer to a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// What goes to stdout.
    pub stdout: String,
    /// What goes to stderr.
    pub stderr: String,
    /// The exit status.
    pub status: u8,
    /// How long the command waited for it.
    pub delay: Duration,
    /// What is to happen besides.
    pub effects: Vec<Effect>,
}

impl Reply {
    /// An answer on stdout, with status 0.
    pub fn out(text: impl Into<String>) -> Self {
        Self {
            stdout: text.into(),
            ..Self::default()
        }
    }

    /// Words on stderr, and an exit status.
    pub fn fail(status: u8, text: impl Into<String>) -> Self {
        Self {
            stderr: text.into(),
            status,
            ..Self::default()
        }
    }

    /// stdout as bytes.
    pub fn stdout_bytes(&self) -> Cow<'_, [u8]> {
        text::encode(&self.stdout)
    }

    /// stderr as bytes.
    pub fn stderr_bytes(&self) -> Cow<'_, [u8]> {
        text::encode(&self.stderr)
    }
}
