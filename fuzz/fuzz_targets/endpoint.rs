#![no_main]

use libfuzzer_sys::fuzz_target;
use slurm_lease::{Endpoint, is_host_name, is_plain_path, is_user_name};

fuzz_target!(|input: &[u8]| {
    let Ok(endpoint) = Endpoint::parse(input) else {
        return;
    };
    let user = &endpoint.user;
    assert!(is_host_name(&endpoint.host) && (user.is_empty() || is_user_name(user)));
    assert!(endpoint.port > 0);
    assert!(endpoint.login_host.as_deref().is_none_or(is_host_name));
    assert!(endpoint.login_user.as_deref().is_none_or(is_user_name));
    let key = endpoint.key.as_ref();
    assert!(key.is_none_or(|key| key.is_absolute() && is_plain_path(key.as_str())));
    let written = serde_json::to_vec(&endpoint).expect("an endpoint is JSON");
    assert_eq!(Endpoint::parse(&written), Ok(endpoint));
});
