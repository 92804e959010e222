//! The script's own process.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::setsid;

use crate::generation::Generation;
use crate::model::Job;
use crate::text;

fn path_of(path: &str) -> PathBuf {
    PathBuf::from(OsString::from_vec(text::encode(path).into_owned()))
}

/// Starts the script of a job with its output files and its environment.
pub(crate) fn start(
    job: &Job,
    generation: Generation,
    script: &Path,
    variables: &[(String, String)],
) -> io::Result<Child> {
    let request = &job.request;
    let (stdout_path, stderr_path) = output_paths(job);
    let open = |path: &Path| {
        if generation >= Generation::V24_11
            && let Some(directory) = path.parent()
        {
            // What fails here fails again when the file is opened.
            let _failed = fs::create_dir_all(directory).is_err();
        }
        output(path, request.append)
    };
    let stdout = open(&stdout_path)?;
    let stderr = if stderr_path == stdout_path {
        stdout.try_clone()?
    } else {
        open(&stderr_path)?
    };
    let stdin = File::open(path_of(&expand(&request.stdin, job)))?;
    // slurmstepd goes to /tmp if it cannot go where the job wants to.
    let directory = Some(path_of(&request.workdir)).filter(|path| path.is_dir());
    let mut command = Command::new("/proc/self/exe");
    command.arg("step").arg(script);
    command.args(request.arguments.iter().map(|argument| path_of(argument)));
    command.env_clear();
    for (name, value) in variables {
        command.env(path_of(name), path_of(value));
    }
    command.current_dir(directory.unwrap_or_else(|| PathBuf::from("/tmp")));
    command
        .stdin(stdin)
        .stdout(Stdio::from(stdout))
        .stderr(Stdio::from(stderr));
    command.spawn()
}

/// Where the output of a job's script goes, and its errors.
pub(crate) fn output_paths(job: &Job) -> (PathBuf, PathBuf) {
    let request = &job.request;
    let default = format!("{}/slurm-%j.out", request.workdir);
    let stdout = expand(request.stdout.as_ref().unwrap_or(&default), job);
    let stderr = request.stderr.as_ref().map(|path| expand(path, job));
    let stderr = stderr.unwrap_or_else(|| stdout.clone());
    (path_of(&stdout), path_of(&stderr))
}

fn output(path: &Path, append: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // Opened for appending either way: stdout and stderr may be the same file.
    if !append {
        let _truncated = File::create(path)?;
    }
    options.create(true).append(true).open(path)
}

/// Replaces `%j` and its like in the name of an output file.
pub(crate) fn expand(pattern: &str, job: &Job) -> String {
    let mut path = String::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            path.push(character);
            continue;
        }
        match characters.next() {
            Some('j' | 'A' | 'J') => path += &job.id.to_string(),
            Some('x') => path += &job.request.name,
            Some('u') => path += &job.request.user,
            Some('N') => path += job.nodes.first().map_or("", String::as_str),
            Some('n' | 't') => path.push('0'),
            Some('a') => path += "4294967294",
            Some('%') => path.push('%'),
            Some(other) => path.extend(['%', other]),
            None => path.push('%'),
        }
    }
    path
}

/// Becomes the script, as the leader of a session of its own.
///
/// # Errors
/// The script cannot be executed.
pub(crate) fn become_script(script: &Path, arguments: &[OsString]) -> io::Error {
    if let Err(error) = setsid() {
        return error.into();
    }
    Command::new(script)
        .args(arguments)
        .env("SLURM_TASK_PID", std::process::id().to_string())
        .exec()
}
