//! What is asked for with a lease.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use crate::command::Submission;
use crate::driver::keys;
use crate::driver::store::{LeaseDir, Store};
use crate::id::{ClusterName, JobName, LeaseId, Tag, Uid};
use crate::record::{Access, Opened};
use crate::resources::{ResourceError, Resources};

/// The batch script that serves a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runner {
    /// The one that comes with this crate: an unprivileged sshd.
    Bundled,
    /// A site's own.
    Script(Utf8PathBuf),
}

/// The bundled runner: a POSIX shell script.
pub(crate) const BUNDLED: &str = include_str!("runner.sh");

/// A lease as it is asked for.
#[derive(Clone, Debug)]
pub struct Order {
    /// The client's id of it.
    pub lease: LeaseId,
    /// The client's short name for it.
    pub slug: String,
    /// The name of its job.
    pub name: JobName,
    /// The cluster, where it is not the configuration's own.
    pub cluster: Option<ClusterName>,
    /// What the job asks of Slurm.
    pub resources: Resources,
    /// How its endpoint is reached.
    pub access: Access,
    /// What the job runs.
    pub runner: Runner,
    /// Where the client works on the node.
    pub work_root: Utf8PathBuf,
    /// The login name on the node; empty for the job's own user.
    pub ssh_user: String,
    /// A command that succeeds once the node can be worked on.
    pub ready_check: String,
    /// Variables of the caller that the job gets: their names.
    pub exported: Vec<String>,
    /// How long to wait for the endpoint.
    pub time_limit: Duration,
    /// Whether the job stays in the queue when that is over.
    pub keep: bool,
    /// How long a job that nobody claimed is kept.
    pub unclaimed_grace: Duration,
    /// How long a job is kept that nobody uses, if that ends it.
    pub idle: Option<Duration>,
    /// How long a job is kept at most, if that ends it before its time limit.
    pub time_to_live: Option<Duration>,
}

impl Order {
    pub(crate) fn opened(&self, uid: Uid, store: &Store) -> Opened {
        Opened {
            lease: self.lease.clone(),
            slug: self.slug.clone(),
            name: self.name.clone(),
            uid,
            store: store.id().clone(),
            cluster: self.cluster.clone(),
            asked: self.resources.summary(),
            directory: Some(store.dir(&self.lease).path().to_owned()),
            access: self.access.clone(),
        }
    }

    /// The job of this order.
    pub(crate) fn submission(
        &self,
        store: &Store,
        dir: &LeaseDir,
        tag: Tag,
    ) -> Result<Submission, ResourceError> {
        let own_key = dir.file("id_ed25519");
        let key = self.access.key.as_deref().unwrap_or(&own_key);
        let script = match &self.runner {
            Runner::Bundled => dir.file("runner.sh"),
            Runner::Script(path) => path.clone(),
        };
        Ok(Submission {
            script,
            name: self.name.clone(),
            cluster: self.cluster.clone(),
            options: self.resources.options()?,
            directory: dir.path().to_owned(),
            output: dir.file("slurm-%j.out"),
            environment: self.environment(store, key, &tag),
            exported: self.exported.clone(),
            tag,
        })
    }

    /// The runner's contract: `docs/runners.md`.
    fn environment(&self, store: &Store, key: &Utf8Path, tag: &Tag) -> Vec<(String, String)> {
        let seconds = |duration: Option<Duration>| {
            duration.map_or_else(String::new, |duration| duration.as_secs().to_string())
        };
        let pairs = [
            ("CBX_LEASE_ID", self.lease.to_string()),
            ("CBX_SLUG", self.slug.clone()),
            ("CBX_NAME", self.name.to_string()),
            ("CBX_STATE_DIR", store.root().to_string()),
            ("CBX_WORK_ROOT", self.work_root.to_string()),
            ("CBX_SSH_PUBLIC_KEY_FILE", keys::public(key).to_string()),
            ("CBX_SSH_USER", self.ssh_user.clone()),
            ("CBX_READY_CHECK", self.ready_check.clone()),
            ("CBX_SESSION_ENV", self.exported.join(" ")),
            ("CBX_NONCE", tag.nonce.to_string()),
            (
                "CBX_UNCLAIMED_GRACE_SECONDS",
                self.unclaimed_grace.as_secs().to_string(),
            ),
            ("CBX_IDLE_SECONDS", seconds(self.idle)),
            ("CBX_TTL_SECONDS", seconds(self.time_to_live)),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }
}
