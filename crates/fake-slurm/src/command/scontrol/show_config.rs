//! `scontrol show config`.

use crate::call::Call;
use crate::generation::Generation;
use crate::model::{Cluster, ClusterConfig};
use crate::moment::Moment;
use crate::render::time::TimeStyle;

/// The answer of each generation, with names in braces for what differs from cluster to cluster.
const fn template(generation: Generation) -> &'static str {
    match generation {
        Generation::V20_11 => include_str!("show_config/20.11.txt"),
        Generation::V22_05 => include_str!("show_config/22.05.txt"),
        Generation::V24_11 => include_str!("show_config/24.11.txt"),
        Generation::V26_05 => include_str!("show_config/26.05.txt"),
    }
}

/// The controller's configuration.
pub(super) fn show(cluster: &Cluster, call: &Call, now: Moment) -> String {
    let config = &cluster.config;
    let style = TimeStyle::of(call);
    let host = call.host_name.as_str();
    let storage = either(config.accounting, "slurmdbd", "none");
    let conf = call
        .variable("SLURM_CONF")
        .unwrap_or("/etc/slurm/slurm.conf");
    let values = [
        ("{now}", style.show(now)),
        ("{boot}", style.show(now)),
        ("{host}", host.to_owned()),
        ("{cluster}", config.name.clone()),
        ("{conf}", conf.to_owned()),
        ("{version}", config.generation.version().to_owned()),
        ("{min_job_age}", config.min_job_age.as_secs().to_string()),
        ("{kill_wait}", config.kill_wait.as_secs().to_string()),
        ("{job_requeue}", u8::from(config.job_requeue).to_string()),
        (
            "{private_data}",
            either(config.private_jobs, "jobs", "none"),
        ),
        ("{first_job_id}", config.first_job_id.to_string()),
        ("{max_job_id}", config.max_job_id.to_string()),
        ("{next_job_id}", cluster.next_id.to_string()),
        ("{max_jobs}", config.max_jobs.to_string()),
        ("{memory_per_cpu}", config.memory_per_cpu.to_string()),
        ("{node_count}", config.nodes.len().to_string()),
        ("{accounting}", format!("accounting_storage/{storage}")),
        ("{enforce}", enforced(config)),
        (
            "{store_flags}",
            either(config.store_comment, "job_comment", "(null)"),
        ),
        (
            "{store_job_comment}",
            either(config.store_comment, "Yes", "No"),
        ),
    ];
    let mut text = template(config.generation).to_owned();
    for (name, value) in values {
        text = text.replace(name, &value);
    }
    text
}

fn either(is_so: bool, yes: &str, no: &str) -> String {
    if is_so { yes } else { no }.to_owned()
}

/// AccountingStorageEnforce, as far as it is played.
fn enforced(config: &ClusterConfig) -> String {
    let text = match (&config.accounts, &config.qos) {
        (None, None) => "none",
        (Some(_), None) => "associations",
        (_, Some(_)) => "associations,limits,qos",
    };
    text.to_owned()
}
