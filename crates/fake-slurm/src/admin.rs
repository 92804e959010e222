//! The executable's own subcommands.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::cluster::FakeCluster;
use crate::fault::Fault;
use crate::generation::Generation;
use crate::model::{Accounting, ClusterConfig, Controller, Execution};
use crate::step::become_script;
use crate::store::StoreError;
use crate::supervisor::supervise;

const USAGE: &str = "\
usage: fake-slurm new DIR [--generation 20.11|22.05|24.11|26.05] [--run-jobs]
                          [--start-delay SECONDS] [--epilog SECONDS] [--name NAME]
                          [--kill-wait SECONDS] [--min-job-age SECONDS]
       fake-slurm fault DIR FAULT-AS-JSON
       fake-slurm fault DIR clear
       fake-slurm controller DIR up|down|hung|stale|authentication|munge
       fake-slurm accounting DIR up|down|no-database|disabled|SECONDS-OF-LAG
       fake-slurm lose-state DIR
       fake-slurm advance DIR SECONDS
       fake-slurm jobs DIR
       fake-slurm log DIR
       fake-slurm stop DIR

The commands of a cluster are in DIR/bin: put that first in PATH. A fault is
{\"program\":\"sbatch\",\"argument\":null,\"which\":{\"nth\":2},\"action\":\"lose-reply\"}.
";

/// What went wrong with a subcommand.
#[derive(Debug, thiserror::Error)]
enum AdminError {
    #[error("{0}\n{USAGE}")]
    Usage(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("not a fault")]
    Fault(#[source] serde_json::Error),
    #[error("output")]
    Output(#[from] io::Error),
}

pub(crate) fn run() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        // As with `fake-slurm log DIR | head`: the reader has what it wants.
        Err(AdminError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            let mut text = format!("fake-slurm: {error}");
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                text += &format!(": {cause}");
                source = cause.source();
            }
            // Nobody is left to be told that stderr is closed.
            let _unwritten = writeln!(io::stderr(), "{text}").is_err();
            ExitCode::from(if matches!(error, AdminError::Usage(_)) {
                2
            } else {
                1
            })
        }
    }
}

fn dispatch(arguments: &[OsString]) -> Result<(), AdminError> {
    // The two that the executable calls itself with take paths of any bytes.
    if let [verb, script, rest @ ..] = arguments
        && verb == "step"
    {
        let error = become_script(Path::new(script), rest);
        writeln!(
            io::stderr(),
            "slurmstepd: error: execve(): {}: {error}",
            script.display()
        )?;
        std::process::exit(2);
    }
    if let [verb, root, cluster, id, spool] = arguments
        && verb == "supervise"
    {
        let number = id.to_str().and_then(|id| id.parse().ok());
        let id = number.ok_or_else(|| AdminError::Usage("not a job".to_owned()))?;
        let cluster = cluster.to_string_lossy();
        return Ok(supervise(Path::new(root), &cluster, id, Path::new(spool))?);
    }
    let words: Vec<String> = arguments
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if words.iter().any(|word| matches!(*word, "--help" | "-h")) {
        return Ok(io::stdout().write_all(USAGE.as_bytes())?);
    }
    if let [verb, option, ..] = words.as_slice()
        && option.starts_with('-')
    {
        // A directory of such a name can be called ./-NAME.
        return Err(AdminError::Usage(format!(
            "{verb}: no such option: {option}"
        )));
    }
    match words.as_slice() {
        ["new", directory, options @ ..] => new(directory, options),
        ["fault", directory, "clear"] => Ok(FakeCluster::open(directory)?.clear_faults()?),
        ["fault", directory, fault] => {
            let fault: Fault = serde_json::from_str(fault).map_err(AdminError::Fault)?;
            Ok(FakeCluster::open(directory)?.inject(fault)?)
        }
        ["controller", directory, state] => {
            Ok(FakeCluster::open(directory)?.controller(controller(state)?)?)
        }
        ["accounting", directory, state] => {
            Ok(FakeCluster::open(directory)?.accounting(accounting(state)?)?)
        }
        ["lose-state", directory] => Ok(FakeCluster::open(directory)?.lose_state()?),
        ["advance", directory, time] => Ok(FakeCluster::open(directory)?.advance(seconds(time)?)?),
        ["jobs", directory] => print_lines(FakeCluster::open(directory)?.jobs()?.iter()),
        ["log", directory] => print_lines(FakeCluster::open(directory)?.calls()?.iter()),
        ["stop", directory] => Ok(FakeCluster::open(directory)?.stop()?),
        ["help", ..] => Ok(io::stdout().write_all(USAGE.as_bytes())?),
        ["--version" | "-V"] => Ok(writeln!(io::stdout(), "{}", env!("CARGO_PKG_VERSION"))?),
        [verb, ..] => Err(AdminError::Usage(format!("unknown or incomplete: {verb}"))),
        [] => Err(AdminError::Usage("nothing to do".to_owned())),
    }
}

fn new(directory: &str, options: &[&str]) -> Result<(), AdminError> {
    let mut config = ClusterConfig::default();
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let mut value = || {
            let missing = || AdminError::Usage(format!("{option} needs a value"));
            options.next().copied().ok_or_else(missing)
        };
        match *option {
            "--run-jobs" => config.execution = Execution::Processes,
            "--generation" => {
                let wrong = |error: crate::UnknownGeneration| AdminError::Usage(error.to_string());
                config.generation = value()?.parse::<Generation>().map_err(wrong)?;
            }
            "--start-delay" => config.start_delay = seconds(value()?)?,
            "--epilog" => config.epilog = seconds(value()?)?,
            "--kill-wait" => config.kill_wait = seconds(value()?)?,
            "--min-job-age" => config.min_job_age = seconds(value()?)?,
            "--name" => value()?.clone_into(&mut config.name),
            other => return Err(AdminError::Usage(format!("unknown option: {other}"))),
        }
    }
    let executable = PathBuf::from("/proc/self/exe");
    let executable = executable.read_link()?;
    let cluster = FakeCluster::with_stub(directory, config, &executable)?;
    writeln!(io::stdout(), "{}", cluster.bin_dir().display())?;
    Ok(())
}

fn seconds(text: &str) -> Result<Duration, AdminError> {
    let wrong = || AdminError::Usage(format!("not a time in seconds: {text}"));
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

fn controller(text: &str) -> Result<Controller, AdminError> {
    Ok(match text {
        "up" => Controller::Up,
        "down" => Controller::Down,
        "hung" => Controller::Hung,
        "stale" => Controller::Stale,
        "authentication" => Controller::AuthenticationError,
        "munge" => Controller::MungeDown,
        _ => return Err(AdminError::Usage(format!("no such state: {text}"))),
    })
}

fn accounting(text: &str) -> Result<Accounting, AdminError> {
    Ok(match text {
        "up" => Accounting::Up,
        "down" => Accounting::Down,
        "no-database" => Accounting::NoDatabase,
        "disabled" => Accounting::Disabled,
        lag => Accounting::Lagging(seconds(lag)?),
    })
}

fn print_lines<T: serde::Serialize>(items: impl Iterator<Item = T>) -> Result<(), AdminError> {
    let mut output = io::stdout().lock();
    for item in items {
        serde_json::to_writer(&mut output, &item).map_err(io::Error::from)?;
        output.write_all(b"\n")?;
    }
    Ok(())
}
