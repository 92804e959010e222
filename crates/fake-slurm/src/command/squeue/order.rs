//! In which order squeue prints its jobs: `-S`, and what comes before it.

use std::borrow::Cow;

use crate::call::Reply;
use crate::model::{Cluster, Job};
use crate::moment::Moment;
use crate::render::fields::{
    Context, cpu_count, end_moment, mebibytes, node_count, start_moment, time_used,
};

/// Partition, state, priority.
pub(super) const DEFAULT: &str = "P,t,-p";
/// Of `--start`.
pub(super) const BY_START: &str = "S";

/// What jobs are compared by.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Number(u64),
    Text(Cow<'a, str>),
}

/// Puts jobs, which come by number, in the order of `-S`: the last letter first, so that the
/// first one decides.
///
/// # Errors
/// A letter that squeue does not sort by.
pub(super) fn sort(
    jobs: &mut Vec<&Job>,
    wanted: &str,
    context: &Context<'_>,
    complaints: &mut String,
) -> Result<(), Reply> {
    // squeue does this whatever else is wanted, and it shows where the rest is equal.
    by_start(jobs, true, context.now);
    let mut letters = wanted.chars().rev().peekable();
    while let Some(letter) = letters.next() {
        let reverse = letters.peek() == Some(&'-');
        match letter {
            ',' | '+' | '-' => {}
            'S' => by_start(jobs, reverse, context.now),
            'N' => by_nodes(jobs, reverse),
            'b' => complaints.push_str("squeue: Invalid sort specification: b\n"),
            // Fields that are equal in all jobs, or by which Slurm does not really sort.
            'c' | 'd' | 'f' | 'h' | 'H' | 'I' | 'J' | 'n' | 'O' | 'v' | 'z' => {}
            _ => {
                let wrong = || {
                    let text = format!("squeue: error: Invalid sort specification: {letter}\n");
                    Reply::fail(1, text)
                };
                by_key(jobs, reverse, |job| key(letter, job, context)).ok_or_else(wrong)?;
            }
        }
    }
    Ok(())
}

/// Sorts by a key that is made once for each job. None: a letter without one.
fn by_key<'a>(
    jobs: &mut Vec<&'a Job>,
    reverse: bool,
    key: impl Fn(&'a Job) -> Option<Key<'a>>,
) -> Option<()> {
    let keyed = jobs.iter().map(|job| Some((key(job)?, *job)));
    let mut keyed: Vec<(Key<'_>, &Job)> = keyed.collect::<Option<_>>()?;
    keyed.sort_by(|(one, _), (other, _)| {
        if reverse {
            other.cmp(one)
        } else {
            one.cmp(other)
        }
    });
    *jobs = keyed.into_iter().map(|(_, job)| job).collect();
    Some(())
}

fn key<'a>(letter: char, job: &'a Job, context: &Context<'_>) -> Option<Key<'a>> {
    let request = &job.request;
    let text = |text: &'a str| Key::Text(Cow::Borrowed(text));
    let cluster: &Cluster = context.cluster;
    let generation = cluster.config.generation;
    let endless = u64::from(u32::MAX);
    Some(match letter {
        'B' => text(job.batch_host.as_deref().unwrap_or_default()),
        'C' => Key::Number(cpu_count(job).into()),
        'D' => Key::Number(node_count(job) as u64),
        'e' => Key::Number(end_moment(job, context.now).map_or(0, seconds)),
        'g' => text(&request.group),
        'G' => Key::Number(request.gid.into()),
        'i' => Key::Number(job.id.into()),
        'j' => text(&request.name),
        'l' => Key::Number(job.time_limit.unwrap_or(endless)),
        'L' => Key::Number(job.time_limit.map_or(endless, |minutes| {
            (minutes * 60).saturating_sub(time_used(job, context))
        })),
        'm' => Key::Number(mebibytes(job, cluster)),
        'M' => Key::Number(time_used(job, context)),
        'p' | 'Q' => Key::Number(job.priority(generation).into()),
        'P' => text(job.shown_partition()),
        't' => text(job.shown(generation).1),
        'T' => text(job.shown(generation).0),
        'u' => text(&request.user),
        'U' => Key::Number(request.uid.into()),
        'V' => Key::Number(seconds(job.submit)),
        _ => return None,
    })
}

fn seconds(moment: Moment) -> u64 {
    moment.seconds().max(0).unsigned_abs()
}

/// By the start, known or expected. What has none comes last; squeue says of two of them that
/// each comes after the other, so that their order is turned round.
fn by_start(jobs: &mut Vec<&Job>, reverse: bool, now: Moment) {
    let (mut known, mut unknown): (Vec<&Job>, Vec<&Job>) = jobs
        .iter()
        .partition(|job| start_moment(job, now).is_some());
    let start = |job: &&Job| start_moment(job, now).map(seconds);
    known.sort_by(|one, other| {
        let order = start(one).cmp(&start(other));
        if reverse { order.reverse() } else { order }
    });
    unknown.reverse();
    known.append(&mut unknown);
    *jobs = known;
}

/// By the names of the nodes. As with starts, jobs without any come last and are turned round;
/// the other way about they come first as they are.
fn by_nodes(jobs: &mut Vec<&Job>, reverse: bool) {
    let (mut placed, mut others): (Vec<&Job>, Vec<&Job>) =
        jobs.iter().partition(|job| !job.nodes.is_empty());
    placed.sort_by(|one, other| {
        let order = one.nodes[0].cmp(&other.nodes[0]);
        if reverse { order.reverse() } else { order }
    });
    if reverse {
        others.append(&mut placed);
        *jobs = others;
    } else {
        others.reverse();
        placed.append(&mut others);
        *jobs = placed;
    }
}
