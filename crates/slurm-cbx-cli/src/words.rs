//! What a lease is like, in words for the person who asked.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use slurm_lease::driver::{AcquireError, Left, View};
use slurm_lease::evidence::Sighting;
use slurm_lease::parse::Cause;
use slurm_lease::{JobState, Lease, Meaning};

/// One line for a column: `PENDING (Resources), starts ~14:05`.
pub(crate) fn status(lease: &Lease, lost: bool, now: Timestamp) -> String {
    if lost {
        return match lease.sighting() {
            Some(seen) => format!(
                "{}, but its record here is lost or unreadable",
                describe(seen, now)
            ),
            None => "unknown: its record here is lost or unreadable".to_owned(),
        };
    }
    if let Some(ended) = over(lease).filter(|_| !is_in_doubt(lease)) {
        return ended;
    }
    if let Some((since, why)) = lease.unknown() {
        return format!("unknown: {} since {}", why.summary(), clock(*since));
    }
    let known = match (lease.sighting(), lease.unanswered()) {
        _ if lease.is_missing() => "unknown: Slurm does not show the job just now".to_owned(),
        (Some(seen), _) => describe(seen, now),
        (None, Some((since, _))) => format!("submission unanswered since {}", clock(since)),
        (None, None) => "submitted".to_owned(),
    };
    match lease.wish() {
        Some(_) if lease.ending().is_some() => {
            let nodes = lease.sighting().and_then(|seen| seen.nodes.clone());
            format!("ending (COMPLETING{})", on(nodes.as_deref()))
        }
        Some((since, _)) => format!("being released since {}: {known}", clock(since)),
        None => known,
    }
}

/// The same line for a row of the list.
pub(crate) fn row(view: &View, now: Timestamp) -> String {
    if view.awaited {
        return "being submitted".to_owned();
    }
    status(&view.lease, view.lost, now)
}

/// Whether there is a job that may be its own or not, though its record tells of none.
pub(crate) fn is_in_doubt(lease: &Lease) -> bool {
    let unknown = lease.unknown();
    unknown.is_some_and(|(_, why)| why.cause == Cause::Doubtful)
}

/// How a lease is over, if it is.
fn over(lease: &Lease) -> Option<String> {
    if !lease.is_vacant() {
        return None;
    }
    let state = lease.sighting().map(|seen| (&seen.state, seen.exit));
    let state = state.or_else(|| lease.accounted().map(|(state, exit)| (state, *exit)));
    Some(match (state, lease.refusal()) {
        (Some((state, Some((code, _)))), _) if code != 0 => {
            format!("ended ({state}, exit code {code})")
        }
        (Some((state, _)), _) if state.meaning() == Meaning::Finished => format!("ended ({state})"),
        (_, Some(said)) => format!("refused: {said}"),
        _ => "ended".to_owned(),
    })
}

fn describe(seen: &Sighting, now: Timestamp) -> String {
    let nodes = on(seen.nodes.as_deref());
    match seen.state.meaning() {
        Meaning::Queued => {
            let reason = if seen.reason.is_empty() {
                String::new()
            } else {
                format!(" ({})", seen.reason)
            };
            let starts = seen.started.filter(|start| *start > now);
            let starts = starts.map(|start| format!(", starts ~{}", clock(start)));
            format!("{}{reason}{}", seen.state, starts.unwrap_or_default())
        }
        Meaning::Live => {
            let left = seen.ends.map(|ends| ends.duration_since(now).as_secs());
            let left = left.filter(|&left| left > 0 && seen.state == JobState::Running);
            let left = left.map(|left| format!(", {} left", duration(left)));
            format!("{}{nodes}{}", seen.state, left.unwrap_or_default())
        }
        Meaning::Finished => match seen.exit {
            Some((code, _)) if code != 0 => format!("{}, exit code {code}", seen.state),
            _ => seen.state.to_string(),
        },
        Meaning::Starting | Meaning::Finishing | Meaning::Unknown => {
            format!("{}{nodes}", seen.state)
        }
    }
}

fn on(nodes: Option<&str>) -> String {
    nodes.map_or_else(String::new, |nodes| format!(" on {nodes}"))
}

