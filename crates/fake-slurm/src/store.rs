//! The directory of a cluster: one state file, changed under a lock and replaced as a whole.

use std::error::Error;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, flock};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::model::World;
use crate::moment::Moment;

/// A directory that is not, or is not any more, a cluster's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file could not be read or written.
    #[error("{path}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path} does not hold what it should")]
    Format {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// There is something else at the place of a new cluster.
    #[error("{0} exists")]
    Exists(PathBuf),
    /// The stub executable could not be found or built.
    #[error("no stub executable: {0}")]
    Stub(String),
    /// There is no such job or node.
    #[error("there is no {0}")]
    Unknown(String),
    /// Only the script of a virtual job can be ended by hand.
    #[error("job {0} is a process, which ends by itself")]
    RunsItself(u32),
}

/// The file of the clusters. Every call reads it, so it is binary; `fake-slurm jobs` and
/// [`FakeCluster`](crate::FakeCluster) show what is in it.
const STATE: &str = "state";

/// How it begins. Another number for each change of what it holds: postcard, which it is written
/// in, does not notice by itself.
const LAYOUT: &str = "fake-slurm state 7\n";

/// `cluster.json`: where the state is, seen from beside it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Marker {
    version: u32,
    /// The state's directory, relative to this file.
    state: String,
    /// Which cluster the commands beside it mean if they name none.
    home: Option<String>,
}

/// Calls counted, and faults to come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Script {
    /// How many calls there were.
    pub(crate) calls: u64,
    /// The faults, in the order in which they were put in.
    pub(crate) faults: Vec<Fault>,
}

/// A cluster's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Store {
    root: PathBuf,
}

impl Store {
    /// Makes the directory.
    pub(crate) fn create(root: &Path) -> Result<Self, StoreError> {
        let store = Self {
            root: root.to_owned(),
        };
        if root.join("cluster.json").exists() {
            return Err(StoreError::Exists(root.to_owned()));
        }
        for directory in [root.to_owned(), root.join("bin"), root.join("spool")] {
            make_directory(&directory)?;
        }
        store.mark(root, ".", None)?;
        Ok(store)
    }

    /// Makes the place for another cluster's commands, and returns it.
    pub(crate) fn create_home(&self, name: &str) -> Result<PathBuf, StoreError> {
        let directory = self.root.join("clusters").join(name);
        make_directory(&directory.join("bin"))?;
        self.mark(&directory, "../..", Some(name.to_owned()))?;
        Ok(directory)
    }

    fn mark(&self, directory: &Path, state: &str, home: Option<String>) -> Result<(), StoreError> {
        let marker = Marker {
            version: 1,
            state: state.to_owned(),
            home,
        };
        write_json(&directory.join("cluster.json"), &marker)?;
        let conf = "# The commands beside this file are fake-slurm's: see cluster.json.\n";
        let path = directory.join("slurm.conf");
        fs::write(&path, conf).map_err(at(&path))
    }

    /// The directory that `cluster.json` in `directory` names, and its home cluster.
    pub(crate) fn open(directory: &Path) -> Result<(Self, Option<String>), StoreError> {
        let marker: Marker = read_json(&directory.join("cluster.json"))?;
        let root = directory.join(&marker.state);
        let root = root.canonicalize().map_err(at(&root))?;
        Ok((Self { root }, marker.home))
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The log of calls.
    pub(crate) fn log_path(&self) -> PathBuf {
        self.root.join("calls.jsonl")
    }

    /// Where jobs' scripts and their supervisors' pipes are.
    pub(crate) fn spool(&self) -> PathBuf {
        self.root.join("spool")
    }

    /// Waits for the lock. It is free again when the result is dropped.
    pub(crate) fn lock(&self) -> Result<Locked<'_>, StoreError> {
        let path = self.root.join("lock");
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(0o600);
        let file = options.open(&path).map_err(at(&path))?;
        loop {
            match flock(&file, FlockOperation::LockExclusive) {
                Err(rustix::io::Errno::INTR) => {}
                result => {
                    result.map_err(io::Error::from).map_err(at(&path))?;
                    return Ok(Locked {
                        store: self,
                        _file: file,
                    });
                }
            }
        }
    }
}

/// A cluster's directory that nobody else changes meanwhile.
#[derive(Debug)]
pub(crate) struct Locked<'a> {
    store: &'a Store,
    _file: File,
}

impl Locked<'_> {
    /// The clusters.
    pub(crate) fn world(&self) -> Result<World, StoreError> {
        let path = self.store.root.join(STATE);
        let bytes = fs::read(&path).map_err(at(&path))?;
        let state = bytes.strip_prefix(LAYOUT.as_bytes());
        let state = state.ok_or_else(|| malformed(&path)("another layout than this version's"))?;
        postcard::from_bytes(state).map_err(malformed(&path))
    }

    /// Writes the clusters, if they changed.
    pub(crate) fn save(&self, world: &World) -> Result<(), StoreError> {
        if world.is_dirty() {
            return self.save_anyway(world);
        }
        Ok(())
    }

    /// Writes the clusters.
    pub(crate) fn save_anyway(&self, world: &World) -> Result<(), StoreError> {
        let path = self.store.root.join(STATE);
        let bytes = postcard::to_extend(world, LAYOUT.as_bytes().to_vec());
        replace(&path, &bytes.map_err(malformed(&path))?)
    }

    /// The faults.
    pub(crate) fn script(&self) -> Result<Script, StoreError> {
        let path = self.store.root.join("faults.json");
        if path.exists() {
            read_json(&path)
        } else {
            Ok(Script::default())
        }
    }

    /// Writes the faults.
    pub(crate) fn save_script(&self, script: &Script) -> Result<(), StoreError> {
        write_json(&self.store.root.join("faults.json"), script)
    }
}

/// The host's clock.
pub(crate) fn host_time() -> Moment {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Moment::default() + since
}

/// Names the file that an error is about.
pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    |source| StoreError::Io { path, source }
}

/// Names the file whose contents an error is about.
fn malformed<E: Into<Box<dyn Error + Send + Sync>>>(path: &Path) -> impl FnOnce(E) -> StoreError {
    let path = path.to_owned();
    |source| StoreError::Format {
        path,
        source: source.into(),
    }
}

pub(crate) fn make_directory(path: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(at(path))
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, StoreError> {
    let bytes = fs::read(path).map_err(at(path))?;
    serde_json::from_slice(&bytes).map_err(malformed(path))
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), StoreError> {
    replace(path, &serde_json::to_vec(value).map_err(malformed(path))?)
}

/// Writes beside the file and renames, so that a reader sees the old or the new one.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true).mode(0o600);
    let mut file = options.open(&beside).map_err(at(&beside))?;
    file.write_all(bytes).map_err(at(&beside))?;
    fs::rename(&beside, path).map_err(at(path))
}
