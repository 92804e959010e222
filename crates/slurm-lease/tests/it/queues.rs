//! What squeue and sacct answer, whole and in pieces.

use proptest::prelude::*;
use proptest::sample::Index;
use slurm_lease::evidence::{Claim, NotVisible, Observation, Outstanding, Search, look, search};
use slurm_lease::parse::squeue::{Queue, QueueRow, QueueRows};
use slurm_lease::parse::{sacct, squeue};
use slurm_lease::{Answer, Exit, JobRef, JobState, Mark, strategies};

use crate::recording::mark;
use crate::wreck::odd_answer;

fn answered(stdout: &[u8]) -> Answer {
    Answer {
        exit: Exit::Status(0),
        stdout: stdout.to_vec(),
        stderr: Vec::new(),
    }
}

fn rows(stdout: &[u8], mark: &Mark) -> QueueRows {
    match squeue::parse(&answered(stdout), mark) {
        Queue::Rows(rows) => rows,
        other => panic!("{other:?}"),
    }
}

/// How long the heading is, without its line break.
fn heading(mark: &Mark) -> usize {
    strategies::render_queue(&[], mark).len() - 1
}

/// Rows in which no text happens to hold the mark.
fn queue() -> impl Strategy<Value = (Vec<QueueRow>, Mark)> {
    strategies::squeue().prop_filter_map("rows", |transcript| match transcript.expected {
        Queue::Rows(rows) if !rows.rows.is_empty() => Some((rows.rows, transcript.mark)),
        _ => None,
    })
}

/// A queue with a running job of ours among others, and what tells it.
fn queue_with_ours() -> impl Strategy<Value = (Vec<QueueRow>, Mark, Claim, JobRef)> {
    let name = strategies::job_name();
    (queue(), any::<Index>(), strategies::tag(), name).prop_map(
        |((mut rows, mark), at, tag, name)| {
            let ours = at.get_mut(&mut rows);
            ours.comment = tag.to_string();
            ours.state = JobState::Running;
            let (id, uid, cluster) = (ours.id, ours.uid, None);
            let claim = Claim {
                uid,
                name,
                tag,
                intended: "2026-11-24T04:00:00Z".parse().unwrap(),
                directory: None,
                outstanding: Outstanding::Nothing,
                submitted: None,
                restarts: 0,
                any_nonce: false,
                placed: false,
            };
            // A stranger of our name and user could be us without our comment.
            rows.retain(|row| row.id == id || row.name != claim.name.as_str());
            (rows, mark, claim, JobRef { id, cluster })
        },
    )
}