/// `3:58:12`, or `2-03:58:12` from a day up, as Slurm writes it.
fn duration(seconds: i64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    match days {
        0 => format!("{hours}:{minutes:02}:{seconds:02}"),
        _ => format!("{days}-{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

/// The time of day, in the reader's time zone; with the date if that is not today.
pub(crate) fn clock(at: Timestamp) -> String {
    let zone = TimeZone::system();
    let at = ZonedDateTime::new(at, zone.clone());
    let today = ZonedDateTime::new(Timestamp::now(), zone).date();
    let form = if at.date() == today {
        "%H:%M"
    } else {
        "%Y-%m-%d %H:%M"
    };
    at.strftime(form).to_string()
}

/// Why there is no lease, and what to do.
pub(crate) fn not_acquired(error: &AcquireError, slug: &str) -> String {
    match error {
        AcquireError::TimedOut {
            lease,
            limit,
            state,
            left: Left::Kept(job),
        } => format!(
            "the job was not ready after {} s ({state}); job {job} is kept until it is stopped or its time is over\n`crabbox warmup --lease-id {lease} --slug {slug}` goes on waiting for it, `crabbox stop {lease}` ends it",
            limit.as_secs()
        ),
        AcquireError::Contradiction { lease, slug, .. } => format!(
            "{error}; `crabbox warmup --lease-id {lease} --slug {slug}` attaches to it, `crabbox stop {lease}` ends it"
        ),
        _ => error.to_string(),
    }
}

/// Why a lease can't be used now, and what to do.
pub(crate) fn not_ready(view: &View, now: Timestamp) -> String {
    let lease = &view.lease;
    let id = &lease.opened().lease;
    let job = lease
        .job()
        .map_or_else(|| "its job".to_owned(), |job| format!("job {job}"));
    if view.awaited {
        return format!("lease {id} is being submitted; ask again in a moment");
    }
    if let Some(ended) = view.ended() {
        return format!(
            "lease {id} cannot be used any more: {ended}\n`crabbox stop {id}` clears it away, the next warmup or run makes a new one"
        );
    }
    if lease.over().is_some() && !is_in_doubt(lease) {
        let how = status(lease, view.lost, now);
        return format!(
            "lease {id} has no job: {how}\n`crabbox stop {id}` clears it away, the next warmup or run makes a new one"
        );
    }
    if lease.wish().is_some() {
        return format!("lease {id} is {}", status(lease, view.lost, now));
    }
    if let Some((since, why)) = lease.unknown() {
        let since = clock(*since);
        let last = lease
            .sighting()
            .map(|seen| format!("; it was last seen {}", describe(seen, now)));
        let last = last.unwrap_or_default();
        return format!(
            "the state of lease {id} ({job}) is unknown since {since}: {why}{last}; nothing is lost: ask again"
        );
    }
    not_yet_ready(view, &job, now)
}

/// Why a lease that nothing stands in the way of can't be used yet.
fn not_yet_ready(view: &View, job: &str, now: Timestamp) -> String {
    let lease = &view.lease;
    let id = &lease.opened().lease;
    let state = status(lease, view.lost, now);
    if view.lost {
        return format!(
            "lease {id} cannot be used: {state}\n`crabbox stop {id}` ends whatever is left of it"
        );
    }
    if lease.job().is_none() {
        return format!(
            "lease {id} is not ready: {state}; ask again in a moment, or `crabbox stop {id}` ends whatever comes of it"
        );
    }
    if lease.is_missing() {
        return format!(
            "lease {id} is not ready: Slurm does not show {job} just now, which proves nothing yet; ask again in a moment"
        );
    }
    match lease.sighting().map(|seen| seen.state.meaning()) {
        Some(Meaning::Queued | Meaning::Starting) => {
            format!(
                "lease {id} is queued: {job} is {state}; ask again later, or `crabbox stop {id}` takes it out of the queue"
            )
        }
        Some(Meaning::Live) => {
            let lacks = match (view.endpoint_fault(), lease.endpoint()) {
                (Some(fault), _) => format!("what its runner published cannot be used: {fault}"),
                (None, Some(_)) => "its sshd does not answer yet".to_owned(),
                (None, None) => "its runner has published no endpoint yet".to_owned(),
            };
            format!("lease {id} is not ready: {job} is {state}, but {lacks}; ask again in a moment")
        }
        _ => format!("lease {id} is not ready: {job} is {state}"),
    }
}

/// The state by which the client decides whether a lease can be used. It takes any word but a
/// few for usable, so what is unknown is `provisioning` like what is queued.
pub(crate) fn label(view: &View) -> &'static str {
    let lease = &view.lease;
    if view.ready.is_some() {
        return "ready";
    }
    if view.awaited {
        return "provisioning";
    }
    match lease.sighting().map(|seen| seen.state.meaning()) {
        _ if lease.over().is_some() => "terminated",
        _ if lease.wish().is_some() => "deleting",
        Some(Meaning::Finishing | Meaning::Finished) => "deleting",
        _ => "provisioning",
    }
}
