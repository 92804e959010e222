//! Rows of the accounting database, and sacct's answers.

use jiff::Timestamp;
use proptest::option;
use proptest::prelude::*;

use super::names::{banner, job_id, job_state, line, mark, timestamp, uid};
use super::queue::exit;
use super::{Transcript, answer};
use crate::id::Mark;
use crate::job_state::JobState;
use crate::parse::sacct::{Accounting, AccountingRow};

/// One run of a job.
pub fn accounting_row() -> impl Strategy<Value = AccountingRow> {
    let times = (
        option::of(timestamp()),
        option::of(timestamp()),
        option::of(timestamp()),
    );
    let ids = (job_id(), job_state(), option::of(uid()));
    let nodes = prop_oneof!["[a-z]{1,6}[0-9]{1,3}", Just("None assigned".to_owned())];
    (ids, times, option::of(exit()), nodes, line(), line()).prop_map(
        |(ids, times, exit, nodes, name, comment)| AccountingRow {
            id: ids.0,
            state: ids.1,
            uid: ids.2,
            submitted: times.0,
            started: times.1,
            ended: times.2,
            exit,
            nodes,
            name,
            comment,
        },
    )
}

/// sacct's answers: rows, with a site's banner before them or without.
pub fn sacct() -> impl Strategy<Value = Transcript<Accounting>> {
    let rows = proptest::collection::vec(accounting_row(), 0..6);
    (rows, mark(), option::of(banner()), uid())
        .prop_map(|(rows, mark, banner, by)| {
            let lines = rows.iter().map(|row| render(row, by.0, &mark));
            let stdout = banner.unwrap_or_default() + &lines.collect::<String>();
            Transcript {
                answer: answer(0, stdout, ""),
                mark,
                expected: Accounting::Rows(rows),
            }
        })
        .prop_filter("a mark that occurs by chance", |transcript| {
            let Accounting::Rows(rows) = &transcript.expected else {
                return true;
            };
            let mark = transcript.mark.as_str();
            rows.iter()
                .all(|row| !row.name.contains(mark) && !row.comment.contains(mark))
        })
}

/// The line of a row. sacct says by whom a job was cancelled.
fn render(row: &AccountingRow, by: u32, mark: &Mark) -> String {
    let state = match &row.state {
        JobState::Cancelled => format!("CANCELLED by {by}"),
        state => state.as_str().to_owned(),
    };
    let exit = row
        .exit
        .map(|(status, signal)| format!("{status}:{signal}"));
    let fields = [
        row.id.to_string(),
        state,
        time(row.submitted),
        time(row.started),
        time(row.ended),
        exit.unwrap_or_default(),
        row.uid.map(|uid| uid.to_string()).unwrap_or_default(),
        row.nodes.clone(),
        row.name.clone(),
        row.comment.clone(),
    ];
    fields.join(mark.as_str()) + "\n"
}

fn time(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "Unknown".to_owned(), |at| at.as_second().to_string())
}
