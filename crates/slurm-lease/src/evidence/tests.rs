//! What proves what, shown on what real Slurms answered.
//!
//! A recorded job becomes ours by its comment alone; everything else in its row is as it was
//! recorded.

use std::time::Duration;

use super::{
    Allocation, Claim, Evidence, GoneBecause, Look, NotVisible, Observation, Outstanding, Search,
    SearchEvidence, glance, look, search,
};
use crate::lease::{Lease, Policy};
use crate::parse::sbatch::Submitted;
use crate::parse::squeue::{self, Queue, QueueRow};
use crate::record::{Access, Entry, Event, Journal, Opened};
use crate::{JobRef, JobState, Meaning, Nonce, Tag, Uid};
use jiff::{SignedDuration, Timestamp};

use crate::recording::{GENERATIONS, is_asked_for, mark, recordings};

const SETTLE: Duration = Duration::from_secs(12);

/// When the controller accepted the job of these tests.
fn accepted() -> Timestamp {
    Timestamp::from_second(1_795_000_000).unwrap()
}

fn after(seconds: i64) -> Timestamp {
    accepted() + SignedDuration::from_secs(seconds)
}

fn tag() -> Tag {
    "slurm-lease/1 0a1b2c3d cbx_0123456789ab 00000000deadbeef"
        .parse()
        .unwrap()
}

fn nonce() -> Nonce {
    tag().nonce
}

/// A recorded answer of squeue.
fn queue(generation: &str, case: &str) -> Queue {
    let mut all = recordings(generation, "squeue").into_iter();
    let found = all.find(|recording| recording.case == case);
    let found = found.unwrap_or_else(|| panic!("no recording {generation}/squeue/{case}"));
    squeue::parse(&found.answer, &mark())
}

/// A recorded answer in which every job carries our comment.
fn ours(answer: Queue) -> Queue {
    let Queue::Rows(mut rows) = answer else {
        return answer;
    };
    for row in &mut rows.rows {
        row.comment = tag().to_string();
    }
    Queue::Rows(rows)
}

fn first(answer: &Queue) -> &QueueRow {
    match answer {
        Queue::Rows(rows) if !rows.rows.is_empty() => &rows.rows[0],
        other => panic!("no row in {other:?}"),
    }
}

/// Who we are in the eyes of a recorded row.
fn claim(row: &QueueRow) -> Claim {
    Claim {
        uid: row.uid,
        name: row.name.parse().unwrap(),
        ..somebody()
    }
}

/// Who we are where no row is.
fn somebody() -> Claim {
    Claim {
        uid: Uid(4001),
        name: "crabbox-a-00000000".parse().unwrap(),
        tag: tag(),
        intended: accepted(),
        directory: None,
        outstanding: Outstanding::Since(accepted()),
        submitted: None,
        restarts: 0,
        any_nonce: false,
        placed: false,
    }
}

fn job(number: &str) -> JobRef {
    number.parse().unwrap()
}

fn evidence_about(job: &JobRef) -> Evidence {
    let nonce = nonce();
    Evidence::new(
        Allocation {
            job: job.clone(),
            nonce,
        },
        accepted(),
    )
}

/// Evidence about job 9, which was seen running.
fn seen_running(generation: &str) -> (Claim, JobRef, Evidence) {
    let running = ours(queue(generation, "running"));
    let row = first(&running);
    let (claim, job) = (claim(row), job(&row.id.to_string()));
    let mut evidence = evidence_about(&job);
    evidence.note(after(1), look(&claim, &job, &running).observation());
    assert_eq!(evidence.gone(&claim, SETTLE), None);
    (claim, job, evidence)
}

/// What one look at each recorded job proves.
fn verdict(claim: &Claim, job: &JobRef, answer: &Queue) -> (&'static str, Option<JobState>) {
    let mut evidence = evidence_about(job);
    let seen = look(claim, job, answer);
    evidence.note(after(60), seen.observation());
    let state = match seen.observation() {
        Observation::Seen(sighting) => Some(sighting.state.clone()),
        Observation::NotVisible(_) | Observation::Unknown(_) => None,
    };
    let word = match (evidence.gone(claim, SETTLE), evidence.ending()) {
        (Some(gone), _) => {
            assert_eq!(gone.how(), GoneBecause::Finished);
            "over"
        }
        (None, Some(_)) => "ending",
        (None, None) => "nothing",
    };
    (word, state)
}

