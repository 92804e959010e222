//! What `squeue -a -t all … -O …` answered: the controller's own view of jobs.
//!
//! The heading is asked for, since silence is no answer: squeue prints it once the controller has
//! answered, above no rows as above many, and each of its words is followed by the query's own
//! mark (20.11 to 26.05). A program that stands in for squeue and exits with 0 does not.

use jiff::Timestamp;

use crate::answer::{Answer, Exit};
use crate::id::{JobId, Mark, Uid};
use crate::job_state::JobState;
use crate::parse::{Unavailable, text, unavailable};

/// The fields that are asked for, in order. Free text comes last by habit only: each field ends
/// with the query's own mark, so none can run into the next.
const FIELDS: [&str; 17] = [
    "JobID",
    "State",
    "UserID",
    "SubmitTime",
    "StartTime",
    "EndTime",
    "RestartCnt",
    "Requeue",
    "Reason",
    "BatchHost",
    "NodeList",
    "exit_code",
    "Partition",
    "TimeLeft",
    "WorkDir",
    "Name",
    "Comment",
];

/// The value of `-O`: every field untruncated (`:0`) and followed by the mark.
pub(crate) fn format(mark: &Mark) -> String {
    let fields = FIELDS.map(|field| format!("{field}:0{}", mark.as_str()));
    fields.join(",")
}

/// One job as the controller sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRow {
    /// Its number.
    pub id: JobId,
    /// Its state, or the flag that hides it.
    pub state: JobState,
    /// Whose it is.
    pub uid: Uid,
    /// When it was submitted, or last put back into the queue.
    pub submitted: Option<Timestamp>,
    /// When it started, or is expected to.
    pub started: Option<Timestamp>,
    /// When it ended, or is expected to.
    pub ends: Option<Timestamp>,
    /// How often it was put back into the queue.
    pub restarts: u32,
    /// Whether Slurm may put it back: false only where the controller says 0.
    pub requeueable: bool,
    /// Why it waits or how it ended, in Slurm's word; empty where Slurm prints `None`.
    pub reason: String,
    /// The node that its script runs on.
    pub batch_host: Option<String>,
    /// Its nodes.
    pub nodes: Option<String>,
    /// Its exit status and the signal that ended it; of a job that has not ended, (0, 0).
    pub exit: Option<(i32, i32)>,
    /// Its partition.
    pub partition: String,
    /// What is left of its time limit, in Slurm's own form (`3:58:12`).
    pub time_left: Option<String>,
    /// The directory that it starts in, as it was given to sbatch.
    pub directory: Option<String>,
    /// Its name, with U+FFFD for what is not UTF-8.
    pub name: String,
    /// Its comment, likewise.
    pub comment: String,
}

/// The rows of one answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueRows {
    /// Those that could be read.
    pub rows: Vec<QueueRow>,
    /// Those that could not, with the job's number where that could be read. A job with such a
    /// row is unknown; an answer with one whose number is not known proves nobody's absence.
    pub unreadable: Vec<Option<JobId>>,
}

/// What the controller said about the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an answer that is dropped was asked for in vain"]
pub enum Queue {
    /// It answered with these rows, which may be none.
    Rows(QueueRows),
    /// It does not know the one job that was asked for.
    InvalidJobId,
    /// It gave no usable answer.
    Unavailable(Unavailable),
}

/// The whole of stderr when the one job asked for is unknown (20.11 to 26.05, exit status 1).
const INVALID: &str = "slurm_load_jobs error: Invalid job id specified";

/// Reads squeue's answer to a query that was made with `mark`.
pub fn parse(answer: &Answer, mark: &Mark) -> Queue {
    match answer.exit {
        Exit::Status(0) if !complains(answer) => match rows(&answer.stdout, mark) {
            Some(rows) => Queue::Rows(rows),
            None => Queue::Unavailable(without_heading(answer)),
        },
        Exit::Status(1) if says_invalid(answer) => Queue::InvalidJobId,
        _ => Queue::Unavailable(unavailable(answer)),
    }
}

/// Some complaints come with exit status 0 and a heading without rows, which is not an answer:
/// `squeue: error: Invalid user: 4242` (22.05) where the user's number has no name on this machine.
fn complains(answer: &Answer) -> bool {
    let stderr = String::from_utf8_lossy(&answer.stderr);
    stderr.lines().any(|line| line.contains("error:"))
}

