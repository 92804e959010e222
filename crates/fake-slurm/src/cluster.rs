//! The handle of tests: a cluster in a directory, with commands that any program can call.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};

use crate::call::{Program, Reply};
use crate::fault::{Action, Fault};
use crate::generation::Generation;
use crate::launch::{spools, tell};
use crate::log::{self, LoggedCall};
use crate::model::{
    Accounting, Base, Clock, Cluster, ClusterConfig, Controller, Execution, Exit, Flag, Job,
    SubmitPlugin, World,
};
use crate::moment::Moment;
use crate::process_tree::session_members;
use crate::store::{Store, StoreError, at, host_time};
use crate::stub::settle;

/// A fake cluster in a directory.
///
/// Its commands are in [`bin_dir`](Self::bin_dir): put that first in the `PATH` of what you test.
/// They find their cluster by where they stand, so the environment may be as bare as you like.
/// Whatever is done through this handle is seen by the next command, and the other way round.
///
/// The handle that made the cluster ends every process of its jobs when it is dropped. The
/// directory is left to you.
///
/// ```
/// use fake_slurm::{Action, FakeCluster, Fault, Program};
///
/// # let directory = tempfile::tempdir()?;
/// let cluster = FakeCluster::new(directory.path().join("cluster"))?
///     .fault(Fault::on(Program::Sbatch, Action::LoseReply).nth(1))?;
///
/// // The reply is lost, but the job is there.
/// let sbatch = std::process::Command::new(cluster.bin_dir().join("sbatch"))
///     .args(["--parsable", "--wrap=true"])
///     .env_clear()
///     .output()?;
/// assert_eq!(sbatch.status.code(), Some(1));
/// assert_eq!(cluster.jobs()?.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FakeCluster {
    store: Store,
    name: String,
    home: PathBuf,
    owner: bool,
}

impl FakeCluster {
    /// Makes a cluster of two nodes, `n1` and `n2`, with 8 CPUs each and one partition, `batch`,
    /// in a new directory. Its clock is the host's; its jobs are virtual and run until told
    /// otherwise.
    ///
    /// # Errors
    /// The directory holds a cluster already, or cannot be written; the stub executable cannot be
    /// found or built.
    pub fn new(directory: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::with_config(directory, ClusterConfig::default())
    }

