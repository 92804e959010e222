//! Each Slurm call as data: program, arguments, environment, time limit. Nothing is spawned here;
//! the bundled `driver` does that, or a program of yours.

use std::time::Duration;

use camino::Utf8PathBuf;

use crate::evidence::Identified;
use crate::id::{ClusterName, JobName, JobRef, Mark, Tag, Uid};
use crate::parse::{sacct, squeue};

/// One of Slurm's programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Program {
    /// Submits jobs.
    Sbatch,
    /// Shows the controller's queue.
    Squeue,
    /// Shows the accounting database.
    Sacct,
    /// Signals and cancels jobs.
    Scancel,
    /// Shows the controller's configuration, changes jobs.
    Scontrol,
}

impl Program {
    /// Its name on `PATH`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sbatch => "sbatch",
            Self::Squeue => "squeue",
            Self::Sacct => "sacct",
            Self::Scancel => "scancel",
            Self::Scontrol => "scontrol",
        }
    }
}

/// Variables of the caller that every Slurm command gets, unless they are empty: where the
/// configuration is, how to authenticate, where programs and libraries are. Everything else is withheld, since `SQUEUE_*`,
/// `SACCT_*`, `SCANCEL_*`, `SBATCH_*` and `SLURM_*` filter, redirect or reshape what Slurm
/// answers (INPUT ENVIRONMENT VARIABLES in each command's manual page).
pub const PASSED_THROUGH: [&str; 12] = [
    "HOME",
    "KRB5CCNAME",
    "LD_LIBRARY_PATH",
    "LOGNAME",
    "PATH",
    "SLURM_CONF",
    "SLURM_CONF_SERVER",
    "SLURM_JWT",
    "SLURM_SACK_KEY",
    "SLURM_SACK_SOCKET",
    "USER",
    "XDG_RUNTIME_DIR",
];

/// Variables of the caller that sbatch gets besides: defaults that only choose policy.
pub const PASSED_TO_SBATCH: [&str; 5] = [
    "SBATCH_ACCOUNT",
    "SBATCH_PARTITION",
    "SBATCH_QOS",
    "SBATCH_RESERVATION",
    "SBATCH_WCKEY",
];

/// Variables that every Slurm command is given: untranslated messages.
pub const PINNED: [(&str, &str); 1] = [("LC_ALL", "C")];

/// Variables that queries are given besides: times as seconds since the epoch. sbatch is not,
/// since it would hand `SLURM_TIME_FORMAT` on to the job, and reads times in options such as
/// `--begin` in the zone of the machine.
pub const PINNED_FOR_QUERIES: [(&str, &str); 2] = [("SLURM_TIME_FORMAT", "%s"), ("TZ", "UTC")];

/// How long a query may take. A squeue that finds no controller gives up by itself after 18 s,
/// one with a hung controller after 20 s; a person who asks for a status should not wait so long.
pub const QUERY_LIMIT: Duration = Duration::from_secs(6);

/// How long an sbatch may take. It retries refusals that it takes for temporary for up to two
/// minutes; one that is cut short has an unclear outcome.
pub const SUBMIT_LIMIT: Duration = Duration::from_secs(150);

/// How long a scancel may take. It gives up on an unreachable controller after about 10 s.
pub const CANCEL_LIMIT: Duration = Duration::from_secs(12);

/// How long a `scontrol ping` may take.
pub const PING_LIMIT: Duration = Duration::from_millis(500);

/// A call to one of Slurm's programs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a command does nothing until a driver runs it"]
pub struct Command {
    /// Which program.
    pub program: Program,
    /// Its arguments, in order.
    pub arguments: Vec<String>,
    /// Variables set for this call besides [`PINNED`].
    pub environment: Vec<(String, String)>,
    /// Variables of the caller passed on besides [`PASSED_THROUGH`], where they are set.
    pub inherited: Vec<String>,
    /// When its whole process group is to be killed.
    pub time_limit: Duration,
}

impl Command {
    fn new(program: Program, time_limit: Duration) -> Self {
        Self {
            program,
            arguments: Vec::new(),
            environment: Vec::new(),
            inherited: Vec::new(),
            time_limit,
        }
    }

    fn query(program: Program) -> Self {
        let pinned = PINNED_FOR_QUERIES.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            environment: pinned.to_vec(),
            ..Self::new(program, QUERY_LIMIT)
        }
    }

    fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    fn args<'a>(self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        arguments.into_iter().fold(self, Command::arg)
    }

    /// The same call, to be killed after `limit` if that is sooner.
    pub fn within(mut self, limit: Duration) -> Self {
        self.time_limit = self.time_limit.min(limit);
        self
    }
}

/// A batch job to be submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The batch script.
    pub script: Utf8PathBuf,
    /// The name under which the job can be found again.
    pub name: JobName,
    /// What identifies this one submission: goes into the job's comment.
    pub tag: Tag,
    /// The cluster to submit to, where it is not the configuration's own.
    pub cluster: Option<ClusterName>,
    /// Options that ask for resources and policy, as sbatch takes them.
    pub options: Vec<String>,
    /// Where the job starts: the directory of its lease, as [`Opened`](crate::Opened) has it.
    pub directory: Utf8PathBuf,
    /// Where the job's stdout and stderr go.
    pub output: Utf8PathBuf,
    /// Variables of ours for the job.
    pub environment: Vec<(String, String)>,
    /// Variables of the caller for the job: their names.
    pub exported: Vec<String>,
}

