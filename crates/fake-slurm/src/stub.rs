//! The stub executable: finds the cluster it stands beside, lets faults have their way, answers,
//! and starts what is to run.

use std::env;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use rustix::process::{Signal, getgid, getpid, getuid, kill_process};

use crate::call::{Call, Program, Reply};
use crate::command::{NOT_PLAYED, answer, needs_stdin};
use crate::fault::{Action, strike};
use crate::host::{LocalHost, read_stdin};
use crate::launch;
use crate::log;
use crate::model::{Controller, World};
use crate::moment::Moment;
use crate::store::{Locked, Store, StoreError, host_time};
use crate::text;

/// What `main` of the executable does. Under the name of one of Slurm's commands it plays that
/// command; under any other it takes its own subcommands.
pub fn play() -> ExitCode {
    let executed = executed_path();
    let name = executed
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    match Program::from_name(&name) {
        Some(program) => ExitCode::from(play_program(program, &executed)),
        None => crate::admin::run(),
    }
}

/// The path that was given to `execve`: with its symbolic links, and whatever the caller put into
/// `argv[0]`.
fn executed_path() -> PathBuf {
    let path = rustix::param::linux_execfn().to_bytes();
    PathBuf::from(OsStr::from_bytes(path))
}

fn play_program(program: Program, executed: &Path) -> u8 {
    // What the caller left open without close-on-exec would otherwise live as long as a job.
    close_fds::set_fds_cloexec(3, &[]);
    let call = this_call(program);
    let played = find(&call, executed).and_then(|found| match found {
        Found::Cluster(store, home) => perform(&store, home, &call),
        Found::NoConfiguration(reply) => {
            write(&reply)?;
            Ok(reply.status)
        }
    });
    played.unwrap_or_else(|error| {
        let mut text = format!("{}: fake-slurm: {error}", program.name());
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text += &format!(": {cause}");
            source = cause.source();
        }
        // Nobody is left to be told that stderr is closed.
        let _unwritten = writeln!(io::stderr(), "{text}").is_err();
        NOT_PLAYED
    })
}

fn this_call(program: Program) -> Call {
    let text_of = |value: std::ffi::OsString| text::decode(&value.into_vec());
    Call {
        program,
        arguments: env::args_os().skip(1).map(text_of).collect(),
        environment: env::vars_os()
            .map(|(name, value)| (text_of(name), text_of(value)))
            .collect(),
        uid: getuid().as_raw(),
        gid: getgid().as_raw(),
        directory: env::current_dir()
            .map(|path| text_of(path.into()))
            .unwrap_or_default(),
        host_name: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
    }
}

enum Found {
    Cluster(Store, Option<String>),
    NoConfiguration(Reply),
}

/// The cluster that SLURM_CONF names, or the one that the command stands beside.
fn find(call: &Call, executed: &Path) -> Result<Found, StoreError> {
    if let Some(conf) = call.variable("SLURM_CONF") {
        let path = PathBuf::from(conf);
        if !path.exists() {
            let name = call.program.name();
            return Ok(Found::NoConfiguration(Reply::fail(
                1,
                format!(
                    "{name}: error: s_p_parse_file: cannot stat file {conf}: No such file or \
                     directory, retrying in 1sec up to 60sec\n\
                     {name}: error: ClusterName needs to be specified\n\
                     {name}: fatal: Unable to process configuration file\n"
                ),
            )));
        }
        let beside = path.parent().unwrap_or(Path::new("/"));
        return Store::open(beside).map(|(store, home)| Found::Cluster(store, home));
    }
    let (store, home) = Store::open(&beside(executed))?;
    Ok(Found::Cluster(store, home))
}

