//! What the runner publishes: where its sshd listens, and how the run ended.
//!
//! Both are files that a job wrote, so both are checked before they are believed: an endpoint
//! belongs to a job, a restart count and a nonce, and one of another run is none.

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::id::{JobId, Nonce};

/// Where somebody can log in to a running job.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// The host name to connect to.
    pub host: String,
    /// The TCP port of sshd; 22 where the runner names none.
    #[serde(default = "default_port")]
    pub port: u16,
    /// The user to log in as; empty where the runner leaves that to whoever asks.
    #[serde(default)]
    pub user: String,
    /// A command that succeeds once the host can be worked on; may be empty.
    #[serde(default)]
    pub ready_check: String,
    /// The job that published it, where the runner says so.
    #[serde(default)]
    pub job_id: Option<JobId>,
    /// The run of that job.
    #[serde(default)]
    pub restart_count: u32,
    /// The submission of that job.
    #[serde(default)]
    pub nonce: Option<Nonce>,
    /// sshd's public host key, `ssh-ed25519 AAAA…`.
    #[serde(default)]
    pub host_key: Option<String>,
    /// The private key to log in with, where a site's runner chooses it.
    #[serde(default)]
    pub key: Option<Utf8PathBuf>,
    /// A command for ssh's `ProxyCommand`, where a site's runner chooses it.
    #[serde(default)]
    pub proxy_command: Option<String>,
    /// The login node to go through, where a site's runner chooses it.
    #[serde(default)]
    pub login_host: Option<String>,
    /// The user there.
    #[serde(default)]
    pub login_user: Option<String>,
}

/// How a runner said that it stopped.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StopMarker {
    /// The job that stopped.
    pub job_id: JobId,
    /// The run of it.
    #[serde(default)]
    pub restart_count: u32,
    /// The submission of it.
    #[serde(default)]
    pub nonce: Option<Nonce>,
    /// What the runner exited with.
    pub exit_code: i32,
    /// Why, in one word: `released`, `unclaimed`, `idle`, `ttl`, `sshd-exited`, `terminated`,
    /// `error`.
    pub reason: String,
    /// Why, for a person.
    #[serde(default)]
    pub message: String,
}

/// Why a published endpoint is not believed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndpointError {
    /// It is not JSON of the right form; usually because it is still being written.
    #[error("cannot read the endpoint: {0}")]
    Unreadable(String),
    /// A value of it can't be part of an ssh command.
    #[error("the endpoint's {field} {value:?} is not valid")]
    Invalid {
        /// Which value.
        field: &'static str,
        /// The value itself, shortened.
        value: String,
    },
    /// It was published by another run or another job.
    #[error("the endpoint is of another run")]
    OtherRun,
}

fn default_port() -> u16 {
    22
}

/// The port as a number or, as older runners write it, as a string of digits.
fn port(value: &serde_json::Value) -> Option<u16> {
    match value {
        serde_json::Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|number| u16::try_from(number).ok()),
    }
}

/// The job id as a string or as a number.
fn normalize(value: &mut serde_json::Value) {
    let Some(object) = value.as_object_mut() else {
        return;
    };
    if let Some(port) = object.get("port").and_then(port) {
        object.insert("port".to_owned(), port.into());
    }
    // Older runners write an empty text for what is not set, or null.
    let empty = serde_json::Value::String(String::new());
    object.retain(|name, value| match name.as_str() {
        "host" => true,
        "port" => *value != empty,
        _ => *value != empty && !value.is_null(),
    });
    let id = object
        .get("jobId")
        .and_then(|id| id.as_str()?.parse::<u32>().ok());
    if let Some(id) = id {
        object.insert("jobId".to_owned(), id.into());
    }
}

fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, EndpointError> {
    let unreadable = |error: serde_json::Error| EndpointError::Unreadable(error.to_string());
    let mut value = serde_json::from_slice(bytes).map_err(unreadable)?;
    normalize(&mut value);
    serde_json::from_value(value).map_err(unreadable)
}

impl Endpoint {
    /// Reads `endpoint.json`.
    ///
    /// # Errors
    /// When it is not of the right form, or holds a value that must not reach a command line.
    pub fn parse(bytes: &[u8]) -> Result<Self, EndpointError> {
        let endpoint: Self = read(bytes)?;
        let invalid = |field, value: &str| EndpointError::Invalid {
            field,
            value: value.chars().take(80).collect(),
        };
        if !is_host_name(&endpoint.host) {
            return Err(invalid("host", &endpoint.host));
        }
        if !endpoint.user.is_empty() && !is_user_name(&endpoint.user) {
            return Err(invalid("user", &endpoint.user));
        }
        if endpoint.port == 0 {
            return Err(invalid("port", "0"));
        }
        if let Some(key) = &endpoint.key
            && !(key.is_absolute() && is_plain_path(key.as_str()))
        {
            return Err(invalid("key", key.as_str()));
        }
        if let Some(host) = &endpoint.login_host
            && !is_host_name(host)
        {
            return Err(invalid("login host", host));
        }
        if let Some(user) = &endpoint.login_user
            && !is_user_name(user)
        {
            return Err(invalid("login user", user));
        }
        if let Some(key) = &endpoint.host_key
            && !is_public_key(key)
        {
            return Err(invalid("host key", key));
        }
        Ok(endpoint)
    }
}

