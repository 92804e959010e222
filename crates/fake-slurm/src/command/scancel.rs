//! `scancel`.

use super::{Answer, Answering, listed};
use crate::call::{Effect, Reply};
use crate::generation::Generation;
use crate::model::{Base, Controller, Execution, Job, Refusal};
use crate::options::{Known, Parsed, Takes};

const KNOWN: &[Known] = &[
    ("account", Some('A'), Takes::Value),
    ("batch", Some('b'), Takes::Nothing),
    ("clusters", Some('M'), Takes::Value),
    ("full", Some('f'), Takes::Nothing),
    ("hurry", Some('H'), Takes::Nothing),
    ("interactive", Some('i'), Takes::Nothing),
    ("me", None, Takes::Nothing),
    ("name", Some('n'), Takes::Value),
    ("jobname", None, Takes::Value),
    ("nodelist", Some('w'), Takes::Value),
    ("partition", Some('p'), Takes::Value),
    ("qos", Some('q'), Takes::Value),
    ("quiet", Some('Q'), Takes::Nothing),
    ("reservation", Some('R'), Takes::Value),
    ("signal", Some('s'), Takes::Value),
    ("state", Some('t'), Takes::Value),
    ("user", Some('u'), Takes::Value),
    ("verbose", Some('v'), Takes::Nothing),
    ("version", Some('V'), Takes::Nothing),
    ("wckey", None, Takes::Value),
];

/// INPUT ENVIRONMENT VARIABLES of scancel's manual page.
const VARIABLES: &[(&str, &str)] = &[
    ("SCANCEL_ACCOUNT", "account"),
    ("SCANCEL_BATCH", "batch"),
    ("SCANCEL_FULL", "full"),
    ("SCANCEL_HURRY", "hurry"),
    ("SCANCEL_INTERACTIVE", "interactive"),
    ("SCANCEL_NAME", "name"),
    ("SCANCEL_PARTITION", "partition"),
    ("SCANCEL_QOS", "qos"),
    ("SCANCEL_STATE", "state"),
    ("SCANCEL_USER", "user"),
    ("SCANCEL_VERBOSE", "verbose"),
    ("SCANCEL_WCKEY", "wckey"),
];

/// Options that make scancel look at the queue first and act on what matches all of them. Their
/// names in its messages come second.
const FILTERS: &[(&str, &str)] = &[
    ("account", "account"),
    ("name", "job_name"),
    ("nodelist", "nodelist"),
    ("partition", "partition"),
    ("qos", "qos"),
    ("reservation", "reservation"),
    ("state", "state"),
    ("user", "user_name"),
    ("wckey", "wckey"),
];

/// Signals by name, as scancel's manual page lists them.
const SIGNALS: &[(&str, u8)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ABRT", 6),
    ("KILL", 9),
    ("USR1", 10),
    ("USR2", 12),
    ("ALRM", 14),
    ("TERM", 15),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
];

/// What scancel 22.05.8 says with -v when it loads the queue.
const PLUGINS: &str = "scancel: select/cons_tres: common_init: select/cons_tres loaded
scancel: select/cray_aries: init: Cray/Aries node selection plugin loaded
scancel: select/linear: init: Linear node selection plugin loaded with argument 17
scancel: select/cons_res: common_init: select/cons_res loaded
";

