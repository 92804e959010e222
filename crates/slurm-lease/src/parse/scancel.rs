//! What `scancel -v ID` answered. Its exit status is 0 for accepted, already over, unknown id and
//! filtered out alike; only the lines on stderr tell them apart, and none of them says that the
//! job is over.

use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Exit};
use crate::parse::{Unavailable, unavailable};

/// What became of one scancel.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[must_use = "a cancel's answer decides what must be looked at next"]
pub enum Cancelled {
    /// The controller took the request. The job still exists.
    Taken,
    /// `Kill job error on job id 17: Job/step already completing or completed`
    AlreadyEnding,
    /// `Kill job error on job id 17: Invalid job id specified`
    UnknownId,
    /// `Kill job error on job id 17: Access/permission denied`
    Denied,
    /// Anything else: it may have reached the controller or not.
    Unclear(Unavailable),
}

const ERROR: &str = "Kill job error on job id ";

/// Reads scancel's answer.
pub fn parse(answer: &Answer) -> Cancelled {
    let stderr = String::from_utf8_lossy(&answer.stderr);
    let verdicts: Vec<&str> = stderr
        .lines()
        .filter_map(|line| line.split_once(ERROR))
        .filter_map(|(_, rest)| rest.split_once(": "))
        .map(|(_, verdict)| verdict.trim_end())
        .collect();
    let Exit::Status(status) = answer.exit else {
        return Cancelled::Unclear(unavailable(answer));
    };
    let spoke_of_errors = stderr.lines().any(|line| line.contains("scancel: error:"));
    match verdicts[..] {
        [] if status == 0 && !spoke_of_errors => Cancelled::Taken,
        ["Invalid job id specified"] => Cancelled::UnknownId,
        ["Job/step already completing or completed"] => Cancelled::AlreadyEnding,
        ["Access/permission denied"] => Cancelled::Denied,
        _ => Cancelled::Unclear(unavailable(answer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(status: i32, stderr: &str) -> Cancelled {
        parse(&Answer {
            exit: Exit::Status(status),
            stdout: Vec::new(),
            stderr: stderr.into(),
        })
    }

    #[test]
    fn exit_status_0_has_four_meanings() {
        assert_eq!(parsed(0, "scancel: Terminating job 17\n"), Cancelled::Taken);
        assert_eq!(
            parsed(
                0,
                "scancel: Terminating job 999\nscancel: error: Kill job error on job id 999: Invalid job id specified\n"
            ),
            Cancelled::UnknownId
        );
        assert_eq!(
            parsed(
                0,
                "scancel: error: Kill job error on job id 17: Job/step already completing or completed\n"
            ),
            Cancelled::AlreadyEnding
        );
        assert!(matches!(
            parsed(0, "scancel: error: something new\n"),
            Cancelled::Unclear(_)
        ));
    }

    #[test]
    fn a_failure_without_a_known_verdict_is_unclear() {
        for (status, stderr) in [
            (
                8,
                "scancel: error: Kill job error on job id 1: Unable to contact slurm controller (connect failure)\n",
            ),
            (
                140,
                "scancel: error: Kill job error on job id 1: Socket timed out on send/recv operation\n",
            ),
            (1, ""),
        ] {
            assert!(
                matches!(parsed(status, stderr), Cancelled::Unclear(_)),
                "{stderr}"
            );
        }
    }
}
