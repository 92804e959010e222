//! A job that really runs: a process of its own waits for the job's start, runs the script, ends
//! it when it is cancelled, and reports to the model. It ends with the job.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, kill_process, pidfd_open, set_child_subreaper,
    setsid, wait,
};

use crate::call::Reply;
use crate::environment;
use crate::generation::Generation;
use crate::last_words::{Cause, LastWords, cause_of};
use crate::launch::pipe_in;
use crate::model::{Base, Cluster, Exit, Flag, Job};
use crate::moment::Moment;
use crate::process_tree::descendants;
use crate::step;
use crate::store::{Store, StoreError, at, host_time};
use crate::stub::settle;

/// How long to wait before looking again whether killed processes are gone.
const REAP_PAUSE: Duration = Duration::from_millis(10);

/// What the model says about the job, and so what is to be done.
enum Situation {
    /// It waits; something may happen after so long.
    Wait(Option<Duration>),
    /// It is to run: the job, its cluster, its restarts.
    Run(Box<(Job, Cluster)>),
    /// It runs, or is to go on running.
    Running(Option<Duration>),
    /// Its processes are to end, after a SIGTERM this long ago at most, and why.
    End(Duration, Option<Cause>),
    /// It is over, or unknown to the controller.
    Over,
}

struct Supervisor {
    store: Store,
    cluster: String,
    id: u32,
    spool: PathBuf,
    pipe: Option<OwnedFd>,
    only: Option<File>,
    script: Option<Script>,
    ending: Option<Instant>,
    stopped: bool,
}

struct Script {
    pid: Pid,
    pidfd: OwnedFd,
    /// What is still to be written when it is told to end.
    last_words: Option<LastWords>,
}

/// Supervises a job until it is over. Another supervisor of the same job ends this one at once.
pub(crate) fn supervise(
    root: &Path,
    cluster: &str,
    id: u32,
    spool: &Path,
) -> Result<(), StoreError> {
    // It fails only for a process that leads its group already, which is as good.
    let _leader = setsid().is_err();
    set_child_subreaper(Some(getpid()))
        .map_err(io::Error::from)
        .map_err(at(spool))?;
    let path = spool.join("lock");
    let mut options = OpenOptions::new();
    let only = options
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&path)
        .map_err(at(&path))?;
    if flock(&only, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(());
    }
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let pipe = open(pipe_in(spool), flags, Mode::empty()).map_err(io::Error::from);
    let mut supervisor = Supervisor {
        store: Store::open(root)?.0,
        cluster: cluster.to_owned(),
        id,
        spool: spool.to_owned(),
        pipe: Some(pipe.map_err(at(spool))?),
        only: Some(only),
        script: None,
        ending: None,
        stopped: false,
    };
    supervisor.run()
}

impl Supervisor {
    fn run(&mut self) -> Result<(), StoreError> {
        loop {
            let timeout = match self.look()? {
                Situation::Over => return Ok(()),
                Situation::Wait(timeout) | Situation::Running(timeout) => timeout,
                Situation::Run(job) => {
                    self.launch(&job.0, &job.1)?;
                    continue;
                }
                Situation::End(kill_wait, cause) => Some(self.end(kill_wait, cause)?),
            };
            self.sleep(timeout)?;
            if self.stopped {
                self.kill_all();
                return Ok(());
            }
        }
    }