/// The directory above the command's, following links until it is a cluster's.
fn beside(executed: &Path) -> PathBuf {
    let mut path = executed.to_owned();
    for _ in 0..16 {
        let directory = path.parent().map(|bin| bin.join("..")).unwrap_or_default();
        if directory.join("cluster.json").exists() {
            return directory;
        }
        let Ok(target) = path.read_link() else { break };
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
    executed
        .parent()
        .map(|bin| bin.join(".."))
        .unwrap_or_default()
}

/// One call, from its fault to its exit status.
fn perform(store: &Store, home: Option<String>, call: &Call) -> Result<u8, StoreError> {
    let locked = store.lock()?;
    let mut script = locked.script()?;
    script.calls += 1;
    let number = script.calls;
    let action = strike(&mut script.faults, call);
    locked.save_script(&script)?;
    let log = store.log_path();
    log::began(&log, call, number, host_time()).map_err(crate::store::at(&log))?;
    drop(locked);
    let reply = match before(action.as_ref()) {
        Some(reply) => reply,
        None => after(
            carry_out(store, home, call, action.as_ref())?,
            action.as_ref(),
        ),
    };
    thread::sleep(reply.delay);
    write(&reply)?;
    log::ended(&log, number, reply.status).map_err(crate::store::at(&log))?;
    Ok(reply.status)
}

/// What a fault does before the request is carried out. A reply means that it is not.
fn before(action: Option<&Action>) -> Option<Reply> {
    match action? {
        Action::Refuse { text, status } => Some(Reply::fail(*status, format!("{text}\n"))),
        Action::DoNothing => Some(Reply::default()),
        Action::Hang => hang(),
        Action::Kill(signal) => die_of(*signal),
        Action::Slow(duration) => {
            thread::sleep(*duration);
            None
        }
        _ => None,
    }
}

/// What a fault makes of the answer.
fn after(mut reply: Reply, action: Option<&Action>) -> Reply {
    match action {
        Some(Action::LoseReply | Action::AcceptLater(_)) => lost(&reply),
        Some(Action::HangAfter | Action::ArriveLater(_)) => hang().unwrap_or(reply),
        Some(Action::KillAfter(signal)) => die_of(*signal).unwrap_or(reply),
        Some(Action::Garbage(text)) => Reply {
            stdout: text.clone(),
            ..reply
        },
        Some(Action::Truncate(length)) => {
            let bytes = reply.stdout_bytes();
            reply.stdout = text::decode(&bytes[..bytes.len().min(*length)]);
            reply
        }
        Some(Action::Replace { from, to }) => {
            reply.stdout = reply.stdout.replace(from, to);
            reply
        }
        Some(Action::Banner(text)) => {
            reply.stdout.insert_str(0, &lines(text));
            reply
        }
        Some(Action::Warn(text)) => {
            reply.stderr.insert_str(0, &lines(text));
            reply
        }
        _ => reply,
    }
}

/// A text with a newline at its end, which it may have already.
fn lines(text: &str) -> String {
    format!("{}\n", text.strip_suffix('\n').unwrap_or(text))
}

/// The answer of a client whose controller did not answer in time.
fn lost(reply: &Reply) -> Reply {
    let program = executed_path()
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let what = match program.as_deref() {
        Some("sbatch") => "sbatch: error: Batch job submission failed: ",
        Some("squeue") => "slurm_load_jobs error: ",
        Some("scancel") => "scancel: error: Kill job error: ",
        _ => "slurm error: ",
    };
    // scancel's status is the error's number, 5004, cut to a byte.
    let status = if program.as_deref() == Some("scancel") {
        140
    } else {
        1
    };
    let text = format!("{what}Socket timed out on send/recv operation\n");
    Reply {
        delay: reply.delay,
        ..Reply::fail(status, text)
    }
}

fn hang() -> Option<Reply> {
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

/// Ends this process by a signal; a signal that does not end it is followed by SIGKILL.
fn die_of(signal: u8) -> Option<Reply> {
    let signal = Signal::from_named_raw(i32::from(signal)).unwrap_or(Signal::KILL);
    for signal in [signal, Signal::KILL] {
        // A failure leaves the second signal, and then the loop.
        let _failed = kill_process(getpid(), signal).is_err();
        thread::sleep(Duration::from_millis(100));
    }
    hang()
}

/// Lets the model answer, and starts or signals processes accordingly.
fn carry_out(
    store: &Store,
    home: Option<String>,
    call: &Call,
    action: Option<&Action>,
) -> Result<Reply, StoreError> {
    // Before the lock is taken: nobody else is to wait for a caller that does not close its end.
    let stdin = if needs_stdin(call) {
        read_stdin()
    } else {
        Vec::new()
    };
    let host = LocalHost { stdin };
    let locked = store.lock()?;
    let mut world = locked.world()?;
    let own_home = world.home.clone();
    world.home = home.unwrap_or_else(|| own_home.clone());
    let now = world.clock.now(host_time());
    let reply = with_fault(&mut world, action, now, |world| {
        answer(world, call, &host, now)
    });
    world.home = own_home;
    settle(store, &locked, &mut world, &reply)?;
    // This process ends soon: to take ten thousand jobs apart first would only cost time.
    std::mem::forget(world);
    Ok(reply)
}

/// Saves what changed, and starts and wakes supervisors accordingly.
pub(crate) fn settle(
    store: &Store,
    locked: &Locked<'_>,
    world: &mut World,
    reply: &Reply,
) -> Result<(), StoreError> {
    let launches = launch::prepare(store, world, reply)?;
    locked.save(world)?;
    launch::wake(store, world, &launches, reply)
}

/// Answers while the controller is as the fault has it.
fn with_fault(
    world: &mut World,
    action: Option<&Action>,
    now: Moment,
    answer: impl FnOnce(&mut World) -> Reply,
) -> Reply {
    let (controller, arrival) = match action {
        Some(Action::Controller(controller)) => (*controller, None),
        Some(Action::ArriveLater(after) | Action::AcceptLater(after)) => {
            (Controller::Hung, Some(now + *after))
        }
        _ => return answer(world),
    };
    let before: Vec<(Controller, usize)> = world
        .clusters
        .values_mut()
        .map(|cluster| {
            let usual = std::mem::replace(&mut cluster.condition.controller, controller);
            (usual, cluster.late.len())
        })
        .collect();
    let reply = answer(world);
    for (cluster, (usual, known)) in world.clusters.values_mut().zip(before) {
        cluster.condition.controller = usual;
        for late in cluster.late.iter_mut().skip(known) {
            // For one call the controller hung, so it takes the request up right after it.
            late.at = arrival.or(Some(now + Duration::from_millis(1)));
        }
    }
    reply
}

/// Writes the answer. A reader that has gone away ends a real command by SIGPIPE; this one goes
/// on, so that the log gets its line.
fn write(reply: &Reply) -> Result<(), StoreError> {
    for (mut stream, bytes) in [
        (
            Box::new(io::stdout()) as Box<dyn Write>,
            reply.stdout_bytes(),
        ),
        (Box::new(io::stderr()), reply.stderr_bytes()),
    ] {
        let written = stream.write_all(&bytes).and_then(|()| stream.flush());
        if let Err(error) = written
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            return Err(crate::store::at(Path::new("output"))(error));
        }
    }
    Ok(())
}
