//! `scontrol hold`, `release`, `requeue`, `suspend` and their like.

use super::super::{Answer, Answering};
use crate::call::{Effect, Reply};
use crate::generation::Generation;
use crate::model::{Execution, Hold, Refusal, Requeued};

/// SIGSTOP and SIGCONT, with which a job is suspended and resumed.
const SIGSTOP: u8 = 19;
const SIGCONT: u8 = 18;

/// Jobs as an argument names them.
enum Named {
    Ids(Vec<u32>),
    /// Slurm does not understand the argument.
    Invalid,
}

/// `hold`, `uhold` and `release`: of lists of jobs, and of names.
pub(super) fn hold(answering: &mut Answering<'_>, name: &str, verb: &str, rest: &[&str]) -> Answer {
    let mut reply = Reply::default();
    for word in rest {
        let ids = match by_name(answering, name, word)? {
            Some(ids) => Named::Ids(ids),
            None => ids(answering, word, &[',', ' '])?,
        };
        let mut failed = false;
        // What errno is in the end: nothing, if the last of them succeeded.
        let mut last = None;
        match ids {
            Named::Invalid => {
                reply.stderr += &format!("Invalid job id specified for job {word}\n");
                (failed, last) = (true, Some(Refusal::InvalidJobId));
            }
            Named::Ids(ids) => {
                for id in ids {
                    last = operate(answering, name, verb, id)?.err();
                    if let Some(refusal) = last {
                        reply.stderr += &format!("{} for job {id}\n", refusal.text());
                        failed = true;
                    }
                }
            }
        }
        if failed {
            reply.status = 1;
            reply.stderr += &hold_error(answering.generation(), last);
        }
    }
    Ok(reply)
}

fn hold_error(generation: Generation, last: Option<Refusal>) -> String {
    let recent = generation == Generation::V26_05;
    match last {
        Some(refusal) if recent => format!("slurm_suspend error:{}\n", refusal.text()),
        Some(refusal) => format!("slurm_suspend error: {}\n", refusal.text()),
        None if recent => "slurm_suspend error\n".to_owned(),
        None => "slurm_suspend error: No error\n".to_owned(),
    }
}

/// `jobname=NAME`: the jobs of that name, those that are over included.
fn by_name(
    answering: &mut Answering<'_>,
    name: &str,
    word: &str,
) -> Result<Option<Vec<u32>>, Reply> {
    let Some((key, wanted)) = word.split_once('=') else {
        return Ok(None);
    };
    if !["jobname", "name"].contains(&key.to_lowercase().as_str()) {
        return Ok(None);
    }
    let jobs = answering.cluster(name)?.jobs.values();
    let same = jobs.filter(|job| job.request.name == wanted);
    Ok(Some(same.map(|job| job.id).collect()))
}

/// `requeue`, `requeuehold`, `suspend` and `resume`: of lists of jobs.
pub(super) fn others(
    answering: &mut Answering<'_>,
    name: &str,
    verb: &str,
    rest: &[&str],
) -> Answer {
    let special = |word: &&str| word.eq_ignore_ascii_case("state=specialexit");
    let (verb, words) = match rest {
        [first, words @ ..] if verb == "requeuehold" && special(first) => ("specialexit", words),
        _ => (verb, rest),
    };
    let mut reply = Reply::default();
    for word in words {
        let Named::Ids(ids) = ids(answering, word, &[','])? else {
            reply.stderr += &format!("Invalid job id specified for job {word}\n");
            reply.status = 1;
            continue;
        };
        for id in ids {
            match operate(answering, name, verb, id)? {
                Ok(()) => reply.effects.extend(signal(answering, name, verb, id)?),
                Err(refusal) => {
                    reply.stderr += &format!("{} for job {id}\n", refusal.text());
                    reply.status = 1;
                }
            }
        }
    }
    Ok(reply)
}

fn ids(answering: &Answering<'_>, word: &str, between: &[char]) -> Result<Named, Reply> {
    let refused = || answering.not_played(&format!("the jobs {word}"));
    let list = match word.split_once('=') {
        Some((key, list)) if ["job", "jobid"].contains(&key.to_lowercase().as_str()) => list,
        _ => word,
    };
    let mut ids = Vec::new();
    for part in list.split(between).filter(|part| !part.is_empty()) {
        let rest = part.trim_start_matches(|character: char| character.is_ascii_digit());
        let digits = !part.starts_with(rest) || rest.is_empty();
        match (part.parse::<u32>(), digits) {
            (Ok(id), _) if id > 0 => ids.push(id),
            _ if digits && rest.starts_with(['_', '+', '[']) => return Err(refused()),
            // It does nothing at all where the first is wrong.
            _ if ids.is_empty() => return Ok(Named::Invalid),
            _ => return Err(refused()),
        }
    }
    Ok(Named::Ids(ids))
}

fn operate(
    answering: &mut Answering<'_>,
    name: &str,
    verb: &str,
    id: u32,
) -> Result<Result<(), Refusal>, Reply> {
    let (uid, now) = (answering.call.uid, answering.now);
    let cluster = answering.cluster(name)?;
    // Root holds as the administrator, unless it says uhold.
    let hold = if uid == 0 && verb == "hold" {
        Hold::Admin
    } else {
        Hold::User
    };
    Ok(match verb {
        "hold" | "uhold" => cluster.hold(id, uid, hold),
        "release" => cluster.release(id, uid, now),
        "requeue" => cluster.requeue(id, uid, None, now),
        "requeuehold" => cluster.requeue(id, uid, Some(Requeued::Held), now),
        "specialexit" => cluster.requeue(id, uid, Some(Requeued::SpecialExit), now),
        _ => cluster.suspend(id, uid, verb == "suspend", now),
    })
}

/// What the processes of a job get that was suspended or resumed.
fn signal(
    answering: &mut Answering<'_>,
    name: &str,
    verb: &str,
    id: u32,
) -> Result<Option<Effect>, Reply> {
    let processes = answering.cluster(name)?.config.execution == Execution::Processes;
    let signal = match verb {
        "suspend" => SIGSTOP,
        "resume" => SIGCONT,
        _ => return Ok(None),
    };
    Ok(processes.then(|| Effect::Signal {
        cluster: name.to_owned(),
        id,
        signal,
        only_script: false,
    }))
}
