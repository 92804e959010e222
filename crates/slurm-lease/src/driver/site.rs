//! What is known of a site's controllers, and kept in the state directory: how long their own
//! exchanges may take decides how far apart two looks must be.

use std::time::Duration;

use camino::Utf8PathBuf;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::driver::Leases;
use crate::driver::clock::now;
use crate::driver::files;
use crate::id::ClusterName;
use crate::lease::Policy;
use crate::parse::scontrol::Configuration;

/// How long an acquire waits for a controller to tell its settings. One that is too slow for that
/// is asked by the next.
const ASK_LIMIT: Duration = Duration::from_secs(2);
/// How long what a controller told is good enough.
const AGE: SignedDuration = SignedDuration::from_hours(24);
/// How much longer than the controller's `MessageTimeout` to let an answer settle.
const MARGIN: Duration = Duration::from_secs(2);
const VERSION: u32 = 1;

/// What one controller told of itself.
#[derive(Serialize, Deserialize)]
struct Site {
    v: u32,
    at: Timestamp,
    /// `MessageTimeout`, in seconds.
    message_timeout: u64,
}

impl Leases {
    /// The times that decisions depend on, at this site.
    pub(super) fn policy(&self) -> Policy {
        let mut policy = self.policy;
        if self.settle_by_site {
            for site in self.sites() {
                let timeout = Duration::from_secs(site.message_timeout);
                policy.settle = policy.settle.max(timeout.saturating_add(MARGIN));
            }
        }
        policy
    }

    /// Asks the controller for its settings, unless it has told them lately.
    pub(super) fn learn_site(&self, cluster: Option<&ClusterName>) {
        let known = read(&self.site_file(cluster));
        let fresh = |site: &Site| now().duration_since(site.at).abs() < AGE;
        if self.settle_by_site
            && !known.as_ref().is_some_and(fresh)
            && let Ok(configuration) = self.slurm.configuration(cluster, ASK_LIMIT)
        {
            self.note_site(cluster, &configuration);
        }
    }

    /// Keeps what a controller told. Where that can't be, it is asked again.
    pub(super) fn note_site(&self, cluster: Option<&ClusterName>, told: &Configuration) {
        let Some(timeout) = told.message_timeout else {
            return;
        };
        let site = Site {
            v: VERSION,
            at: now(),
            message_timeout: timeout.as_secs(),
        };
        let file = self.site_file(cluster);
        drop(serde_json::to_vec(&site).map(|bytes| files::write_whole(&file, &bytes, 0o600)));
    }

    fn site_file(&self, cluster: Option<&ClusterName>) -> Utf8PathBuf {
        let name = cluster.map_or("local", ClusterName::as_str);
        self.store.queue_dir().join(format!("{name}.site"))
    }

    fn sites(&self) -> impl Iterator<Item = Site> {
        let entries = self.store.queue_dir().read_dir_utf8().into_iter().flatten();
        let files = entries
            .filter_map(Result::ok)
            .map(camino::Utf8DirEntry::into_path);
        files
            .filter(|path| path.extension() == Some("site"))
            .filter_map(|path| read(&path))
    }
}

fn read(file: &Utf8PathBuf) -> Option<Site> {
    let site: Site = serde_json::from_slice(&files::read(file).ok()??).ok()?;
    (site.v == VERSION).then_some(site)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::Options;

    fn told(seconds: u64) -> Configuration {
        Configuration {
            message_timeout: Some(Duration::from_secs(seconds)),
            ..Configuration::default()
        }
    }

    #[test]
    fn the_slowest_controller_of_a_site_sets_the_settle_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(directory.path().join("state")).unwrap();
        let leases = Leases::open(Options::new(&path)).unwrap();
        let settle = || leases.policy().settle.as_secs();
        assert_eq!(settle(), 12);
        leases.note_site(None, &told(5));
        assert_eq!(settle(), 12, "never below the policy's own");
        let other: ClusterName = "beta".parse().unwrap();
        leases.note_site(Some(&other), &told(60));
        assert_eq!(settle(), 62);
        leases.note_site(Some(&other), &Configuration::default());
        assert_eq!(settle(), 62, "what it did not tell changes nothing");
        files::write_whole(&leases.site_file(Some(&other)), b"{", 0o600).unwrap();
        assert_eq!(settle(), 12);

        leases.note_site(None, &told(60));
        let mut options = Options::new(&path);
        options.settle_by_site = false;
        assert_eq!(Leases::open(options).unwrap().policy().settle.as_secs(), 12);
    }
}
