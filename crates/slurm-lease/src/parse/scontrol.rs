//! What `scontrol show config` answered: the few of the controller's settings that matter to a
//! lease.

use std::time::Duration;

use crate::answer::{Answer, Exit};
use crate::parse::{Unavailable, unavailable};

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
