#![no_main]

use libfuzzer_sys::fuzz_target;
use slurm_lease::{ClusterName, JobId, JobName, JobRef, JobState, LeaseId, Nonce, StoreId};

fn check<T: std::str::FromStr + ToString + PartialEq>(text: &str) {
    let Ok(name) = text.parse::<T>() else { return };
    let printed = name.to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-;".contains(c);
    assert!(
        !printed.starts_with(['-', '.']) && printed.chars().all(plain),
        "{printed:?}"
    );
    assert!(printed.parse::<T>().is_ok_and(|again| again == name));
}

fuzz_target!(|text: &str| {
    check::<ClusterName>(text);
    check::<JobId>(text);
    check::<JobName>(text);
    check::<JobRef>(text);
    check::<LeaseId>(text);
    check::<Nonce>(text);
    check::<StoreId>(text);
    let state = JobState::parse(text);
    assert_eq!(JobState::parse(state.as_str()), state);
});
