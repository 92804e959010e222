//! The bundled driver: runs Slurm's commands, keeps the records on disk, waits for endpoints.
//!
//! [`Leases`] is what a program embeds. It blocks; every operation has a limit of its own.

mod acquire;
mod banner;
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that knows the time"
)]
mod clock;
#[cfg_attr(
    feature = "crash-points",
    expect(clippy::disallowed_methods, reason = "a point is no step of its own")
)]
mod crash;
mod doctor;
mod drive;
#[expect(clippy::disallowed_methods, reason = "the one place that writes files")]
mod files;
mod former;
mod keeper;
mod keys;
mod list;
mod order;
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that starts processes"
)]
mod process;
mod recover;
mod release;
mod site;
mod slurm;
mod status;
mod store;
mod strays;
mod touch;
mod watch;

use camino::Utf8PathBuf;

use crate::lease::Policy;

pub use acquire::{AcquireError, Acquired, Left};
pub use crash::crash_point;
pub use doctor::CheckUp;
pub use keeper::KeeperCommand;
pub use list::{Cleaned, Known, ListError};
pub use order::{Order, Runner};
pub use process::Programs;
pub use recover::Called;
pub use release::{ReleaseError, Released};
pub use slurm::Slurm;
pub use status::{Ended, StatusError, View};
pub use store::{Held, LeaseDir, Loaded, RemoveError, Store, StoreError, Tombstone};
pub use strays::Searched;
pub use touch::Lifetime;
pub use watch::{Interruption, Watch};

/// What a [`Leases`] is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// The state directory: absolute, and on a file system that the compute nodes share.
    pub state_dir: Utf8PathBuf,
    /// The times that decisions depend on.
    pub policy: Policy,
    /// Whether a controller whose `MessageTimeout` is longer than the policy's settle time allows
    /// for extends it. Only tests of a controller of their own do without.
    pub settle_by_site: bool,
    /// Where Slurm's programs are.
    pub programs: Programs,
    /// How to start a process that outlives us and ends what we leave unclaimed. Without one,
    /// the next operation on the state directory does its work.
    pub keeper: Option<KeeperCommand>,
}

impl Options {
    /// The usual ones for this state directory.
    pub fn new(state_dir: impl Into<Utf8PathBuf>) -> Self {
        Self {
            state_dir: state_dir.into(),
            policy: Policy::default(),
            settle_by_site: true,
            programs: Programs::on_path(),
            keeper: None,
        }
    }
}

/// The leases of one state directory.
#[derive(Clone, Debug)]
pub struct Leases {
    store: Store,
    slurm: Slurm,
    policy: Policy,
    settle_by_site: bool,
    keeper: Option<KeeperCommand>,
}

impl Leases {
    /// Opens a state directory, creating it.
    ///
    /// # Errors
    /// When it can't be used.
    pub fn open(options: Options) -> Result<Self, StoreError> {
        let store = Store::open(&options.state_dir)?;
        Ok(Self {
            slurm: Slurm::new(options.programs, &store),
            store,
            policy: options.policy,
            settle_by_site: options.settle_by_site,
            keeper: options.keeper,
        })
    }

    /// What is on disk.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Slurm, as these leases ask it.
    pub fn slurm(&self) -> &Slurm {
        &self.slurm
    }
}
