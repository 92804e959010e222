//! What `scontrol show config` answered: the few of the controller's settings that matter to a
//! lease. And what `scontrol ping` did.

use std::time::Duration;

use crate::answer::{Answer, Exit};
use crate::parse::{Cause, Unavailable, unavailable};

/// The controller's settings, as far as it told them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// `ClusterName`
    pub cluster_name: Option<String>,
    /// `SLURM_VERSION`, such as `22.05.8`
    pub version: Option<String>,
    /// `MinJobAge`: how long a finished job stays visible at least; zero means for ever.
    pub min_job_age: Option<Duration>,
    /// `MessageTimeout`: how long the controller's own exchanges may take.
    pub message_timeout: Option<Duration>,
}

/// Reads lines of the form `MinJobAge               = 300 sec`.
///
/// # Errors
/// What Slurm said where it gave no usable answer.
pub fn parse(answer: &Answer) -> Result<Configuration, Unavailable> {
    if answer.exit != Exit::Status(0) {
        return Err(unavailable(answer));
    }
    let text = String::from_utf8_lossy(&answer.stdout);
    let value = |key: &str| {
        text.lines()
            .filter_map(|line| line.split_once('='))
            .find(|(name, _)| name.trim() == key)
            .map(|(_, value)| value.trim().to_owned())
    };
    let seconds = |key: &str| {
        let text = value(key)?;
        let number = text.strip_suffix(" sec").unwrap_or(&text).parse().ok()?;
        Some(Duration::from_secs(number))
    };
    Ok(Configuration {
        cluster_name: value("ClusterName"),
        version: value("SLURM_VERSION"),
        min_job_age: seconds("MinJobAge"),
        message_timeout: seconds("MessageTimeout"),
    })
}

/// Reads `Slurmctld(primary) at ctl1 is DOWN`, a line for each controller: what it says where none
/// of them listens, and nothing in any other case.
pub fn parse_ping(answer: &Answer) -> Option<Unavailable> {
    let text = String::from_utf8_lossy(&answer.stdout);
    let mut controllers = text
        .lines()
        .filter(|line| line.starts_with("Slurmctld("))
        .peekable();
    let said = controllers.peek()?.trim().to_owned();
    let down = matches!(answer.exit, Exit::Status(_))
        && controllers.all(|line| line.trim_end().ends_with(" is DOWN"));
    let cause = Cause::Unreachable;
    down.then_some(Unavailable { cause, said })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ping(exit: Exit, stdout: &str) -> Option<Cause> {
        let answer = Answer {
            exit,
            stdout: stdout.into(),
            stderr: Vec::new(),
        };
        parse_ping(&answer).map(|why| why.cause)
    }

    #[test]
    fn a_controller_is_down_only_where_every_one_is() {
        let down = "Slurmctld(primary) at ctl1 is DOWN\n*****************************************\n** RESTORE SLURMCTLD DAEMON TO SERVICE **\n*****************************************\n";
        assert_eq!(ping(Exit::Status(1), down), Some(Cause::Unreachable));
        let backup = "Slurmctld(primary) at ctl1 is DOWN\nSlurmctld(backup) at ctl2 is UP\n";
        assert_eq!(ping(Exit::Status(1), backup), None);
        assert_eq!(
            ping(Exit::Status(0), "Slurmctld(primary) at ctl1 is UP\n"),
            None
        );
        // One that hangs was not waited for.
        assert_eq!(ping(Exit::TimedOut, ""), None);
        assert_eq!(ping(Exit::Status(64), "scontrol: no such command\n"), None);
    }
}
