//! The two texts of ours that Slurm carries: what marks a job, and what marks a field.

use std::fmt;
use std::str::FromStr;

use crate::id::{IdError, LeaseId, Nonce, StoreId};

/// What a job carries in `--comment`: `slurm-lease/1 <store> <lease> <nonce>`. From it a job can
/// be found again when everything on disk is gone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tag {
    /// The state directory that submitted the job.
    pub store: StoreId,
    /// The lease that the job serves.
    pub lease: LeaseId,
    /// The submission that made it.
    pub nonce: Nonce,
}

const TAG_VERSION: &str = "slurm-lease/1";
const NONCE_LENGTH: usize = 16;

impl FromStr for Tag {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let words: Vec<&str> = text.split(' ').collect();
        match words[..] {
            [TAG_VERSION, store, lease, nonce] => Ok(Self {
                store: store.parse()?,
                lease: lease.parse()?,
                nonce: nonce.parse()?,
            }),
            _ => Err(IdError::new(
                "tag",
                text,
                "it must be slurm-lease/1 STORE LEASE NONCE",
            )),
        }
    }
}

impl Tag {
    /// The tag in a job's comment, also where a site has put words of its own around it. Two
    /// different tags are none.
    pub fn in_comment(comment: &str) -> Option<Self> {
        let words: Vec<&str> = comment.split_whitespace().collect();
        let mut tags = words.windows(4).filter_map(|four| {
            let [version, store, lease, nonce] = four else {
                return None;
            };
            // What a site puts around a comment may touch it: `[slurm-lease/1 … 00ff];project=x`.
            let version = version.get(version.len().checked_sub(TAG_VERSION.len())?..)?;
            let nonce = nonce.get(..NONCE_LENGTH)?;
            format!("{version} {store} {lease} {nonce}").parse().ok()
        });
        let first = tags.next()?;
        tags.all(|other| other == first).then_some(first)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            store,
            lease,
            nonce,
        } = self;
        write!(f, "{TAG_VERSION} {store} {lease} {nonce}")
    }
}

/// The text that ends each field of an answer, drawn anew for every query. Slurm escapes nothing,
/// so a fixed separator can be forged by anybody's job name or comment; one that did not exist
/// when the job was named can't.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark(String);

impl Mark {
    /// The mark made of these random bits: `|~xxxxxxxx~|`.
    pub fn from_bits(bits: u32) -> Self {
        Self(format!("|~{bits:08x}~|"))
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "slurm-lease/1 0a1b2c3d cbx_0123456789ab 00000000deadbeef";

    #[test]
    fn a_tag_reads_as_it_was_written() {
        let text = TEXT;
        assert_eq!(text.parse::<Tag>().unwrap().to_string(), text);
        for bad in [
            "",
            "slurm-lease/2 0a1b2c3d cbx_0123456789ab 00000000deadbeef",
        ] {
            assert!(bad.parse::<Tag>().is_err());
        }
        assert!(format!("{text} ").parse::<Tag>().is_err());
    }

    #[test]
    fn a_tag_is_found_among_the_words_of_a_site() {
        for comment in [
            TEXT.to_owned(),
            format!("project=x {TEXT}"),
            format!("{TEXT};cost=5 and more"),
            format!("[{TEXT}]"),
            format!("{TEXT} {TEXT}"),
        ] {
            assert_eq!(Tag::in_comment(&comment), TEXT.parse().ok(), "{comment}");
        }
        let other = TEXT.replace("deadbeef", "deadbee0");
        for comment in [
            String::new(),
            TEXT[..TEXT.len() - 1].to_owned(),
            TEXT.to_uppercase(),
            format!("{TEXT} {other}"),
            TEXT.replace(' ', ";"),
            "é".repeat(4),
        ] {
            assert_eq!(Tag::in_comment(&comment), None, "{comment}");
        }
    }
}
