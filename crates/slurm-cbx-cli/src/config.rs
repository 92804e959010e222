//! `external.config`: what the person asks for, checked key by key before anything is submitted.

use std::time::Duration;

use camino::Utf8PathBuf;
use serde_json::{Map, Value};
use slurm_lease::{
    Access, ClusterName, Login, Resources, is_host_name, is_plain_path, is_user_name,
};
use thiserror::Error;

use crate::proxy;

mod keys;
mod schema;

use keys::{ACQUIRE_TIMEOUT, MOST_SECONDS, UNCLAIMED_GRACE, WORK_ROOT};

pub(crate) use keys::READY_CHECK;
pub(crate) use schema::text as schema;

/// A key of the config, or its value, is not right.
#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    #[error("external.config has no key {key:?}{}", nearest(suggestion))]
    Unknown {
        key: String,
        suggestion: Option<&'static str>,
    },
    #[error("external.config.{key} is {given}, but must be {rule}")]
    Value {
        key: &'static str,
        given: String,
        rule: &'static str,
    },
    #[error("external.config.{key} must be {rule}")]
    Unquoted {
        key: &'static str,
        rule: &'static str,
    },
    #[error("external.config.{0}")]
    Resources(String),
}

fn nearest(suggestion: &Option<&'static str>) -> String {
    suggestion.map_or_else(String::new, |key| format!("; did you mean {key}?"))
}

/// Keys whose value is not quoted when it is refused: people put a password, a variable's value or
/// a whole private key where none belongs.
const UNQUOTED: [&str; 5] = [
    "exportEnv",
    "extraSbatchArgs",
    "proxyCommand",
    "readyCheck",
    "sshPrivateKey",
];

/// Variables by which a site sets up the runner; a job gets them without being asked to.
const RUNNER_SETTINGS: [&str; 4] = ["CBX_SSHD", "CBX_SSH_HOST", "CBX_SSH_LISTEN", "CBX_SSH_PORT"];

/// What the person asks for.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) resources: Resources,
    pub(crate) cluster: Option<ClusterName>,
    pub(crate) access: Access,
    pub(crate) ssh_user: String,
    pub(crate) ready_check: String,
    pub(crate) runner_script: Option<Utf8PathBuf>,
    pub(crate) work_root: Utf8PathBuf,
    pub(crate) exported: Vec<String>,
    pub(crate) acquire_timeout: Duration,
    pub(crate) unclaimed_grace: Duration,
    pub(crate) idle: Option<Duration>,
    pub(crate) time_to_live: Option<Duration>,
}

impl Config {
    /// Reads a config; every key is known and every value possible.
    pub(crate) fn read(map: &Map<String, Value>) -> Result<Self, ConfigError> {
        refuse_unknown(map)?;
        let keys = Keys(map);
        let config = Self {
            resources: keys.resources()?,
            cluster: keys.parsed("cluster", "the name of a cluster")?,
            access: keys.access()?,
            ssh_user: keys
                .checked("sshUser", is_user_name, "a login name")?
                .unwrap_or_default(),
            ready_check: keys
                .checked("readyCheck", is_one_line, "one line of shell")?
                .unwrap_or_else(|| READY_CHECK.to_owned()),
            runner_script: keys.path("runnerScript")?,
            work_root: match keys.path("runnerWorkRoot")? {
                Some(path) => path,
                None => expand(WORK_ROOT).unwrap_or_default(),
            },
            exported: keys.exported()?,
            acquire_timeout: keys
                .seconds("acquireTimeoutSeconds")?
                .unwrap_or(Duration::from_secs(ACQUIRE_TIMEOUT)),
            unclaimed_grace: keys
                .seconds("unclaimedGraceSeconds")?
                .unwrap_or(Duration::from_secs(UNCLAIMED_GRACE)),
            idle: keys.seconds("idleTimeoutSeconds")?,
            time_to_live: keys.seconds("ttlSeconds")?,
        };
        let checked = config.resources.options();
        checked.map_err(|error| ConfigError::Resources(error.to_string()))?;
        Ok(config)
    }
}

