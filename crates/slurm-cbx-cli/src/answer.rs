//! What we answer.

use std::collections::BTreeMap;

use serde::Serialize;
use slurm_lease::driver::Acquired;

/// The protocol's version.
const VERSION: u32 = 1;

/// One answer.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    protocol_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<Lease>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leases: Option<Vec<Lease>>,
    /// The lease that whoever reads this answer has from then on.
    #[serde(skip)]
    acquired: Option<Acquired>,
}

/// A lease, as the client reads it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Lease {
    pub(crate) lease_id: String,
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) cloud_id: String,
    pub(crate) status: String,
    pub(crate) server_type: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ssh: Option<Ssh>,
}

/// How the client reaches a lease.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ssh {
    pub(crate) user: String,
    pub(crate) host: String,
    pub(crate) port: String,
    pub(crate) key: String,
    /// Without these the client tries the node's own sshd too.
    pub(crate) fallback_ports: Vec<String>,
    pub(crate) ready_check: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) proxy_command: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) ssh_config_proxy: bool,
}

impl Answer {
    fn new() -> Self {
        Self {
            protocol_version: VERSION,
            ..Self::default()
        }
    }

    /// The operation failed; what the person reads.
    pub(crate) fn error(message: &str) -> Self {
        Self {
            error: Some(message.to_owned()),
            ..Self::new()
        }
    }

    /// The operation succeeded, and that is all.
    pub(crate) fn done() -> Self {
        Self::new()
    }

    /// The operation succeeded; what the person reads.
    pub(crate) fn message(message: impl Into<String>) -> Self {
        Self {
            message: Some(message.into()),
            ..Self::new()
        }
    }

    pub(crate) fn lease(lease: Lease) -> Self {
        Self {
            lease: Some(lease),
            ..Self::new()
        }
    }

    /// A lease that is theirs who read this.
    pub(crate) fn acquired(lease: Lease, acquired: Acquired) -> Self {
        Self {
            acquired: Some(acquired),
            ..Self::lease(lease)
        }
    }

    /// The lease that is delivered with this answer.
    pub(crate) fn take_acquired(&mut self) -> Option<Acquired> {
        self.acquired.take()
    }

    pub(crate) fn released(lease: Lease, message: impl Into<String>) -> Self {
        Self {
            message: Some(message.into()),
            ..Self::lease(lease)
        }
    }

    pub(crate) fn leases(leases: Vec<Lease>) -> Self {
        Self {
            leases: Some(leases),
            ..Self::new()
        }
    }

    /// Why the operation failed, if it did.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// What the person reads of one that succeeded.
    pub(crate) fn said(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// The rows of a list.
    pub(crate) fn rows(&self) -> Option<&[Lease]> {
        self.leases.as_deref()
    }

    /// The answer in one line.
    pub(crate) fn to_line(&self) -> String {
        let json = serde_json::to_string(self);
        let fallback = r#"{"protocolVersion":1,"error":"internal error: the answer is not JSON"}"#;
        json.unwrap_or_else(|_| fallback.to_owned()) + "\n"
    }

    /// The same answer with every row of a list reduced to what a row must have.
    pub(crate) fn without_optional(mut self) -> Self {
        for lease in self.leases.iter_mut().flatten() {
            lease.ssh = None;
            lease.labels.retain(|&name, _| name == "state");
        }
        self
    }
}
