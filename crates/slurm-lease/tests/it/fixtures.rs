//! Every recording of a real Slurm, read by the parser of its command.

use std::fmt::Write;

use slurm_lease::parse::sbatch::Submitted;
use slurm_lease::parse::scancel::Cancelled;
use slurm_lease::parse::scontrol::Configuration;
use slurm_lease::parse::squeue::{Queue, QueueRow};
use slurm_lease::parse::{sacct, sbatch, scancel, scontrol, squeue};

use crate::recording::{GENERATIONS, Recording, is_asked_for, mark, recorded_commands, recordings};

/// What differs from one recording to the next, left out.
fn row(row: &QueueRow) -> String {
    let QueueRow {
        state,
        restarts,
        requeueable,
        reason,
        nodes,
        exit,
        name,
        comment,
        ..
    } = row;
    let times = [row.submitted, row.started, row.ends].map(|time| time.is_some());
    format!(
        "{state} {:?} reason={reason:?} nodes={nodes:?} exit={exit:?} restarts={restarts} requeueable={requeueable} times={times:?} name={name:?} comment={comment:?}",
        state.meaning()
    )
}

#[test]
fn squeue_is_read_on_every_generation() {
    for generation in GENERATIONS {
        let mut text = String::new();
        for Recording { case, answer } in recordings(generation, "squeue") {
            if !is_asked_for(&case) {
                continue;
            }
            match squeue::parse(&answer, &mark()) {
                Queue::Rows(rows) => {
                    writeln!(text, "{case}: {} rows", rows.rows.len()).unwrap();
                    for seen in &rows.rows {
                        writeln!(text, "  {}", row(seen)).unwrap();
                    }
                    if !rows.unreadable.is_empty() {
                        writeln!(text, "  unreadable: {:?}", rows.unreadable).unwrap();
                    }
                }
                Queue::InvalidJobId => writeln!(text, "{case}: invalid job id").unwrap(),
                Queue::Unavailable(why) => writeln!(text, "{case}: {:?}", why.cause).unwrap(),
            }
        }
        insta::assert_snapshot!(format!("squeue-{generation}"), text);
    }
}

#[test]
fn sacct_is_read_on_every_generation() {
    for generation in GENERATIONS {
        let mut text = String::new();
        for Recording { case, answer } in recordings(generation, "sacct") {
            match sacct::parse(&answer, &mark()) {
                sacct::Accounting::Rows(rows) => {
                    writeln!(text, "{case}: {} rows", rows.len()).unwrap();
                    for row in rows {
                        let times =
                            [row.submitted, row.started, row.ended].map(|time| time.is_some());
                        writeln!(
                            text,
                            "  {} {:?} exit={:?} nodes={:?} times={times:?} name={:?} comment={:?}",
                            row.state,
                            row.state.meaning(),
                            row.exit,
                            row.nodes,
                            row.name,
                            row.comment
                        )
                        .unwrap();
                    }
                }
                sacct::Accounting::Unavailable(why) => {
                    writeln!(text, "{case}: {:?}", why.cause).unwrap();
                }
            }
        }
        insta::assert_snapshot!(format!("sacct-{generation}"), text);
    }
}

#[test]
fn sbatch_is_read_on_every_generation() {
    for generation in GENERATIONS {
        let mut text = String::new();
        for Recording { case, answer } in recordings(generation, "sbatch") {
            let submitted = sbatch::parse(&answer);
            let word = match &submitted {
                Submitted::Accepted(job) if job.cluster.is_some() => "accepted, with a cluster",
                Submitted::Accepted(_) => "accepted",
                Submitted::Refused(_) => "refused",
                Submitted::Unclear(_) => "unclear",
            };
            // A job that exists must never be taken for refused, nor one that does not for there.
            let refused = matches!(submitted, Submitted::Refused(_));
            let accepted = matches!(submitted, Submitted::Accepted(_));
            assert!(
                !(case.starts_with("accepted") && refused),
                "{generation} {case}"
            );
            assert!(
                !(case.starts_with("refused") && accepted),
                "{generation} {case}"
            );
            writeln!(text, "{case}: {word}").unwrap();
        }
        insta::assert_snapshot!(format!("sbatch-{generation}"), text);
    }
}

#[test]
fn scancel_is_read_on_every_generation() {
    for generation in GENERATIONS {
        let mut text = String::new();
        for Recording { case, answer } in recordings(generation, "scancel") {
            let cancelled = match scancel::parse(&answer) {
                Cancelled::Unclear(why) => format!("unclear: {:?}", why.cause),
                known => format!("{known:?}"),
            };
            writeln!(text, "{case}: {cancelled}").unwrap();
        }
        insta::assert_snapshot!(format!("scancel-{generation}"), text);
    }
}

/// In a form that the library did not ask for, an answer shows no job and hides none.
#[test]
fn squeue_in_other_forms_is_not_believed() {
    for generation in GENERATIONS {
        let other = recordings(generation, "squeue").into_iter();
        let mut other = other
            .filter(|recording| !is_asked_for(&recording.case))
            .peekable();
        assert!(other.peek().is_some(), "{generation}");
        for Recording { case, answer } in other {
            if let Queue::Rows(rows) = squeue::parse(&answer, &mark()) {
                assert_eq!(rows.rows, [], "{generation} {case}");
                let silent = answer.stdout.trim_ascii().is_empty();
                assert_eq!(rows.unreadable.is_empty(), silent, "{generation} {case}");
            }
        }
    }
}

#[test]
fn scontrol_is_read_on_every_generation() {
    for generation in GENERATIONS {
        let mut text = String::new();
        for Recording { case, answer } in recordings(generation, "scontrol") {
            match scontrol::parse(&answer) {
                Ok(configuration) if configuration == Configuration::default() => {
                    writeln!(text, "{case}: no configuration").unwrap();
                }
                Ok(configuration) => writeln!(text, "{case}: {configuration:?}").unwrap(),
                Err(why) => writeln!(text, "{case}: {:?}", why.cause).unwrap(),
            }
        }
        insta::assert_snapshot!(format!("scontrol-{generation}"), text);
    }
}

#[test]
fn no_recording_is_left_out() {
    // The library does not ask sinfo.
    let commands = ["sacct", "sbatch", "scancel", "scontrol", "sinfo", "squeue"];
    for generation in GENERATIONS {
        assert_eq!(recorded_commands(generation), commands, "{generation}");
    }
}
