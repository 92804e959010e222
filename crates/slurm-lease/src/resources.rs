//! What a lease asks of Slurm, as options for sbatch: checked before anything is submitted.

use thiserror::Error;

mod script;

pub use script::check_script;

/// The resources and the policy that a job asks for. Empty fields leave the choice to the site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// `--account`
    pub account: Option<String>,
    /// `--partition`
    pub partition: Option<String>,
    /// `--qos`
    pub qos: Option<String>,
    /// `--cpus-per-task`
    pub cpus: Option<String>,
    /// `--mem`, such as `2G`
    pub mem: Option<String>,
    /// `--time`, such as `01:00:00`
    pub time_limit: Option<String>,
    /// `--gres`
    pub gres: Option<String>,
    /// `--nodes`
    pub nodes: Option<String>,
    /// `--constraint`
    pub constraint: Option<String>,
    /// `--reservation`
    pub reservation: Option<String>,
    /// Further options, as sbatch takes them.
    pub extra: Vec<String>,
}

/// An option that is not passed on to sbatch.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResourceError {
    /// A value is not of the form that Slurm reads.
    #[error("{key} is {value:?}, but must be {rule}")]
    Value {
        /// The key it came under.
        key: &'static str,
        /// What was given.
        value: String,
        /// What it must be.
        rule: &'static str,
    },
    /// An option would take the submission out of our hands.
    #[error("extraSbatchArgs: {option} is refused, because {why}")]
    Refused {
        /// The option, without its value.
        option: String,
        /// Why it is refused.
        why: &'static str,
    },
    /// An option in a site's own script would make something else of the submission.
    #[error("#SBATCH {option} is refused, because {why}")]
    Script {
        /// The option, without its value.
        option: String,
        /// Why it is refused.
        why: &'static str,
    },
}

/// Options that are ours to set, or would change what a submission is or says, with the letter
/// that they can be given as.
pub const REFUSED_OPTIONS: [(&str, Option<char>, &str); 30] = [
    ("array", Some('a'), "a lease is one job, not an array"),
    (
        "batch",
        None,
        "the node of the batch script is Slurm's choice here",
    ),
    (
        "chdir",
        Some('D'),
        "the job starts in the lease's directory",
    ),
    (
        "cluster-constraint",
        None,
        "it can send the job to another cluster",
    ),
    (
        "clusters",
        Some('M'),
        "the cluster is chosen with the key cluster",
    ),
    (
        "comment",
        None,
        "the comment carries what identifies the job",
    ),
    (
        "error",
        Some('e'),
        "the job's output goes to the lease's directory",
    ),
    (
        "export",
        None,
        "the environment is chosen with the key exportEnv",
    ),
    (
        "export-file",
        None,
        "the environment is chosen with the key exportEnv",
    ),
    (
        "get-user-env",
        None,
        "the environment is chosen with the key exportEnv",
    ),
    ("gid", None, "the job runs as the user who submits it"),
    ("help", Some('h'), "it prints a text and submits nothing"),
    ("hold", Some('H'), "a held job never becomes ready"),
    ("ignore-pbs", None, "the script holds no PBS options"),
    ("input", Some('i'), "the job's input is empty"),
    ("job-name", Some('J'), "the name is the client's"),
    ("no-requeue", None, "it is given already"),
    (
        "open-mode",
        None,
        "the job's output goes to the lease's directory",
    ),
    (
        "output",
        Some('o'),
        "the job's output goes to the lease's directory",
    ),
    ("parsable", None, "it is given already"),
    ("quiet", Some('Q'), "it hides the job's number"),
    (
        "requeue",
        None,
        "a requeued job is another machine under the same number",
    ),
    ("test-only", None, "it submits nothing"),
    ("uid", None, "the job runs as the user who submits it"),
    ("usage", None, "it prints a text and submits nothing"),
    ("verbose", Some('v'), "it mixes other text into the answer"),
    ("version", Some('V'), "it prints a text and submits nothing"),
    ("wait", Some('W'), "it waits for the end of the job"),
    ("wait-all-nodes", None, "the runner needs its own node only"),
    ("wrap", None, "it replaces the runner"),
];

