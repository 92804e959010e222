#![no_main]

use libfuzzer_sys::fuzz_target;
use slurm_lease::Exit;
use slurm_lease::parse::scontrol::parse;
use slurm_lease_fuzz::answer;

fuzz_target!(|input: &[u8]| {
    let Some(answer) = answer(input) else { return };
    assert_eq!(parse(&answer).is_ok(), answer.exit == Exit::Status(0));
});
