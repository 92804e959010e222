//! Which lease a request means. An identity is all of its fields: the lease id decides, the
//! others may only confirm it.

use slurm_lease::LeaseId;
use slurm_lease::driver::{Known, Leases};
use thiserror::Error;

use crate::request::{Expected, Request};

/// No lease is meant, or not one.
#[derive(Debug, Error)]
pub(crate) enum SelectError {
    #[error(transparent)]
    List(#[from] slurm_lease::driver::ListError),
    #[error("the request names no lease")]
    Nothing,
    #[error("there is no lease {0:?}; `crabbox list` shows those there are")]
    Unknown(String),
    #[error("no lease that can be read and is not released goes by {given:?}, but these cannot be read: {}; name one by its lease id", unreadable.join(", "))]
    Unreadable {
        given: String,
        unreadable: Vec<String>,
    },
    #[error("{given:?} could mean several leases: name one by its lease id: {}", candidates.join(", "))]
    Ambiguous {
        given: String,
        candidates: Vec<String>,
    },
    #[error(
        "the request contradicts itself: lease {lease} has {field} {known:?}, not {given:?}; nothing was done"
    )]
    Contradiction {
        lease: String,
        field: &'static str,
        known: String,
        given: String,
    },
}

/// The id by which the scheduler's side of a lease is known to the client.
pub(crate) fn cloud_id(known: &Known) -> String {
    match &known.job {
        Some(job) => format!("slurm/job/{job}"),
        None => format!("slurm/lease/{}", known.lease),
    }
}

/// The lease that the request is about. Where there is none, others may still be waiting for
/// somebody to come by.
pub(crate) fn select(leases: &Leases, request: &Request) -> Result<Known, SelectError> {
    let selected = find(leases, request);
    let of_its_own = selected.as_ref().ok().map(|known| &known.lease);
    leases.pursue_abandoned(of_its_own);
    selected
}

fn find(leases: &Leases, request: &Request) -> Result<Known, SelectError> {
    let all = leases.known()?;
    let lease_ids = [
        &request.lease.lease_id,
        &request.desired.lease_id,
        &request.expected.lease_id,
    ];
    let found = match lease_ids.into_iter().find(|id| !id.is_empty()) {
        Some(id) => by_lease_id(&all, id)?,
        None if !request.id.is_empty() => by_any(&all, &request.id)?,
        None => by_name_and_cloud_id(&all, request)?,
    };
    let mut found = found.clone();
    if found.lost {
        call_as_asked(&mut found, request);
    }
    confirm(&found, request)?;
    Ok(found)
}

/// What a lease is called whose record is lost, only the client knows.
fn call_as_asked(known: &mut Known, request: &Request) {
    let first = |given: [&String; 3]| given.into_iter().find(|text| !text.is_empty()).cloned();
    let (given, desired, expected) = (&request.lease, &request.desired, &request.expected);
    if let Some(slug) = first([&given.slug, &desired.slug, &expected.slug]) {
        known.slug = slug;
    }
    if let Some(name) = first([&given.name, &desired.name, &request.id]) {
        known.name = name;
    }
}

fn by_lease_id<'a>(all: &'a [Known], id: &str) -> Result<&'a Known, SelectError> {
    all.iter()
        .find(|known| known.lease.as_str() == id)
        .ok_or_else(|| SelectError::Unknown(id.to_owned()))
}

/// What a person may have typed. Of leases that go by one name, one that is not released is
/// meant.
fn by_any<'a>(all: &'a [Known], id: &str) -> Result<&'a Known, SelectError> {
    let is_meant = |known: &&Known| answers_to(known, id);
    let live: Vec<&Known> = all
        .iter()
        .filter(|known| !known.released)
        .filter(is_meant)
        .collect();
    // One of those may be meant, and is not to be taken for one that was released before it.
    let unreadable: Vec<String> = all
        .iter()
        .filter(|known| known.lost)
        .map(|known| known.lease.to_string())
        .collect();
    if live.is_empty() && !unreadable.is_empty() && id.parse::<LeaseId>().is_err() {
        let given = id.to_owned();
        return Err(SelectError::Unreadable { given, unreadable });
    }
    let candidates = if live.is_empty() {
        all.iter().filter(is_meant).collect()
    } else {
        live
    };
    match candidates[..] {
        [] => Err(SelectError::Unknown(id.to_owned())),
        [known] => Ok(known),
        _ => Err(SelectError::Ambiguous {
            given: id.to_owned(),
            candidates: candidates
                .iter()
                .map(|known| known.lease.to_string())
                .collect(),
        }),
    }
}

fn answers_to(known: &Known, id: &str) -> bool {
    known.lease.as_str() == id
        || known.slug == id
        || known.name == id
        || cloud_id(known) == id
        || known.job.as_deref() == Some(id)
}

/// A rollback may come without a lease id: then name and cloud id must both be those of one lease.
fn by_name_and_cloud_id<'a>(all: &'a [Known], request: &Request) -> Result<&'a Known, SelectError> {
    let given = &request.lease;
    if given.name.is_empty() || given.cloud_id.is_empty() {
        return Err(SelectError::Nothing);
    }
    all.iter()
        .find(|known| known.name == given.name && cloud_id(known) == given.cloud_id)
        .ok_or_else(|| SelectError::Unknown(given.name.clone()))
}

fn confirm(known: &Known, request: &Request) -> Result<(), SelectError> {
    let lease = known.lease.as_str();
    let cloud = cloud_id(known);
    let jobless = known.job.is_none();
    let Expected {
        lease_id,
        attempt_lease_id,
        slug,
        cloud_id,
    } = &request.expected;
    let checks: [(&'static str, &str, &str); 11] = [
        ("lease id", lease, lease_id),
        ("lease id", lease, attempt_lease_id),
        ("slug", &known.slug, slug),
        ("cloud id", &cloud, cloud_id),
        ("lease id", lease, &request.lease.lease_id),
        ("slug", &known.slug, &request.lease.slug),
        ("name", &known.name, &request.lease.name),
        ("cloud id", &cloud, &request.lease.cloud_id),
        ("lease id", lease, &request.desired.lease_id),
        ("slug", &known.slug, &request.desired.slug),
        ("name", &known.name, &request.desired.name),
    ];
    for (field, known, given) in checks {
        // Of a lease that lost its job's number, what the client knows of it contradicts nothing.
        let is_forgotten = field == "cloud id" && jobless && given.starts_with("slurm/job/");
        if !given.is_empty() && given != known && !is_forgotten {
            return Err(SelectError::Contradiction {
                lease: lease.to_owned(),
                field,
                known: known.to_owned(),
                given: given.to_owned(),
            });
        }
    }
    if !request.id.is_empty() && !answers_to(known, &request.id) {
        return Err(SelectError::Contradiction {
            lease: lease.to_owned(),
            field: "name",
            known: known.name.clone(),
            given: request.id.clone(),
        });
    }
    Ok(())
}
