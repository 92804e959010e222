//! `slurm-cbx`: Crabbox's `provider: external` for Slurm.
//!
//! Without a subcommand it reads one request of protocol 1 as JSON on stdin and writes one answer
//! as JSON on stdout. `docs/protocol.md` describes both.

mod answer;
mod config;
mod manual;
mod operations;
mod people;
mod progress;
mod protocol;
mod proxy;
mod request;
mod select;
mod words;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use camino::Utf8PathBuf;
use clap::{CommandFactory, Parser, Subcommand};
use slurm_lease::driver::{KeeperCommand, Leases, Options};
use slurm_lease::{LeaseId, Policy};

/// Crabbox's external provider for Slurm.
///
/// Reads one protocol request as JSON on stdin and writes one answer as JSON on stdout.
#[derive(Debug, Parser)]
#[command(name = "slurm-cbx", version, infer_long_args = true)]
struct Arguments {
    /// Where a Python adapter was the command, its script stands first among the arguments. A
    /// site that changes only the command leaves it there, and it is passed over.
    #[arg(hide = true, value_name = "COMMAND", value_parser = former_adapter)]
    former_adapter: Option<String>,

    /// Where leases are kept: private, and on a file system that the compute nodes share.
    #[arg(long, value_name = "DIR", default_value = "~/.crabbox/slurm")]
    state_dir: String,

    /// The batch script for leases whose config names none, instead of the bundled one.
    #[arg(long, value_name = "FILE", value_parser = path)]
    runner_script: Option<Utf8PathBuf>,

    /// How often the scheduler is asked about a job that is waited for. Endpoints and the ends of
    /// runners are noticed without asking it.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    poll_interval: Option<Duration>,

    /// How far apart two looks must be for two absences to prove that a job is gone: unless this
    /// is given, two seconds longer than the controller's MessageTimeout, and at least twelve.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, hide = true)]
    settle: Option<Duration>,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    People(people::Command),
    /// Prints the JSON Schema of `external.config`.
    Schema,
    /// Prints completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Prints the manual page, in roff.
    Man,
    /// Watches an acquire and ends what it leaves unclaimed. Started by slurm-cbx itself.
    #[command(hide = true)]
    Keep {
        /// The lease.
        lease: LeaseId,
        /// How long somebody may take over an acquire that died, in seconds.
        grace: u64,
    },
}

fn former_adapter(text: &str) -> Result<String, &'static str> {
    if text.rsplit('/').next() == Some("slurm-cbx.py") {
        Ok(text.to_owned())
    } else {
        Err("there is no such command")
    }
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let duration = text
        .parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or("it must be a number of seconds, and not negative")
}

fn path(text: &str) -> Result<Utf8PathBuf, String> {
    expand(text).map_err(|error| error.to_string())
}

fn main() -> ExitCode {
    // Whatever else our caller has open is no business of what we start.
    close_fds::set_fds_cloexec(3, &[]);
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // What the client passes comes from somebody's config, and an exit status tells it less.
        Err(error) if error.use_stderr() && protocol::is_asked() => {
            return protocol::refuse(&error.to_string());
        }
        Err(error) => error.exit(),
    };
    match &arguments.command {
        None => protocol::serve(&arguments),
        Some(Command::People(command)) => people::run(&arguments, command),
        Some(Command::Schema) => print(config::schema().as_bytes()),
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut public_command(), "slurm-cbx", &mut script);
            print(&script)
        }
        Some(Command::Man) => {
            let mut page = Vec::new();
            match manual::render(public_command(), &mut page) {
                Ok(()) => print(&page),
                Err(_) => ExitCode::FAILURE,
            }
        }
        Some(Command::Keep { lease, grace }) => {
            let grace = Duration::from_secs(*grace);
            let kept = arguments.leases().map(|leases| leases.keep(lease, grace));
            if kept.is_ok() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// The command line without what is hidden, which completions would offer all the same.
fn public_command() -> clap::Command {
    let full = Arguments::command();
    clap::Command::new("slurm-cbx")
        .version(env!("CARGO_PKG_VERSION"))
        .about(full.get_about().cloned().unwrap_or_default())
        .long_about(full.get_long_about().cloned().unwrap_or_default())
        .args(
            full.get_arguments()
                .filter(|arg| !arg.is_hide_set())
                .cloned(),
        )
        .subcommands(
            full.get_subcommands()
                .filter(|sub| !sub.is_hide_set())
                .cloned(),
        )
}

fn print(text: &[u8]) -> ExitCode {
    let mut stdout = std::io::stdout();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

impl Arguments {
    /// The leases of the state directory.
    fn leases(&self) -> Result<Leases, Box<dyn std::error::Error>> {
        let state_dir = expand(&self.state_dir)?;
        let mut options = Options::new(&state_dir);
        options.policy = self.policy();
        options.settle_by_site = self.settle.is_none();
        options.keeper = Some(self.keeper(&state_dir)?);
        Ok(Leases::open(options)?)
    }

    fn policy(&self) -> Policy {
        let mut policy = Policy::default();
        if let Some(interval) = self.poll_interval {
            policy.watch_first = interval.max(Duration::from_millis(200));
            policy.watch_most = policy.watch_first;
        }
        if let Some(settle) = self.settle {
            policy.settle = settle;
        }
        policy
    }

    /// How this program is started again as a keeper.
    fn keeper(&self, state_dir: &Utf8PathBuf) -> std::io::Result<KeeperCommand> {
        let mut arguments = vec!["--state-dir".to_owned(), state_dir.to_string()];
        if let Some(settle) = self.settle {
            arguments.extend(["--settle".to_owned(), settle.as_secs_f64().to_string()]);
        }
        arguments.push("keep".to_owned());
        Ok(KeeperCommand {
            program: std::env::current_exe()?,
            arguments,
        })
    }
}

/// The path with `~` for the caller's home, made absolute.
fn expand(path: &str) -> Result<Utf8PathBuf, Box<dyn std::error::Error>> {
    let home = || {
        let home = std::env::var("HOME").ok().filter(|home| !home.is_empty());
        home.ok_or("HOME is not set")
    };
    let path = match path.strip_prefix('~') {
        Some("") => Utf8PathBuf::from(home()?),
        Some(rest) if rest.starts_with('/') => Utf8PathBuf::from(home()? + rest),
        Some(_) => return Err(format!("{path}: only ~/ stands for a home, the caller's").into()),
        None => Utf8PathBuf::from(path),
    };
    let absolute = std::path::absolute(&path)?;
    Ok(Utf8PathBuf::try_from(absolute)?)
}
