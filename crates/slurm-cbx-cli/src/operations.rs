//! The seven operations, each mapped onto the library.

use std::collections::BTreeMap;
use std::io;

use jiff::{SignedDuration, Timestamp};
use slurm_lease::driver::{
    Called, Known, Leases, Lifetime, Order, ReleaseError, Released, Runner, StatusError, View,
    Watch,
};
use slurm_lease::{Endpoint, JobName, LeaseId, is_user_name};

use crate::Arguments;
use crate::answer::{Answer, Lease, Ssh};
use crate::config::{Config, READY_CHECK};
use crate::progress::Progress;
use crate::proxy;
use crate::request::Request;
use crate::select::{SelectError, cloud_id, select};
use crate::words;

/// The lease of a check-up, which is never submitted.
const CHECKED: &str = "cbx_000000000000";

/// Does what is asked; a failure is an answer too.
pub(crate) fn perform(arguments: &Arguments, request: &Request) -> Answer {
    let operation = match request.operation.as_str() {
        "doctor" => doctor,
        "acquire" => acquire,
        "resolve" => resolve,
        "list" => list,
        "release" => release,
        "touch" => touch,
        "cleanup" => cleanup,
        "" => return Answer::error("the request names no operation"),
        other => {
            let other: String = other.chars().filter(|c| !c.is_control()).take(80).collect();
            return Answer::error(&format!("there is no operation {other:?}"));
        }
    };
    operation(arguments, request).unwrap_or_else(|error| Answer::error(&error.to_string()))
}

type Answered = Result<Answer, Box<dyn std::error::Error>>;

fn doctor(arguments: &Arguments, request: &Request) -> Answered {
    let config = Config::read(&request.config)?;
    let order = order(
        arguments,
        config,
        CHECKED.parse()?,
        "doctor",
        CHECKED.parse()?,
        false,
    );
    proxy::check(&order)?;
    let found = arguments.leases()?.check_up(&order);
    if found.faults.is_empty() {
        Ok(Answer::message(format!(
            "leases can be had: {}",
            found.facts.join("; ")
        )))
    } else {
        Err(found.faults.join("\n").into())
    }
}

fn acquire(arguments: &Arguments, request: &Request) -> Answered {
    let desired = &request.desired;
    let lease: LeaseId = desired.lease_id.parse()?;
    let name: JobName = desired.name.parse()?;
    if desired.slug.is_empty() {
        return Err("desired.slug is missing".into());
    }
    let config = Config::read(&request.config)?;
    let order = order(
        arguments,
        config,
        lease.clone(),
        &desired.slug,
        name,
        request.keep,
    );
    proxy::check(&order)?;
    let leases = arguments.leases()?;
    let watch = Watch::nothing().signals()?.peer(io::stdout())?;
    let mut progress = Progress::new(ctrl_c(&order));
    let acquired = leases.acquire(&order, &watch, &mut |lease| progress.tell(lease));
    let acquired = acquired.map_err(|error| words::not_acquired(&error, &order.slug))?;
    let view = acquired.view();
    let mut lease = describe(view, request);
    if let Some(endpoint) = &view.ready {
        match ssh(view, &completed(endpoint, request)) {
            Ok(ssh) => lease.ssh = Some(ssh),
            // After an error the client asks for no release.
            Err(why) => return Err(format!("{why}; {}", acquired.take_back()).into()),
        }
        progress.say(&format!("ready: {}:{}", endpoint.host, endpoint.port));
    }
    Ok(Answer::acquired(lease, acquired))
}

/// What becomes of the job if the wait for it is interrupted. The client kills its adapter then,
/// so it must be said before.
fn ctrl_c(order: &Order) -> String {
    match order.unclaimed_grace.as_secs() {
        grace if order.keep && grace > 0 => format!(
            "after Ctrl-C the job ends in {grace} s, unless lease {} is asked for again",
            order.lease
        ),
        _ => "Ctrl-C ends the job".to_owned(),
    }
}

fn order(
    arguments: &Arguments,
    config: Config,
    lease: LeaseId,
    slug: &str,
    name: JobName,
    keep: bool,
) -> Order {
    let script = config
        .runner_script
        .or_else(|| arguments.runner_script.clone());
    Order {
        lease,
        slug: slug.to_owned(),
        name,
        cluster: config.cluster,
        resources: config.resources,
        access: config.access,
        runner: script.map_or(Runner::Bundled, Runner::Script),
        work_root: config.work_root,
        ssh_user: config.ssh_user,
        ready_check: config.ready_check,
        exported: config.exported,
        time_limit: config.acquire_timeout,
        keep,
        unclaimed_grace: config.unclaimed_grace,
        idle: config.idle,
        time_to_live: config.time_to_live,
    }
}

