//! `scontrol show config`.

use crate::call::Call;
use crate::generation::Generation;
use crate::model::Cluster;
use crate::moment::Moment;
use crate::render::time::TimeStyle;

/// The answer of 22.05.8, with names in braces for what differs from cluster to cluster.
const TEMPLATE: &str = include_str!("show_config.txt");

/// The controller's configuration.
pub(super) fn show(cluster: &Cluster, call: &Call, now: Moment) -> String {
    let config = &cluster.config;
    let style = TimeStyle::of(call);
    let host = call.host_name.as_str();
    let storage = if config.accounting {
        "slurmdbd"
    } else {
        "none"
    };
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
            if config.private_jobs { "jobs" } else { "none" }.to_owned(),
        ),
        ("{first_job_id}", config.first_job_id.to_string()),
        ("{max_job_id}", config.max_job_id.to_string()),
        ("{next_job_id}", cluster.next_id.to_string()),
        ("{max_jobs}", config.max_jobs.to_string()),
        ("{memory_per_cpu}", config.memory_per_cpu.to_string()),
        ("{node_count}", config.nodes.len().to_string()),
        ("{accounting}", format!("accounting_storage/{storage}")),
        (
            "{store_flags}",
            if config.store_comment {
                "job_comment"
            } else {
                "(null)"
            }
            .to_owned(),
        ),
    ];
    let mut text = TEMPLATE.to_owned();
    if config.generation == Generation::V20_11 {
        let stored = if config.store_comment { "Yes" } else { "No" };
        let old = format!("AccountingStoreJobComment = {stored}");
        text = text.replace("AccountingStoreFlags    = {store_flags}", &old);
    }
    for (name, value) in values {
        text = text.replace(name, &value);
    }
    text
}
