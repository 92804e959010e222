#![no_main]

use libfuzzer_sys::fuzz_target;
use slurm_lease::check_script;

fuzz_target!(|input: &[u8]| {
    // What is refused stays so whatever follows.
    if check_script(input).is_err() {
        assert!(check_script(&[input, b"\nexec sleep 1\n"].concat()).is_err());
    }
});
