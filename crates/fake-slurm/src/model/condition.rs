//! What is wrong with a cluster at the moment.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The controller, as its clients meet it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Controller {
    /// It answers.
    #[default]
    Up,
    /// Nobody listens.
    Down,
    /// It takes a connection and says nothing. A submission may be taken up later.
    Hung,
    /// It does not believe who the caller is.
    AuthenticationError,
    /// The caller's own munged is down.
    MungeDown,
    /// A backup that took over with an old picture, and takes no changes to it.
    Stale,
}

/// The accounting database, as its clients meet it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Accounting {
    /// It answers, and is up to date.
    #[default]
    Up,
    /// It answers, and has heard nothing of the last while.
    Lagging(Duration),
    /// slurmdbd refuses connections.
    Down,
    /// slurmdbd answers, and its own database does not.
    NoDatabase,
    /// The cluster has no slurmdbd.
    Disabled,
}

/// What the site's job_submit plugin does to a submission.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmitPlugin {
    /// Sets the comment to this; an empty one removes it.
    pub comment: Option<String>,
    /// Sets the job's name.
    pub name: Option<String>,
    /// Prints this on sbatch's stderr, as `slurm.log_user` does.
    pub message: Option<String>,
    /// Prints this on sbatch's stdout before the answer, as a wrapper or cli_filter may.
    pub banner: Option<String>,
    /// Holds every job until an operator releases it.
    pub hold: bool,
    /// Makes every job requeueable, whatever it asked for.
    pub force_requeue: bool,
}

/// What is wrong with a cluster, or peculiar to its site.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// The controller.
    pub controller: Controller,
    /// The database.
    pub accounting: Accounting,
    /// The submit plugin.
    pub plugin: SubmitPlugin,
    /// slurmctld's rate limit (`rl_enable`, since 23.02): the client is told to wait this long,
    /// and does, without a word unless it was called with -v.
    pub backoff: Option<Duration>,
}
