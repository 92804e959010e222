//! What is known of a site's controllers, and kept in the state directory: their names, without
//! which an absence could be another cluster's, and how long their own exchanges may take, which
//! decides how far apart two looks must be.

use std::time::Duration;

use camino::Utf8PathBuf;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::driver::Leases;
use crate::driver::clock::{Deadline, now};
use crate::driver::files;
use crate::driver::slurm::FORGOTTEN;
use crate::evidence::{Claim, Search};
use crate::id::ClusterName;
use crate::lease::{Lease, Policy};
use crate::parse::scontrol::Configuration;
use crate::parse::{Cause, Unavailable};
use crate::record::Home;

/// How long a controller is given to tell its settings. One that is too slow for that is asked by
/// the next.
const ASK_LIMIT: Duration = Duration::from_secs(2);
/// How long what a controller told is good enough.
const AGE: SignedDuration = SignedDuration::from_hours(24);
/// How much longer than the controller's `MessageTimeout` to let an answer settle.
const MARGIN: Duration = Duration::from_secs(2);
const VERSION: u32 = 2;

/// What one controller told of itself.
#[derive(Serialize, Deserialize)]
struct Site {
    v: u32,
    at: Timestamp,
    /// `ClusterName`
    cluster: ClusterName,
    /// `MessageTimeout`, in seconds.
    message_timeout: u64,
}

impl Site {
    fn is_fresh(&self) -> bool {
        now().duration_since(self.at).abs() < AGE
    }
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
        if !self.site(cluster).as_ref().is_some_and(Site::is_fresh)
            && let Ok(configuration) = self.slurm.configuration(cluster, ASK_LIMIT)
        {
            self.note_site(cluster, &configuration);
        }
    }

    /// Keeps what a controller told. Where that can't be, it is asked again.
    pub(super) fn note_site(&self, cluster: Option<&ClusterName>, told: &Configuration) {
        let name = told
            .cluster_name
            .as_ref()
            .and_then(|name| name.parse().ok());
        let (Some(cluster_name), Some(timeout)) = (name, told.message_timeout) else {
            return;
        };
        let site = Site {
            v: VERSION,
            at: now(),
            cluster: cluster_name,
            message_timeout: timeout.as_secs(),
        };
        let file = self.slurm.file(cluster, "site");
        drop(serde_json::to_vec(&site).map(|bytes| files::write_whole(&file, &bytes, 0o600)));
    }

    /// The name of the cluster that the configuration leads to.
    ///
    /// # Errors
    /// When its controller has never told it, and does not within this time.
    fn here(&self, limit: Duration) -> Result<ClusterName, Unavailable> {
        let known = self.site(None);
        match known {
            Some(site) if site.is_fresh() => return Ok(site.cluster),
            _ => {}
        }
        let told = self.slurm.configuration(None, limit.min(ASK_LIMIT));
        if let Ok(configuration) = &told {
            self.note_site(None, configuration);
        }
        // The file is for this way to a controller, and its name hardly ever changes.
        match (told, known) {
            (Ok(told), _) => {
                let name = told.cluster_name.and_then(|name| name.parse().ok());
                name.ok_or_else(|| Unavailable::unreadable("scontrol names no cluster"))
            }
            (Err(_), Some(site)) => Ok(site.cluster),
            (Err(why), None) => Err(why),
        }
    }

    /// Why nothing that Slurm says here is about this lease: the configuration leads to another
    /// cluster than the one that it is on, as after `module load`, or on another login node.
    pub(super) fn elsewhere(&self, lease: &Lease, limit: Duration) -> Option<Unavailable> {
        let home = lease.home().filter(|_| lease.opened().cluster.is_none())?;
        let home = match home {
            Home::Cluster(home) => home,
            Home::Way(way) if *way == self.slurm.way() => return None,
            Home::Way(_) => {
                return Some(Unavailable {
                    cause: Cause::OtherCluster,
                    said: "the lease is where another SLURM_CONF or PATH led to, and that controller never told its name".to_owned(),
                });
            }
        };
        match self.here(limit) {
            Ok(here) if here == *home => None,
            Ok(here) => Some(Unavailable {
                cause: Cause::OtherCluster,
                said: format!(
                    "the lease is on {home}, and this leads to {here}: is SLURM_CONF another than it was?"
                ),
            }),
            Err(why) => Some(why),
        }
    }

    /// Tells a lease that was looked for here where that is. Where the controller does not tell
    /// its name, the way to it must do.
    pub(super) fn locate(&self, lease: &mut Lease, limit: Duration) {
        let here = match lease.home() {
            _ if lease.opened().cluster.is_some() => return,
            Some(Home::Cluster(_)) => return,
            Some(Home::Way(_)) => match self.here(limit) {
                Ok(here) => Ok(here),
                Err(_) => return,
            },
            None => self.here(limit),
        };
        let home = here.map_or_else(|_| Home::Way(self.slurm.way()), Home::Cluster);
        lease.handle_located(now(), home);
    }

    /// Searches every cluster that was ever asked from this state directory for a job that the
    /// claim describes. Absent is only what is on none of them, and none of them can be asked
    /// that the configuration led to before.
    pub(super) fn search_everywhere(&self, claim: &Claim, deadline: Deadline) -> Search {
        match self.slurm.search(claim, &self.slurm.clusters(), deadline) {
            Search::Clean => {
                let out_of_reach = self.out_of_reach(deadline.left());
                out_of_reach.map_or(Search::Clean, Search::Unknown)
            }
            answered => answered,
        }
    }

    /// Why not every cluster could be asked that a lost lease may be on.
    pub(super) fn out_of_reach(&self, limit: Duration) -> Option<Unavailable> {
        let here = match self.here(limit) {
            Ok(here) => here,
            // Where no controller ever told its name, there is nothing to compare.
            Err(why) => {
                let others = self.sites().next().is_some() || self.unnamed_way().is_some();
                return others.then_some(why);
            }
        };
        if let Some(way) = self.unnamed_way() {
            return Some(Unavailable {
                cause: Cause::OtherCluster,
                said: format!(
                    "it may be where another SLURM_CONF or PATH led to ({way}), and that controller never told its name"
                ),
            });
        }
        let asked = self.slurm.clusters();
        let other = self.sites().find(|site| {
            let recent = now().duration_since(site.at).unsigned_abs() < FORGOTTEN;
            recent && site.cluster != here && !asked.contains(&Some(site.cluster.clone()))
        })?;
        Some(Unavailable {
            cause: Cause::OtherCluster,
            said: format!(
                "it may be on {}, and this leads to {here}: is SLURM_CONF another than it was?",
                other.cluster
            ),
        })
    }

    /// Forgets ways to a controller that nobody has taken for long.
    pub(super) fn sweep_sites(&self) {
        for file in self.site_files() {
            let is_old = |site: Site| now().duration_since(site.at).unsigned_abs() > FORGOTTEN;
            if read(&file).is_some_and(is_old) {
                for kind in ["squeue", "lock", "site"] {
                    // One that stays is forgotten by the next.
                    drop(files::remove(&file.with_extension(kind)));
                }
            }
        }
    }

    /// Another way than the present one that was taken lately, where the controller did not tell
    /// its name.
    fn unnamed_way(&self) -> Option<String> {
        let own = self.slurm.way();
        let is_unnamed = |way: &String| {
            let site = self.store.queue_dir().join(format!("{way}.site"));
            !way.starts_with(&own) && read(&site).is_none()
        };
        self.slurm.ways().find(is_unnamed)
    }

    fn site(&self, cluster: Option<&ClusterName>) -> Option<Site> {
        read(&self.slurm.file(cluster, "site"))
    }

    fn sites(&self) -> impl Iterator<Item = Site> {
        self.site_files().filter_map(|path| read(&path))
    }

    fn site_files(&self) -> impl Iterator<Item = Utf8PathBuf> + use<> {
        let entries = self.store.queue_dir().read_dir_utf8().into_iter().flatten();
        let files = entries
            .filter_map(Result::ok)
            .map(camino::Utf8DirEntry::into_path);
        files.filter(|path| path.extension() == Some("site"))
    }
}

