#![no_main]

use libfuzzer_sys::fuzz_target;
use slurm_lease::{Journal, Lease, Policy, Tip};
use slurm_lease_fuzz::sealed;

fuzz_target!(|input: &[u8]| {
    check(input);
    check(&sealed(input));
});

fn check(input: &[u8]) {
    let Ok(journal) = Journal::parse(input) else {
        return;
    };
    assert_eq!(journal.torn, journal.tip.length() < input.len());
    let whole = &input[..journal.tip.length()];
    let lines = whole.iter().filter(|&&byte| byte == b'\n').count();
    assert_eq!(lines, journal.entries.len());

    let again = Journal::parse(whole).expect("its whole lines are a journal");
    assert!(!again.torn && again.entries == journal.entries);
    let half = Journal::parse(&whole[..whole.len() / 2]).expect("so is the half of them");
    assert!(journal.entries.starts_with(&half.entries));
    let mut tip = Tip::default();
    let mut written = Vec::new();
    for entry in &journal.entries {
        written.extend(tip.append(entry).expect("an entry is JSON"));
    }
    let read = Journal::parse(&written).expect("lines are a journal");
    assert_eq!((&read.entries, read.tip), (&journal.entries, tip));

    if let Ok(Some(lease)) = Lease::replay(&journal, Policy::default()) {
        assert!(
            !(journal.torn && lease.over().is_some()),
            "what is missing may be a submission"
        );
    }
}
