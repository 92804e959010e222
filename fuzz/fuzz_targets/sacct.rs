#![no_main]

use libfuzzer_sys::fuzz_target;
use slurm_lease::Exit;
use slurm_lease::parse::sacct::{Accounting, parse};
use slurm_lease_fuzz::{answer, halved, mark};

fuzz_target!(|input: &[u8]| {
    let Some(answer) = answer(input) else { return };
    match parse(&answer, &mark()) {
        Accounting::Rows(whole) => {
            assert_eq!(answer.exit, Exit::Status(0));
            if let Accounting::Rows(half) = parse(&halved(&answer), &mark()) {
                assert!(whole.starts_with(&half));
            }
        }
        Accounting::Unavailable(why) => assert!(why.said.len() < 700),
    }
});