/// Letters of sbatch that take a value, which may follow as the next word.
const LETTERS_WITH_VALUE: &str = "AaBbCcDdeFGiJLMmNnopqStwx";
/// Letters of sbatch that take none.
const LETTERS_ALONE: &str = "HhIkOQsuVvWX";

/// Long options of sbatch (20.11 to 26.05) whose value may be the next word. After any other, one
/// with an optional value such as `--nice` included, sbatch takes the next word for its script;
/// so it does after an abbreviation of an option that stands alone.
const TAKES_VALUE: [&str; 68] = [
    "account",
    "acctg-freq",
    "bb",
    "bbf",
    "begin",
    "constraint",
    "container",
    "container-id",
    "core-spec",
    "cores-per-socket",
    "cpu-freq",
    "cpus-per-gpu",
    "cpus-per-task",
    "deadline",
    "delay-boot",
    "dependency",
    "distribution",
    "exclude",
    "extra",
    "extra-node-info",
    "gpu-bind",
    "gpu-freq",
    "gpus",
    "gpus-per-node",
    "gpus-per-socket",
    "gpus-per-task",
    "gres",
    "gres-flags",
    "hint",
    "kill-on-invalid-dep",
    "licenses",
    "mail-type",
    "mail-user",
    "mcs-label",
    "mem",
    "mem-bind",
    "mem-per-cpu",
    "mem-per-gpu",
    "mincpus",
    "network",
    "nodefile",
    "nodelist",
    "nodes",
    "ntasks",
    "ntasks-per-core",
    "ntasks-per-gpu",
    "ntasks-per-node",
    "ntasks-per-socket",
    "partition",
    "power",
    "prefer",
    "priority",
    "profile",
    "qos",
    "reservation",
    "segment",
    "signal",
    "sockets-per-node",
    "switches",
    "tasks-per-node",
    "thread-spec",
    "threads-per-core",
    "time",
    "time-min",
    "tmp",
    "tres-bind",
    "tres-per-task",
    "wckey",
];

impl Resources {
    /// What is asked for in a few words: `batch cpus=2 mem=2G`.
    pub fn summary(&self) -> String {
        let named = [
            ("account", &self.account),
            ("qos", &self.qos),
            ("cpus", &self.cpus),
            ("mem", &self.mem),
            ("nodes", &self.nodes),
            ("gres", &self.gres),
            ("time", &self.time_limit),
        ];
        let named = named
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)));
        let words: Vec<String> = self.partition.clone().into_iter().chain(named).collect();
        words.join(" ")
    }

    /// The options for sbatch, in the form `--option=value`.
    ///
    /// # Errors
    /// When a value is not of the form that Slurm reads, or an option is refused.
    pub fn options(&self) -> Result<Vec<String>, ResourceError> {
        let plain = (
            is_word as fn(&str) -> bool,
            "one word without quotes or control characters",
        );
        let fields = [
            ("account", "account", &self.account, plain),
            ("partition", "partition", &self.partition, plain),
            ("qos", "qos", &self.qos, plain),
            (
                "cpus",
                "cpus-per-task",
                &self.cpus,
                (is_count, "a whole number from 1 up"),
            ),
            (
                "mem",
                "mem",
                &self.mem,
                (
                    is_memory,
                    "a number with K, M, G or T behind it, such as 2G",
                ),
            ),
            (
                "timeLimit",
                "time",
                &self.time_limit,
                (is_time, "a time limit such as 30, 01:00:00 or 1-12:00:00"),
            ),
            ("gres", "gres", &self.gres, plain),
            (
                "nodes",
                "nodes",
                &self.nodes,
                (
                    is_node_count,
                    "a whole number from 1 up, or a range such as 1-2",
                ),
            ),
            ("constraint", "constraint", &self.constraint, plain),
            ("reservation", "reservation", &self.reservation, plain),
        ];
        let mut options = Vec::new();
        for (key, option, value, (check, rule)) in fields {
            let Some(value) = value else { continue };
            if !check(value) {
                let value = value.chars().take(80).collect();
                return Err(ResourceError::Value { key, value, rule });
            }
            options.push(format!("--{option}={value}"));
        }
        check_extra(&self.extra)?;
        options.extend(self.extra.iter().cloned());
        Ok(options)
    }
}

