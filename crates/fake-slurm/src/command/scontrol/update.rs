//! `scontrol update` of jobs.

use super::super::when::{Nearest, parse_when};
use super::super::{Answer, Answering};
use crate::call::Reply;
use crate::model::Refusal;
use crate::moment::Moment;

/// What else of a job can be changed, and is not played; each may be abbreviated.
const NOT_PLAYED: &[&str] = &[
    "account",
    "admincomment",
    "arraytaskthrottle",
    "burstbuffer",
    "clusterfeatures",
    "clusters",
    "contiguous",
    "corespec",
    "cpuspertask",
    "deadline",
    "delayboot",
    "dependency",
    "eligibletime",
    "endtime",
    "excnodelist",
    "extra",
    "features",
    "gres",
    "jobid",
    "jobname",
    "licenses",
    "mailtype",
    "mailuser",
    "mincpusnode",
    "minmemorycpu",
    "minmemorynode",
    "mintmpdisknode",
    "network",
    "nice",
    "nodelist",
    "nodecnt",
    "numcpus",
    "numnodes",
    "numtasks",
    "oversubscribe",
    "partition",
    "prefer",
    "priority",
    "qos",
    "reboot",
    "reqcores",
    "reqnodelist",
    "reqnodes",
    "reqprocs",
    "reqsockets",
    "reqthreads",
    "requeue",
    "reservationname",
    "resetaccruetime",
    "shared",
    "sitefactor",
    "starttime",
    "stderr",
    "stdin",
    "stdout",
    "switches",
    "systemcomment",
    "threadspercore",
    "timelimit",
    "timemin",
    "userid",
    "wait-for-switch",
    "wckey",
    "workdir",
];

/// Other things than jobs that can be changed.
const ENTITIES: &[&str] = &[
    "block",
    "frontendname",
    "jobid",
    "jobname",
    "layouts",
    "nodename",
    "partitionname",
    "powercap",
    "reservationname",
    "slurmctlddebug",
    "stepid",
    "suspendexcnodes",
    "suspendexcparts",
    "suspendexcstates",
];