impl Submission {
    /// `sbatch --parsable …`: submits the job. Never requeued by Slurm, no variable of the
    /// caller's in the job but those named.
    pub fn command(&self) -> Command {
        self.build("--parsable", SUBMIT_LIMIT)
    }

    /// `sbatch --test-only …`: checks the submission without making one. The answer is on stderr.
    pub fn test_command(&self) -> Command {
        self.build("--test-only", QUERY_LIMIT)
    }

    fn build(&self, mode: &str, limit: Duration) -> Command {
        let ours = self.environment.iter().map(|(name, _)| name.as_str());
        let names: Vec<&str> = ours
            .chain(self.exported.iter().map(String::as_str))
            .collect();
        let export = if names.is_empty() {
            "NIL".to_owned()
        } else {
            names.join(",")
        };
        // Ours come last: sbatch takes the last of an option that is given twice.
        let mut command = with_cluster(Command::new(Program::Sbatch, limit), self.cluster.as_ref())
            .args(self.options.iter().map(String::as_str))
            .arg(mode)
            .arg("--no-requeue")
            .arg(format!("--job-name={}", self.name))
            .arg(format!("--comment={}", self.tag))
            .arg(format!("--export={export}"))
            .arg(format!("--chdir={}", self.directory))
            .arg("--input=/dev/null")
            .arg(format!("--output={}", self.output))
            .arg(format!("--error={}", self.output))
            .arg("--open-mode=append")
            .arg(self.script.as_str());
        command.environment.clone_from(&self.environment);
        command.inherited = PASSED_TO_SBATCH.map(str::to_owned).to_vec();
        command.inherited.extend(self.exported.iter().cloned());
        command
    }
}

/// Which rows of the queue are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum QueueQuery {
    /// This job, asked for by itself: only so does Slurm say that it does not know the number.
    Job(JobRef),
    /// Every job of this user on one cluster.
    User(Uid, Option<ClusterName>),
}

impl QueueQuery {
    /// The cluster that is asked.
    pub fn cluster(&self) -> Option<&ClusterName> {
        match self {
            Self::Job(job) => job.cluster.as_ref(),
            Self::User(_, cluster) => cluster.as_ref(),
        }
    }

    /// `squeue -a -t all …`, whose answer [`squeue::parse`] reads with the same mark.
    /// `-t all` is what keeps a finished job visible until the controller purges it.
    pub fn command(&self, mark: &Mark) -> Command {
        let command = Command::query(Program::Squeue);
        let command = match self.cluster() {
            Some(cluster) => with_cluster(command, Some(cluster)),
            None => command.arg("--local"),
        };
        let command = command.args(["-a", "-t", "all"]);
        let command = match self {
            Self::Job(job) => command.arg("-j").arg(job.id.to_string()),
            Self::User(uid, _) => command.arg("-u").arg(uid.to_string()),
        };
        command.arg("-O").arg(squeue::format(mark))
    }
}

/// `sacct -X -n -P -D -j ID …`, whose answer [`sacct::parse`] reads with the same mark. Without
/// `-s`, which would turn the window into "now".
pub fn accounting(job: &JobRef, mark: &Mark) -> Command {
    with_cluster(Command::query(Program::Sacct), job.cluster.as_ref())
        .args(["-X", "-n", "-P", "-D"])
        .arg(format!("--delimiter={}", mark.as_str()))
        .arg("-j")
        .arg(job.id.to_string())
        .arg("-o")
        .arg(sacct::FIELDS.join(","))
}

/// `scancel -v ID`: ends a job that was just identified as ours. Only with `-v` does scancel say
/// what became of it. There is no other way to make a scancel.
pub fn cancel(job: Identified) -> Command {
    let job = job.into_job();
    with_cluster(
        Command::new(Program::Scancel, CANCEL_LIMIT),
        job.cluster.as_ref(),
    )
    .arg("-v")
    .arg(job.id.to_string())
}

/// `scontrol update JobId=ID Requeue=0`: forbids the requeue of a job that was just identified as
/// ours but was submitted without `--no-requeue`.
pub fn forbid_requeue(job: Identified) -> Command {
    let job = job.into_job();
    with_cluster(
        Command::new(Program::Scontrol, QUERY_LIMIT),
        job.cluster.as_ref(),
    )
    .args(["update"])
    .arg(format!("JobId={}", job.id))
    .arg("Requeue=0")
}

/// `scontrol show config`: the controller's own settings.
pub fn configuration(cluster: Option<&ClusterName>) -> Command {
    with_cluster(Command::new(Program::Scontrol, QUERY_LIMIT), cluster).args(["show", "config"])
}

/// `scontrol ping`: whether the controllers of the configuration's own cluster listen. It says at
/// once where none does (9 ms on 22.05; squeue takes 18 s to say so), and takes 10 s to say the
/// same of one that hangs.
pub fn ping() -> Command {
    Command::new(Program::Scontrol, PING_LIMIT).arg("ping")
}

/// `PROGRAM --version`.
pub fn version(program: Program) -> Command {
    Command::new(program, QUERY_LIMIT).arg("--version")
}

fn with_cluster(command: Command, cluster: Option<&ClusterName>) -> Command {
    match cluster {
        Some(cluster) => command.arg("-M").arg(cluster.as_str()),
        None => command,
    }
}
