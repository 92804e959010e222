//! Names of things, parsed once: after that a job number, a lease id or a nonce is never a bare
//! string again.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

mod tag;

pub use tag::{Mark, Tag};

/// A text that is not what it was taken for.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{what} {given:?} is not valid: {rule}")]
pub struct IdError {
    what: &'static str,
    given: String,
    rule: &'static str,
}

impl IdError {
    fn new(what: &'static str, given: &str, rule: &'static str) -> Self {
        // What is refused may be a megabyte of anything: an error quotes its beginning only.
        let given = given.chars().take(80).collect();
        Self { what, given, rule }
    }
}

/// A validated string type with `FromStr`, `Display` and serde through its text.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(IdError::new($what, text, $rule))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// Crabbox's id of a lease: `cbx_` and twelve lower-case hexadecimal digits. It names a
    /// directory, so nothing else is let through.
    LeaseId, "lease id", "it must be cbx_ and twelve of 0-9a-f",
    |text| text.strip_prefix("cbx_").is_some_and(|hex| hex.len() == 12 && is_hex(hex))
}

text_id! {
    /// The name that a job is submitted under. Slurm prints job names without escaping, splits
    /// `squeue -n` on commas and ignores case there, so ours use a plain alphabet.
    JobName, "job name",
    "it must be 1 to 63 of A-Z a-z 0-9 . _ - and must not begin with - or .",
    |text| text.len() <= 63 && is_plain(text)
}

text_id! {
    /// A cluster's name as `sbatch --parsable` prints it after the semicolon.
    ClusterName, "cluster name",
    "it must be 1 to 63 of A-Z a-z 0-9 . _ - and must not begin with - or .",
    |text| text.len() <= 63 && is_plain(text)
}

text_id! {
    /// Sixteen hexadecimal digits drawn anew for every submission. A job number can come back as
    /// somebody else's; a nonce does not.
    Nonce, "nonce", "it must be sixteen of 0-9a-f",
    |text| text.len() == 16 && is_hex(text)
}

text_id! {
    /// Eight hexadecimal digits that stand for one state directory, so that two of them under
    /// one account do not take each other's jobs for lost ones of their own.
    StoreId, "store id", "it must be eight of 0-9a-f",
    |text| text.len() == 8 && is_hex(text)
}

impl From<&LeaseId> for JobName {
    /// A lease id is made of what job names are made of.
    fn from(lease: &LeaseId) -> Self {
        Self(lease.0.clone())
    }
}

impl LeaseId {
    /// Whether a job of this name can be this lease's, where what it was called is lost: it has the
    /// id for a name, or its digits at the end, as Crabbox names jobs (`crabbox-<slug>-<the first
    /// eight>`).
    pub fn is_in_name(&self, name: &str) -> bool {
        let digits = self.0.strip_prefix("cbx_").unwrap_or_default();
        let end = name.rsplit('-').next().unwrap_or_default();
        name == self.0 || end.len() >= 8 && digits.starts_with(end)
    }
}

impl Nonce {
    /// The nonce made of these random bits.
    pub fn from_bits(bits: u64) -> Self {
        Self(format!("{bits:016x}"))
    }
}

impl StoreId {
    /// The id of a state directory: FNV-1a over the bytes of its absolute path, folded to 32
    /// bits. It must be the same in every release, since it stands in the comments of live jobs.
    pub fn of_path(path: &str) -> Self {
        let hash = path.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(format!("{:08x}", (hash >> 32) ^ (hash & 0xffff_ffff)))
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !text.is_empty() && !text.starts_with(['-', '.']) && text.bytes().all(plain)
}

/// A Slurm job number: 1 to 4294967295, in plain decimal digits. Array tasks (`7_1`) and
/// heterogeneous components (`7+0`) are not leases and do not parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobId(NonZeroU32);

impl JobId {
    /// The number.
    pub fn number(self) -> u32 {
        self.0.get()
    }
}

impl FromStr for JobId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let refused = || IdError::new("job id", text, "it must be a decimal number from 1 up");
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refused());
        }
        text.parse().map(Self).map_err(|_| refused())
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A job on a cluster: what `sbatch --parsable` prints, `id` or `id;cluster`. A job that came
/// with a cluster must be asked for with `-M cluster` ever after, or another cluster's job of
/// that number is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobRef {
    /// The job's number on its cluster.
    pub id: JobId,
    /// The cluster, where sbatch named one; otherwise the cluster of the Slurm configuration.
    pub cluster: Option<ClusterName>,
}

impl FromStr for JobRef {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (id, cluster) = match text.split_once(';') {
            Some((id, cluster)) => (id, Some(cluster.parse()?)),
            None => (text, None),
        };
        Ok(Self {
            id: id.parse()?,
            cluster,
        })
    }
}

impl TryFrom<String> for JobRef {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<JobRef> for String {
    fn from(job: JobRef) -> String {
        job.to_string()
    }
}

impl fmt::Display for JobRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cluster {
            Some(cluster) => write!(f, "{};{cluster}", self.id),
            None => self.id.fmt(f),
        }
    }
}

/// A numeric user id, as `squeue -O UserID` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Uid(pub u32);

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lease_ids_are_never_paths() {
        for bad in [
            "",
            "cbx_",
            "cbx_0123456789AB",
            "cbx_0123456789abc",
            "../../etc/pass",
            "cbx_01234567/9ab",
            "cbx_0123456789a\0",
            "cbx_0123456789a\n",
        ] {
            assert!(bad.parse::<LeaseId>().is_err(), "{bad:?}");
        }
        assert!("cbx_0123456789ab".parse::<LeaseId>().is_ok());
    }

    #[test]
    fn job_numbers_are_plain_decimal() {
        for bad in ["", "0", "+1", "-1", "1_2", "1+0", " 1", "4294967296", "1;"] {
            assert!(bad.parse::<JobRef>().is_err(), "{bad:?}");
        }
        let job: JobRef = "17;alpha".parse().unwrap();
        assert_eq!(
            (job.id.number(), job.to_string().as_str()),
            (17, "17;alpha")
        );
    }

    #[test]
    fn the_store_id_of_a_path_never_changes() {
        assert_eq!(
            StoreId::of_path("/home/alice/.crabbox/slurm").as_str(),
            "79767b0c"
        );
    }
}