/// A change of a job.
enum Change<'a> {
    Requeue(bool),
    Start(Moment),
    Comment(&'a str),
    Name(&'a str),
}

pub(super) fn run(answering: &mut Answering<'_>, name: &str, assignments: &[&str]) -> Answer {
    if assignments.is_empty() {
        return Err(Reply::fail(1, "too few arguments for update keyword\n"));
    }
    let mut reply = Reply::default();
    let (mut jobs, mut named, mut changes) = (None, None, Vec::new());
    let mut keys = assignments.iter().filter_map(|word| word.split_once('='));
    // Without a number the name says which jobs are meant.
    let by_name = !keys.any(|(key, _)| is_number(key));
    if !assignments.iter().any(is_entity) {
        let text = "No valid entity in update command\n\
            Input line must include \"NodeName\", \"PartitionName\", \"Reservation\", \
            \"JobId\", or \"SlurmctldDebug\"\n";
        return Err(Reply::fail(1, text));
    }
    for assignment in assignments {
        let Some((key, value)) = assignment.split_once('=') else {
            if is_entity(assignment) {
                return Err(answering.not_played(&format!("{assignment} without =")));
            }
            let text = format!("Invalid input: {assignment}\nRequest aborted\n");
            return Err(Reply::fail(1, text));
        };
        match key.to_lowercase().as_str() {
            key if is_number(key) => jobs = Some(value),
            "jobname" | "name" if by_name => named = Some(value),
            key => match change(answering, assignment, key, value, &mut reply)? {
                Some(change) => changes.push(change),
                None => reply.status = 1,
            },
        }
    }
    if named.is_some() && changes.is_empty() && reply.stderr.is_empty() {
        return Err(answering.not_played("an update by name that changes nothing"));
    }
    let ids = match named {
        Some(job_name) if !changes.is_empty() => ids_of(answering, name, job_name)?,
        Some(_) => Vec::new(),
        None => ids(answering, jobs)?,
    };
    if changes.is_empty() {
        if !reply.stderr.starts_with("scontrol: error: ") {
            reply.stderr += "No changes specified\n";
        }
        reply.status = 1;
        return Ok(reply);
    }
    for id in ids {
        for change in &changes {
            if let Err(refusal) = apply(answering, name, id, change)? {
                reply.stderr += &format!("{} for job {id}\n", refusal.text());
                reply.status = 1;
                break;
            }
        }
    }
    Ok(reply)
}

fn is_number(key: &str) -> bool {
    ["jobid", "job"].contains(&key.to_lowercase().as_str())
}

/// The jobs of a name, those that are over included.
fn ids_of(answering: &mut Answering<'_>, name: &str, job_name: &str) -> Result<Vec<u32>, Reply> {
    let jobs = answering.cluster(name)?.jobs.values();
    let same = jobs.filter(|job| job.request.name == job_name);
    let ids: Vec<u32> = same.map(|job| job.id).collect();
    if ids.is_empty() {
        return Err(answering.error(format!("No jobs with name '{job_name}'")));
    }
    Ok(ids)
}

/// Whether an assignment, or a word, says what is to be changed.
fn is_entity(assignment: &&str) -> bool {
    let key = assignment
        .split('=')
        .next()
        .unwrap_or_default()
        .to_lowercase();
    let mut entities = ENTITIES.iter();
    key.len() > 2 && entities.any(|entity| entity.starts_with(&key))
}

/// Reads an assignment. None: it is complained about, and left out.
fn change<'a>(
    answering: &Answering<'_>,
    assignment: &str,
    key: &str,
    value: &'a str,
    reply: &mut Reply,
) -> Result<Option<Change<'a>>, Reply> {
    let refused = || answering.not_played(&format!("update of {assignment}"));
    Ok(Some(match key {
        "comment" => Change::Comment(value),
        "jobname" | "name" => Change::Name(value),
        "requeue" => match value.parse::<u32>() {
            Ok(number) => Change::Requeue(number != 0),
            Err(_) if value.is_empty() || "yes no".contains(&value.to_lowercase()) => {
                return Err(refused());
            }
            Err(_) => {
                reply.stderr += &format!("scontrol: error: Invalid Requeue value: {value}\n");
                return Ok(None);
            }
        },
        "starttime" => match parse_when(value, Nearest::After, answering.now, answering.call) {
            Ok(Some(at)) => Change::Start(at),
            Err(Some(at)) => {
                let text = format!("Invalid time specification (pos={at}): {value}\n");
                reply.stderr += &text;
                return Ok(None);
            }
            Ok(None) | Err(None) => return Err(refused()),
        },
        _ => {
            let bare = key.trim_end_matches(['+', '-']);
            let played = bare == "comment" || bare == "name";
            let mut others = NOT_PLAYED.iter().chain(ENTITIES);
            if played || others.any(|known| known.starts_with(bare)) {
                return Err(refused());
            }
            let text = format!(
                "Update of this parameter is not supported: {assignment}\nRequest aborted\n"
            );
            return Err(Reply::fail(1, text));
        }
    }))
}

fn ids(answering: &Answering<'_>, list: Option<&str>) -> Result<Vec<u32>, Reply> {
    let Some(list) = list.filter(|list| !list.is_empty()) else {
        return Err(answering.not_played("an update of other than a job"));
    };
    let mut ids = Vec::new();
    for word in list.split(',') {
        match word.parse::<u32>() {
            Ok(id) if id > 0 => ids.push(id),
            _ if ids.is_empty() && word.starts_with(|first: char| first.is_ascii_alphabetic()) => {
                let text = format!("Invalid job id specified for job {list}\n");
                return Err(Reply::fail(1, text));
            }
            _ => return Err(answering.not_played(&format!("the job {word}"))),
        }
    }
    Ok(ids)
}

fn apply(
    answering: &mut Answering<'_>,
    name: &str,
    id: u32,
    change: &Change<'_>,
) -> Result<Result<(), Refusal>, Reply> {
    let (uid, now) = (answering.call.uid, answering.now);
    let cluster = answering.cluster(name)?;
    Ok(match change {
        Change::Requeue(requeue) => cluster.set_requeue(id, uid, *requeue),
        Change::Start(at) => cluster.start_at(id, uid, *at, now),
        Change::Comment(comment) => cluster.set_comment(id, uid, comment),
        Change::Name(text) => cluster.set_name(id, uid, text),
    })
}
