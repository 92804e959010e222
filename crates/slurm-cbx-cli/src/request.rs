//! What the client asks: protocol 1 of Crabbox's external providers.
//!
//! Fields that this release does not know are passed over, since a later client may send more;
//! the ones that it knows must be of the right type.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use slurm_lease::{IdError, LeaseId};
use thiserror::Error;

/// The longest of any identifier, in bytes.
const IDENTIFIER_LIMIT: usize = 4096;

/// A request that can't be read.
#[derive(Debug, Error)]
pub(crate) enum RequestError {
    #[error("the request is empty")]
    Empty,
    #[error("the request is not valid: {0}")]
    Invalid(#[from] serde_json::Error),
    #[error("{0} must be an object")]
    NotAnObject(&'static str),
    #[error("protocolVersion is {0}, but this program speaks 1")]
    Version(String),
    #[error(transparent)]
    LeaseId(#[from] IdError),
    #[error("{field} is not valid: {why}")]
    Identifier {
        field: &'static str,
        why: &'static str,
    },
}

/// One request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request {
    pub(crate) operation: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) config: Map<String, Value>,
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) desired: Identity,
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) expected: Expected,
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) lease: GivenLease,
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) id: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) keep: bool,
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) all: bool,
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) release_only: bool,
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) dry_run: bool,
}

/// How the client names a lease.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Identity {
    #[serde(deserialize_with = "nullable")]
    pub(crate) lease_id: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) slug: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) name: String,
}

/// What the client takes a lease to be, before something is done to it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Expected {
    #[serde(deserialize_with = "nullable")]
    pub(crate) lease_id: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) attempt_lease_id: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) slug: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) cloud_id: String,
}

/// A lease as an earlier answer of ours gave it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct GivenLease {
    #[serde(deserialize_with = "nullable")]
    pub(crate) lease_id: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) slug: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) name: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) cloud_id: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) labels: BTreeMap<String, String>,
}

/// `null` is what a client writes for what it has not.
fn nullable<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Request {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, RequestError> {
        if bytes.trim_ascii().is_empty() {
            return Err(RequestError::Empty);
        }
        let value: Value = serde_json::from_slice(bytes)?;
        // What is read into fields by name could be read from a list too, by place.
        if !value.is_object() {
            return Err(RequestError::NotAnObject("the request"));
        }
        // The version first: what another one says may not be what this one reads.
        match value.get("protocolVersion") {
            Some(Value::Number(version)) if version.as_u64() == Some(1) => {}
            Some(other) => {
                let given = other.to_string().chars().take(40).collect();
                return Err(RequestError::Version(given));
            }
            None => return Err(RequestError::Version("missing".to_owned())),
        }
        let object = |name| match value.get(name) {
            Some(Value::Object(_) | Value::Null) | None => Ok(()),
            Some(_) => Err(RequestError::NotAnObject(name)),
        };
        ["config", "desired", "expected", "lease"]
            .into_iter()
            .try_for_each(object)?;
        let mut request: Self = serde_json::from_value(value)?;
        request.check_identifiers()?;
        Ok(request)
    }

    fn check_identifiers(&mut self) -> Result<(), RequestError> {
        let Self {
            desired,
            expected,
            lease,
            id,
            ..
        } = self;
        for (field, text) in [
            ("id", id),
            ("desired.leaseId", &mut desired.lease_id),
            ("desired.slug", &mut desired.slug),
            ("desired.name", &mut desired.name),
            ("expected.leaseId", &mut expected.lease_id),
            ("expected.attemptLeaseId", &mut expected.attempt_lease_id),
            ("expected.slug", &mut expected.slug),
            ("expected.cloudId", &mut expected.cloud_id),
            ("lease.leaseId", &mut lease.lease_id),
            ("lease.slug", &mut lease.slug),
            ("lease.name", &mut lease.name),
            ("lease.cloudId", &mut lease.cloud_id),
        ] {
            if text.len() > IDENTIFIER_LIMIT {
                let why = "it is longer than 4096 bytes";
                return Err(RequestError::Identifier { field, why });
            }
            if text.chars().any(char::is_control) {
                let why = "it holds a control character";
                return Err(RequestError::Identifier { field, why });
            }
            *text = text.trim().to_owned();
        }
        // They become paths; and what was never a lease is no lease that is released already.
        for id in [&desired.lease_id, &expected.lease_id, &lease.lease_id] {
            if !id.is_empty() {
                id.parse::<LeaseId>()?;
            }
        }
        Ok(())
    }
}