pub(super) fn run(answering: &mut Answering<'_>) -> Answer {
    let mut parsed = answering.parse(KNOWN, false)?;
    answering.version(&parsed)?;
    let mut options = answering.defaults(VARIABLES);
    options.append(&mut parsed.options);
    parsed.options = options;
    for name in ["SCANCEL_CTLD", "SCANCEL_CRON"] {
        if answering.call.variable(name).is_some() {
            return Err(answering.not_played(&format!("the variable {name}")));
        }
    }
    if parsed.has("interactive") {
        // scancel asks until it gets an answer, and takes the end of its input for none.
        return Err(answering.not_played("SCANCEL_INTERACTIVE and -i: a real scancel never ends"));
    }
    for (alias, name) in [("jobname", "name")] {
        if let Some(value) = parsed.value(alias).map(str::to_owned) {
            parsed.options.push((name.to_owned(), value));
        }
    }
    if parsed.has("me") {
        let me = answering
            .host
            .name_of(answering.call.uid)
            .unwrap_or_default();
        parsed.options.push(("user".to_owned(), me));
    }
    let signal = signal(&parsed)?;
    let ids = ids(answering, &parsed)?;
    // A signal of one's own also makes scancel look at the queue first.
    let filtered = FILTERS.iter().any(|(name, _)| parsed.has(name)) || signal.is_some();
    if ids.is_empty() && (!filtered || parsed.options.len() == 1 && signal.is_some()) {
        return Err(answering.error("No job identification provided"));
    }
    let (clusters, _) = answering.clusters(&parsed)?;
    let mut reply = Reply::default();
    for name in &clusters {
        if let Some(unreachable) = answering.unreachable(name)? {
            let doing: String = match ids.first().filter(|_| parsed.has("verbose") && !filtered) {
                Some(id) => format!("scancel: Terminating job {id}\n"),
                None => String::new(),
            };
            let before = ids.first().filter(|_| !filtered).map_or_else(
                || "slurm_load_jobs error: ".to_owned(),
                |id| format!("scancel: error: Kill job error on job id {id}: "),
            );
            let status = if filtered {
                1
            } else {
                unreachable.code.to_le_bytes()[0]
            };
            let mut reply = unreachable.reply("scancel", "REQUEST_KILL_JOB", &before, status);
            reply.stderr.insert_str(0, &doing);
            return Err(reply);
        }
        let chosen = if filtered {
            matching(answering, name, &parsed, &ids, &mut reply)?
        } else {
            ids.clone()
        };
        for id in chosen {
            cancel(answering, name, id, signal, &parsed, &mut reply)?;
        }
    }
    Ok(reply)
}

/// The signal that was asked for; none is the usual end.
fn signal(parsed: &Parsed) -> Result<Option<u8>, Reply> {
    let Some(text) = parsed.value("signal") else {
        return Ok(None);
    };
    let name = text.trim_start_matches("SIG");
    let named = SIGNALS
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    let number = named
        .map(|(_, number)| *number)
        .or_else(|| text.parse().ok());
    let number = number.ok_or_else(|| Reply::fail(1, format!("Unknown job signal: {text}\n")));
    number.map(Some)
}

fn ids(answering: &Answering<'_>, parsed: &Parsed) -> Result<Vec<u32>, Reply> {
    let mut ids = Vec::new();
    for text in parsed.operands.iter().flat_map(|operand| listed(operand)) {
        let id = text.parse::<u32>().ok().filter(|id| *id > 0);
        let wrong = || answering.error(format!("Invalid job id {text}"));
        ids.push(id.ok_or_else(wrong)?);
    }
    Ok(ids)
}

/// The unfinished jobs that match every filter and, if any were named, are among `ids`.
fn matching(
    answering: &mut Answering<'_>,
    cluster: &str,
    parsed: &Parsed,
    ids: &[u32],
    reply: &mut Reply,
) -> Result<Vec<u32>, Reply> {
    let verbose = parsed.has("verbose");
    if verbose && answering.generation() < Generation::V24_11 {
        reply.stderr += PLUGINS;
    }
    let jobs = answering.cluster(cluster)?.visible();
    let named = |job: &Job| ids.is_empty() || ids.contains(&job.id);
    let alive: Vec<&Job> = jobs
        .values()
        .filter(|job| !job.base.is_over() && named(job))
        .collect();
    for id in ids
        .iter()
        .filter(|id| alive.iter().all(|job| job.id != **id))
    {
        if verbose {
            let text = Refusal::InvalidJobId.text();
            reply.stderr += &format!("scancel: error: Kill job error on job id {id}: {text}\n");
        }
        reply.status = 1;
    }
    let fits = alive.into_iter().filter(|job| matches(job, parsed));
    let found: Vec<u32> = fits.map(|job| job.id).collect();
    let filters = FILTERS.iter().any(|(name, _)| parsed.has(name));
    if found.is_empty() && verbose && filters {
        let given = FILTERS
            .iter()
            .filter_map(|(name, shown)| Some((shown, parsed.value(name)?)));
        let given: String = given
            .map(|(name, value)| format!("{name}={value} "))
            .collect();
        let text = format!("No active jobs match ALL job filters, including: {given}");
        reply.stderr += &format!("scancel: error: {text}\n");
    }
    Ok(found)
}

