//! The table of keys: what the reader knows, what it suggests for a misspelt one, and what the
//! schema says.

use crate::proxy;

/// One key of `external.config`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    /// What it means, with its unit.
    pub(crate) about: &'static str,
    pub(crate) default: Default,
}

/// The form of a value. Every one of them may also be null or the empty text, which mean "not
/// set".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One word for sbatch.
    Word,
    /// A whole number from 1 up.
    Count,
    /// A count, or a range of counts.
    Nodes,
    /// An amount of memory in Slurm's form.
    Memory,
    /// A time limit in Slurm's form.
    TimeLimit,
    /// Seconds; 0 means "not set".
    Seconds,
    /// A path that neither ssh, rsync nor Slurm takes apart.
    Path,
    /// The name of a cluster.
    Cluster,
    /// A host name or an IPv4 address.
    Host,
    /// A login name.
    User,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// One line of shell.
    Line,
    /// A command with placeholders.
    Proxy,
    /// A list of options of sbatch.
    Options,
    /// A list of names of environment variables.
    Variables,
}

/// What holds where a key is not set.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Default {
    /// As said.
    Is(&'static str),
    /// This many seconds.
    Seconds(u64),
    /// In words, since it depends on other things.
    Words(&'static str),
}

/// The longest time that a key in seconds may give: a year.
pub(crate) const MOST_SECONDS: u64 = 31_536_000;
pub(crate) const ACQUIRE_TIMEOUT: u64 = 1800;
pub(crate) const UNCLAIMED_GRACE: u64 = 120;
pub(crate) const WORK_ROOT: &str = "~/crabbox-slurm-work";
/// What the client needs on a node, unless the config says otherwise.
pub(crate) const READY_CHECK: &str =
    "command -v bash && command -v python3 && command -v git && command -v rsync && command -v tar";
/// The two ways to an endpoint, in `sshMode`.
pub(crate) const SSH_MODES: [&str; 2] = ["direct", "proxy-through-login"];

/// Every key there is, in the order of the alphabet.
pub(crate) const KEYS: [Key; 26] = [
    key(
        "account",
        Form::Word,
        Default::Words("the user's default account"),
        "The account that is charged: sbatch --account.",
    ),
    key(
        "acquireTimeoutSeconds",
        Form::Seconds,
        Default::Seconds(ACQUIRE_TIMEOUT),
        "How long an acquire waits for its job to be ready, in seconds.",
    ),
    key(
        "cluster",
        Form::Cluster,
        Default::Words("the cluster of slurm.conf"),
        "The cluster to submit to: sbatch --clusters.",
    ),
    key(
        "constraint",
        Form::Word,
        Default::Words("none"),
        "The features that nodes must have: sbatch --constraint.",
    ),
    key(
        "cpus",
        Form::Count,
        Default::Words("the site's, usually 1"),
        "The number of CPUs: sbatch --cpus-per-task.",
    ),
    key(
        "exportEnv",
        Form::Variables,
        Default::Words("none"),
        "The variables of the caller's environment that the job gets, by name. Variables that begin with CBX_, SBATCH_, SLURM_, SQUEUE_, SACCT_ or SCANCEL_, and LD_PRELOAD, are refused, but for the settings of the runner.",
    ),
    key(
        "extraSbatchArgs",
        Form::Options,
        Default::Words("none"),
        "Further options of sbatch, a word each. Options that would change what the submission is, runs as or says are refused: arrays, --wrap, --uid, --clusters, --comment, --output, --export, --requeue and their like.",
    ),
    key(
        "gres",
        Form::Word,
        Default::Words("none"),
        "Generic resources, such as gpu:1: sbatch --gres.",
    ),
    key(
        "idleTimeoutSeconds",
        Form::Seconds,
        Default::Words("no limit"),
        "After how long without an ssh session and without a touch the job ends by itself, in seconds. It holds until the client's own idle time comes with the first touch.",
    ),
    key(
        "loginHost",
        Form::Host,
        Default::Words("none"),
        "The login node that ssh goes through where sshMode is proxy-through-login.",
    ),
    key(
        "loginUser",
        Form::User,
        Default::Words("the caller's name"),
        "The user on the login node.",
    ),
    key(
        "mem",
        Form::Memory,
        Default::Words("the site's"),
        "The memory of each node, in megabytes or with a unit, such as 2G; 0 means all of a node's: sbatch --mem.",
    ),
    key(
        "nodes",
        Form::Nodes,
        Default::Words("1"),
        "The number of nodes, or a range such as 1-2: sbatch --nodes.",
    ),
    key(
        "partition",
        Form::Word,
        Default::Words("the site's default partition"),
        "The partition: sbatch --partition.",
    ),
    key(
        "proxyCommand",
        Form::Proxy,
        Default::Words("none"),
        "A ProxyCommand for ssh, instead of the one that sshMode gives. These are filled in: {host} {port} {user} {loginHost} {loginUser} {leaseId} {slug} {name} {jobId}. Single quotes and other braces are refused.",
    ),
    key(
        "qos",
        Form::Word,
        Default::Words("the user's default"),
        "The quality of service: sbatch --qos.",
    ),
    key(
        "readyCheck",
        Form::Line,
        Default::Is(READY_CHECK),
        "A command of one line that succeeds on a node which can be worked on.",
    ),
    key(
        "reservation",
        Form::Word,
        Default::Words("none"),
        "The reservation: sbatch --reservation.",
    ),
    key(
        "runnerScript",
        Form::Path,
        Default::Words("that of --runner-script, else the bundled one"),
        "The batch script, absolute or beginning with ~/.",
    ),
    key(
        "runnerWorkRoot",
        Form::Path,
        Default::Is(WORK_ROOT),
        "The directory that the runner makes for the client's work, absolute or beginning with ~/; the same as external.workRoot.",
    ),
    key(
        "sshMode",
        Form::Choice(&SSH_MODES),
        Default::Is("direct"),
        "How ssh reaches a node: direct, or through loginHost, which must be set then.",
    ),
    key(
        "sshPrivateKey",
        Form::Path,
        Default::Words("a new key for each lease"),
        "The private key to log in with, absolute or beginning with ~/; its .pub lies beside it.",
    ),
    key(
        "sshUser",
        Form::User,
        Default::Words("the job's user"),
        "The user to log in as.",
    ),
    key(
        "timeLimit",
        Form::TimeLimit,
        Default::Words("the partition's"),
        "The time limit of the job: minutes, minutes:seconds, hours:minutes:seconds, or any of days-hours, days-hours:minutes, days-hours:minutes:seconds: sbatch --time.",
    ),
    key(
        "ttlSeconds",
        Form::Seconds,
        Default::Words("the time limit of the job"),
        "After how long the job ends by itself, in seconds. It holds until the client's own time to live comes with the first touch.",
    ),
    key(
        "unclaimedGraceSeconds",
        Form::Seconds,
        Default::Seconds(UNCLAIMED_GRACE),
        "How long a job is kept whose acquire died before it answered, in seconds.",
    ),
];

const fn key(name: &'static str, form: Form, default: Default, about: &'static str) -> Key {
    Key {
        name,
        form,
        about,
        default,
    }
}

/// The row of the table, if there is one.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The key that is spelt most like this, if any is near.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    let distance = |key: &Key| strsim::osa_distance(&key.name.to_lowercase(), &name.to_lowercase());
    let nearest = KEYS.iter().map(|key| (distance(key), key.name)).min();
    nearest
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, name)| name)
}

/// What may stand in braces in a `proxyCommand`.
pub(super) fn placeholders() -> &'static [&'static str] {
    &proxy::PLACEHOLDERS
}
