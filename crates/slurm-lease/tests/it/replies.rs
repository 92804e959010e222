//! What sbatch, scancel and scontrol reply.

use proptest::prelude::*;
use proptest::sample::Index;
use slurm_lease::parse::sbatch::Submitted;
use slurm_lease::parse::scancel::Cancelled;
use slurm_lease::parse::{Cause, sbatch, scancel, scontrol};
use slurm_lease::{Answer, Exit, JobRef, strategies};

use crate::wreck::{exit, odd_answer};

proptest! {
    #[test]
    fn what_sbatch_prints_is_read_back(transcript in strategies::sbatch()) {
        prop_assert_eq!(sbatch::parse(&transcript.answer), transcript.expected);
    }

    #[test]
    fn what_scancel_prints_is_read_back(transcript in strategies::scancel()) {
        prop_assert_eq!(scancel::parse(&transcript.answer), transcript.expected);
    }

    #[test]
    fn what_scontrol_prints_is_read_back(transcript in strategies::scontrol()) {
        prop_assert_eq!(scontrol::parse(&transcript.answer), transcript.expected);
    }

    /// A controller is down only in its own words, and where each of them is.
    #[test]
    fn a_ping_says_only_that_every_controller_is_down(
        up in proptest::collection::vec(any::<bool>(), 0..4), noise in "[^\n]{0,40}"
    ) {
        let word = |up: &bool| if *up { "UP" } else { "DOWN" };
        let lines = up.iter().map(|up| format!("Slurmctld(primary) at ctl1 is {}\n", word(up)));
        let stdout: String = std::iter::once(format!("{noise}\n")).chain(lines).collect();
        prop_assume!(!noise.starts_with("Slurmctld("));
        let answer = Answer { exit: Exit::Status(1), stdout: stdout.into(), stderr: Vec::new() };
        let is_down = !up.is_empty() && !up.contains(&true);
        prop_assert_eq!(scontrol::parse_ping(&answer).is_some(), is_down);
    }

    #[test]
    fn an_odd_answer_to_a_ping_is_survived(answer in odd_answer("scontrol")) {
        if let Some(why) = scontrol::parse_ping(&answer) {
            prop_assert_eq!(why.cause, Cause::Unreachable);
            prop_assert!(matches!(answer.exit, Exit::Status(_)));
            prop_assert!(why.said.starts_with("Slurmctld("));
        }
    }

    #[test]
    fn an_odd_answer_of_sbatch_is_survived(answer in odd_answer("sbatch")) {
        match sbatch::parse(&answer) {
            Submitted::Accepted(job) => {
                let stdout = String::from_utf8_lossy(&answer.stdout);
                prop_assert_eq!(&answer.exit, &Exit::Status(0));
                let whole = stdout.split_inclusive('\n').filter(|line| line.ends_with('\n'));
                let lines = whole.filter_map(|line| line.trim().parse::<JobRef>().ok());
                prop_assert_eq!(lines.collect::<std::collections::HashSet<_>>(), [job].into());
            }
            Submitted::Refused(_) => {
                let may_be = matches!(answer.exit, Exit::Status(1..) | Exit::NotStarted(_));
                prop_assert!(may_be, "{:?}", answer.exit);
            }
            Submitted::Unclear(why) => prop_assert!(why.said.len() < 700),
        }
    }

    /// A submission that was accepted is never taken for refused, or for another job's.
    #[test]
    fn an_sbatch_that_was_accepted_stays_so_in_pieces(
        transcript in strategies::sbatch(), cut in any::<Index>(), exit in exit()
    ) {
        let Submitted::Accepted(job) = &transcript.expected else { return Ok(()) };
        let mut answer = transcript.answer.clone();
        answer.stdout.truncate(cut.index(answer.stdout.len() + 1));
        match sbatch::parse(&answer) {
            Submitted::Accepted(read) => prop_assert_eq!(&read, job),
            Submitted::Unclear(_) => {}
            Submitted::Refused(why) => prop_assert!(false, "{why:?}"),
        }
        answer.exit = exit;
        let refused = matches!(sbatch::parse(&answer), Submitted::Refused(_));
        prop_assert!(!refused || matches!(answer.exit, Exit::NotStarted(_)));
    }

    /// Only the controller's own words say that a number is unknown, and only in a whole answer.
    #[test]
    fn an_odd_answer_of_scancel_is_survived(answer in odd_answer("scancel")) {
        let ended = matches!(answer.exit, Exit::Status(_));
        let said = |words: &[u8]| answer.stderr.windows(words.len()).any(|part| part == words);
        match scancel::parse(&answer) {
            Cancelled::Taken => prop_assert!(answer.exit == Exit::Status(0)),
            Cancelled::UnknownId => prop_assert!(ended && said(b"Invalid job id specified")),
            Cancelled::AlreadyEnding => prop_assert!(ended && said(b"already completing")),
            Cancelled::Denied => prop_assert!(ended && said(b"Access/permission denied")),
            Cancelled::Unclear(why) => prop_assert!(why.said.len() < 700),
        }
    }

    #[test]
    fn a_scancel_that_is_cut_short_makes_no_number_unknown(
        transcript in strategies::scancel(), cut in any::<Index>()
    ) {
        let mut answer = transcript.answer.clone();
        answer.stderr.truncate(cut.index(answer.stderr.len() + 1));
        let unknown = scancel::parse(&answer) == Cancelled::UnknownId;
        prop_assert!(!unknown || transcript.expected == Cancelled::UnknownId);
    }

    #[test]
    fn an_odd_answer_of_scontrol_is_survived(answer in odd_answer("scontrol")) {
        let usable = scontrol::parse(&answer).is_ok();
        prop_assert_eq!(usable, answer.exit == Exit::Status(0));
    }
}
