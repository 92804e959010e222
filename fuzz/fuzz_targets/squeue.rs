#![no_main]

use libfuzzer_sys::fuzz_target;
use slurm_lease::Exit;
use slurm_lease::parse::squeue::{Queue, parse};
use slurm_lease_fuzz::{answer, halved, mark};

fuzz_target!(|input: &[u8]| {
    let Some(answer) = answer(input) else { return };
    match parse(&answer, &mark()) {
        Queue::Rows(whole) => {
            assert_eq!(answer.exit, Exit::Status(0));
            let Queue::Rows(half) = parse(&halved(&answer), &mark()) else {
                panic!("half an answer is another one");
            };
            assert!(whole.rows.starts_with(&half.rows));
        }
        Queue::InvalidJobId => {
            let said = String::from_utf8_lossy(&answer.stderr);
            assert!(said.contains("Invalid job id specified") && answer.exit == Exit::Status(1));
        }
        Queue::Unavailable(why) => assert!(why.said.len() < 700),
    }
});
