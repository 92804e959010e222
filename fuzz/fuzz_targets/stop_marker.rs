#![no_main]

use libfuzzer_sys::fuzz_target;
use slurm_lease::StopMarker;

fuzz_target!(|input: &[u8]| {
    let Ok(marker) = StopMarker::parse(input) else {
        return;
    };
    let written = serde_json::to_vec(&marker).expect("a marker is JSON");
    assert_eq!(StopMarker::parse(&written), Ok(marker));
});
