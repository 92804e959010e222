#![no_main]

use libfuzzer_sys::fuzz_target;
use slurm_lease::Exit;
use slurm_lease::parse::scancel::{Cancelled, parse};
use slurm_lease_fuzz::answer;

fuzz_target!(|input: &[u8]| {
    let Some(answer) = answer(input) else { return };
    let said = String::from_utf8_lossy(&answer.stderr);
    match parse(&answer) {
        Cancelled::Taken => assert_eq!(answer.exit, Exit::Status(0)),
        Cancelled::UnknownId => assert!(said.contains("Invalid job id specified")),
        Cancelled::AlreadyEnding => assert!(said.contains("already completing or completed")),
        Cancelled::Denied => assert!(said.contains("Access/permission denied")),
        Cancelled::Unclear(why) => assert!(why.said.len() < 700),
    }
});
