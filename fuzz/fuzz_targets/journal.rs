#![no_main]

use libfuzzer_sys::fuzz_target;
use slurm_lease::{Journal, Lease, Policy};
use slurm_lease_fuzz::sealed;

fuzz_target!(|input: &[u8]| {
    check(input);
    check(&sealed(input));
});

fn check(input: &[u8]) {
    let Ok(journal) = Journal::parse(input) else {
        return;
    };
    assert_eq!(journal.torn, journal.length < input.len());
    let whole = &input[..journal.length];
    let lines = whole.iter().filter(|&&byte| byte == b'\n').count();
    assert_eq!(lines, journal.entries.len());

    let again = Journal::parse(whole).expect("its whole lines are a journal");
    assert!(!again.torn && again.entries == journal.entries);
    let half = Journal::parse(&whole[..whole.len() / 2]).expect("so is the half of them");
    assert!(journal.entries.starts_with(&half.entries));
    for entry in &journal.entries {
        let line = entry.to_line().expect("an entry is JSON");
        let read = Journal::parse(&line).expect("a line is a journal");
        assert_eq!(read.entries, std::slice::from_ref(entry));
    }

    if let Ok(Some(lease)) = Lease::replay(&journal, Policy::default()) {
        assert!(
            !(journal.torn && lease.over().is_some()),
            "what is missing may be a submission"
        );
    }
}