fn says_invalid(answer: &Answer) -> bool {
    let stderr = String::from_utf8_lossy(&answer.stderr);
    let mut errors = stderr.lines().filter(|line| line.contains("error"));
    let first_is = errors.next().is_some_and(|line| line.trim_end() == INVALID);
    first_is && errors.next().is_none()
}

fn without_heading(answer: &Answer) -> Unavailable {
    let said = [&answer.stdout[..], b"\n", &answer.stderr].concat();
    if said.trim_ascii().is_empty() {
        return Unavailable::unreadable("squeue printed nothing, not even its heading");
    }
    Unavailable::unreadable(said)
}

/// The rows below the heading; `None` where there is no whole heading.
fn rows(stdout: &[u8], mark: &Mark) -> Option<QueueRows> {
    let parts = text::split(stdout, mark.as_str());
    let (fields, tail) = parts.split_at(parts.len() - 1);
    let mut chunks = fields.chunks_exact(FIELDS.len());
    chunks.next().filter(|chunk| is_heading(chunk))?;
    let cut_short = !chunks.remainder().is_empty();
    let mut found = QueueRows::default();
    for chunk in chunks {
        match row(chunk) {
            Ok(row) => found.rows.push(row),
            Err(id) => found.unreadable.push(id),
        }
    }
    // The last row ends with a line break; anything else behind it is the beginning of a row
    // that did not arrive whole.
    let odd_tail = !tail.iter().all(|part| part.trim_ascii().is_empty());
    if cut_short || odd_tail {
        found.unreadable.push(None);
    }
    Some(found)
}

/// Whether these are the words above the rows. A site's banner may stand before them, and
/// `CLUSTER: name` where a cluster was named.
fn is_heading(fields: &[&[u8]]) -> bool {
    fields
        .first()
        .is_some_and(|first| text::last_line(first) == b"JOBID")
}

fn row(fields: &[&[u8]]) -> Result<QueueRow, Option<JobId>> {
    let at = |index: usize| fields.get(index).copied().unwrap_or_default();
    let word = |index: usize| text::field(at(index));
    let id: JobId = text::field(text::last_line(at(0)))
        .parse()
        .map_err(|_| None)?;
    let uid = word(2).parse().map(Uid).map_err(|_| Some(id))?;
    let restarts = word(6).parse().map_err(|_| Some(id))?;
    Ok(QueueRow {
        id,
        state: JobState::parse(&word(1)),
        uid,
        submitted: text::time(&word(3)),
        started: text::time(&word(4)),
        ends: text::time(&word(5)),
        restarts,
        requeueable: word(7) != "0",
        reason: set(word(8)).unwrap_or_default(),
        batch_host: set(word(9)),
        nodes: set(word(10)),
        exit: exit(&word(11)),
        partition: word(12),
        time_left: set(word(13)),
        directory: set(word(14)),
        name: word(15),
        comment: set(word(16)).unwrap_or_default(),
    })
}

/// The value, unless it is one of Slurm's words for "none".
fn set(value: String) -> Option<String> {
    let unset = matches!(
        value.as_str(),
        "" | "N/A" | "n/a" | "(null)" | "None" | "NONE" | "INVALID"
    );
    (!unset).then_some(value)
}

