//! From the model to processes: scripts are kept, supervisors started and woken.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{CWD, Mode, OFlags, mkfifoat, open};

use crate::call::{Effect, Program, Reply};
use crate::model::{Execution, Job, World};
use crate::store::{Store, StoreError, at, make_directory};
use crate::text;

/// A job that may need a supervisor, or whose supervisor is to look again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Concerned {
    cluster: String,
    id: u32,
    spool: PathBuf,
    /// Whether something is still to be done for it.
    unfinished: bool,
}

/// Where a job's script is, and the pipe to its supervisor.
pub(crate) fn spool_of(store: &Store, cluster: &str, serial: u64) -> PathBuf {
    store.spool().join(format!("{cluster}.{serial}"))
}

/// The pipe through which a supervisor is told things.
pub(crate) fn pipe_in(spool: &Path) -> PathBuf {
    spool.join("pipe")
}

/// Keeps the scripts of new jobs, and finds the jobs that a change concerns.
pub(crate) fn prepare(
    store: &Store,
    world: &mut World,
    reply: &Reply,
) -> Result<Vec<Concerned>, StoreError> {
    let mut scripts: BTreeMap<(String, u32), String> = BTreeMap::new();
    for effect in &reply.effects {
        if let Effect::Launch {
            cluster,
            id,
            script,
        } = effect
        {
            scripts.insert((cluster.clone(), *id), script.clone());
        }
    }
    let mut concerned = Vec::new();
    for (name, cluster) in &mut world.clusters {
        if cluster.config.execution == Execution::Virtual {
            continue;
        }
        for (id, script) in std::mem::take(&mut cluster.taken_up) {
            scripts.insert((name.clone(), id), script);
        }
        for id in &cluster.touched {
            let Some(job) = cluster.jobs.get(id) else {
                continue;
            };
            let spool = spool_of(store, name, job.serial);
            if let Some(script) = scripts.get(&(name.clone(), *id)) {
                keep_script(&spool, script)?;
            }
            let held = job.hold.is_some() && job.is_waiting();
            let unfinished = !job.is_settled() && !held;
            concerned.push(Concerned {
                cluster: name.clone(),
                id: *id,
                spool,
                unfinished,
            });
        }
    }
    Ok(concerned)
}

fn keep_script(spool: &Path, script: &str) -> Result<(), StoreError> {
    make_directory(spool)?;
    let path = spool.join("script");
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true).mode(0o700);
    let mut file = options.open(&path).map_err(at(&path))?;
    file.write_all(&text::encode(script)).map_err(at(&path))?;
    let pipe = pipe_in(spool);
    match mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR) {
        Err(error) if error != rustix::io::Errno::EXIST => Err(at(&pipe)(error.into())),
        _ => Ok(()),
    }
}

/// Wakes the supervisors of the jobs that changed, starts those that are missing, and passes
/// signals on. Called with the lock held: a supervisor that ends lets go of its pipe under it, so
/// one that is found here will look.
pub(crate) fn wake(
    store: &Store,
    world: &World,
    concerned: &[Concerned],
    reply: &Reply,
) -> Result<(), StoreError> {
    for job in concerned {
        if !tell(&job.spool, "look\n") && job.unfinished && job.spool.join("script").exists() {
            start(store, job)?;
        }
    }
    for effect in &reply.effects {
        if let Effect::Signal {
            cluster,
            id,
            signal,
            only_script,
        } = effect
        {
            let jobs = world.clusters.get(cluster).map(|cluster| &cluster.jobs);
            let job = jobs.and_then(|jobs| jobs.get(id));
            let spool = job.map(|job: &Job| spool_of(store, cluster, job.serial));
            let line = format!("signal {signal} {}\n", u8::from(*only_script));
            // Without a supervisor there is no process to be signalled.
            let _told = spool.is_some_and(|spool| tell(&spool, &line));
        }
    }
    Ok(())
}

/// Writes a line to a supervisor's pipe. False: nobody reads it.
pub(crate) fn tell(spool: &Path, line: &str) -> bool {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let pipe = open(pipe_in(spool), flags, Mode::empty());
    pipe.is_ok_and(|pipe| rustix::io::write(pipe, line.as_bytes()).is_ok())
}

/// Starts a supervisor. It inherits nothing but what it is told.
fn start(store: &Store, job: &Concerned) -> Result<(), StoreError> {
    // Not the running executable: that may be a test that changes the model.
    let link = store.root().join("bin").join(Program::Sbatch.name());
    let program = link.read_link().map_err(at(&link))?;
    let id = job.id.to_string();
    let mut command = Command::new(&program);
    command
        .arg("supervise")
        .arg(store.root())
        .args([&job.cluster, &id])
        .arg(&job.spool);
    command.env_clear().current_dir("/");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // The child is left to init, as the stub ends at once.
    let _child = command.spawn().map_err(at(&program))?;
    Ok(())
}

/// Every spool directory.
pub(crate) fn spools(store: &Store) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(store.spool())?;
    entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect()
}