fn is_word(text: &str) -> bool {
    let odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '\\');
    (1..=1024).contains(&text.len()) && !text.starts_with('-') && !text.contains(odd)
}

fn is_count(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<u32>().is_ok_and(|count| count > 0)
}

fn is_node_count(text: &str) -> bool {
    match text.split_once('-') {
        Some((least, most)) => {
            let in_order = least.parse::<u32>().ok() <= most.parse().ok();
            is_count(least) && is_count(most) && in_order
        }
        None => is_count(text),
    }
}

/// `--mem`: a number of megabytes, or with a unit. 0 means all of a node's memory.
fn is_memory(text: &str) -> bool {
    let number = text
        .strip_suffix(['K', 'M', 'G', 'T', 'k', 'm', 'g', 't'])
        .unwrap_or(text);
    !number.is_empty() && number.len() <= 18 && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// `--time`: minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes,
/// days-hours:minutes:seconds.
fn is_time(text: &str) -> bool {
    let (days, clock) = match text.split_once('-') {
        Some((days, clock)) => (Some(days), clock),
        None => (None, text),
    };
    let number = |part: &str| {
        (1..=9).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut parts = clock.split(':');
    days.is_none_or(number)
        && parts.all(number)
        && clock.split(':').count() <= 3
        && text.bytes().any(|byte| matches!(byte, b'1'..=b'9'))
}

/// Passes on only what asks for resources or policy. A word that is neither an option nor the
/// value of one would be taken for the batch script; an option without its value would take our
/// next option for it.
fn check_extra(extra: &[String]) -> Result<(), ResourceError> {
    let without_value =
        |option: &String| refused(option, "its value is missing; it is written --option=value");
    let mut valueless = None;
    for word in extra {
        if word.is_empty() || word.contains('\0') || word.len() > 4096 {
            return Err(refused(word, "it is empty, too long or holds a NUL"));
        }
        match valueless.take() {
            Some(option) if word.starts_with('-') => return Err(without_value(option)),
            Some(_) => continue,
            None => {}
        }
        let takes_value = match word.strip_prefix("--") {
            Some("") => return Err(refused(word, "it ends the options")),
            Some(long) => check_long(word, long)?,
            None => check_letters(word)?,
        };
        valueless = takes_value.then_some(word);
    }
    valueless.map_or(Ok(()), |option| Err(without_value(option)))
}

fn refused(option: &str, why: &'static str) -> ResourceError {
    // Of `--export=TOKEN=…`, the value is nobody's business.
    let name = option.split('=').next().unwrap_or_default();
    let option = name.chars().take(80).collect();
    ResourceError::Refused { option, why }
}

/// getopt_long takes any beginning of an option's name for it, so that is what is refused.
fn check_long(word: &str, long: &str) -> Result<bool, ResourceError> {
    let (name, value) = match long.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (long, None),
    };
    let refusal = REFUSED_OPTIONS
        .iter()
        .find(|(refused, _, _)| refused.starts_with(name));
    match refusal {
        Some((_, _, why)) => Err(refused(word, why)),
        None => Ok(value.is_none() && TAKES_VALUE.contains(&name)),
    }
}

fn check_letters(word: &str) -> Result<bool, ResourceError> {
    let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
        return Err(refused(
            word,
            "sbatch would take it for the script; a value is written --option=value",
        ));
    };
    let mut rest = letters.chars();
    while let Some(letter) = rest.next() {
        if let Some((_, _, why)) = REFUSED_OPTIONS
            .iter()
            .find(|(_, known, _)| *known == Some(letter))
        {
            return Err(refused(word, why));
        }
        if LETTERS_WITH_VALUE.contains(letter) {
            return Ok(rest.as_str().is_empty());
        }
        if !LETTERS_ALONE.contains(letter) {
            return Err(refused(word, "sbatch has no such letter"));
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extra(words: &[&str]) -> Result<Vec<String>, ResourceError> {
        let extra = words.iter().map(|&word| word.to_owned()).collect();
        Resources {
            extra,
            ..Resources::default()
        }
        .options()
    }

    #[test]
    fn resources_become_options() {
        let resources = Resources {
            partition: Some("batch".to_owned()),
            cpus: Some("2".to_owned()),
            mem: Some("2G".to_owned()),
            time_limit: Some("1-00:30:00".to_owned()),
            extra: vec!["--exclusive".to_owned()],
            ..Resources::default()
        };
        let options = resources.options().unwrap().join(" ");
        assert_eq!(
            options,
            "--partition=batch --cpus-per-task=2 --mem=2G --time=1-00:30:00 --exclusive"
        );
    }

    #[test]
    fn impossible_values_are_refused_by_name() {
        let of = |set: fn(&mut Resources, String), text: &str| {
            let mut resources = Resources::default();
            set(&mut resources, text.to_owned());
            resources.options()
        };
        for text in ["0", "-1", "two", "1.5", "", "4294967296"] {
            assert!(of(|r, t| r.cpus = Some(t), text).is_err(), "cpus {text:?}");
        }
        for text in ["", "G", "2X", "-2G", "2 G"] {
            assert!(of(|r, t| r.mem = Some(t), text).is_err(), "mem {text:?}");
        }
        for text in ["", "0", "1:2:3:4", "-1", "x", "00:00:00", "1-"] {
            assert!(
                of(|r, t| r.time_limit = Some(t), text).is_err(),
                "timeLimit {text:?}"
            );
        }
        for text in ["0", "2-1", "1-", "-2", "1-2-3"] {
            assert!(
                of(|r, t| r.nodes = Some(t), text).is_err(),
                "nodes {text:?}"
            );
        }
        assert!(of(|r, t| r.nodes = Some(t), "2-10").is_ok());
        for text in ["", "--wrap=x", "a b", "a\nb", "a\"b"] {
            let error = of(|r, t| r.partition = Some(t), text).unwrap_err();
            assert!(error.to_string().contains("partition"), "{text:?}");
        }
    }

    #[test]
    fn options_that_ask_for_resources_pass() {
        for words in [
            &["--exclusive"][..],
            &["--mail-type", "END"],
            &["--mail-type=END", "-w", "n1"],
            &["-N1", "-n", "2"],
            &["--wckey=abc"],
            &["-s"],
            &["--container-image=/x.sqsh"],
        ] {
            assert_eq!(extra(words).unwrap(), words, "{words:?}");
        }
    }

    #[test]
    fn options_that_redirect_or_silence_the_submission_are_refused() {
        for words in [
            &["--wrap", "id"][..],
            &["--wr=id"],
            &["--uid=0"],
            &["--parsable"],
            &["--clusters=x"],
            &["--clus", "x"],
            &["-M", "x"],
            &["-Mx"],
            &["-sQ"],
            &["-sMx"],
            &["--array=1-2"],
            &["-a1"],
            &["script.sh"],
            &["--exclusive", "script.sh"],
            &["--mail-type", "END", ":", "-n1"],
            &["--"],
            &["-"],
            &[""],
            &["--comment=x"],
            &["--export=ALL"],
            &["--test-only"],
            &["--wait"],
            &["-W"],
            &["--requeue"],
            &["--z", "x", "y"],
            &["--nice", "script.sh"],
            &["--propagate", "script.sh"],
            &["--no-kill", "script.sh"],
            &["--overcom", "script.sh"],
            &["--stepmgr", "script.sh"],
            &["--mail-user", "--mail-user", "script.sh"],
            &["-w", "-n", "script.sh"],
            &["--mail-user"],
            &["-w"],
        ] {
            assert!(extra(words).is_err(), "{words:?}");
        }
    }
}