#[test]
fn one_look_proves_an_end_only_of_jobs_that_finished_and_stay_so() {
    for generation in GENERATIONS {
        let (mut over, mut ending, mut nothing) = (0, 0, 0);
        for recorded in recordings(generation, "squeue") {
            let case = format!("{generation} {}", recorded.case);
            if !is_asked_for(&recorded.case) {
                continue;
            }
            let answer = ours(squeue::parse(&recorded.answer, &mark()));
            let Queue::Rows(rows) = &answer else { continue };
            for row in &rows.rows {
                if row.name.parse::<crate::JobName>().is_err() {
                    continue;
                }
                let job = job(&row.id.to_string());
                let of_number = rows.rows.iter().filter(|other| other.id == row.id).count();
                let (word, state) = verdict(&claim(row), &job, &answer);
                if of_number == 1 && rows.unreadable.is_empty() {
                    assert_eq!(state.as_ref(), Some(&row.state), "{case}");
                }
                let finished = row.state.meaning() == Meaning::Finished;
                match word {
                    "over" => assert!(finished && !row.requeueable, "{case}"),
                    "ending" => {
                        assert_eq!(row.state, JobState::Completing, "{case}");
                        assert!(!row.requeueable && row.restarts == 0, "{case}");
                    }
                    _ => assert!(!finished || row.requeueable || of_number > 1, "{case}"),
                }
                match word {
                    "over" => over += 1,
                    "ending" => ending += 1,
                    _ => nothing += 1,
                }
            }
        }
        assert!(
            over >= 5 && ending >= 1 && nothing >= 25,
            "{generation}: {over} over, {ending} ending, {nothing} nothing"
        );
    }
}

#[test]
fn a_finished_job_that_may_be_put_back_is_not_over() {
    for generation in GENERATIONS {
        // Cancelled before it began, submitted without --no-requeue.
        let answer = ours(queue(generation, "cancelled.pending"));
        let row = first(&answer);
        assert_eq!(row.state, JobState::Cancelled);
        assert!(row.requeueable);
        let job = job(&row.id.to_string());
        assert_eq!(verdict(&claim(row), &job, &answer).0, "nothing");
    }
}

#[test]
fn completing_after_a_requeue_is_not_ending() {
    for generation in GENERATIONS {
        let answer = ours(queue(generation, "requeued.completing"));
        let mut row = first(&answer).clone();
        assert_eq!(row.state, JobState::Completing, "{generation}");
        // Somebody forbade the requeue that is already under way.
        row.requeueable = false;
        row.restarts = 1;
        let answer = Queue::Rows(squeue::QueueRows {
            rows: vec![row.clone()],
            unreadable: Vec::new(),
        });
        let job = job(&row.id.to_string());
        assert_eq!(verdict(&claim(&row), &job, &answer).0, "nothing");
    }
}

#[test]
fn an_unknown_number_proves_an_end_when_asked_twice_the_settle_time_apart() {
    for generation in GENERATIONS {
        let (claim, job, mut evidence) = seen_running(generation);
        let unknown = queue(generation, "unknown");
        assert_eq!(unknown, Queue::InvalidJobId, "{generation}");
        let look_at = |evidence: &mut Evidence, seconds| {
            evidence.note(after(seconds), look(&claim, &job, &unknown).observation());
            evidence.gone(&claim, SETTLE).map(|gone| gone.how())
        };
        assert_eq!(look_at(&mut evidence, 100), None, "once");
        assert_eq!(look_at(&mut evidence, 111), None, "too soon");
        let twice = look_at(&mut evidence, 112);
        assert_eq!(twice, Some(GoneBecause::TwiceUnknown), "{generation}");
    }
}

#[test]
fn a_job_that_was_never_seen_has_twice_the_settle_time_to_show() {
    for generation in GENERATIONS {
        let (claim, job) = (somebody(), job("9"));
        let unknown = queue(generation, "unknown");
        let mut evidence = evidence_about(&job);
        for (seconds, proven) in [(0, false), (12, false), (23, false), (24, true)] {
            evidence.note(after(seconds), look(&claim, &job, &unknown).observation());
            let gone = evidence.gone(&claim, SETTLE);
            assert_eq!(gone.is_some(), proven, "{generation}: after {seconds} s");
        }
    }
}

#[test]
fn absences_count_only_in_one_run() {
    for generation in GENERATIONS {
        let (claim, job, evidence) = seen_running(generation);
        let unknown = queue(generation, "unknown");
        let absence = look(&claim, &job, &unknown);
        let proven = |between: Option<Look>, second| {
            let mut evidence = evidence.clone();
            evidence.note(after(100), absence.observation());
            if let Some(between) = between {
                evidence.note(after(105), between.observation());
            }
            evidence.note(after(second), absence.observation());
            evidence.gone(&claim, SETTLE).is_some()
        };
        assert!(proven(None, 130));
        let running = look(&claim, &job, &ours(queue(generation, "running")));
        assert!(!proven(Some(running), 130), "it was seen in between");
        assert!(!proven(None, 99), "a clock was set back");
        assert!(
            !proven(None, 900),
            "the controller may have been gone between"
        );
    }
}

