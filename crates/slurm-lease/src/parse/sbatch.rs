//! What `sbatch --parsable` answered. Three outcomes, and most failures are the third: an exit
//! status of 1 does not say that there is no job.

use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Exit};
use crate::id::JobRef;
use crate::parse::{Unavailable, text, unavailable};

/// The outcome of one submission.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[must_use = "a submission's outcome decides whether there is a job"]
pub enum Submitted {
    /// There is a job, and this is it.
    Accepted(JobRef),
    /// There is no job: sbatch or the controller said so in words that mean just that.
    Refused(Refusal),
    /// There may be a job, now or a little later. It must be looked up, never sent again blindly.
    Unclear(Unavailable),
}

/// A refusal, in Slurm's words.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Refusal {
    /// What sbatch said, shortened.
    pub said: String,
}

/// What the controller answers when it has looked at a submission and made no job of it:
/// `sbatch: error: Batch job submission failed: <one of these>`. From the table in Slurm's
/// `src/common/slurm_errno.c`, 20.11 to 26.05, where the wording changed both are here.
/// Temporary conditions count: sbatch has retried them by then, and no job came of it.
pub const REFUSALS: [&str; 52] = [
    "Invalid partition name specified",
    "Invalid account or account/partition combination specified",
    "Invalid qos specification",
    "Invalid qos for job request",
    "Invalid wckey specification",
    "Invalid license specification",
    "Invalid feature specification",
    "Invalid generic resource (gres) specification",
    "Invalid Trackable RESource (TRES) specification",
    "Invalid node name specified",
    "Invalid node count specification",
    "Node count specification invalid",
    "Invalid job array specification",
    "Invalid reservation specification",
    "Requested reservation is invalid",
    "Requested reservation not usable now",
    "Reservation is invalid",
    "Invalid job constraint specification",
    "Invalid burst buffer request",
    "Invalid time limit specification",
    "Requested time limit is invalid (missing or exceeds some limit)",
    "Time limit specification required, but not provided",
    "Requested node configuration is not available",
    "Requested nodes are busy",
    "Requested partition configuration not available now",
    "Required partition not available (inactive or drain)",
    "Required node not available (down, drained or reserved)",
    "Requested topology configuration is not available",
    "Memory required by task is not available",
    "Memory specification can not be satisfied",
    "More processors requested than permitted",
    "More processors requested than available",
    "CPU count specification invalid",
    "CPU count per node can not be satisfied",
    "CPU frequency specification invalid",
    "Task count specification invalid",
    "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
    "Job violates accounting policy (job submit limit, the user's size and/or time limits)",
    "User's group not permitted to use this partition",
    "Access/permission denied",
    // From 26.05 on. Up to 24.11 a full queue is "Resource temporarily unavailable", which is the
    // operating system's word for many things, so it proves nothing.
    "MaxJobCount limit reached",
    "Job dependency problem",
    "Unsupported dependency specification",
    "Invalid dependency specification",
    "Job size specification needs to be provided",
    "Immediate execution impossible, insufficient priority",
    "Switch count specification invalid",
    "Pathname of a file, directory or other parameter too long",
    "Batch script is empty",
    "Invalid submission",
    "The specified operation is not supported",
    // What a site's job_submit plugin answers unless it chooses a code.
    "Unspecified error",
];

/// What a line on stderr holds when sbatch itself refused, before it spoke to a controller.
/// getopt names the program by the path that it was called with.
pub const USAGE_ERRORS: [&str; 17] = [
    "sbatch: unrecognized option",
    "sbatch: invalid option",
    "sbatch: option ",
    "sbatch: error: Unable to open file ",
    "sbatch: error: This does not look like a batch script",
    "sbatch: error: Batch script ",
    "sbatch: error: Invalid ",
    "sbatch: error: Maximum node count ",
    "sbatch: error: The first line must start with",
    "sbatch: error: Could not open user environment file ",
    "sbatch: error: --uid only permitted by root user",
    "sbatch: error: Script arguments not permitted with --wrap option",
    "sbatch: error: The Slurm controller does not allow scripts that",
    "can't be reached now, or it is an invalid entry for --cluster",
    "can't be reached now, or it is an invalid entry for SLURM_CLUSTERS",
    "sbatch: fatal: Unable to process configuration file",
    "sbatch: fatal: Could not establish a configuration source",
];

const FAILED: &str = "Batch job submission failed: ";
const NOT_CONTACTED: &str = "Unable to contact slurm controller (connect failure)";
/// What is said of a request that was sent and not answered: `Socket timed out on send/recv
/// operation`, `Zero Bytes were transmitted or received`, `Transport endpoint is not connected`,
/// `Header lengths are longer than data received`.
pub const MAY_BE_SENT: [&str; 6] = [
    "timed out",
    "send/receive",
    "send/recv",
    "Zero Bytes",
    "Transport endpoint",
    "longer than data received",
];
const NOT_ENCODED: &str = "Munge encode failed";