/// Exit status and signal of `9472`, the status that wait(2) gave, or of `37:0`.
fn exit(text: &str) -> Option<(i32, i32)> {
    match text.split_once(':') {
        Some((status, signal)) => Some((status.parse().ok()?, signal.parse().ok()?)),
        None => {
            let wait: i32 = text.parse().ok()?;
            Some(((wait >> 8) & 0xff, wait & 0x7f))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADING: &str = "JOBID|~|STATE|~|UID|~|SUBMIT_TIME|~|START_TIME|~|END_TIME|~|RESTART_COUNT|~|REQUEUE|~|REASON|~|EXEC_HOST|~|NODELIST|~|EXIT_CODE|~|PARTITION|~|TIME_LEFT|~|WORK_DIR|~|NAME|~|COMMENT|~|\n";
    const ENDED: &str = "4|~|FAILED|~|1001|~|1795492259|~|1795492259|~|1795492264|~|0|~|0|~|NonZeroExitCode|~|n2|~|n2|~|9472|~|batch|~|UNLIMITED|~|/home/alice|~|t.sh|~|a b|c|~|\n";
    const HELD: &str = "5|~|PENDING|~|1001|~|1795492259|~|N/A|~|N/A|~|0|~|1|~|JobHeldUser|~|n/a|~||~|0|~|batch|~|UNLIMITED|~|/home/alice|~|t.sh|~|(null)|~|\n";

    fn mark() -> Mark {
        Mark::from_bits(0x4f2a_9c01)
    }

    fn read(stdout: &[u8]) -> Queue {
        let answer = Answer {
            exit: Exit::Status(0),
            stdout: stdout.to_vec(),
            stderr: Vec::new(),
        };
        parse(&answer, &mark())
    }

    fn parsed(stdout: &[u8]) -> QueueRows {
        match read(stdout) {
            Queue::Rows(rows) => rows,
            other => panic!("{other:?}"),
        }
    }

    fn marked(text: &str) -> String {
        text.replace("|~|", mark().as_str())
    }

    #[test]
    fn rows_recorded_on_22_05_are_read() {
        let found = parsed(marked(&format!("{HEADING}{ENDED}{HELD}")).as_bytes());
        assert!(found.unreadable.is_empty());
        let [ended, held] = &found.rows[..] else {
            panic!("{found:?}")
        };
        assert_eq!((ended.id.number(), &ended.state), (4, &JobState::Failed));
        assert_eq!((ended.exit, ended.requeueable), (Some((37, 0)), false));
        assert_eq!(ended.comment, "a b|c");
        assert_eq!(
            (held.reason.as_str(), held.requeueable),
            ("JobHeldUser", true)
        );
        assert_eq!(
            (held.started, &held.nodes, &held.comment),
            (None, &None, &String::new())
        );
        assert_eq!(held.directory.as_deref(), Some("/home/alice"));
    }

    #[test]
    fn free_text_can_not_forge_a_row() {
        let forged = ENDED.replace("a b|c", &format!("x|~|\n{HELD}"));
        let row = marked(ENDED).replace("a b|c", &forged);
        let found = parsed((marked(HEADING) + &row).as_bytes());
        assert_eq!(found.rows.len(), 1);
    }

    #[test]
    fn a_banner_is_passed_over_and_what_is_cut_short_is_unreadable() {
        let (heading, row) = (marked(HEADING), marked(ENDED));
        let welcomed = format!("Welcome!\n{heading}{row}");
        assert_eq!(parsed(welcomed.as_bytes()).rows.len(), 1);
        for cut in 1..row.len() - 1 {
            let found = parsed(format!("{heading}{}", &row[..cut]).as_bytes());
            assert!(found.rows.is_empty() && found.unreadable == [None], "{cut}");
        }
    }

    #[test]
    fn only_the_heading_of_this_query_says_that_there_are_no_jobs() {
        let heading = marked(HEADING);
        for before in ["", "Welcome!\n", "CLUSTER: beta\n"] {
            let found = parsed(format!("{before}{heading}").as_bytes());
            assert_eq!(found, QueueRows::default(), "{before}");
        }
        let whole = heading.trim_end().len();
        for cut in 0..whole {
            let answer = read(&heading.as_bytes()[..cut]);
            assert!(matches!(answer, Queue::Unavailable(_)), "{cut}");
        }
        for odd in ["<html>", HEADING, &marked(ENDED), "CLUSTER: beta\n"] {
            let answer = read(odd.as_bytes());
            assert!(matches!(answer, Queue::Unavailable(_)), "{odd}");
        }
    }

    #[test]
    fn only_the_one_sentence_means_an_unknown_number() {
        let said = |status: i32, stderr: &str| {
            let answer = Answer {
                exit: Exit::Status(status),
                stdout: Vec::new(),
                stderr: stderr.into(),
            };
            parse(&answer, &mark())
        };
        assert_eq!(said(1, &format!("{INVALID}\n")), Queue::InvalidJobId);
        for stderr in ["squeue: error: Invalid user: 4242\n", "squeue: error: x\n"] {
            assert!(matches!(said(0, stderr), Queue::Unavailable(_)), "{stderr}");
        }
        for stderr in [
            "",
            "slurm_load_jobs error: Invalid job id specified, perhaps\n",
        ] {
            assert!(matches!(said(1, stderr), Queue::Unavailable(_)), "{stderr}");
        }
        let hung =
            format!("slurm_load_jobs error: Socket timed out on send/recv operation\n{INVALID}\n");
        assert!(matches!(said(1, &hung), Queue::Unavailable(_)));
    }
}
