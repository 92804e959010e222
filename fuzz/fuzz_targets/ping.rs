#![no_main]

use libfuzzer_sys::fuzz_target;
use slurm_lease::Exit;
use slurm_lease::parse::scontrol::parse_ping;
use slurm_lease_fuzz::answer;

fuzz_target!(|input: &[u8]| {
    let Some(answer) = answer(input) else { return };
    let Some(why) = parse_ping(&answer) else {
        return;
    };
    assert!(matches!(answer.exit, Exit::Status(_)));
    assert!(why.said.starts_with("Slurmctld("));
});