    /// Makes a cluster that is set up in another way.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_config(
        directory: impl AsRef<Path>,
        config: ClusterConfig,
    ) -> Result<Self, StoreError> {
        let executable = crate::locate::stub_executable()?;
        Self::with_stub(directory, config, &executable)
    }

    /// Makes a cluster whose commands are links to this stub executable.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_stub(
        directory: impl AsRef<Path>,
        config: ClusterConfig,
        executable: &Path,
    ) -> Result<Self, StoreError> {
        let store = Store::create(directory.as_ref())?;
        let home = directory
            .as_ref()
            .canonicalize()
            .map_err(at(directory.as_ref()))?;
        let name = config.name.clone();
        let world = World::new(config, Clock::Host { ahead: 0 }, host_time());
        store.lock()?.save_anyway(&world)?;
        link_commands(&home.join("bin"), executable)?;
        Ok(Self {
            store,
            name,
            home,
            owner: true,
        })
    }

    /// The cluster of a directory that was made before, perhaps by another process.
    ///
    /// # Errors
    /// There is none.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, StoreError> {
        let home = directory
            .as_ref()
            .canonicalize()
            .map_err(at(directory.as_ref()))?;
        let (store, name) = Store::open(&home)?;
        let name = match name {
            Some(name) => name,
            None => store.lock()?.world()?.home,
        };
        Ok(Self {
            store,
            name,
            home,
            owner: false,
        })
    }

    /// Adds another cluster to the same directory. Both know each other (`-M NAME`); each has
    /// commands of its own, and its own job numbers.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn add_cluster(&self, config: ClusterConfig) -> Result<Self, StoreError> {
        let name = config.name.clone();
        let home = self.store.create_home(&name)?;
        let executable = self.bin_dir().join(Program::Sbatch.name());
        let executable = executable.read_link().map_err(at(&executable))?;
        link_commands(&home.join("bin"), &executable)?;
        let locked = self.store.lock()?;
        let mut world = locked.world()?;
        let now = world.clock.now(host_time());
        world
            .clusters
            .insert(name.clone(), Cluster::new(config, now));
        locked.save_anyway(&world)?;
        Ok(Self {
            store: self.store.clone(),
            name,
            home,
            owner: false,
        })
    }

    /// Which Slurm it plays; 22.05 unless told otherwise.
    ///
    /// # Errors
    /// The state cannot be read or written, as with all that follow.
    pub fn generation(self, generation: Generation) -> Result<Self, StoreError> {
        self.configured(|config| config.generation = generation)
    }

    /// Changes how it is set up.
    ///
    /// # Errors
    /// As [`generation`](Self::generation).
    pub fn configured(self, change: impl FnOnce(&mut ClusterConfig)) -> Result<Self, StoreError> {
        self.configure(change)?;
        Ok(self)
    }

    /// Jobs really run, as processes of this host.
    ///
    /// # Errors
    /// As [`generation`](Self::generation).
    pub fn run_jobs(self) -> Result<Self, StoreError> {
        self.configured(|config| config.execution = Execution::Processes)
    }

    /// Puts in a fault.
    ///
    /// # Errors
    /// As [`generation`](Self::generation).
    pub fn fault(self, fault: Fault) -> Result<Self, StoreError> {
        self.inject(fault)?;
        Ok(self)
    }

    /// Gives it a clock that stands still until it is advanced.
    ///
    /// # Errors
    /// As [`generation`](Self::generation).
    pub fn manual_clock(self, start: Moment) -> Result<Self, StoreError> {
        let locked = self.store.lock()?;
        let mut world = locked.world()?;
        world.clock = Clock::Manual(start);
        for cluster in world.clusters.values_mut() {
            cluster.settled = start;
        }
        locked.save_anyway(&world)?;
        drop(locked);
        Ok(self)
    }

    /// The directory of the commands.
    pub fn bin_dir(&self) -> PathBuf {
        self.home.join("bin")
    }

    /// A file that `SLURM_CONF` may name: commands of any fake cluster then mean this one.
    pub fn slurm_conf(&self) -> PathBuf {
        self.home.join("slurm.conf")
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads and changes the model as you like, up to date with its clock. Processes are started
    /// and ended accordingly.
    ///
    /// # Errors
    /// As [`generation`](Self::generation).
    pub fn change<T>(
        &self,
        change: impl FnOnce(&mut Cluster, Moment) -> T,
    ) -> Result<T, StoreError> {
        let locked = self.store.lock()?;
        let mut world = locked.world()?;
        let now = world.clock.now(host_time());
        let wrong = || StoreError::Stub(format!("no cluster {}", self.name));
        let cluster = world.clusters.get_mut(&self.name).ok_or_else(wrong)?;
        cluster.tick(now);
        let result = change(cluster, now);
        cluster.tick(now);
        cluster.changed = true;
        settle(&self.store, &locked, &mut world, &Reply::default())?;
        Ok(result)
    }

    /// Changes a job, which must be there: what a test means by mistake is not to pass.
    fn change_job<T>(
        &self,
        id: u32,
        change: impl FnOnce(&mut Cluster, Moment) -> T,
    ) -> Result<T, StoreError> {
        let changed = self.change(|cluster, now| {
            let found = cluster.jobs.contains_key(&id);
            found.then(|| change(cluster, now))
        })?;
        changed.ok_or_else(|| StoreError::Unknown(format!("job {id}")))
    }

    /// Changes how it is set up.
    ///
    /// # Errors
    /// As [`generation`](Self::generation).
    pub fn configure(&self, change: impl FnOnce(&mut ClusterConfig)) -> Result<(), StoreError> {
        self.change(|cluster, _| cluster.configure(change))
    }

    /// The time on its clock.
    ///
    /// # Errors
    /// As [`generation`](Self::generation).
    pub fn now(&self) -> Result<Moment, StoreError> {
        Ok(self.store.lock()?.world()?.clock.now(host_time()))
    }

    /// Lets time pass: on a clock that stands still, or ahead of the host's. What is due happens.
    ///
    /// # Errors
    /// As [`generation`](Self::generation).
    pub fn advance(&self, duration: Duration) -> Result<(), StoreError> {
        let locked = self.store.lock()?;
        let mut world = locked.world()?;
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        world.clock = match world.clock {
            Clock::Manual(now) => Clock::Manual(now + duration),
            Clock::Host { ahead } => Clock::Host {
                ahead: ahead.saturating_add(millis),
            },
        };
        let now = world.clock.now(host_time());
        for cluster in world.clusters.values_mut() {
            cluster.tick(now);
            // Supervisors that wait for the clock are to look at it again.
            cluster.touched.extend(cluster.jobs.keys());
            cluster.changed = true;
        }
        settle(&self.store, &locked, &mut world, &Reply::default())
    }

    /// The jobs that the controller knows, by number.
    ///
    /// # Errors
    /// As [`generation`](Self::generation).
    pub fn jobs(&self) -> Result<Vec<Job>, StoreError> {
        self.change(|cluster, _| cluster.jobs.values().cloned().collect())
    }

    /// A job, if the controller knows it.
    ///
    /// # Errors
    /// As [`generation`](Self::generation).
    pub fn job(&self, id: u32) -> Result<Option<Job>, StoreError> {
        self.change(|cluster, _| cluster.jobs.get(&id).cloned())
    }

    /// Starts a waiting job, whatever it waits for. One that does not wait stays as it is.
    ///
    /// # Errors
    /// There is no such job; otherwise as [`generation`](Self::generation).
    pub fn start(&self, id: u32) -> Result<(), StoreError> {
        self.change_job(id, |cluster, now| cluster.start(id, now))
    }

    /// Ends the script of a virtual job. One that does not run stays as it is.
    ///
    /// # Errors
    /// There is no such job, or jobs are processes, which end by themselves; otherwise as
    /// [`generation`](Self::generation).
    pub fn finish(&self, id: u32, exit: Exit) -> Result<(), StoreError> {
        let done = self.change_job(id, |cluster, now| {
            let is_virtual = cluster.config.execution == Execution::Virtual;
            if is_virtual {
                cluster.finish(id, exit, now);
            }
            is_virtual
        })?;
        if done {
            Ok(())
        } else {
            Err(StoreError::RunsItself(id))
        }
    }

    /// Requeues a job, as an administrator would; one that may not be requeued stays as it is.
    ///
    /// # Errors
    /// There is no such job; otherwise as [`generation`](Self::generation).
    pub fn requeue(&self, id: u32) -> Result<bool, StoreError> {
        self.change_job(id, |cluster, now| cluster.requeue(id, 0, None, now).is_ok())
    }

    /// Preempts a job. One that does not run stays as it is.
    ///
    /// # Errors
    /// There is no such job; otherwise as [`generation`](Self::generation).
    pub fn preempt(&self, id: u32) -> Result<(), StoreError> {
        self.change_job(id, |cluster, now| cluster.preempt(id, now))
    }

    /// Lets a node fail, with its jobs.
    ///
    /// # Errors
    /// There is no such node; otherwise as [`generation`](Self::generation).
    pub fn fail_node(&self, node: &str) -> Result<(), StoreError> {
        let found = self.change(|cluster, now| {
            let found = cluster.config.nodes.iter().any(|known| known.name == node);
            if found {
                cluster.fail_node(node, now);
            }
            found
        })?;
        if found {
            Ok(())
        } else {
            Err(StoreError::Unknown(format!("node {node}")))
        }
    }

    /// Gives a job any state.
    ///
    /// # Errors
    /// There is no such job; otherwise as [`generation`](Self::generation).
    pub fn force_state(&self, id: u32, base: Base, flags: &[Flag]) -> Result<(), StoreError> {
        self.change_job(id, |cluster, now| cluster.force_state(id, base, flags, now))
    }

    /// Puts the controller into a state.
    ///
    /// # Errors
    /// As [`generation`](Self::generation).
    pub fn controller(&self, controller: Controller) -> Result<(), StoreError> {
        self.change(|cluster, now| cluster.set_controller(controller, now))
    }

    /// Puts the accounting database into a state.
    ///
    /// # Errors
    /// As [`generation`](Self::generation).
    pub fn accounting(&self, accounting: Accounting) -> Result<(), StoreError> {
        self.change(|cluster, _| cluster.condition.accounting = accounting)
    }

    /// Gives the site a submit plugin.
    ///
    /// # Errors
    /// As [`generation`](Self::generation).
    pub fn plugin(&self, plugin: SubmitPlugin) -> Result<(), StoreError> {
        self.change(|cluster, _| cluster.condition.plugin = plugin)
    }

    /// Lets the controller's rate limit hold off every request for so long, or none.
    ///
    /// # Errors
    /// As [`generation`](Self::generation).
    pub fn rate_limit(&self, wait: Option<Duration>) -> Result<(), StoreError> {
        self.change(|cluster, _| cluster.condition.backoff = wait)
    }

    /// The controller knows no more jobs than so many at a time: one that is over takes its place
    /// until it is forgotten.
    ///
    /// # Errors
    /// As [`generation`](Self::generation).
    pub fn limit_queue(&self, jobs: usize) -> Result<(), StoreError> {
        self.configure(|config| config.limit_queue(jobs))
    }

    /// The controller loses its state, and numbers start again.
    ///
    /// # Errors
    /// As [`generation`](Self::generation).
    pub fn lose_state(&self) -> Result<(), StoreError> {
        self.change(|cluster, _| cluster.lose_state())
    }

    /// Puts in a fault.
    ///
    /// # Errors
    /// As [`generation`](Self::generation).
    pub fn inject(&self, fault: Fault) -> Result<(), StoreError> {
        let locked = self.store.lock()?;
        let mut script = locked.script()?;
        script.faults.push(fault);
        locked.save_script(&script)
    }

    /// Puts in a fault of the next call of `program`.
    ///
    /// # Errors
    /// As [`generation`](Self::generation).
    pub fn inject_next(&self, program: Program, action: Action) -> Result<(), StoreError> {
        self.inject(Fault::on(program, action).nth(1))
    }

    /// Takes all faults out.
    ///
    /// # Errors
    /// As [`generation`](Self::generation).
    pub fn clear_faults(&self) -> Result<(), StoreError> {
        let locked = self.store.lock()?;
        let mut script = locked.script()?;
        script.faults.clear();
        locked.save_script(&script)
    }

    /// The calls so far.
    ///
    /// # Errors
    /// As [`generation`](Self::generation).
    pub fn calls(&self) -> Result<Vec<LoggedCall>, StoreError> {
        let path = self.store.log_path();
        log::read(&path).map_err(at(&path))
    }

    /// The calls of one command so far.
    ///
    /// # Errors
    /// As [`generation`](Self::generation).
    pub fn calls_of(&self, program: Program) -> Result<Vec<LoggedCall>, StoreError> {
        let calls = self.calls()?.into_iter();
        Ok(calls.filter(|call| call.program == program).collect())
    }

    /// Ends every process of every job, and waits until they are gone. The model is left as it
    /// is: the cluster was switched off.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn stop(&self) -> Result<(), StoreError> {
        let spools = spools(&self.store).map_err(at(&self.store.spool()))?;
        for spool in &spools {
            // Where nobody reads, nothing runs.
            let _told = tell(spool, "stop\n");
        }
        for spool in &spools {
            wait_for_supervisor(spool)?;
            end_session(spool);
        }
        Ok(())
    }
}

