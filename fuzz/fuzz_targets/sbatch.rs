#![no_main]

use libfuzzer_sys::fuzz_target;
use slurm_lease::parse::sbatch::{Submitted, parse};
use slurm_lease::{Exit, JobRef};
use slurm_lease_fuzz::{answer, halved};

fuzz_target!(|input: &[u8]| {
    let Some(answer) = answer(input) else { return };
    match parse(&answer) {
        Submitted::Accepted(job) => {
            assert_eq!(answer.exit, Exit::Status(0));
            let stdout = String::from_utf8_lossy(&answer.stdout);
            let jobs = stdout
                .lines()
                .filter_map(|line| line.trim().parse::<JobRef>().ok());
            assert!(jobs.into_iter().any(|named| named == job));
            assert!(!matches!(parse(&halved(&answer)), Submitted::Refused(_)));
        }
        Submitted::Refused(_) => assert_ne!(answer.exit, Exit::Status(0)),
        Submitted::Unclear(why) => assert!(why.said.len() < 700),
    }
});
