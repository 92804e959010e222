//! The releases of Slurm that the fake plays, and how their answers differ.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A release of Slurm that the fake can play. Each name is a release series; the exact version is
/// the one that Debian packages and that the answers were compared with.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Generation {
    /// 20.11.4 (Debian 11).
    #[serde(rename = "20.11")]
    V20_11,
    /// 22.05.8 (Debian 12).
    #[default]
    #[serde(rename = "22.05")]
    V22_05,
    /// 24.11.5 (Debian 13).
    #[serde(rename = "24.11")]
    V24_11,
    /// 26.05.5 (Debian unstable).
    #[serde(rename = "26.05")]
    V26_05,
}

impl Generation {
    /// All of them, oldest first.
    pub const ALL: [Self; 4] = [Self::V20_11, Self::V22_05, Self::V24_11, Self::V26_05];

    /// The release series: `22.05`.
    pub const fn series(self) -> &'static str {
        match self {
            Self::V20_11 => "20.11",
            Self::V22_05 => "22.05",
            Self::V24_11 => "24.11",
            Self::V26_05 => "26.05",
        }
    }

    /// The full version: `22.05.8`.
    pub const fn version(self) -> &'static str {
        match self {
            Self::V20_11 => "20.11.4",
            Self::V22_05 => "22.05.8",
            Self::V24_11 => "24.11.5",
            Self::V26_05 => "26.05.5",
        }
    }

    /// The line that `--version` prints on Debian's builds.
    pub fn banner(self) -> String {
        format!("slurm-wlm {}", self.version())
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.series())
    }
}

/// A release series that the fake does not play.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such generation: {0:?} (there are 20.11, 22.05, 24.11 and 26.05)")]
pub struct UnknownGeneration(String);

impl FromStr for Generation {
    type Err = UnknownGeneration;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let same = |generation: &Self| generation.series() == text;
        let found = Self::ALL.into_iter().find(same);
        found.ok_or_else(|| UnknownGeneration(text.to_owned()))
    }
}