fn resolve(arguments: &Arguments, request: &Request) -> Answered {
    let leases = arguments.leases()?;
    let known = match select(&leases, request) {
        Err(unknown @ SelectError::Unknown(_)) if !request.release_only => {
            let Some(lease) = given_id(request) else {
                return Err(unknown.into());
            };
            return not_recorded(&leases, &lease, &unknown.to_string());
        }
        other => other?,
    };
    if request.release_only {
        return Ok(Answer::lease(named(&known)));
    }
    if known.released {
        let lease = &known.lease;
        let released = format!("lease {lease} was released; `crabbox warmup` makes a new one");
        return not_recorded(&leases, lease, &released);
    }
    let view = leases.status(&known.lease)?;
    match view.ready.clone() {
        Some(endpoint) => {
            let mut lease = describe(&view, request);
            // What a lease was called whose record is lost, the request says.
            (lease.slug, lease.name) = (known.slug, known.name);
            lease.ssh = Some(ssh(&view, &completed(&endpoint, request))?);
            leases.claim(&view)?;
            Ok(Answer::lease(lease))
        }
        None => Err(words::not_ready(&view, Timestamp::now()).into()),
    }
}

/// What a lease is like that has no record: a job of it may be left all the same.
fn not_recorded(leases: &Leases, lease: &LeaseId, otherwise: &str) -> Answered {
    match leases.status(lease) {
        Ok(view) => Err(words::not_ready(&view, Timestamp::now()).into()),
        Err(StatusError::NoSuchLease(_)) => Err(otherwise.into()),
        Err(error) => Err(error.into()),
    }
}

fn list(arguments: &Arguments, request: &Request) -> Answered {
    let views = arguments.leases()?.list()?;
    let wanted = |view: &&View| {
        let left = !view.lease.is_vacant() || words::is_in_doubt(&view.lease);
        request.all || view.awaited || left
    };
    let row = |view: &View| describe(view, request);
    Ok(Answer::leases(
        views.iter().filter(wanted).map(row).collect(),
    ))
}

fn release(arguments: &Arguments, request: &Request) -> Answered {
    let kept = |error: &dyn std::fmt::Display| {
        format!("{error}; nothing was released, and a job runs on until it is")
    };
    let leases = arguments.leases().map_err(|error| kept(&error))?;
    let known = match select(&leases, request) {
        Ok(known) => known,
        Err(SelectError::Unknown(_)) => return release_unknown(&leases, request),
        Err(error) => return Err(kept(&error).into()),
    };
    let was_released = known.released;
    let released = match leases.release_called(&known.lease, &called(Some(&known), request)) {
        Err(ReleaseError::NoSuchLease(_)) => None,
        Err(error @ (ReleaseError::Store(_) | ReleaseError::Unidentified { .. })) => {
            return Err(kept(&error).into());
        }
        other => Some(other?),
    };
    let message = match &released {
        Some(released) => how_released(released),
        None if was_released => format!("lease {} was released already", known.lease),
        None => "released by another process".to_owned(),
    };
    let known = Known {
        released: true,
        ..known
    };
    Ok(Answer::released(named(&known), message))
}

/// A lease of which nothing is recorded: released long ago, never submitted, or the whole record
/// is lost and only its job is left.
fn release_unknown(leases: &Leases, request: &Request) -> Answered {
    let Some(lease) = given_id(request) else {
        return Ok(Answer::message(
            "nothing is known of such a lease, so there is nothing to release",
        ));
    };
    match leases.release_called(&lease, &called(None, request)) {
        Ok(released) => Ok(Answer::message(how_released(&released))),
        Err(ReleaseError::NoSuchLease(_)) => Ok(Answer::message(format!(
            "nothing is known of lease {lease}, and no job in the queue has its comment or its directory"
        ))),
        Err(error) => Err(error.into()),
    }
}

fn how_released(released: &Released) -> String {
    match released {
        Released::Over(tombstone) => format!("released: {}", tombstone.proof),
        Released::Ending(job) => format!(
            "released: job {job} is ending and cannot come back; it is listed until its last processes are gone"
        ),
    }
}

/// The lease id of the request, wherever it stands.
fn given_id(request: &Request) -> Option<LeaseId> {
    let given = [
        &request.lease.lease_id,
        &request.desired.lease_id,
        &request.expected.lease_id,
        &request.id,
    ];
    given.into_iter().find_map(|id| id.parse().ok())
}

/// What the client knows of a lease that is to end, and what is remembered of it here.
fn called(known: Option<&Known>, request: &Request) -> Called {
    let (lease, desired, expected) = (&request.lease, &request.desired, &request.expected);
    let filled = |text: &&String| !text.is_empty();
    let slug = [&lease.slug, &desired.slug, &expected.slug];
    let slug = slug.into_iter().find(filled).cloned();
    let name = [&lease.name, &desired.name];
    let name = name.into_iter().find(filled).cloned();
    // Of a lost record there is only what the client said.
    let known = known.filter(|known| !known.lost);
    let job = [&lease.cloud_id, &expected.cloud_id]
        .into_iter()
        .find_map(|id| id.strip_prefix("slurm/job/")?.parse().ok());
    Called {
        slug: slug.or_else(|| known.map(|known| known.slug.clone())),
        name: name
            .or_else(|| known.map(|known| known.name.clone()))
            .and_then(|name| name.parse().ok()),
        job,
    }
}