#[test]
fn the_runners_own_word_is_a_second_witness() {
    for generation in GENERATIONS {
        let (claim, job, mut evidence) = seen_running(generation);
        let absence = look(&claim, &job, &queue(generation, "unknown"));
        // A marker of another run says nothing of this one.
        evidence.note_stop_marker(7);
        evidence.note(after(100), absence.observation());
        assert_eq!(evidence.gone(&claim, SETTLE), None);
        evidence.note_stop_marker(0);
        let how = evidence.gone(&claim, SETTLE).map(|gone| gone.how());
        assert_eq!(how, Some(GoneBecause::UnknownAndStopped));
    }
}

#[test]
fn an_older_runs_word_says_nothing_of_a_job_that_has_our_number() {
    let generation = "22.05";
    let (claim, job, mut evidence) = seen_running(generation);
    let mut stranger = ours(queue(generation, "running"));
    if let Queue::Rows(rows) = &mut stranger {
        rows.rows[0].comment.clear();
        rows.rows[0].name = "another".to_owned();
    }
    evidence.note_stop_marker(0);
    let absence = look(&claim, &job, &stranger);
    let expected = Observation::NotVisible(NotVisible::IdReused);
    assert_eq!(*absence.observation(), expected);
    for (seconds, how) in [(100, None), (112, Some(GoneBecause::TwiceUnknown))] {
        evidence.note(after(seconds), absence.observation());
        assert_eq!(evidence.gone(&claim, SETTLE).map(|gone| gone.how()), how);
    }
}

#[test]
fn accounting_is_no_second_witness() {
    // The controller lost its state: the number is unknown, accounting has no end, and the
    // processes run until their node registers again.
    for generation in GENERATIONS {
        let (claim, job, mut evidence) = seen_running(generation);
        let wiped = queue(generation, "fault.wiped");
        assert_eq!(wiped, Queue::InvalidJobId, "{generation}");
        evidence.note(after(100), look(&claim, &job, &wiped).observation());
        assert_eq!(evidence.gone(&claim, SETTLE), None);
    }
}

#[test]
fn silence_about_one_of_many_is_no_absence() {
    for generation in GENERATIONS {
        let (claim, job, mut evidence) = seen_running(generation);
        let several = queue(generation, "unknown.several");
        let silent = look(&claim, &job, &several);
        let expected = Observation::NotVisible(NotVisible::Unlisted);
        assert_eq!(*silent.observation(), expected, "{generation}");
        for seconds in [100, 200, 300] {
            evidence.note(after(seconds), silent.observation());
        }
        assert_eq!(evidence.gone(&claim, SETTLE), None);
    }
}

#[test]
fn an_absence_in_a_query_for_all_permits_and_proves_nothing() {
    for generation in GENERATIONS {
        let (claim, job, mut evidence) = seen_running(generation);
        let unknown = queue(generation, "unknown");
        for seconds in [100, 130] {
            let glance = glance(&claim, &job, &unknown);
            evidence.note(after(seconds), glance.observation());
        }
        assert_eq!(evidence.gone(&claim, SETTLE), None);
    }
}

#[test]
fn no_fault_of_the_controller_is_an_absence() {
    let faults = [
        "fault.controller-down",
        "fault.controller-hung",
        "fault.munged-down",
        "fault.no-conf",
        "cluster.unknown",
        "unknown.field",
        "unknown.option",
    ];
    // A user's number without a name here: 22.05 and 24.11 complain, say nothing and exit with 0.
    let nameless = [("22.05", "unknown.uid"), ("24.11", "unknown.uid")];
    for generation in GENERATIONS {
        let more = nameless.iter().filter(|(of, _)| *of == generation);
        for case in faults.into_iter().chain(more.map(|(_, case)| *case)) {
            let (claim, job, mut evidence) = seen_running(generation);
            let answer = queue(generation, case);
            let seen = look(&claim, &job, &answer);
            let unknown = matches!(seen.observation(), Observation::Unknown(_));
            assert!(unknown, "{generation} {case}: {seen:?}");
            for seconds in [100, 130, 160] {
                evidence.note(after(seconds), seen.observation());
            }
            assert_eq!(evidence.gone(&claim, SETTLE), None, "{generation} {case}");
            let searched = search(&claim, None, &answer);
            let unknown = matches!(searched, Search::Unknown(_));
            assert!(unknown, "{generation} {case}: {searched:?}");
        }
    }
}