fn matches(job: &Job, parsed: &Parsed) -> bool {
    let request = &job.request;
    FILTERS.iter().all(|(name, _)| {
        let Some(wanted) = parsed.value(name) else {
            return true;
        };
        let is = |value: Option<&str>| value == Some(wanted);
        match *name {
            "account" => is(job.account.as_deref()),
            "name" => is(Some(&request.name)),
            "nodelist" => job
                .nodes
                .iter()
                .any(|node| listed(wanted).contains(&node.as_str())),
            "partition" => is(Some(&job.partition)),
            "qos" => is(Some(request.qos.as_deref().unwrap_or("normal"))),
            "reservation" => is(request.reservation.as_deref()),
            "user" => is(Some(&request.user)) || is(Some(&request.uid.to_string())),
            "wckey" => is(request.wckey.as_deref()),
            _ => {
                let (long, compact) = job.base.names();
                wanted.eq_ignore_ascii_case(long) || wanted.eq_ignore_ascii_case(compact)
            }
        }
    })
}

fn cancel(
    answering: &mut Answering<'_>,
    name: &str,
    id: u32,
    signal: Option<u8>,
    parsed: &Parsed,
    reply: &mut Reply,
) -> Result<(), Reply> {
    let (now, uid) = (answering.now, answering.call.uid);
    let (verbose, quiet) = (parsed.has("verbose"), parsed.has("quiet"));
    let cluster = answering.cluster(name)?;
    let processes = cluster.config.execution == Execution::Processes;
    // With -M newer ones ask the controller before they say so.
    let asks_first = cluster.config.generation >= Generation::V24_11 && parsed.has("clusters");
    let ends = cluster.jobs.get(&id).is_some_and(|job| !job.base.is_over());
    if verbose && (!asks_first || ends) {
        let doing = match signal {
            None => "Terminating job".to_owned(),
            Some(number) => format!("Signal {number} to job"),
        };
        reply.stderr += &format!("scancel: {doing} {id}\n");
    }
    let outcome = if cluster.condition.controller == Controller::Stale {
        Err(Refusal::Disabled)
    } else if let Some(number) = signal.filter(|_| !is_pending(cluster.jobs.get(&id))) {
        deliver(cluster, id, uid, number, now)
    } else {
        cluster.cancel(id, uid, now)
    };
    match outcome {
        Ok(()) => {
            let batch = parsed.has("batch");
            let effect = signal.filter(|_| processes).map(|signal| Effect::Signal {
                cluster: name.to_owned(),
                id,
                signal,
                only_script: batch,
            });
            reply.effects.extend(effect);
        }
        // What is over already is a success, and said only with -v.
        Err(refusal @ (Refusal::InvalidJobId | Refusal::AlreadyDone)) => {
            if verbose {
                let text = refusal.text();
                reply.stderr += &format!("scancel: error: Kill job error on job id {id}: {text}\n");
            }
        }
        Err(refusal) => {
            if !quiet {
                let text = refusal.text();
                reply.stderr += &format!("scancel: error: Kill job error on job id {id}: {text}\n");
            }
            reply.status = refusal.code().to_le_bytes()[0];
        }
    }
    Ok(())
}

fn is_pending(job: Option<&Job>) -> bool {
    job.is_some_and(|job| job.base == Base::Pending)
}

/// A signal to a running job. A virtual job dies of KILL and ignores the others.
fn deliver(
    cluster: &mut crate::model::Cluster,
    id: u32,
    uid: u32,
    number: u8,
    now: crate::moment::Moment,
) -> Result<(), Refusal> {
    cluster.signal(id, uid)?;
    if number == 9 && cluster.config.execution == Execution::Virtual {
        return cluster.cancel(id, uid, now);
    }
    Ok(())
}
