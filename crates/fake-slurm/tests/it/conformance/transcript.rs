//! Running a script of the catalogue, and what remains of its transcript once everything is taken
//! out that two runs cannot have in common.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Whose commands a script is run with.
pub(super) struct Commands {
    pub(super) bin: PathBuf,
    /// `SLURM_CONF`, where they need it.
    pub(super) conf: Option<PathBuf>,
}

/// One command of a script, and what came of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// SCRIPT/CASE.
    pub(super) case: String,
    /// The command line.
    pub(super) command: String,
    /// Its answer, and the states that were waited for after it.
    pub(super) lines: Vec<String>,
}

const MARK: &str = "|~00000000~|";

/// What the scripts use as the numbers of jobs that nobody knows.
const UNKNOWN: [&str; 2] = ["999998", "999999"];

/// Runs a script, and takes its transcript apart.
pub(super) fn steps_of(name: &str, script: &str, commands: &Commands) -> Vec<Step> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    let job_name = format!("conformance-{}-{run}", std::process::id());
    let directory = tempfile::tempdir().unwrap();
    let prelude = std::fs::read_to_string(super::catalogue().join("prelude.sh")).unwrap();
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("{prelude}\n{script}"))
        .current_dir(directory.path())
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", commands.bin.display()))
        .env("HOME", directory.path())
        .env("NAME", &job_name);
    shell.envs(commands.conf.iter().map(|conf| ("SLURM_CONF", conf)));
    let output = shell.output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaints.is_empty(),
        "{name}: {complaints}"
    );
    let text = String::from_utf8_lossy(&output.stdout)
        .replace(&job_name, "NAME")
        .replace(directory.path().to_str().unwrap(), "DIR");
    parse(name, &text)
}

fn parse(script: &str, text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut jobs: Vec<String> = Vec::new();
    for line in text.lines() {
        if let Some(case) = line.strip_prefix("== ") {
            steps.push(Step {
                case: format!("{script}/{case}"),
                command: String::new(),
                lines: Vec::new(),
            });
            continue;
        }
        let step = steps.last_mut().expect("a transcript begins with a case");
        if let Some(command) = line.strip_prefix("$ ") {
            step.command = without_ids(command, &jobs);
            continue;
        }
        // The answer of sbatch gives the next job's number; each is called by its turn.
        let accepted = line.strip_prefix("  out: ").filter(|answer| {
            step.command.split(' ').any(|word| word == "sbatch")
                && answer.starts_with(|c: char| c.is_ascii_digit())
        });
        jobs.extend(accepted.map(|answer| answer.split(';').next().unwrap_or(answer).to_owned()));
        step.lines.push(normalised(line, &jobs));
    }
    steps
}

/// A command line whose numbers of jobs and users are called what they are.
fn without_ids(command: &str, jobs: &[String]) -> String {
    let mut previous = "";
    let mut words = Vec::new();
    for word in command.split(' ') {
        let user = previous == "-u" && word.bytes().all(|byte| byte.is_ascii_digit());
        words.push(if user {
            "UID".to_owned()
        } else {
            without_jobs(word, jobs)
        });
        previous = word;
    }
    words.join(" ")
}

/// A word, which may be a list, whose numbers of jobs are called so; `JOB.batch` is one too.
/// Several in a row are one, as it is to the commands.
fn without_jobs(word: &str, jobs: &[String]) -> String {
    let parts = word.split_inclusive(['=', ':', ',', '?', '+']).map(|part| {
        let id = leading_number(part);
        let end = &part[id.len()..];
        let is_one = jobs.iter().any(|job| job == id) || UNKNOWN.contains(&id);
        if is_one {
            format!("JOB{end}")
        } else {
            part.to_owned()
        }
    });
    let mut word: String = parts.collect();
    while word.contains("JOB,JOB") {
        word = word.replace("JOB,JOB", "JOB");
    }
    word
}

fn leading_number(text: &str) -> &str {
    let rest = text.trim_start_matches(|character: char| character.is_ascii_digit());
    &text[..text.len() - rest.len()]
}

/// Takes out times, nodes that could be either, and numbers of jobs.
fn normalised(line: &str, jobs: &[String]) -> String {
    if line.starts_with("  status: ") {
        return line.to_owned();
    }
    // The number that a check names is no job's.
    if let Some((before, number)) = line.split_once("sbatch: Job ") {
        let rest = number.trim_start_matches(|c: char| c.is_ascii_digit());
        let rest = normalised(rest, jobs);
        return format!("{before}sbatch: Job JOB{rest}");
    }
    let ends = [' ', '|', '=', ':', ',', ';', '(', '+', '-'];
    let words = line.split_inclusive(ends).map(|word| {
        let end = word.trim_end_matches(ends);
        let rest = &word[end.len()..];
        let id = leading_number(end);
        match jobs.iter().position(|job| job == id) {
            Some(turn) => format!("JOB{turn}{}", &word[id.len()..]),
            None if end.len() == 10 && end.parse::<u32>().is_ok() => format!("TIME{rest}"),
            None if matches!(end, "n1" | "n2") => format!("NODE{rest}"),
            None => word.to_owned(),
        }
    });
    let line: String = words.collect();
    without_luck(&line).replace("/usr/bin/", "")
}

/// Takes out what a real cluster answers now so and now so: the time left; the exit code that a
/// cancelled job shows before its last process has reported; when a job started that never did.
fn without_luck(line: &str) -> String {
    let mut fields: Vec<&str> = line.split(MARK).collect();
    if fields.len() == 18 && fields[13].contains(':') {
        fields[13] = "LEFT";
    }
    if fields.len() == 18 && fields[1] == "CANCELLED" {
        fields[11] = "CODE";
    }
    if fields.len() == 10 && fields[7] == "None assigned" && fields[1].starts_with("CANCELLED") {
        fields[3] = "START";
    }
    fields.join(MARK)
}