fn touch(arguments: &Arguments, request: &Request) -> Answered {
    let leases = arguments.leases()?;
    let known = select(&leases, request)?;
    if known.released {
        return Err(format!("lease {} was released", known.lease).into());
    }
    match leases.touch(&known.lease, lifetime(&request.lease.labels)) {
        Err(StatusError::NoSuchLease(lease)) => Err(format!("lease {lease} was released").into()),
        other => Ok(other.map(|()| Answer::done())?),
    }
}

/// The client's limits, as its labels give them. Its `expires_at` moves with every touch and is
/// from before this one, so the time to live is counted from the creation.
fn lifetime(labels: &BTreeMap<String, String>) -> Lifetime {
    let number = |name: &str| {
        labels
            .get(name)?
            .parse::<i64>()
            .ok()
            .filter(|&number| number > 0)
    };
    let expires = number("created_at")
        .zip(number("ttl_secs"))
        .and_then(|(created, ttl)| {
            let created = Timestamp::from_second(created).ok()?;
            created.checked_add(SignedDuration::from_secs(ttl)).ok()
        });
    Lifetime {
        idle_seconds: number("idle_timeout_secs").and_then(|seconds| seconds.try_into().ok()),
        expires,
    }
}

fn cleanup(arguments: &Arguments, request: &Request) -> Answered {
    let cleaned = arguments.leases()?.cleanup(request.dry_run)?;
    let verb = if request.dry_run {
        "would remove"
    } else {
        "removed"
    };
    let mut lines = vec![match cleaned.removed.len() {
        1 => format!("{verb} 1 lease that is over"),
        count => format!("{verb} {count} leases that are over"),
    }];
    lines.extend(
        cleaned
            .removed
            .iter()
            .map(|lease| format!("{verb} {lease}")),
    );
    lines.extend(
        cleaned
            .kept
            .iter()
            .map(|(lease, why)| format!("kept {lease}: {why}")),
    );
    Ok(Answer::message(lines.join("\n")))
}

/// What a lease is called, and no more: nothing is asked of Slurm.
fn named(known: &Known) -> Lease {
    let state = if known.released { "released" } else { "leased" };
    let mut labels = BTreeMap::from([("state", state.to_owned())]);
    labels.extend(known.job.clone().map(|job| ("slurmJobId", job)));
    Lease {
        lease_id: known.lease.to_string(),
        slug: known.slug.clone(),
        name: known.name.clone(),
        cloud_id: cloud_id(known),
        status: state.to_owned(),
        server_type: "slurm".to_owned(),
        labels,
        ssh: None,
    }
}

/// A row of the list.
fn describe(view: &View, request: &Request) -> Lease {
    let opened = view.lease.opened();
    let job = view.lease.known_by().map(ToString::to_string);
    let known = Known {
        lease: opened.lease.clone(),
        slug: opened.slug.clone(),
        name: opened.name.to_string(),
        job,
        released: false,
        lost: view.lost,
    };
    let mut lease = named(&known);
    lease.status = words::row(view, Timestamp::now());
    if !opened.asked.is_empty() {
        lease.server_type = format!("slurm {}", opened.asked);
    }
    lease.labels.insert("state", words::label(view).to_owned());
    if let Some(seen) = view.lease.sighting() {
        lease.labels.insert("slurmState", seen.state.to_string());
        lease
            .labels
            .extend(seen.nodes.clone().map(|nodes| ("slurmNodes", nodes)));
    }
    // A row without a way in is still a row.
    lease.ssh = view
        .ready
        .as_ref()
        .and_then(|endpoint| ssh(view, &completed(endpoint, request)).ok());
    lease
}

/// An endpoint with what its runner left to the config, which may be wrong by now, and to us.
fn completed(endpoint: &Endpoint, request: &Request) -> Endpoint {
    let mut endpoint = endpoint.clone();
    let configured = |key| Some(request.config.get(key)?.as_str()?.to_owned());
    if endpoint.user.is_empty() {
        let caller = |name| std::env::var(name).ok();
        let users = [configured("sshUser"), caller("USER"), caller("LOGNAME")];
        let mut users = users.into_iter().flatten();
        endpoint.user = users.find(|user| is_user_name(user)).unwrap_or_default();
    }
    if endpoint.ready_check.is_empty() {
        let check = configured("readyCheck").filter(|check| !check.is_empty());
        endpoint.ready_check = check.unwrap_or_else(|| READY_CHECK.to_owned());
    }
    endpoint
}

fn ssh(view: &View, endpoint: &Endpoint) -> Result<Ssh, String> {
    if endpoint.user.is_empty() {
        return Err("the runner published no user to log in as, and sshUser is not set".to_owned());
    }
    let port = endpoint.port.to_string();
    let proxy_command = proxy::command(view, endpoint)?;
    Ok(Ssh {
        user: endpoint.user.clone(),
        host: endpoint.host.clone(),
        fallback_ports: vec![port.clone()],
        port,
        key: view.key().into(),
        ready_check: endpoint.ready_check.clone(),
        ssh_config_proxy: proxy_command.is_some(),
        proxy_command,
    })
}