impl Drop for FakeCluster {
    fn drop(&mut self) {
        if self.owner {
            // The directory may be gone already, and with it every pipe.
            let _gone = self.stop().is_err();
        }
    }
}

fn link_commands(bin: &Path, executable: &Path) -> Result<(), StoreError> {
    for program in Program::ALL {
        let link = bin.join(program.name());
        symlink(executable, &link).map_err(at(&link))?;
    }
    Ok(())
}

/// Waits until a supervisor has let go of its lock, at most 10 s.
fn wait_for_supervisor(spool: &Path) -> Result<(), StoreError> {
    let path = spool.join("lock");
    let Ok(file) = std::fs::File::open(&path) else {
        return Ok(());
    };
    let limit = Instant::now() + Duration::from_secs(10);
    while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        if Instant::now() > limit {
            return Err(StoreError::Stub(format!(
                "{}: the supervisor stays",
                spool.display()
            )));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Ends what is left of a script whose supervisor was killed.
fn end_session(spool: &Path) {
    let text = std::fs::read_to_string(spool.join("session")).unwrap_or_default();
    let Ok(session) = text.trim().parse::<i32>() else {
        return;
    };
    let is_ours = |pid: &Pid| {
        let path = format!("/proc/{}/environ", pid.as_raw_pid());
        let environment = std::fs::read(path).unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0);
        variables.any(|variable| variable.starts_with(b"SLURM_JOB_ID="))
    };
    for pid in session_members(session).into_iter().filter(is_ours) {
        // It may have ended meanwhile.
        let _gone = kill_process(pid, Signal::KILL).is_err();
    }
}
