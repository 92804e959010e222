//! One request in, one answer out, whatever happens.

use std::io::{self, IsTerminal, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use slurm_lease::driver::crash_point;

use crate::Arguments;
use crate::answer::Answer;
use crate::operations;
use crate::request::Request;

/// The most that is read of a request; the client's are a few kilobytes.
const REQUEST_LIMIT: u64 = 4 << 20;
/// The most that an answer may be long: the client kills an adapter that writes more than 1 MiB.
const ANSWER_LIMIT: usize = 1 << 20;

/// How many lines of an answer are told on stderr, of which the client reads 1 MiB as well.
const LINES_TOLD: usize = 200;

/// Answers the request on stdin. A failure of the operation is part of the answer; the exit
/// status is nonzero only where no answer could be written, or it could not be written down that
/// it delivered a lease.
pub(crate) fn serve(arguments: &Arguments) -> ExitCode {
    // A panic is answered like any other failure; what it says goes to whoever runs us.
    std::panic::set_hook(Box::new(|panic| {
        drop(writeln!(io::stderr(), "slurm-cbx: {panic}"));
    }));
    let mut answer = catch_unwind(AssertUnwindSafe(|| answer(arguments))).unwrap_or_else(|_| {
        Answer::error(
            "internal error: this is a bug in slurm-cbx; if there is a lease, `crabbox list` shows it and `crabbox stop` ends it",
        )
    });
    let acquired = answer.take_acquired();
    let delivered = match (write(answer), acquired) {
        (written, None) => written.is_ok(),
        // The client takes our exit for the end of the answer: until then it has no lease.
        (Ok(()), Some(acquired)) => acquired.delivered().is_ok(),
        (Err(_), Some(acquired)) => {
            acquired.take_back();
            false
        }
    };
    if delivered {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Whether it is a client that waits for an answer: there is a request, and no terminal.
pub(crate) fn is_asked() -> bool {
    let mut first = [0];
    !io::stdin().is_terminal() && matches!(io::stdin().read(&mut first), Ok(1)) && first == *b"{"
}

/// Answers that the arguments are wrong.
pub(crate) fn refuse(why: &str) -> ExitCode {
    let why = why.trim_start_matches("error: ");
    let why: Vec<&str> = why
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("For more information"))
        .collect();
    let answer = Answer::error(&format!(
        "slurm-cbx was called with arguments (external.args) that it does not take: {}",
        why.join("; ")
    ));
    match write(answer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn write(answer: Answer) -> io::Result<()> {
    let mut line = answer.to_line();
    if line.len() > ANSWER_LIMIT {
        line = answer.without_optional().to_line();
    }
    if line.len() > ANSWER_LIMIT {
        let bytes = line.len();
        line = Answer::error(&format!("the answer would be {bytes} bytes long, and the client reads 1 MiB at most: release leases that are no longer used")).to_line();
    }
    crash_point("answer ready");
    let mut stdout = io::stdout();
    stdout.write_all(line.as_bytes())?;
    stdout.flush()?;
    crash_point("answer written");
    Ok(())
}

/// Says on stderr what the client does not show of an answer: what a cleanup and a release came
/// to.
fn tell(request: &Request, answer: &Answer) {
    if !matches!(request.operation.as_str(), "cleanup" | "release") {
        return;
    }
    let said: Vec<&str> = answer.said().unwrap_or_default().lines().collect();
    let (shown, rest) = said.split_at(said.len().min(LINES_TOLD));
    let mut lines: String = shown
        .iter()
        .map(|line| format!("slurm-cbx: {line}\n"))
        .collect();
    if !rest.is_empty() {
        lines.push_str(&format!("slurm-cbx: and {} lines more\n", rest.len()));
    }
    // Whoever listened may be gone; what was asked for is done all the same.
    drop(io::stderr().write_all(lines.as_bytes()));
}

fn answer(arguments: &Arguments) -> Answer {
    let mut bytes = Vec::new();
    if let Err(error) = io::stdin().take(REQUEST_LIMIT + 1).read_to_end(&mut bytes) {
        return Answer::error(&format!("cannot read the request: {error}"));
    }
    if bytes.len() as u64 > REQUEST_LIMIT {
        return Answer::error("the request is longer than 4 MiB");
    }
    match Request::parse(&bytes) {
        Ok(request) => {
            let answer = operations::perform(arguments, &request);
            tell(&request, &answer);
            answer
        }
        Err(error) => Answer::error(&error.to_string()),
    }
}