fn read(file: &Utf8PathBuf) -> Option<Site> {
    parse(&files::read(file).ok()??)
}

fn parse(bytes: &[u8]) -> Option<Site> {
    let site: Site = serde_json::from_slice(bytes).ok()?;
    (site.v == VERSION).then_some(site)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::driver::Options;
    use crate::strategies;

    proptest! {
        #[test]
        fn any_site_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            drop(parse(&bytes));
        }

        #[test]
        fn what_a_site_told_is_read_back(
            at in strategies::timestamp(), message_timeout in any::<u64>(),
            cluster in strategies::cluster_name(), cut in 0..100_usize,
        ) {
            let whole = serde_json::to_vec(&Site { v: VERSION, at, message_timeout, cluster }).unwrap();
            let read = parse(&whole).unwrap();
            prop_assert_eq!((read.at, read.message_timeout), (at, message_timeout));
            prop_assert!(parse(&whole[..cut % whole.len()]).is_none());
        }
    }

    fn told(seconds: u64) -> Configuration {
        Configuration {
            cluster_name: Some("alpha".to_owned()),
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
        let file = leases.slurm.file(Some(&other), "site");
        files::write_whole(&file, b"{", 0o600).unwrap();
        assert_eq!(settle(), 12);

        leases.note_site(None, &told(60));
        let mut options = Options::new(&path);
        options.settle_by_site = false;
        assert_eq!(Leases::open(options).unwrap().policy().settle.as_secs(), 12);
    }
}