    /// Brings the model up to date with the processes, and asks it what is to be done.
    fn look(&mut self) -> Result<Situation, StoreError> {
        let exit = self.reap();
        let store = self.store.clone();
        let locked = store.lock()?;
        let mut world = locked.world()?;
        let now = world.clock.now(host_time());
        let manual = matches!(world.clock, crate::model::Clock::Manual(_));
        let serial = self.serial();
        let Some(cluster) = world.clusters.get_mut(&self.cluster) else {
            return Ok(self.gone());
        };
        cluster.tick(now);
        let ours = |cluster: &Cluster, id: u32| {
            cluster
                .jobs
                .get(&id)
                .is_some_and(|job| Some(job.serial) == serial)
        };
        if ours(cluster, self.id) {
            if let Some(exit) = exit {
                cluster.exited(self.id, exit, now);
            }
            let alone = self.script.is_none() && descendants(getpid()).is_empty();
            if alone {
                cluster.cleared(self.id, now);
            }
        }
        let situation = match cluster
            .jobs
            .get(&self.id)
            .filter(|_| ours(cluster, self.id))
        {
            None => self.gone(),
            Some(job) => self.situation(job, cluster, now, manual),
        };
        if matches!(situation, Situation::Over) {
            // Whoever changes the job from here on finds no reader and starts a supervisor.
            self.pipe = None;
            self.only = None;
        }
        settle(&store, &locked, &mut world, &Reply::default())?;
        Ok(situation)
    }

    /// The job is unknown to the controller: what runs of it is ended, as slurmd does.
    fn gone(&self) -> Situation {
        let alone = self.script.is_none() && descendants(getpid()).is_empty();
        if alone {
            Situation::Over
        } else {
            Situation::End(Duration::ZERO, Some(Cause::CANCELLED))
        }
    }

    fn serial(&self) -> Option<u64> {
        self.spool.extension()?.to_str()?.parse().ok()
    }

    fn situation(&self, job: &Job, cluster: &Cluster, now: Moment, manual: bool) -> Situation {
        let next = cluster.next_event().filter(|_| !manual);
        let timeout = next.map(|at| at.since(now) + Duration::from_millis(1));
        if job.is_completing() {
            return if job.cleared.is_none() {
                Situation::End(cluster.config.kill_wait, cause_of(job, cluster))
            } else {
                Situation::Wait(timeout)
            };
        }
        match job.base {
            Base::Pending if job.hold.is_some() => Situation::Over,
            Base::Pending => Situation::Wait(timeout),
            Base::Running if job.flags.has(Flag::Configuring) => Situation::Wait(timeout),
            Base::Running if self.script.is_none() => {
                Situation::Run(Box::new((job.clone(), cluster.clone())))
            }
            Base::Running | Base::Suspended => Situation::Running(timeout),
            _ => Situation::Over,
        }
    }

    fn launch(&mut self, job: &Job, cluster: &Cluster) -> Result<(), StoreError> {
        let variables = environment::of_job(job, cluster, &self.store);
        let started = step::start(
            job,
            cluster.config.generation,
            &self.spool.join("script"),
            &variables,
        );
        let pid = started
            .ok()
            .and_then(|child| Pid::from_raw(i32::try_from(child.id()).ok()?));
        let pidfd = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        let (Some(pid), Some(pidfd)) = (pid, pidfd) else {
            return self.report_failed_launch();
        };
        let path = self.spool.join("session");
        fs::write(&path, pid.as_raw_pid().to_string()).map_err(at(&path))?;
        self.script = Some(Script {
            pid,
            pidfd,
            last_words: Some(LastWords::of(job, cluster.config.generation)),
        });
        self.ending = None;
        Ok(())
    }

    /// The output file cannot be opened, or the like. 20.11 calls that an exit with 1.
    fn report_failed_launch(&mut self) -> Result<(), StoreError> {
        let store = self.store.clone();
        let locked = store.lock()?;
        let mut world = locked.world()?;
        let now = world.clock.now(host_time());
        if let Some(cluster) = world.clusters.get_mut(&self.cluster) {
            let exit = match cluster.config.generation {
                Generation::V20_11 => Exit::status(1),
                Generation::V22_05 | Generation::V24_11 | Generation::V26_05 => Exit::NO_OUTPUT,
            };
            cluster.exited(self.id, exit, now);
        }
        settle(&store, &locked, &mut world, &Reply::default())
    }

