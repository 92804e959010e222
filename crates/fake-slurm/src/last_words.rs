//! What slurmstepd writes into the error file of a job that it is told to end, once for each run.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;

use crate::generation::Generation;
use crate::model::{Base, Cluster, Job};
use crate::moment::Moment;
use crate::render::time::TimeStyle;
use crate::step::output_paths;

/// The line of a run, but for the time and the cause.
pub(crate) struct LastWords {
    id: u32,
    host: String,
    path: PathBuf,
    generation: Generation,
}

impl LastWords {
    pub(crate) fn of(job: &Job, generation: Generation) -> Self {
        Self {
            id: job.id,
            host: job.batch_host.clone().unwrap_or_default(),
            path: output_paths(job).1,
            generation,
        }
    }

    /// Writes the line. The job's file may be gone or full, which slurmstepd does not mind either.
    pub(crate) fn write(&self, cause: Cause, now: Moment) {
        let time = TimeStyle::local().show(now);
        let says = if self.generation < Generation::V26_05 {
            format!("slurmstepd-{}:", self.host)
        } else {
            format!("[{time}.{:03}]", now.millis().rem_euclid(1000))
        };
        let (id, host) = (self.id, &self.host);
        let cause = match cause {
            Cause::Because(cause) => format!(" {cause}"),
            Cause::Signal(_) if self.generation < Generation::V26_05 => String::new(),
            Cause::Signal(name) => format!(" DUE to SIGNAL {name}"),
        };
        let line = format!("{says} error: *** JOB {id} ON {host} CANCELLED AT {time}{cause} ***\n");
        let file = OpenOptions::new().append(true).open(&self.path);
        let _unwritten = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

/// Why a run is ended.
#[derive(Clone, Copy)]
pub(crate) enum Cause {
    /// By a signal, which 26.05 names.
    Signal(&'static str),
    /// For a reason that all name.
    Because(&'static str),
}

impl Cause {
    /// What scancel without a signal comes to.
    pub(crate) const CANCELLED: Self = Self::Signal("Terminated");
}

/// Why the controller has a run ended. None: it was suspended, and ends without a word.
pub(crate) fn cause_of(job: &Job, cluster: &Cluster) -> Option<Cause> {
    let mut records = cluster.records.iter().rev();
    let record = records.find(|record| record.id == job.id);
    let mut entries = record
        .into_iter()
        .flat_map(|record| record.entries.iter().rev());
    let preempted = entries
        .clone()
        .next()
        .is_some_and(|entry| entry.state == "PREEMPTED");
    let running = entries.find(|entry| entry.end.is_none());
    if running.is_some_and(|entry| entry.suspended.is_some()) {
        return None;
    }
    let failed = |name: &String| {
        let mut nodes = cluster.config.nodes.iter();
        nodes.any(|node| node.name == *name && node.down)
    };
    Some(match job.base {
        Base::Timeout => Cause::Because("DUE TO TIME LIMIT"),
        Base::Preempted => Cause::Because("DUE TO PREEMPTION"),
        Base::NodeFail => Cause::Because(NODE_FAILURE),
        // It is put back, and the database knows why.
        Base::Pending if preempted => Cause::Because("DUE TO PREEMPTION"),
        Base::Pending if job.nodes.iter().any(failed) => Cause::Because(NODE_FAILURE),
        Base::Pending => Cause::Because("DUE TO JOB REQUEUE"),
        _ => Cause::CANCELLED,
    })
}

const NODE_FAILURE: &str = "DUE TO NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS";
