//! sbatch's options: which there are, and which variables stand for them.

use crate::options::{Known, Takes};

const fn flag(name: &'static str, short: Option<char>) -> Known {
    (name, short, Takes::Nothing)
}

const fn value(name: &'static str, short: Option<char>) -> Known {
    (name, short, Takes::Value)
}

/// The options that the fake plays, and at the end those that it takes and ignores, since they
/// change nothing that can be seen from outside the job.
pub(super) const KNOWN: &[Known] = &[
    value("account", Some('A')),
    value("begin", Some('b')),
    value("chdir", Some('D')),
    value("clusters", Some('M')),
    value("comment", None),
    value("constraint", Some('C')),
    value("cpus-per-task", Some('c')),
    value("deadline", None),
    value("dependency", Some('d')),
    value("error", Some('e')),
    value("exclude", Some('x')),
    ("exclusive", None, Takes::MaybeValue),
    value("export", None),
    value("gpus", Some('G')),
    value("gres", None),
    flag("hold", Some('H')),
    value("input", Some('i')),
    value("job-name", Some('J')),
    value("licenses", Some('L')),
    value("mem", None),
    value("mem-per-cpu", None),
    ("nice", None, Takes::MaybeValue),
    flag("no-requeue", None),
    value("nodelist", Some('w')),
    value("nodes", Some('N')),
    value("ntasks", Some('n')),
    value("ntasks-per-node", None),
    value("open-mode", None),
    value("output", Some('o')),
    flag("parsable", None),
    value("partition", Some('p')),
    value("qos", Some('q')),
    flag("quiet", Some('Q')),
    flag("requeue", None),
    value("reservation", None),
    flag("test-only", None),
    value("time", Some('t')),
    flag("verbose", Some('v')),
    flag("version", Some('V')),
    value("wckey", None),
    value("wrap", None),
    // Ignored.
    value("distribution", Some('m')),
    value("hint", None),
    value("kill-on-invalid-dep", None),
    value("mail-type", None),
    value("mail-user", None),
    value("signal", None),
    value("tmp", None),
];

/// INPUT ENVIRONMENT VARIABLES of sbatch's manual page. The options of some are not played: a
/// call that does not clear such a variable is refused by name.
pub(super) const VARIABLES: &[(&str, &str)] = &[
    ("SBATCH_ACCOUNT", "account"),
    ("SBATCH_ARRAY_INX", "array"),
    ("SBATCH_CLUSTERS", "clusters"),
    ("SBATCH_CONSTRAINT", "constraint"),
    ("SBATCH_CONTAINER", "container"),
    ("SBATCH_ERROR", "error"),
    ("SBATCH_EXCLUSIVE", "exclusive"),
    ("SBATCH_EXPORT", "export"),
    ("SBATCH_GET_USER_ENV", "get-user-env"),
    ("SBATCH_GPUS", "gpus"),
    ("SBATCH_GRES", "gres"),
    ("SBATCH_IGNORE_PBS", "ignore-pbs"),
    ("SBATCH_INPUT", "input"),
    ("SBATCH_JOB_NAME", "job-name"),
    ("SBATCH_MEM_PER_CPU", "mem-per-cpu"),
    ("SBATCH_MEM_PER_NODE", "mem"),
    ("SBATCH_NO_REQUEUE", "no-requeue"),
    ("SBATCH_OPEN_MODE", "open-mode"),
    ("SBATCH_OUTPUT", "output"),
    ("SBATCH_PARTITION", "partition"),
    ("SBATCH_QOS", "qos"),
    ("SBATCH_REQUEUE", "requeue"),
    ("SBATCH_RESERVATION", "reservation"),
    ("SBATCH_SIGNAL", "signal"),
    ("SBATCH_TIMELIMIT", "time"),
    ("SBATCH_WAIT", "wait"),
    ("SBATCH_WCKEY", "wckey"),
];
