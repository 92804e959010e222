//! What runners publish.

use camino::Utf8PathBuf;
use proptest::option;
use proptest::prelude::*;

use super::names::{free_text, job_id, nonce};
use crate::endpoint::{Endpoint, StopMarker};

/// Endpoints that are believed.
pub fn endpoint() -> impl Strategy<Value = Endpoint> {
    let address = (host(), 1..=u16::MAX, user());
    let run = (option::of(job_id()), 0..4_u32, option::of(nonce()));
    let key = "ssh-ed25519 [A-Za-z0-9+/]{20,60}={0,2}";
    let path = "/[a-z0-9._-]{1,8}/[a-z0-9._-]{1,8}".prop_map(Utf8PathBuf::from);
    let command = "ssh -W [%{}a-z]{1,8}:22 [a-z]{1,8}";
    let login = (option::of(host()), option::of(user()));
    let rest = (option::of(key), option::of(path), option::of(command));
    (address, run, rest, login, free_text()).prop_map(|(address, run, rest, login, ready_check)| {
        Endpoint {
            host: address.0,
            port: address.1,
            user: address.2,
            ready_check,
            job_id: run.0,
            restart_count: run.1,
            nonce: run.2,
            host_key: rest.0,
            key: rest.1,
            proxy_command: rest.2,
            login_host: login.0,
            login_user: login.1,
        }
    })
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9-]{0,8}(\\.[a-z]{1,6}){0,2}",
        "10\\.[0-9]\\.0\\.[1-9]"
    ]
}

fn user() -> impl Strategy<Value = String> {
    "[a-z_][a-z0-9_.@+-]{0,12}"
}

/// Stop markers.
pub fn stop_marker() -> impl Strategy<Value = StopMarker> {
    let run = (job_id(), 0..4_u32, option::of(nonce()));
    let reason = "released|unclaimed|idle|ttl|sshd-exited|terminated|error";
    (run, 0..256_i32, reason, free_text()).prop_map(|(run, exit_code, reason, message)| {
        StopMarker {
            job_id: run.0,
            restart_count: run.1,
            nonce: run.2,
            exit_code,
            reason,
            message,
        }
    })
}
