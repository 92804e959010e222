//! Points at which a test kills this process, to see what is left of a lease.
//!
//! Each write, sync, rename, removal and spawn passes one, in `driver::files` and
//! `driver::process`; nothing else in this crate may do any of that (`clippy.toml` forbids it), so
//! a step that is added is a point that is tested. Without the feature `crash-points` there are
//! none.

/// Passes a point. With `SLURM_LEASE_CRASH_LOG` set, its number and name are appended to that
/// file; at the point that `SLURM_LEASE_CRASH_AT` gives the number or the name of, the process is
/// killed with SIGKILL; at that of `SLURM_LEASE_STOP_AT` it is stopped, once;
/// at that of `SLURM_LEASE_PANIC_AT` it panics.
#[cfg(feature = "crash-points")]
#[expect(clippy::panic, reason = "a test asks for it")]
pub fn crash_point(name: &str) {
    use std::io::Write;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    static PASSED: AtomicU32 = AtomicU32::new(0);
    static STOPPED: AtomicBool = AtomicBool::new(false);
    let number = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
    if let Some(path) = std::env::var_os(LOG) {
        let log = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path);
        drop(log.and_then(|mut log| writeln!(log, "{number} {name}")));
    }
    let is_asked_for =
        |variable| std::env::var(variable).is_ok_and(|at| at == number.to_string() || at == name);
    if is_asked_for(PANIC) {
        panic!("asked for at point {number}, {name}");
    }
    if is_asked_for(AT) {
        let _killed = kill_process(getpid(), Signal::KILL);
    }
    if is_asked_for(STOP) && !STOPPED.swap(true, Ordering::SeqCst) {
        let _stopped = kill_process(getpid(), Signal::STOP);
    }
}

/// Passes a point, of which there are none in this build.
#[cfg(not(feature = "crash-points"))]
pub fn crash_point(_: &str) {}

/// The variables that say where to be killed, stopped or to panic; a keeper is not to inherit them.
const AT: &str = "SLURM_LEASE_CRASH_AT";
#[cfg(feature = "crash-points")]
const STOP: &str = "SLURM_LEASE_STOP_AT";
const PANIC: &str = "SLURM_LEASE_PANIC_AT";
const LOG: &str = "SLURM_LEASE_CRASH_LOG";

/// What a keeper has instead: the variable of its parent, and what it is called for itself.
#[cfg(feature = "crash-points")]
const OF_KEEPER: [(&str, &str); 2] = [
    ("SLURM_LEASE_KEEPER_CRASH_AT", AT),
    ("SLURM_LEASE_KEEPER_CRASH_LOG", LOG),
];

/// Takes the variables away from a keeper that is about to be started, and gives it its own.
pub(crate) fn spare(command: &mut std::process::Command) -> &mut std::process::Command {
    command.env_remove(AT).env_remove(PANIC).env_remove(LOG);
    #[cfg(feature = "crash-points")]
    for (of_keeper, own) in OF_KEEPER {
        if let Some(value) = std::env::var_os(of_keeper) {
            command.env_remove(of_keeper).env(own, value);
        }
    }
    command
}