impl StopMarker {
    /// Reads `stopped.json`.
    ///
    /// # Errors
    /// When it is not of the right form.
    pub fn parse(bytes: &[u8]) -> Result<Self, EndpointError> {
        read(bytes)
    }
}

/// Whether the text is a host name or an IPv4 address, and nothing that ssh or a shell reads as
/// more than that.
pub fn is_host_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=253).contains(&text.len()) && !text.starts_with(['-', '.']) && text.bytes().all(plain)
}

/// Whether the text is a path that neither ssh, rsync, a shell nor Slurm reads as more than that:
/// ssh splits its options at spaces and expands `%`, shells read quotes, Slurm expands `%` in
/// `--output` and reads a backslash.
pub fn is_plain_path(text: &str) -> bool {
    !text.contains(|c: char| c.is_control() || c.is_whitespace() || "%'\"\\$`".contains(c))
}

/// Whether the text is a login name, and nothing that ssh or a shell reads as more than that.
pub fn is_user_name(text: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'@' | b'+');
    (1..=64).contains(&text.len()) && !text.starts_with(['-', '@']) && text.bytes().all(plain)
}

/// Whether the text is one public key, `type base64`, without options or a line break.
fn is_public_key(text: &str) -> bool {
    let word = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| {
                byte.is_ascii_alphanumeric()
                    || matches!(byte, b'-' | b'+' | b'/' | b'=' | b'.' | b'@')
            })
    };
    let mut parts = text.split(' ');
    matches!((parts.next(), parts.next(), parts.next()), (Some(kind), Some(key), None) if word(kind) && word(key) && text.len() < 8192)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_forms_of_numbers_are_read() {
        let ours = br#"{"host":"n1","port":2201,"user":"alice","readyCheck":"true","jobId":"17","restartCount":1,"nonce":"00000000deadbeef","hostKey":"ssh-ed25519 AAAA"}"#;
        let endpoint = Endpoint::parse(ours).unwrap();
        assert_eq!((endpoint.port, endpoint.restart_count), (2201, 1));
        assert_eq!(endpoint.job_id.map(JobId::number), Some(17));
        let older = br#"{"host":"n1","port":"2201","user":"alice"}"#;
        assert_eq!(Endpoint::parse(older).unwrap().port, 2201);
    }

    #[test]
    fn what_a_runner_may_leave_out_has_a_meaning() {
        for text in [
            r#"{"host":"n1"}"#,
            r#"{"host":"n1","port":"","user":"","readyCheck":""}"#,
            r#"{"host":"n1","user":null,"readyCheck":null,"key":null}"#,
        ] {
            let endpoint = Endpoint::parse(text.as_bytes()).unwrap();
            assert_eq!((endpoint.port, endpoint.user.as_str()), (22, ""));
        }
        assert!(Endpoint::parse(br#"{"port":22,"user":"alice"}"#).is_err());
    }

    #[test]
    fn nothing_that_a_shell_would_read_gets_through() {
        for (host, user) in [
            ("n1;rm", "alice"),
            ("-oProxyCommand=x", "alice"),
            ("n1\nn2", "alice"),
            ("::1", "alice"),
            ("n1", "-l"),
            ("n1", "a b"),
            ("", "alice"),
        ] {
            let json = serde_json::json!({"host": host, "port": 22, "user": user});
            let parsed = Endpoint::parse(json.to_string().as_bytes());
            assert!(
                matches!(parsed, Err(EndpointError::Invalid { .. })),
                "{json}"
            );
        }
        let two_keys =
            br#"{"host":"n1","port":22,"user":"a","hostKey":"ssh-rsa AAAA\nssh-rsa BBBB"}"#;
        assert!(Endpoint::parse(two_keys).is_err());
        for port in ["0", "65536", "\"22 \"", "-1", "null"] {
            let json = format!(r#"{{"host":"n1","port":{port},"user":"a"}}"#);
            assert!(Endpoint::parse(json.as_bytes()).is_err(), "{port}");
        }
    }
}
