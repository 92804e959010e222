//! What sbatch, scancel and scontrol reply.

use std::time::Duration;

use proptest::option;
use proptest::prelude::*;

use super::names::{banner, cluster_name, job_id, job_ref};
use super::{Transcript, answer};
use crate::answer::Answer;
use crate::id::Mark;
use crate::parse::sbatch::{Refusal, Submitted};
use crate::parse::scancel::Cancelled;
use crate::parse::scontrol::Configuration;
use crate::parse::{Cause, Unavailable};

/// A transcript of a command that is asked without a mark.
fn transcript<T>(answer: Answer, expected: T) -> Transcript<T> {
    Transcript {
        answer,
        mark: Mark::from_bits(0),
        expected,
    }
}

/// sbatch's answers: accepted, refused in known words, and what says neither.
pub fn sbatch() -> impl Strategy<Value = Transcript<Submitted>> {
    let accepted =
        (job_ref(), option::of(banner()), option::of(banner())).prop_map(|(job, before, after)| {
            let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
            let stdout = format!("{before}{job}\n{after}");
            transcript(answer(0, stdout, ""), Submitted::Accepted(job))
        });
    let refused = proptest::sample::select(vec![
        "Invalid partition name specified",
        "Invalid account or account/partition combination specified",
        "Invalid qos specification",
        "Requested node configuration is not available",
        "Requested time limit is invalid (missing or exceeds some limit)",
        "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
        "Unable to contact slurm controller (connect failure)",
    ])
    .prop_map(|verdict| {
        let said = failed(verdict);
        let stderr = format!("{said}\n");
        transcript(answer(1, "", stderr), Submitted::Refused(Refusal { said }))
    });
    let unclear = proptest::sample::select(vec![
        ("Socket timed out on send/recv operation", Cause::Hung),
        ("Zero Bytes were transmitted or received", Cause::Hung),
        ("Protocol authentication error", Cause::Authentication),
        ("words of a later Slurm", Cause::Other),
    ])
    .prop_map(|(verdict, cause)| {
        let said = failed(verdict);
        let stderr = format!("{said}\n");
        let unavailable = Unavailable { cause, said };
        transcript(answer(1, "", stderr), Submitted::Unclear(unavailable))
    });
    prop_oneof![2 => accepted, 1 => refused, 1 => unclear]
}

fn failed(verdict: &str) -> String {
    format!("sbatch: error: Batch job submission failed: {verdict}")
}

/// scancel's answers, which its exit status does not tell apart.
pub fn scancel() -> impl Strategy<Value = Transcript<Cancelled>> {
    let verdicts = proptest::sample::select(vec![
        (0, "", Cancelled::Taken),
        (0, "Invalid job id specified", Cancelled::UnknownId),
        (
            0,
            "Job/step already completing or completed",
            Cancelled::AlreadyEnding,
        ),
        (1, "Access/permission denied", Cancelled::Denied),
    ]);
    let known = (job_id(), verdicts).prop_map(|(id, (status, verdict, cancelled))| {
        let error = match verdict {
            "" => String::new(),
            verdict => format!("scancel: error: Kill job error on job id {id}: {verdict}\n"),
        };
        let stderr = format!("scancel: Terminating job {id}\n{error}");
        transcript(answer(status, "", stderr), cancelled)
    });
    let unclear = job_id().prop_map(|id| {
        let said = format!(
            "scancel: error: Kill job error on job id {id}: Unable to contact slurm controller (connect failure)"
        );
        let stderr = format!("{said}\n");
        let cause = Cause::Unreachable;
        let unavailable = Unavailable { cause, said };
        transcript(answer(8, "", stderr), Cancelled::Unclear(unavailable))
    });
    prop_oneof![4 => known, 1 => unclear]
}

/// `scontrol show config` of some controller, with lines that are of no interest around.
pub fn scontrol() -> impl Strategy<Value = Transcript<Result<Configuration, Unavailable>>> {
    let version = option::of("2[0-6]\\.(05|11)\\.[0-9]");
    let seconds = || option::of(0..1_000_000_u64);
    (option::of(cluster_name()), version, seconds(), seconds()).prop_map(
        |(cluster, version, min_job_age, message_timeout)| {
            let sec = |seconds: u64| format!("{seconds} sec");
            let lines = [
                ("AccountingStorageType", Some("(null)".to_owned())),
                ("ClusterName", cluster.as_ref().map(ToString::to_string)),
                ("MessageTimeout", message_timeout.map(sec)),
                ("MinJobAge", min_job_age.map(sec)),
                ("SLURM_VERSION", version.clone()),
            ];
            let mut stdout = "Configuration data as of 2026-11-24T15:00:00\n".to_owned();
            for (key, value) in lines {
                let line = value.map(|value| format!("{key:<23} = {value}\n"));
                stdout.push_str(&line.unwrap_or_default());
            }
            stdout.push_str("\nSlurmctld(primary) at c0 is UP\n");
            let configuration = Configuration {
                cluster_name: cluster.map(String::from),
                version,
                min_job_age: min_job_age.map(Duration::from_secs),
                message_timeout: message_timeout.map(Duration::from_secs),
            };
            transcript(answer(0, stdout, ""), Ok(configuration))
        },
    )
}
