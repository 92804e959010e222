//! What a job finds in its environment: what sbatch passed on, and what slurmd adds. The names
//! were read off jobs of 22.05.8.

use crate::host::login_of;
use crate::model::{Cluster, Job};
use crate::render::hostlist::hostlist;
use crate::store::Store;

/// The environment of a job's script.
pub(crate) fn of_job(job: &Job, cluster: &Cluster, store: &Store) -> Vec<(String, String)> {
    let mut variables: Vec<(String, String)> = Vec::new();
    let request = &job.request;
    let given = request
        .environment
        .iter()
        .filter_map(|each| each.split_once('='));
    let given: Vec<(&str, &str)> = given.collect();
    let mut set = |name: &str, value: String| {
        variables.retain(|(known, _)| known != name);
        variables.push((name.to_owned(), value));
    };
    if given.contains(&("SLURM_GET_USER_ENV", "1")) {
        let (home, shell) = login_of(request.uid);
        set("HOME", home);
        set("SHELL", shell);
        set("USER", request.user.clone());
        set("LOGNAME", request.user.clone());
        set("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned());
    }
    for (name, value) in given {
        set(name, value.to_owned());
    }
    for (name, value) in of_slurm(job, cluster) {
        set(name, value);
    }
    let conf = store.root().join("slurm.conf");
    set("SLURM_CONF", conf.to_string_lossy().into_owned());
    set("PWD", request.workdir.clone());
    variables
}

fn of_slurm(job: &Job, cluster: &Cluster) -> Vec<(&'static str, String)> {
    let request = &job.request;
    let id = job.id.to_string();
    let nodes = hostlist(&job.nodes);
    let first = job.nodes.first().cloned().unwrap_or_default();
    let count = job.nodes.len().to_string();
    let each = job.cpus_per_node.to_string();
    let per_node = if job.nodes.len() > 1 {
        format!("{each}(x{count})")
    } else {
        each.clone()
    };
    let mut variables = vec![
        ("ENVIRONMENT", "BATCH".to_owned()),
        ("HOSTNAME", first.clone()),
        ("SLURMD_NODENAME", first.clone()),
        ("SLURM_CLUSTER_NAME", cluster.config.name.clone()),
        ("SLURM_CPUS_ON_NODE", each),
        ("SLURM_GTIDS", "0".to_owned()),
        ("SLURM_JOBID", id.clone()),
        ("SLURM_JOB_CPUS_PER_NODE", per_node.clone()),
        ("SLURM_JOB_GID", request.gid.to_string()),
        ("SLURM_JOB_ID", id),
        ("SLURM_JOB_NAME", request.name.clone()),
        ("SLURM_JOB_NODELIST", nodes.clone()),
        ("SLURM_JOB_NUM_NODES", count.clone()),
        ("SLURM_JOB_PARTITION", job.partition.clone()),
        (
            "SLURM_JOB_QOS",
            request.qos.clone().unwrap_or_else(|| "normal".to_owned()),
        ),
        ("SLURM_JOB_UID", request.uid.to_string()),
        ("SLURM_JOB_USER", request.user.clone()),
        ("SLURM_LOCALID", "0".to_owned()),
        ("SLURM_NNODES", count),
        ("SLURM_NODEID", "0".to_owned()),
        ("SLURM_NODELIST", nodes),
        ("SLURM_PROCID", "0".to_owned()),
        ("SLURM_SUBMIT_DIR", request.workdir.clone()),
        (
            "SLURM_SUBMIT_HOST",
            rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
        ),
        ("SLURM_TASKS_PER_NODE", per_node),
        ("SLURM_TOPOLOGY_ADDR", first),
        ("SLURM_TOPOLOGY_ADDR_PATTERN", "node".to_owned()),
    ];
    if let Some(account) = &job.account {
        variables.push(("SLURM_JOB_ACCOUNT", account.clone()));
    }
    if request.tasks > 1 {
        variables.push(("SLURM_NTASKS", request.tasks.to_string()));
        variables.push(("SLURM_NPROCS", request.tasks.to_string()));
    }
    if request.cpus_per_task > 1 {
        variables.push(("SLURM_CPUS_PER_TASK", request.cpus_per_task.to_string()));
    }
    // Unset on the first run.
    if job.restarts > 0 {
        variables.push(("SLURM_RESTART_COUNT", job.restarts.to_string()));
    }
    variables
}
