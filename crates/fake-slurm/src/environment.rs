//! What a job finds in its environment: what sbatch passed on, and what slurmd adds. The names and
//! values were read off jobs of all generations.

use std::time::Duration;

use crate::generation::Generation;
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
    let tasks: Vec<u32> = job.shares.iter().map(|share| share.tasks).collect();
    let cpus: Vec<u32> = job.shares.iter().map(|share| share.cpus).collect();
    let mut variables = vec![
        ("ENVIRONMENT", "BATCH".to_owned()),
        ("HOSTNAME", first.clone()),
        ("SLURMD_NODENAME", first.clone()),
        ("SLURM_CLUSTER_NAME", cluster.config.name.clone()),
        ("SLURM_CPUS_ON_NODE", job.cpus_of(&first).to_string()),
        ("SLURM_GTIDS", "0".to_owned()),
        ("SLURM_JOBID", id.clone()),
        ("SLURM_JOB_CPUS_PER_NODE", on_each(&cpus)),
        ("SLURM_JOB_GID", request.gid.to_string()),
        ("SLURM_JOB_ID", id),
        ("SLURM_JOB_NAME", request.name.clone()),
        ("SLURM_JOB_NODELIST", nodes.clone()),
        ("SLURM_JOB_NUM_NODES", count.clone()),
        ("SLURM_JOB_PARTITION", job.partition.clone()),
        ("SLURM_JOB_UID", request.uid.to_string()),
        ("SLURM_JOB_USER", request.user.clone()),
        ("SLURM_LOCALID", "0".to_owned()),
        ("SLURM_NNODES", count),
        ("SLURM_NODEID", "0".to_owned()),
        ("SLURM_NODELIST", nodes),
        ("SLURM_PRIO_PROCESS", "0".to_owned()),
        ("SLURM_PROCID", "0".to_owned()),
        ("SLURM_SUBMIT_DIR", request.workdir.clone()),
        (
            "SLURM_SUBMIT_HOST",
            rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
        ),
        ("SLURM_TASKS_PER_NODE", on_each(&tasks)),
        ("SLURM_TOPOLOGY_ADDR", first),
        ("SLURM_TOPOLOGY_ADDR_PATTERN", "node".to_owned()),
        ("TMPDIR", "/tmp".to_owned()),
    ];
    variables.extend(of_request(job, cluster));
    variables.extend(of_generation(job, cluster.config.generation));
    variables
}

/// What depends on what the job asked for, and is unset where it did not.
fn of_request(job: &Job, cluster: &Cluster) -> Vec<(&'static str, String)> {
    let request = &job.request;
    let generation = cluster.config.generation;
    let mut variables = Vec::new();
    if cluster.config.accounting {
        variables.push(("SLURM_JOB_QOS", job.qos.clone()));
    }
    if let Some(account) = &job.account {
        variables.push(("SLURM_JOB_ACCOUNT", account.clone()));
    }
    if let Some(dependency) = request.dependency.clone().filter(|text| !text.is_empty()) {
        variables.push(("SLURM_JOB_DEPENDENCY", dependency));
    }
    if request.tasks > 0 || request.ntasks_per_node > 0 {
        let tasks = request.all_tasks().to_string();
        variables.push(("SLURM_NTASKS", tasks.clone()));
        variables.push(("SLURM_NPROCS", tasks));
    }
    if request.ntasks_per_node > 0 {
        let each = request.ntasks_per_node.to_string();
        variables.push(("SLURM_NTASKS_PER_NODE", each));
    }
    if request.cpus_per_task > 0 {
        let cpus = request.cpus_per_task;
        variables.push(("SLURM_CPUS_PER_TASK", cpus.to_string()));
        if generation >= Generation::V24_11 {
            variables.push(("SLURM_TRES_PER_TASK", format!("cpu={cpus}")));
        }
    }
    match (request.memory, cluster.memory_per_cpu(job)) {
        // All that the node has. Only 20.11 says how much that is.
        (Some(0), _) if generation > Generation::V20_11 => {}
        (Some(0), _) => {
            let all = cluster.memory_of_first_node(job).to_string();
            variables.push(("SLURM_MEM_PER_NODE", all));
        }
        (Some(memory), _) => variables.push(("SLURM_MEM_PER_NODE", memory.to_string())),
        (None, 0) => {}
        (None, memory) => variables.push(("SLURM_MEM_PER_CPU", memory.to_string())),
    }
    // Unset on the first run.
    if job.restarts > 0 {
        variables.push(("SLURM_RESTART_COUNT", job.restarts.to_string()));
    }
    variables
}

/// What only some generations set.
fn of_generation(job: &Job, generation: Generation) -> Vec<(&'static str, String)> {
    let mut variables = Vec::new();
    if generation < Generation::V24_11 {
        variables.push(("SLURM_NODE_ALIASES", "(null)".to_owned()));
        return variables;
    }
    variables.push(("SLURM_OOM_KILL_STEP", "0".to_owned()));
    if let Some(start) = job.start {
        let end = job.limit().unwrap_or(start + NO_LIMIT);
        variables.push(("SLURM_JOB_START_TIME", start.seconds().to_string()));
        variables.push(("SLURM_JOB_END_TIME", end.seconds().to_string()));
    }
    if generation >= Generation::V26_05 {
        let alone = if job.request.exclusive { "NODE" } else { "NO" };
        variables.push(("SLURM_JOB_EXCLUSIVE", alone.to_owned()));
        variables.push(("SLURM_JOB_OVERSUBSCRIBE", "NO".to_owned()));
        // How Slurm numbers the script of a job among its steps.
        variables.push(("SLURM_STEPID", "-5".to_owned()));
        variables.push(("SLURM_STEP_ID", "-5".to_owned()));
    }
    variables
}

/// When a job without a time limit is taken to end.
const NO_LIMIT: Duration = Duration::from_secs(365 * 24 * 3600);

/// Numbers of nodes in a row: `2(x3),1` is two on each of three nodes and one on the fourth.
fn on_each(numbers: &[u32]) -> String {
    let runs = numbers.chunk_by(|one, next| one == next).map(|run| {
        let number = run.first().copied().unwrap_or_default();
        match run.len() {
            1 => number.to_string(),
            length => format!("{number}(x{length})"),
        }
    });
    runs.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::on_each;

    #[test]
    fn equal_numbers_in_a_row_are_counted() {
        assert_eq!(on_each(&[3]), "3");
        assert_eq!(on_each(&[2, 2, 2, 1, 2]), "2(x3),1,2");
        assert_eq!(on_each(&[]), "");
    }
}
