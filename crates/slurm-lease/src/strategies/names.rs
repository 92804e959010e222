//! Names, numbers and words.

use jiff::Timestamp;
use proptest::prelude::*;

use crate::id::{ClusterName, JobId, JobName, JobRef, LeaseId, Mark, Nonce, StoreId, Tag, Uid};
use crate::job_state::JobState;

/// Lease ids.
pub fn lease_id() -> impl Strategy<Value = LeaseId> {
    "cbx_[0-9a-f]{12}".prop_filter_map("a lease id", |text| text.parse().ok())
}

/// Job names as we submit them.
pub fn job_name() -> impl Strategy<Value = JobName> {
    plain_name().prop_filter_map("a job name", |text| text.parse().ok())
}

/// Cluster names.
pub fn cluster_name() -> impl Strategy<Value = ClusterName> {
    plain_name().prop_filter_map("a cluster name", |text| text.parse().ok())
}

fn plain_name() -> impl Strategy<Value = String> {
    prop_oneof!["[A-Za-z0-9_][A-Za-z0-9._-]{0,11}", "[a-z][a-z0-9-]{50,62}"]
}

/// Nonces.
pub fn nonce() -> impl Strategy<Value = Nonce> {
    any::<u64>().prop_map(Nonce::from_bits)
}

/// Ids of state directories.
pub fn store_id() -> impl Strategy<Value = StoreId> {
    "[0-9a-f]{8}".prop_filter_map("a store id", |text| text.parse().ok())
}

/// Tags.
pub fn tag() -> impl Strategy<Value = Tag> {
    (store_id(), lease_id(), nonce()).prop_map(|(store, lease, nonce)| Tag {
        store,
        lease,
        nonce,
    })
}

/// Marks.
pub fn mark() -> impl Strategy<Value = Mark> {
    any::<u32>().prop_map(Mark::from_bits)
}

/// Job numbers: small ones, as on a new cluster, and any others.
pub fn job_id() -> impl Strategy<Value = JobId> {
    prop_oneof![1..100_u32, 1..=u32::MAX, Just(u32::MAX)]
        .prop_filter_map("a job id", |number| number.to_string().parse().ok())
}

/// Jobs, with a cluster or without.
pub fn job_ref() -> impl Strategy<Value = JobRef> {
    (job_id(), proptest::option::of(cluster_name()))
        .prop_map(|(id, cluster)| JobRef { id, cluster })
}

/// User ids.
pub fn uid() -> impl Strategy<Value = Uid> {
    prop_oneof![Just(0), 1000..2000_u32, any::<u32>()].prop_map(Uid)
}

/// Every known state, and now and then a word that no known Slurm prints.
pub fn job_state() -> impl Strategy<Value = JobState> {
    let known: Vec<JobState> = JobState::known().collect();
    prop_oneof![
        8 => proptest::sample::select(known),
        1 => "[A-Z_+?]{1,16}".prop_map(|word| JobState::parse(&word)),
    ]
}

/// Points in time, to the second, as Slurm tells them: 1970 to 2106.
pub fn timestamp() -> impl Strategy<Value = Timestamp> {
    prop_oneof![1_795_000_000..1_796_000_000_i64, 1..i64::from(u32::MAX)]
        .prop_filter_map("a time", |seconds| Timestamp::from_second(seconds).ok())
}

/// What people put into names and comments: without blanks at either end, since no answer of
/// Slurm's tells those from its own, but with everything else, line breaks and half a mark
/// included.
pub fn free_text() -> impl Strategy<Value = String> {
    let odd = proptest::sample::select(vec![
        "|",
        "|~",
        "~|",
        "|~00000000~|",
        "\n",
        "\r",
        "\t",
        "\0",
        ":",
        ";",
        ",",
        "\u{feff}",
        "é",
        "(null)",
        "17",
        "RUNNING",
        " ",
    ]);
    prop_oneof![
        3 => "[A-Za-z0-9._-]{1,12}".boxed(),
        1 => "\\PC{0,12}".boxed(),
        1 => proptest::collection::vec(odd, 0..6).prop_map(|parts| parts.concat()).boxed(),
    ]
    .prop_map(|text| text.trim().to_owned())
}

/// Free text in one line.
pub(super) fn line() -> impl Strategy<Value = String> {
    free_text().prop_map(|text| text.replace(['\n', '\r'], " ").trim().to_owned())
}

/// One line that a site's wrapper prints; it holds no mark, no job number alone and no error.
pub(super) fn banner() -> impl Strategy<Value = String> {
    "(Welcome to [a-z]{1,8}!|\\*\\*\\* [a-zA-Z ]{0,20} \\*\\*\\*|)".prop_map(|line| line + "\n")
}