    /// Collects children that ended; the script's end is returned, once.
    fn reap(&mut self) -> Option<Exit> {
        let mut exit = None;
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let ours = self.script.as_ref().is_some_and(|script| script.pid == pid);
            if ours {
                let signal = status.terminating_signal().unwrap_or(0);
                let status = status.exit_status().unwrap_or(0);
                let small = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
                exit = Some(Exit {
                    status: small(status),
                    signal: small(signal),
                });
                self.script = None;
            }
        }
        exit
    }

    /// Goes on ending the job's processes: SIGCONT and SIGTERM to all of them, SIGKILL after
    /// KillWait. What the script leaves behind when it has ended is killed at once.
    fn end(&mut self, kill_wait: Duration, cause: Option<Cause>) -> Result<Duration, StoreError> {
        let began = match self.ending {
            Some(began) => began,
            None => {
                let now = Instant::now();
                self.ending = Some(now);
                if self.script.is_some() {
                    if let Some(cause) = cause {
                        self.say_last_words(cause)?;
                    }
                    self.signal_all(&[Signal::CONT, Signal::TERM]);
                }
                now
            }
        };
        let left = kill_wait.saturating_sub(began.elapsed());
        if self.script.is_none() || left.is_zero() {
            self.signal_all(&[Signal::KILL]);
            return Ok(REAP_PAUSE);
        }
        Ok(left)
    }

    fn say_last_words(&mut self, cause: Cause) -> Result<(), StoreError> {
        let script = self.script.as_mut();
        let Some(words) = script.and_then(|script| script.last_words.take()) else {
            return Ok(());
        };
        let now = self.store.lock()?.world()?.clock.now(host_time());
        words.write(cause, now);
        Ok(())
    }

    fn signal_all(&self, signals: &[Signal]) {
        for pid in descendants(getpid()) {
            for signal in signals {
                // It may have ended meanwhile.
                let _gone = kill_process(pid, *signal).is_err();
            }
        }
    }

    /// `stop`: nothing of the job may remain.
    fn kill_all(&mut self) {
        let limit = Instant::now() + Duration::from_secs(5);
        while Instant::now() < limit {
            self.signal_all(&[Signal::KILL]);
            let _exit = self.reap();
            if descendants(getpid()).is_empty() {
                return;
            }
            std::thread::sleep(REAP_PAUSE);
        }
    }

    /// Waits until somebody says something, the script ends, or the time is up.
    fn sleep(&mut self, timeout: Option<Duration>) -> Result<(), StoreError> {
        let Some(pipe) = &self.pipe else {
            return Ok(());
        };
        let mut waiting = vec![PollFd::new(pipe, PollFlags::IN)];
        if let Some(script) = &self.script {
            waiting.push(PollFd::from_borrowed_fd(
                script.pidfd.as_fd(),
                PollFlags::IN,
            ));
        }
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match poll(&mut waiting, timeout.as_ref()) {
            Err(rustix::io::Errno::INTR) | Ok(_) => {}
            Err(error) => return Err(at(&self.spool)(error.into())),
        }
        let mut buffer = [0; 4096];
        let mut text = Vec::new();
        while let Ok(length) = rustix::io::read(pipe, &mut buffer) {
            text.extend_from_slice(&buffer[..length]);
        }
        for line in String::from_utf8_lossy(&text).lines() {
            self.obey(line)?;
        }
        Ok(())
    }

    fn obey(&mut self, line: &str) -> Result<(), StoreError> {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["stop"] => self.stopped = true,
            ["signal", number, only_script] => {
                let signal = number.parse().ok().and_then(Signal::from_named_raw);
                let script = self.script.as_ref().map(|script| script.pid);
                match signal {
                    Some(Signal::TERM) => self.say_last_words(Cause::CANCELLED)?,
                    Some(Signal::KILL) => self.say_last_words(Cause::Signal("Killed"))?,
                    _ => {}
                }
                match (signal, script) {
                    (Some(signal), Some(pid)) if *only_script == "1" => {
                        // It may have ended meanwhile.
                        let _gone = kill_process(pid, signal).is_err();
                    }
                    (Some(signal), _) => self.signal_all(&[signal]),
                    (None, _) => {}
                }
            }
            _ => {}
        }
        Ok(())
    }
}
