//! Rows of the queue, and squeue's answers.

use std::collections::BTreeSet;

use jiff::Timestamp;
use proptest::option;
use proptest::prelude::*;

use super::names::{banner, free_text, job_id, job_state, line, mark, timestamp, uid};
use super::{Transcript, answer};
use crate::id::Mark;
use crate::parse::squeue::{Queue, QueueRow, QueueRows};

/// One row.
pub fn queue_row() -> impl Strategy<Value = QueueRow> {
    let times = (
        option::of(timestamp()),
        option::of(timestamp()),
        option::of(timestamp()),
    );
    let history = (0..4_u32, any::<bool>(), set(line()), option::of(exit()));
    let places = (
        option::of(host()),
        option::of(host()),
        "[a-z]{1,8}",
        option::of("[1-9]-0[0-9]:[0-5][0-9]:00|[0-5]?[0-9]:[0-5][0-9]|UNLIMITED"),
    );
    let texts = (free_text(), set(free_text()), option::of(set(directory())));
    (job_id(), job_state(), uid(), times, history, places, texts).prop_map(
        |(id, state, uid, times, history, places, texts)| QueueRow {
            id,
            state,
            uid,
            submitted: times.0,
            started: times.1,
            ends: times.2,
            restarts: history.0,
            requeueable: history.1,
            reason: history.2,
            exit: history.3,
            batch_host: places.0,
            nodes: places.1,
            partition: places.2,
            time_left: places.3,
            name: texts.0,
            comment: texts.1,
            directory: texts.2,
        },
    )
}

/// Rows of up to eight different jobs.
pub fn queue_rows() -> impl Strategy<Value = Vec<QueueRow>> {
    proptest::collection::vec(queue_row(), 0..8).prop_map(|mut rows| {
        let mut ids = BTreeSet::new();
        rows.retain(|row| ids.insert(row.id));
        rows
    })
}

/// squeue's words above the fields that are asked for.
const HEADING: [&str; 17] = [
    "JOBID",
    "STATE",
    "UID",
    "SUBMIT_TIME",
    "START_TIME",
    "END_TIME",
    "RESTART_COUNT",
    "REQUEUE",
    "REASON",
    "EXEC_HOST",
    "NODELIST",
    "EXIT_CODE",
    "PARTITION",
    "TIME_LEFT",
    "WORK_DIR",
    "NAME",
    "COMMENT",
];

/// What squeue prints for these rows.
pub fn render_queue(rows: &[QueueRow], mark: &Mark) -> Vec<u8> {
    let line = |fields: [String; 17]| fields.map(|field| field + mark.as_str()).concat() + "\n";
    let heading = line(HEADING.map(str::to_owned));
    let rows: String = rows.iter().map(|row| line(fields(row))).collect();
    (heading + &rows).into_bytes()
}

/// squeue's answers: rows, with a site's banner before them or without, or the one sentence that
/// means an unknown number.
pub fn squeue() -> impl Strategy<Value = Transcript<Queue>> {
    let rows = (queue_rows(), mark(), option::of(banner())).prop_map(|(rows, mark, banner)| {
        let banner = banner.unwrap_or_default().into_bytes();
        let stdout = [banner, render_queue(&rows, &mark)].concat();
        let unreadable = Vec::new();
        Transcript {
            answer: answer(0, stdout, ""),
            mark,
            expected: Queue::Rows(QueueRows { rows, unreadable }),
        }
    });
    let invalid = mark().prop_map(|mark| Transcript {
        answer: answer(1, "", "slurm_load_jobs error: Invalid job id specified\n"),
        mark,
        expected: Queue::InvalidJobId,
    });
    prop_oneof![7 => rows, 1 => invalid].prop_filter("a mark that occurs by chance", |transcript| {
        let Queue::Rows(rows) = &transcript.expected else {
            return true;
        };
        let mark = transcript.mark.as_str();
        let directory = |row: &QueueRow| row.directory.clone().unwrap_or_default();
        let texts = rows
            .rows
            .iter()
            .flat_map(|row| [row.name.clone(), row.comment.clone(), directory(row)]);
        texts.into_iter().all(|text| !text.contains(mark))
    })
}

/// The fields in the order of the query.
fn fields(row: &QueueRow) -> [String; 17] {
    let or =
        |value: &Option<String>, unset: &str| value.clone().unwrap_or_else(|| unset.to_owned());
    // squeue prints what wait(2) gave; of some statuses that is all there is room for.
    let exit = row.exit.map_or_else(String::new, |(status, signal)| {
        ((status << 8) | signal).to_string()
    });
    let reason = Some(row.reason.clone()).filter(|reason| !reason.is_empty());
    let comment = Some(row.comment.clone()).filter(|comment| !comment.is_empty());
    [
        row.id.to_string(),
        row.state.as_str().to_owned(),
        row.uid.to_string(),
        time(row.submitted),
        time(row.started),
        time(row.ends),
        row.restarts.to_string(),
        u8::from(row.requeueable).to_string(),
        or(&reason, "None"),
        or(&row.batch_host, "n/a"),
        or(&row.nodes, ""),
        exit,
        row.partition.clone(),
        or(&row.time_left, "INVALID"),
        or(&row.directory, "(null)"),
        row.name.clone(),
        or(&comment, "(null)"),
    ]
}

fn time(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "N/A".to_owned(), |at| at.as_second().to_string())
}

/// A text that is not one of Slurm's words for "none", of which only the empty one is ours too.
fn set(text: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let words = ["N/A", "n/a", "(null)", "None", "NONE", "INVALID"];
    text.prop_filter("a word for none", move |text| {
        !words.contains(&text.as_str())
    })
}

fn directory() -> impl Strategy<Value = String> {
    free_text().prop_map(|text| format!("/{text}"))
}

fn host() -> impl Strategy<Value = String> {
    "[a-z]{1,6}[0-9]{1,3}|node\\[0[1-4]-0[5-9]\\]"
}

/// Exit status and signal.
pub(super) fn exit() -> impl Strategy<Value = (i32, i32)> {
    (0..256_i32, 0..65_i32)
}