fn refuse_unknown(map: &Map<String, Value>) -> Result<(), ConfigError> {
    let unknown = map.keys().find(|key| keys::find(key).is_none());
    let Some(key) = unknown else { return Ok(()) };
    let key: String = key.chars().filter(|c| !c.is_control()).take(80).collect();
    let suggestion = keys::nearest(&key);
    Err(ConfigError::Unknown { key, suggestion })
}

struct Keys<'a>(&'a Map<String, Value>);

impl Keys<'_> {
    /// The value, unless it is one of those that mean "not set".
    fn value(&self, key: &'static str) -> Option<&Value> {
        debug_assert!(keys::find(key).is_some());
        self.0.get(key).filter(|value| match value {
            Value::Null => false,
            Value::String(text) => !text.is_empty(),
            _ => true,
        })
    }

    fn refused(&self, key: &'static str, rule: &'static str) -> ConfigError {
        if UNQUOTED.contains(&key) {
            return ConfigError::Unquoted { key, rule };
        }
        let given = self.value(key).map(Value::to_string).unwrap_or_default();
        let given = given.chars().take(80).collect();
        ConfigError::Value { key, given, rule }
    }

    /// A text; a number stands for its digits, as in YAML.
    fn text(&self, key: &'static str) -> Result<Option<String>, ConfigError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(self.refused(key, "a text or a number")),
        }
    }

    fn checked(
        &self,
        key: &'static str,
        check: fn(&str) -> bool,
        rule: &'static str,
    ) -> Result<Option<String>, ConfigError> {
        match self.text(key)? {
            Some(text) if !check(&text) => Err(self.refused(key, rule)),
            other => Ok(other),
        }
    }

    fn parsed<T: std::str::FromStr>(
        &self,
        key: &'static str,
        rule: &'static str,
    ) -> Result<Option<T>, ConfigError> {
        let parse = |text: String| text.parse().map_err(|_| self.refused(key, rule));
        self.text(key)?.map(parse).transpose()
    }

    fn seconds(&self, key: &'static str) -> Result<Option<Duration>, ConfigError> {
        let rule = "a whole number of seconds up to 31536000";
        let seconds: Option<u64> = self.parsed(key, rule)?;
        match seconds {
            // As with an empty text, the default holds.
            Some(0) | None => Ok(None),
            Some(1..=MOST_SECONDS) => Ok(seconds.map(Duration::from_secs)),
            Some(_) => Err(self.refused(key, rule)),
        }
    }

    fn path(&self, key: &'static str) -> Result<Option<Utf8PathBuf>, ConfigError> {
        let rule = "an absolute path, or one that begins with ~/, without spaces, quotes or %";
        match self.text(key)? {
            None => Ok(None),
            Some(text) if is_plain_path(&text) => {
                let path = expand(&text).filter(|path| path.is_absolute());
                path.map(Some).ok_or_else(|| self.refused(key, rule))
            }
            Some(_) => Err(self.refused(key, rule)),
        }
    }

    fn words(
        &self,
        key: &'static str,
        check: fn(&str) -> bool,
        rule: &'static str,
    ) -> Result<Vec<String>, ConfigError> {
        let Some(value) = self.value(key) else {
            return Ok(Vec::new());
        };
        let words = value.as_array().and_then(|words| {
            let word = |word: &Value| word.as_str().filter(|word| check(word)).map(str::to_owned);
            words.iter().map(word).collect::<Option<Vec<String>>>()
        });
        words.ok_or_else(|| self.refused(key, rule))
    }

    /// What the person names, and the settings of the runner, which are no secrets.
    fn exported(&self) -> Result<Vec<String>, ConfigError> {
        let rule = "a list of names of environment variables, none of Slurm's or the runner's own";
        let mut names = self.words("exportEnv", is_variable, rule)?;
        for name in RUNNER_SETTINGS {
            if std::env::var_os(name).is_some() && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    fn resources(&self) -> Result<Resources, ConfigError> {
        Ok(Resources {
            account: self.text("account")?,
            partition: self.text("partition")?,
            qos: self.text("qos")?,
            cpus: self.text("cpus")?,
            mem: self.text("mem")?,
            time_limit: self.text("timeLimit")?,
            gres: self.text("gres")?,
            nodes: self.text("nodes")?,
            constraint: self.text("constraint")?,
            reservation: self.text("reservation")?,
            extra: self.words("extraSbatchArgs", |_| true, "a list of texts")?,
        })
    }

    fn access(&self) -> Result<Access, ConfigError> {
        let mode = self.text("sshMode")?;
        let host = self.checked("loginHost", is_host_name, "a host name")?;
        let user = self.checked("loginUser", is_user_name, "a login name")?;
        let rule = "one line without single quotes whose placeholders are known";
        let proxy_command = self.checked("proxyCommand", proxy::is_template, rule)?;
        let login = match (mode.as_deref(), host) {
            // A proxyCommand may name the login node whatever the mode is.
            (None | Some("direct"), Some(host)) if proxy_command.is_some() => {
                Some(Login { host, user })
            }
            (None | Some("direct"), _) => None,
            (Some("proxy-through-login"), Some(host)) => Some(Login { host, user }),
            (Some("proxy-through-login"), None) => {
                let rule = "direct, as proxy-through-login needs loginHost too";
                return Err(self.refused("sshMode", rule));
            }
            (Some(_), _) => return Err(self.refused("sshMode", "direct or proxy-through-login")),
        };
        Ok(Access {
            login,
            key: self.path("sshPrivateKey")?,
            proxy_command,
        })
    }
}

fn is_one_line(text: &str) -> bool {
    text.len() <= 4096 && !text.chars().any(char::is_control)
}

/// A variable that a job may be given: not one that would change what sbatch or the runner does.
fn is_variable(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let ours = ["CBX_", "SBATCH_", "SLURM_", "SQUEUE_", "SACCT_", "SCANCEL_"];
    let free = !ours.iter().any(|prefix| text.starts_with(prefix)) && text != "LD_PRELOAD";
    (1..=128).contains(&text.len())
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(plain)
        && (free || RUNNER_SETTINGS.contains(&text))
}

fn expand(path: &str) -> Option<Utf8PathBuf> {
    match path.strip_prefix("~/") {
        Some(rest) => Some(Utf8PathBuf::from(std::env::var("HOME").ok()?).join(rest)),
        None => Some(Utf8PathBuf::from(path)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::keys::KEYS;
    use super::*;

    fn read(value: Value) -> Result<Config, String> {
        let Value::Object(map) = value else {
            panic!("not an object")
        };
        Config::read(&map).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_is_known_and_none_is_read_that_is_not() {
        let config = read(json!({
            "account": "a", "partition": "batch", "qos": "q", "cpus": 2, "mem": "2G",
            "timeLimit": "01:00:00", "gres": "gpu:1", "nodes": "1", "constraint": "c",
            "reservation": "r", "extraSbatchArgs": ["--exclusive"], "sshMode": "proxy-through-login",
            "loginHost": "login1", "loginUser": "alice", "proxyCommand": "ssh -W {host}:{port} login1",
            "sshUser": "alice", "sshPrivateKey": "/k/id", "readyCheck": "true",
            "acquireTimeoutSeconds": 60, "runnerWorkRoot": "/scratch/w", "runnerScript": "/opt/r.sh",
            "cluster": "beta", "exportEnv": ["FOO"], "idleTimeoutSeconds": 5, "ttlSeconds": 5,
            "unclaimedGraceSeconds": "30"
        }));
        let config = config.unwrap();
        assert_eq!(config.resources.cpus.as_deref(), Some("2"));
        assert_eq!(config.unclaimed_grace, Duration::from_secs(30));
    }

    /// A value as a person might give it, right or wrong.
    fn value() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            any::<String>(),
            "-?[0-9]{1,12}",
            "[a-zA-Z0-9/~.=:{}% -]{0,20}",
            Just("proxy-through-login".to_owned()),
        ];
        prop_oneof![
            4 => text.clone().prop_map(Value::from),
            1 => any::<i64>().prop_map(Value::from),
            1 => any::<f64>().prop_map(Value::from),
            1 => any::<bool>().prop_map(Value::from),
            1 => Just(Value::Null),
            1 => proptest::collection::vec(text, 0..3).prop_map(Value::from),
            1 => Just(json!({"a": 1})),
        ]
    }

    proptest! {
        #[test]
        fn any_config_is_survived_and_none_makes_an_odd_value(
            given in proptest::collection::btree_map(
                proptest::sample::select(KEYS.map(|key| key.name).to_vec()), value(), 0..6
            )
        ) {
            let map = given.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
            match Config::read(&map) {
                Ok(config) => {
                    prop_assert!(config.resources.options().is_ok());
                    prop_assert!(config.acquire_timeout.as_secs() <= MOST_SECONDS);
                    prop_assert!(config.exported.iter().all(|name| is_variable(name)));
                    prop_assert!(is_one_line(&config.ready_check));
                    prop_assert!(is_plain_path(config.work_root.as_str()));
                }
                Err(error) => prop_assert!(!error.to_string().chars().any(char::is_control)),
            }
        }

        #[test]
        fn what_is_no_key_is_refused(key in any::<String>()) {
            prop_assume!(keys::find(&key).is_none());
            let map = Map::from_iter([(key, json!("x"))]);
            let refused = Config::read(&map).unwrap_err();
            let is_unknown = matches!(refused, ConfigError::Unknown { .. });
            prop_assert!(is_unknown, "{}", refused);
        }
    }

    #[test]
    fn the_site_guide_tells_of_every_key() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/site-guide.md");
        let guide = std::fs::read_to_string(path).unwrap();
        let (_, table) = guide.split_once("<!-- keys -->").unwrap();
        let (table, _) = table.split_once("<!-- end keys -->").unwrap();
        let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
        let keys: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
        assert_eq!(keys, KEYS.map(|key| key.name));
    }

    #[test]
    fn what_is_wrong_is_named() {
        insta::assert_snapshot!(read(json!({"partion": "batch"})).unwrap_err(), @r#"external.config has no key "partion"; did you mean partition?"#);
        insta::assert_snapshot!(read(json!({"zebrafish": 1})).unwrap_err(), @r#"external.config has no key "zebrafish""#);
        insta::assert_snapshot!(read(json!({"cpus": "two"})).unwrap_err(), @r#"external.config.cpus is "two", but must be a whole number from 1 up"#);
        insta::assert_snapshot!(read(json!({"cpus": [2]})).unwrap_err(), @"external.config.cpus is [2], but must be a text or a number");
        insta::assert_snapshot!(read(json!({"acquireTimeoutSeconds": -1})).unwrap_err(), @"external.config.acquireTimeoutSeconds is -1, but must be a whole number of seconds up to 31536000");
        insta::assert_snapshot!(read(json!({"sshMode": "vpn"})).unwrap_err(), @r#"external.config.sshMode is "vpn", but must be direct or proxy-through-login"#);
        insta::assert_snapshot!(read(json!({"extraSbatchArgs": ["--wrap=x"]})).unwrap_err(), @"external.config.extraSbatchArgs: --wrap is refused, because it replaces the runner");
        insta::assert_snapshot!(read(json!({"loginHost": "-oProxyCommand=x"})).unwrap_err(), @r#"external.config.loginHost is "-oProxyCommand=x", but must be a host name"#);
        insta::assert_snapshot!(read(json!({"exportEnv": ["SLURM_CONF"]})).unwrap_err(), @r#"external.config.exportEnv must be a list of names of environment variables, none of Slurm's or the runner's own"#);
    }

    #[test]
    fn empty_and_null_mean_not_set() {
        let config = read(json!({"partition": "", "cpus": null})).unwrap();
        assert_eq!(config.resources, Resources::default());
        assert_eq!(config.acquire_timeout, Duration::from_secs(1800));
    }
}