/// Reads sbatch's answer.
///
/// Accepted is the line `17` or `17;cluster` on stdout with exit status 0; lines that a site's
/// wrapper or plugin prints around it are passed over. A line without its line break may be the
/// beginning of another number. Refused is an exit status of 1 and up with
/// no such line and known words: `sbatch: error: Batch job submission failed: Invalid partition
/// name specified`.
pub fn parse(answer: &Answer) -> Submitted {
    let job = job_line(&answer.stdout);
    match (&answer.exit, job) {
        (Exit::Status(0), Some(job)) => Submitted::Accepted(job),
        (Exit::Status(0), None) => Submitted::Unclear(Unavailable::unreadable(&answer.stdout)),
        (Exit::Status(_), None) if is_refusal(&answer.stderr) => Submitted::Refused(Refusal {
            said: text::shorten(&answer.stderr),
        }),
        // A program that was never started has submitted nothing.
        (Exit::NotStarted(why), _) => Submitted::Refused(Refusal { said: why.clone() }),
        _ => Submitted::Unclear(unavailable(answer)),
    }
}

/// The one line that is a job and nothing else. Two different ones are none.
fn job_line(stdout: &[u8]) -> Option<JobRef> {
    let text = String::from_utf8_lossy(stdout);
    let whole = |line: &&str| line.ends_with('\n');
    let lines = text.split_inclusive('\n').filter(whole);
    let mut jobs = lines.filter_map(|line| line.trim().parse().ok());
    let first = jobs.next()?;
    jobs.all(|other| other == first).then_some(first)
}

fn is_refusal(stderr: &[u8]) -> bool {
    let text = String::from_utf8_lossy(stderr);
    let verdicts: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once(FAILED))
        .map(|(_, verdict)| verdict.trim_end())
        .collect();
    // One word of a request that may have arrived, and every other word is worth nothing.
    if MAY_BE_SENT.iter().any(|words| text.contains(words)) {
        return false;
    }
    if verdicts.is_empty() {
        return text
            .lines()
            .any(|line| USAGE_ERRORS.iter().any(|words| line.contains(words)));
    }
    verdicts.iter().all(|verdict| REFUSALS.contains(verdict)) || never_sent(&text, &verdicts)
}

/// The request never left this machine: no connection to any controller, or no credential to
/// send.
fn never_sent(text: &str, verdicts: &[&str]) -> bool {
    text.contains(NOT_ENCODED) || verdicts == [NOT_CONTACTED]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: i32, stdout: &str, stderr: &str) -> Answer {
        Answer {
            exit: Exit::Status(status),
            stdout: stdout.into(),
            stderr: stderr.into(),
        }
    }

    fn is_unclear(answer: &Answer) -> bool {
        matches!(parse(answer), Submitted::Unclear(_))
    }

    #[test]
    fn a_job_is_a_line_of_its_own() {
        for stdout in ["17\n", "Welcome to the cluster\n17\n", "17\n17\n"] {
            let job = "17".parse().unwrap();
            assert_eq!(parse(&answer(0, stdout, "")), Submitted::Accepted(job));
        }
        let job = "17;beta".parse().unwrap();
        assert_eq!(parse(&answer(0, "17;beta\n", "")), Submitted::Accepted(job));
        for stdout in [
            "",
            "Submitted batch job 17\n",
            "17\n18\n",
            "17 18\n",
            "\u{0}17\n",
            "17",
            "17;be",
        ] {
            assert!(is_unclear(&answer(0, stdout, "")), "{stdout:?}");
        }
    }

    #[test]
    fn a_job_number_beside_a_failure_is_unclear() {
        let failed = "sbatch: error: Batch job submission failed: Invalid partition name specified";
        assert!(is_unclear(&answer(1, "17\n", failed)));
    }

    #[test]
    fn silence_and_time_outs_are_unclear() {
        for verdict in [
            "Socket timed out on send/recv operation",
            "Protocol authentication error",
            "Zero Bytes were transmitted or received",
            "Resource temporarily unavailable",
            "words of a later Slurm",
        ] {
            let stderr = format!("sbatch: error: Batch job submission failed: {verdict}\n");
            assert!(is_unclear(&answer(1, "", &stderr)), "{verdict}");
        }
        assert!(is_unclear(&answer(1, "", "")));
    }

    #[test]
    fn only_a_request_that_was_never_sent_is_refused() {
        let unreachable = "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)\n";
        assert!(matches!(
            parse(&answer(1, "", unreachable)),
            Submitted::Refused(_)
        ));
        let munge_down = "sbatch: error: If munged is up, restart with --num-threads=10\nsbatch: error: Munge encode failed: Failed to access \"/run/munge/munge.socket.2\": No such file or directory\nsbatch: error: Batch job submission failed: Protocol authentication error\n";
        assert!(matches!(
            parse(&answer(1, "", munge_down)),
            Submitted::Refused(_)
        ));
        let both = format!("sbatch: error: Socket timed out on send/recv operation\n{unreachable}");
        assert!(is_unclear(&answer(1, "", &both)));
    }
}
