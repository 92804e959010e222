//! What `sacct -X -n -P -D …` answered: the accounting database's view of a job, which lags
//! behind the controller's by seconds in both directions.

use jiff::Timestamp;

use crate::answer::{Answer, Exit};
use crate::id::{JobId, Mark, Uid};
use crate::job_state::JobState;
use crate::parse::{Unavailable, text, unavailable};

/// The fields that are asked for, in order.
pub(crate) const FIELDS: [&str; 10] = [
    "JobIDRaw", "State", "Submit", "Start", "End", "ExitCode", "UID", "NodeList", "JobName",
    "Comment",
];

/// One run of a job as accounting has it. A requeued job has several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountingRow {
    /// The job's number.
    pub id: JobId,
    /// Its state, or how this run ended.
    pub state: JobState,
    /// When this run was submitted.
    pub submitted: Option<Timestamp>,
    /// When it started.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Its exit status and the signal that ended it: `37:0` is (37, 0).
    pub exit: Option<(i32, i32)>,
    /// Whose it is.
    pub uid: Option<Uid>,
    /// Its nodes.
    pub nodes: String,
    /// Its name.
    pub name: String,
    /// Its comment, which most sites do not store, and none does before the end.
    pub comment: String,
}

/// What accounting said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an answer that is dropped was asked for in vain"]
pub enum Accounting {
    /// Its rows, oldest submission first; none says nothing, since rows arrive late.
    Rows(Vec<AccountingRow>),
    /// It gave no usable answer.
    Unavailable(Unavailable),
}

impl Accounting {
    /// The row of the newest submission of this job, by this user, under this name.
    pub fn newest(&self, id: JobId, uid: Uid, name: &str) -> Option<&AccountingRow> {
        let Self::Rows(rows) = self else { return None };
        rows.iter()
            .filter(|row| row.id == id && row.name == name && row.uid.is_none_or(|of| of == uid))
            .max_by_key(|row| row.submitted)
    }
}

/// Reads sacct's answer to a query that was made with `mark`. An answer that is not whole is
/// none: which run is missing can't be known.
pub fn parse(answer: &Answer, mark: &Mark) -> Accounting {
    if answer.exit != Exit::Status(0) {
        return Accounting::Unavailable(unavailable(answer));
    }
    let tail = answer.stdout.split(|&byte| byte == b'\n').next_back();
    if let Some(cut_short) = tail.filter(|tail| !tail.is_empty()) {
        return Accounting::Unavailable(Unavailable::unreadable(cut_short));
    }
    let mut rows = Vec::new();
    for line in answer.stdout.split(|&byte| byte == b'\n') {
        let fields = text::split(line, mark.as_str());
        match fields.len() {
            // A site's banner, or nothing.
            1 => {}
            len if len == FIELDS.len() => match row(&fields) {
                Some(row) => rows.push(row),
                None => return Accounting::Unavailable(Unavailable::unreadable(line)),
            },
            _ => return Accounting::Unavailable(Unavailable::unreadable(line)),
        }
    }
    Accounting::Rows(rows)
}

fn row(fields: &[&[u8]]) -> Option<AccountingRow> {
    let word = |index: usize| text::field(fields.get(index).copied().unwrap_or_default());
    let exit = word(5);
    let exit = exit
        .split_once(':')
        .and_then(|(status, signal)| Some((status.parse().ok()?, signal.parse().ok()?)));
    Some(AccountingRow {
        id: word(0).parse().ok()?,
        state: JobState::parse(&word(1)),
        submitted: text::time(&word(2)),
        started: text::time(&word(3)),
        ended: text::time(&word(4)),
        exit,
        uid: word(6).parse().ok().map(Uid),
        nodes: word(7),
        name: word(8),
        comment: word(9),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_cut_short_is_none() {
        let mark = Mark::from_bits(0);
        let fields = [
            "4", "FAILED", "1", "2", "3", "37:0", "1001", "n2", "t", "ab",
        ];
        let row = fields.join(mark.as_str()) + "\n";
        let read = |stdout: &str| {
            let answer = Answer {
                exit: Exit::Status(0),
                stdout: stdout.into(),
                stderr: Vec::new(),
            };
            parse(&answer, &mark)
        };
        assert!(matches!(read(&row), Accounting::Rows(rows) if rows.len() == 1));
        // Within a line; in the last field; in the first, which is no banner.
        for cut in [row.len() - 20, row.len() - 2, row.len() + 1] {
            let stdout = &row.repeat(2)[..cut];
            assert!(
                matches!(read(stdout), Accounting::Unavailable(_)),
                "{stdout:?}"
            );
        }
    }
}