proptest! {
    #[test]
    fn what_squeue_prints_is_read_back(transcript in strategies::squeue()) {
        let read = squeue::parse(&transcript.answer, &transcript.mark);
        prop_assert_eq!(read, transcript.expected);
    }

    #[test]
    fn what_sacct_prints_is_read_back(transcript in strategies::sacct()) {
        let read = sacct::parse(&transcript.answer, &transcript.mark);
        prop_assert_eq!(read, transcript.expected);
    }

    /// Nothing but the one sentence makes a number unknown, whatever else an answer holds.
    #[test]
    fn an_odd_answer_of_squeue_is_survived(answer in odd_answer("squeue")) {
        match squeue::parse(&answer, &mark()) {
            Queue::InvalidJobId => {
                let stderr = String::from_utf8_lossy(&answer.stderr);
                prop_assert_eq!(answer.exit, Exit::Status(1));
                let said = |line: &str| line.trim_end() == "slurm_load_jobs error: Invalid job id specified";
                prop_assert!(stderr.lines().any(said));
            }
            Queue::Rows(_) => prop_assert_eq!(answer.exit, Exit::Status(0)),
            Queue::Unavailable(why) => prop_assert!(why.said.len() < 700),
        }
    }

    #[test]
    fn an_odd_answer_of_sacct_is_survived(answer in odd_answer("sacct")) {
        let read = sacct::parse(&answer, &mark());
        let usable = matches!(read, sacct::Accounting::Rows(_));
        prop_assert!(!usable || answer.exit == Exit::Status(0));
    }

    /// What arrived of an answer is read as it was meant, and what did not is missed.
    #[test]
    fn a_squeue_answer_that_is_cut_short_changes_no_row(
        (queue, mark) in queue(), cut in any::<Index>()
    ) {
        let whole = strategies::render_queue(&queue, &mark);
        let cut = cut.index(whole.len());
        if cut < heading(&mark) {
            let answer = squeue::parse(&answered(&whole[..cut]), &mark);
            prop_assert!(matches!(answer, Queue::Unavailable(_)), "{answer:?}");
            return Ok(());
        }
        let found = rows(&whole[..cut], &mark);
        prop_assert!(queue.starts_with(&found.rows), "{found:?}");
        let arrived = strategies::render_queue(&found.rows, &mark).len();
        // All of a row but its line break is a whole row.
        let clean = cut == arrived || cut + 1 == arrived;
        prop_assert_eq!(found.unreadable, if clean { vec![] } else { vec![None] });
    }

    /// Between two rows nothing shows that there were more: then a job is not listed, which
    /// proves nothing.
    #[test]
    fn a_squeue_answer_that_is_cut_short_makes_no_job_absent(
        (queue, mark, claim, job) in queue_with_ours(), cut in any::<Index>()
    ) {
        let whole = strategies::render_queue(&queue, &mark);
        let cut = cut.index(whole.len() + 1);
        let answer = squeue::parse(&answered(&whole[..cut]), &mark);
        let Queue::Rows(found) = &answer else {
            prop_assert!(cut < heading(&mark), "{answer:?}");
            prop_assert!(matches!(search(&claim, None, &answer), Search::Unknown(_)));
            return Ok(());
        };
        let (seen, clean) = (found.rows.iter().any(|row| row.id == job.id), found.unreadable.is_empty());
        let looked = look(&claim, &job, &answer);
        match looked.observation() {
            Observation::Seen(_) => prop_assert!(seen && clean),
            Observation::NotVisible(NotVisible::Unlisted) => prop_assert!(!seen && clean),
            Observation::Unknown(_) => prop_assert!(!clean),
            other => prop_assert!(false, "{other:?}"),
        }
        match search(&claim, None, &answer) {
            Search::Found(found) => prop_assert!(seen && *found.job() == job),
            Search::Clean { .. } => prop_assert!(!seen && clean),
            Search::Unknown(_) => prop_assert!(!seen && !clean),
        }
    }

    #[test]
    fn one_bad_row_harms_only_itself(
        (queue, mark) in queue(), at in any::<Index>(),
        (field, odd) in prop_oneof![
            (Just(0), "(x|0|17_1|17\\+0|-1| |4294967296)"),
            (Just(2), "(|alice|-1|4294967296)"),
            (Just(6), "(|x|-1|4294967296)"),
        ],
    ) {
        let at = at.index(queue.len());
        let until = |rows: usize| strategies::render_queue(&queue[..rows], &mark).len();
        let whole = strategies::render_queue(&queue, &mark);
        let line = String::from_utf8(whole[until(at)..until(at + 1)].to_vec()).unwrap();
        let mut fields: Vec<&str> = line.split(mark.as_str()).collect();
        fields[field] = &odd;
        let line = fields.join(mark.as_str()).into_bytes();
        let found = rows(&[&whole[..until(at)], &line, &whole[until(at + 1)..]].concat(), &mark);
        let mut others = queue.clone();
        let bad = others.remove(at);
        prop_assert_eq!(found.rows, others);
        prop_assert_eq!(found.unreadable, [(field != 0).then_some(bad.id)]);
    }

    /// sacct's rows are read all or none: which run is missing can't be known.
    #[test]
    fn a_sacct_answer_that_is_cut_short_is_none(transcript in strategies::sacct(), cut in any::<Index>()) {
        let sacct::Accounting::Rows(rows) = &transcript.expected else { panic!() };
        let whole = &transcript.answer.stdout;
        let cut = cut.index(whole.len() + 1);
        let at_line = cut == 0 || whole[cut - 1] == b'\n';
        match sacct::parse(&answered(&whole[..cut]), &transcript.mark) {
            sacct::Accounting::Rows(found) => prop_assert!(at_line && rows.starts_with(&found)),
            sacct::Accounting::Unavailable(_) => prop_assert!(!at_line),
        }
    }
}