#[test]
fn our_number_under_another_comment_of_another_time_is_somebody_elses() {
    for generation in GENERATIONS {
        let (claim, job, mut evidence) = seen_running(generation);
        let known = Claim {
            submitted: evidence.seen().unwrap().submitted,
            ..claim.clone()
        };
        let Queue::Rows(mut rows) = ours(queue(generation, "running")) else {
            panic!("{generation}: no rows");
        };
        let other = Tag {
            nonce: Nonce::from_bits(7),
            ..tag()
        };
        rows.rows[0].comment = other.to_string();
        let edited = Queue::Rows(rows.clone());
        let seen = look(&known, &job, &edited);
        let ours = matches!(seen.observation(), Observation::Seen(_));
        assert!(ours, "{generation}: the same job, edited: {seen:?}");

        let submitted = &mut rows.rows[0].submitted;
        *submitted = submitted.map(|at| at + SignedDuration::from_secs(60));
        let stranger = Queue::Rows(rows);
        let seen = look(&claim, &job, &stranger);
        let expected = Observation::NotVisible(NotVisible::IdReused);
        assert_eq!(*seen.observation(), expected, "{generation}");
        for (seconds, proven) in [(100, false), (112, true)] {
            evidence.note(after(seconds), seen.observation());
            assert_eq!(evidence.gone(&claim, SETTLE).is_some(), proven);
        }
    }
}

#[test]
fn a_lost_submission_is_found_by_its_comment_and_missed_only_twice() {
    for generation in GENERATIONS {
        let there = ours(queue(generation, "running"));
        let ours = claim(first(&there));
        let found = search(&ours, None, &there);
        assert!(matches!(found, Search::Found(_)), "{generation}: {found:?}");

        let elsewhere = Claim {
            tag: Tag {
                nonce: Nonce::from_bits(7),
                ..tag()
            },
            ..ours
        };
        let missed = search(&elsewhere, None, &there);
        assert!(matches!(missed, Search::Clean), "{generation}: {missed:?}");
    }
    let mut searched = SearchEvidence::new(nonce());
    for (seconds, clean, proven) in [
        (0, true, false),
        (11, true, false),
        (12, true, true),
        (13, false, false),
        (14, true, false),
        (26, true, true),
    ] {
        if clean {
            searched.note_clean(after(seconds));
        } else {
            searched.note_unanswered();
        }
        assert_eq!(searched.proves_absence(SETTLE), proven, "at {seconds} s");
    }
}

/// A lease whose submission was accepted as this job.
fn lease_of(row: &QueueRow) -> Lease {
    let tag = tag();
    let opened = Opened {
        lease: tag.lease,
        slug: "s".to_owned(),
        name: row.name.parse().unwrap(),
        uid: row.uid,
        store: tag.store,
        cluster: None,
        asked: String::new(),
        directory: None,
        access: Access::default(),
    };
    let outcome = Submitted::Accepted(job(&row.id.to_string()));
    let (intended, answered) = (nonce(), nonce());
    let events = [
        Event::Opened(opened),
        Event::SubmissionIntended { nonce: intended },
        Event::SubmissionAnswered {
            nonce: answered,
            outcome,
        },
    ];
    let journal = Journal {
        entries: events.map(|event| Entry::new(accepted(), event)).to_vec(),
        ..Journal::default()
    };
    Lease::replay(&journal, Policy::default()).unwrap().unwrap()
}

#[test]
fn a_lease_is_not_over_while_another_job_under_its_tag_lives() {
    for generation in GENERATIONS {
        let Queue::Rows(mut rows) = ours(queue(generation, "completed")) else {
            panic!("{generation}: no rows");
        };
        let ended = rows.rows[0].clone();
        let next = QueueRow {
            id: "4711".parse().unwrap(),
            state: JobState::Running,
            ..ended.clone()
        };
        rows.rows.push(next.clone());
        let mut lease = lease_of(&ended);
        let mut look_at = |number: &str, rows: &squeue::QueueRows| {
            let answer = Queue::Rows(rows.clone());
            let look = look(&lease.claim(), &job(number), &answer);
            lease.handle_look(after(60), look);
            (lease.over().is_some(), lease.job().unwrap().to_string())
        };
        let after_one = look_at(&ended.id.to_string(), &rows);
        assert_eq!(after_one, (false, "4711".to_owned()), "{generation}");
        rows.rows[1].state = JobState::Completed;
        let after_both = look_at("4711", &rows);
        assert_eq!(after_both, (true, "4711".to_owned()), "{generation}");
    }
}
