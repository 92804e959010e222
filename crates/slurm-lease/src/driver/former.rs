//! Leases that the Python reference adapter made: its record becomes a journal of ours.
//!
//! Its `state.json` is left where it is, since open leases go on calling the program that made
//! them. Its jobs carry no comment and may be requeued, so what identifies one is its number, its
//! name, its user and a time of submission that fits.

use camino::Utf8PathBuf;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::driver::Leases;
use crate::driver::clock::now;
use crate::driver::store::{Held, LeaseDir};
use crate::endpoint::{is_host_name, is_plain_path, is_user_name};
use crate::id::{JobName, JobRef};
use crate::lease::Lease;
use crate::record::{Access, Login, Opened};

/// The keys of `state.json` that matter here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct State {
    slug: String,
    name: JobName,
    created_at: Option<Timestamp>,
    raw_job_id: Option<JobRef>,
    job_id: Option<JobRef>,
    key_path: Option<Utf8PathBuf>,
    #[serde(default)]
    config: Map<String, Value>,
}

impl State {
    fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// The lease that a `state.json` in this directory tells of, if there is one that can be read.
///
/// One without a job was being submitted when it was written: it is searched for like a lease
/// whose record is lost.
pub(super) fn import(leases: &Leases, dir: &LeaseDir) -> Option<Held> {
    let state = State::parse(&dir.read("state.json").ok()??)?;
    let opened = Opened {
        lease: dir.lease().clone(),
        slug: state.slug.clone(),
        name: state.name.clone(),
        uid: leases.slurm.uid(),
        store: leases.store.id().clone(),
        cluster: None,
        asked: asked(&state.config),
        directory: None,
        access: access(&state, dir),
    };
    let submitted = state.created_at.unwrap_or_else(now);
    Some(match state.raw_job_id.or(state.job_id) {
        Some(job) => {
            let lease = Lease::import(opened, submitted, job, leases.policy());
            Held::imported(dir.clone(), lease)
        }
        None => Held::lost(
            dir.clone(),
            Lease::reconstruct(opened, now(), leases.policy()),
        ),
    })
}

fn text(config: &Map<String, Value>, key: &str) -> Option<String> {
    match config.get(key)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn asked(config: &Map<String, Value>) -> String {
    let named = ["account", "qos", "cpus", "mem", "gres"];
    let named = named
        .into_iter()
        .filter_map(|key| Some(format!("{key}={}", text(config, key)?)));
    let words: Vec<String> = text(config, "partition").into_iter().chain(named).collect();
    words.join(" ")
}

fn access(state: &State, dir: &LeaseDir) -> Access {
    let config = &state.config;
    let plain = |command: &String| !command.contains(|c: char| c.is_control() || c == '\'');
    let proxy_command = text(config, "proxyCommand").filter(plain);
    // A proxyCommand may name the login node whatever the mode is.
    let through_login = proxy_command.is_some()
        || text(config, "sshMode").as_deref() == Some("proxy-through-login");
    let host = text(config, "loginHost").filter(|host| through_login && is_host_name(host));
    let user = text(config, "loginUser").filter(|user| is_user_name(user));
    let key = state.key_path.clone().filter(|key| {
        key.is_absolute() && is_plain_path(key.as_str()) && *key != dir.file("id_ed25519")
    });
    Access {
        login: host.map(|host| Login { host, user }),
        key,
        proxy_command,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::driver::Store;
    use crate::strategies;

    fn dir() -> (tempfile::TempDir, LeaseDir) {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(directory.path().join("state")).unwrap();
        let dir = Store::open(&root)
            .unwrap()
            .dir(&"cbx_0123456789ab".parse().unwrap());
        (directory, dir)
    }

    /// A value as it may stand in a config of that program, sensible or not.
    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<String>().prop_map(Value::from),
            "[a-z]{1,8}".prop_map(Value::from),
            "/[a-z]{1,8}/[a-z]{1,8}".prop_map(Value::from),
            Just(json!("proxy-through-login")),
            any::<i64>().prop_map(Value::from),
            Just(Value::Null),
            Just(json!([1])),
        ]
    }

    proptest! {
        #[test]
        fn any_state_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(State::parse(&bytes));
        }

        #[test]
        fn a_state_cut_short_is_none(slug in "[a-z]{1,8}", name in strategies::job_name(), cut in 0..1000_usize) {
            let whole = json!({"slug": slug, "name": name.as_str()}).to_string();
            let read = State::parse(whole.as_bytes()).unwrap();
            prop_assert_eq!((read.slug, read.name), (slug, name));
            prop_assert!(State::parse(&whole.as_bytes()[..cut % whole.len()]).is_none());
        }

        #[test]
        fn nothing_of_a_state_becomes_more_than_a_value(
            job in proptest::option::of(strategies::job_ref()), key in value(),
            mode in value(), host in value(), user in value(), command in value(),
        ) {
            let (_directory, dir) = dir();
            let state = json!({
                "slug": "s", "name": "crabbox-s-01234567", "jobId": job, "keyPath": key,
                "config": {"sshMode": mode, "loginHost": host, "loginUser": user, "proxyCommand": command}
            });
            let Some(state) = State::parse(state.to_string().as_bytes()) else {
                // Only a path can be of the wrong kind here.
                prop_assert!(!key.is_string() && !key.is_null());
                return Ok(());
            };
            prop_assert_eq!(&state.job_id, &job);
            let Access { login, key, proxy_command } = access(&state, &dir);
            if let Some(Login { host, user }) = login {
                prop_assert!(is_host_name(&host) && user.is_none_or(|user| is_user_name(&user)));
            }
            prop_assert!(key.is_none_or(|key| key.is_absolute() && is_plain_path(key.as_str())));
            let plain = |text: String| !text.contains(|c: char| c.is_control() || c == '\'');
            prop_assert!(proxy_command.is_none_or(plain));
        }
    }
}
