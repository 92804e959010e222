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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Any JSON of a few levels, with the names that a request has among others.
    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "cbx_[0-9a-f]{12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 5, |inner| {
            let list = proptest::collection::vec(inner.clone(), 0..4);
            let map = proptest::collection::btree_map(name(), inner, 0..5);
            prop_oneof![
                list.prop_map(Value::from),
                map.prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn name() -> impl Strategy<Value = String> {
        let known = proptest::sample::select(vec![
            "operation",
            "config",
            "desired",
            "expected",
            "lease",
            "id",
            "keep",
            "all",
            "releaseOnly",
            "dryRun",
            "leaseId",
            "attemptLeaseId",
            "slug",
            "name",
            "cloudId",
            "labels",
            "protocolVersion",
        ]);
        prop_oneof![4 => known.prop_map(str::to_owned), 1 => any::<String>()]
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Request::parse(&bytes).is_err());
        }

        #[test]
        fn any_json_is_survived_and_none_makes_an_odd_identifier(
            members in proptest::collection::btree_map(name(), value(), 0..8)
        ) {
            let mut request: Map<String, Value> = members.into_iter().collect();
            request.insert("protocolVersion".to_owned(), json!(1));
            request.entry("operation").or_insert(json!("list"));
            let Ok(request) = Request::parse(Value::Object(request).to_string().as_bytes()) else {
                return Ok(());
            };
            let Request { desired, expected, lease, id, .. } = request;
            for text in [&id, &desired.slug, &desired.name, &expected.cloud_id, &lease.name] {
                prop_assert!(text.len() <= IDENTIFIER_LIMIT && !text.chars().any(char::is_control));
                prop_assert_eq!(text.trim(), text);
            }
            for id in [&desired.lease_id, &expected.lease_id, &lease.lease_id] {
                prop_assert!(id.is_empty() || id.parse::<LeaseId>().is_ok());
            }
        }

        #[test]
        fn a_request_is_read_back_whole_or_not_at_all(
            lease in "cbx_[0-9a-f]{12}", slug in "[a-z]{1,20}", keep in any::<bool>(), cut in 0..1000_usize,
        ) {
            let whole = json!({
                "protocolVersion": 1, "operation": "acquire", "keep": keep,
                "desired": {"leaseId": lease, "slug": slug, "name": null},
            }).to_string();
            let read = Request::parse(whole.as_bytes()).unwrap();
            prop_assert_eq!(read.operation, "acquire");
            prop_assert_eq!((read.desired.lease_id, read.desired.slug, read.keep), (lease, slug, keep));
            prop_assert!(Request::parse(&whole.as_bytes()[..cut % whole.len()]).is_err());
        }
    }
}
