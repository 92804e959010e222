//! The fields of squeue: their names, their letters, their headings and their values.

use std::time::Duration;

use super::hostlist::hostlist;
use super::time::{TimeStyle, limit, short_duration};
use crate::generation::Generation;
use crate::model::{Base, Cluster, Flag, Job};
use crate::moment::Moment;

/// What a field's value may depend on besides the job.
pub(crate) struct Context<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) style: &'a TimeStyle,
    pub(crate) now: Moment,
}

impl Context<'_> {
    fn generation(&self) -> Generation {
        self.cluster.config.generation
    }
}

/// A field of squeue.
pub(crate) struct Field {
    /// Its name for `-O`, without regard to case; empty if it has none.
    pub(crate) name: &'static str,
    /// Its letter for `-o`, or NUL.
    pub(crate) letter: char,
    /// Its heading.
    pub(crate) heading: &'static str,
    /// Its value.
    pub(crate) value: fn(&Job, &Context<'_>) -> String,
}

impl std::fmt::Debug for Field {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Field({})", self.heading)
    }
}

pub(super) const fn field(
    name: &'static str,
    letter: char,
    heading: &'static str,
    value: fn(&Job, &Context<'_>) -> String,
) -> Field {
    Field {
        name,
        letter,
        heading,
        value,
    }
}

/// No letter.
pub(super) const NONE: char = '\0';

/// Every field, as `squeue -O` and `-o` of 22.05.8 name and head them.
pub(crate) const FIELDS: &[Field] = &[
    field("Account", 'a', "ACCOUNT", |job, _| null(&job.account)),
    field("AccrueTime", NONE, "ACCRUE_TIME", |job, context| {
        context.style.show_or(accrue_moment(job), "N/A")
    }),
    field("admin_comment", NONE, "ADMIN_COMMENT", |_, _| {
        "(null)".to_owned()
    }),
    field("AllocNodes", NONE, "ALLOC_NODES", |_, _| {
        "localhost".to_owned()
    }),
    field("ArrayJobID", 'F', "ARRAY_JOB_ID", |job, _| {
        job.id.to_string()
    }),
    field("ArrayTaskID", 'K', "ARRAY_TASK_ID", |_, _| "N/A".to_owned()),
    field("BatchFlag", NONE, "BATCH_FLAG", |_, _| "1".to_owned()),
    field("BatchHost", 'B', "EXEC_HOST", |job, context| {
        // 26.05 names it when the node is there.
        let early = job.flags.has(Flag::Configuring) && context.generation() >= Generation::V26_05;
        let host = job.batch_host.clone().filter(|_| !early);
        host.unwrap_or_else(|| "n/a".to_owned())
    }),
    field("Cluster", NONE, "CLUSTER", |_, context| {
        context.cluster.config.name.clone()
    }),
    field("ClusterFeature", NONE, "CLUSTER_FEATURES", |_, _| {
        "(null)".to_owned()
    }),
    field("Command", 'o', "COMMAND", |job, context| {
        command(job, context.generation())
    }),
    field("Comment", 'k', "COMMENT", |job, _| {
        null(&job.request.comment)
    }),
    field("Contiguous", 'O', "CONTIGUOUS", |_, _| "0".to_owned()),
    field("Cores", 'I', "CORES_PER_SOCKET", |_, _| "*".to_owned()),
    field("CoreSpec", 'X', "CORE_SPEC", |_, _| "N/A".to_owned()),
    field("cpus-per-task", NONE, "CPUS_PER_TASK", |job, _| {
        job.request.cpus_per_task.max(1).to_string()
    }),
    field("Deadline", NONE, "DEADLINE", |job, context| {
        context.style.show_or(job.request.deadline, "N/A")
    }),
    field("DelayBoot", NONE, "DELAY_BOOT", |_, _| "0:00".to_owned()),
    field("Dependency", 'E', "DEPENDENCY", |job, _| dependency(job)),
    field("DerivedEC", NONE, "DERIVED_EC", |_, context| {
        if context.generation() >= Generation::V24_11 {
            "0:0".to_owned()
        } else {
            "0".to_owned()
        }
    }),
    field("EligibleTime", NONE, "ELIGIBLE_TIME", |job, context| {
        let eligible = eligible_moment(job, context.generation());
        context.style.show_or(eligible, "N/A")
    }),
    field("EndTime", 'e', "END_TIME", end_time),
    field("exit_code", NONE, "EXIT_CODE", exit_code),
    field("Feature", 'f', "FEATURES", |job, _| {
        null(&job.request.features)
    }),
    // Its old name, and that of today.
    field("Gres", NONE, "TRES_PER_NODE", tres_per_node),
    field("GroupID", 'G', "GROUP", |job, _| {
        job.request.gid.to_string()
    }),
    field("GroupName", 'g', "GROUP", |job, _| {
        job.request.group.clone()
    }),
    field("HetJobID", NONE, "HET_JOB_ID", |_, _| "N/A".to_owned()),
    field("JobArrayID", 'i', "JOBID", |job, _| job.id.to_string()),
    field("JobID", 'A', "JOBID", |job, _| job.id.to_string()),
    field("LastSchedEval", NONE, "LAST_SCHED_EVAL", |job, context| {
        context.style.show(job.submit)
    }),
    field("Licenses", 'W', "LICENSES", |job, _| {
        null(&job.request.licenses)
    }),
    field("MaxCPUs", NONE, "MAX_CPUS", |job, _| {
        job.wanted_cpus().to_string()
    }),
    field("MaxNodes", NONE, "MAX_NODES", |job, _| {
        job.request.max_nodes.max(job.request.nodes).to_string()
    }),
    field("MCSLabel", NONE, "MCSLABEL", |_, _| "(null)".to_owned()),
    field("MinCpus", 'c', "MIN_CPUS", |job, _| {
        job.request.least_cpus().to_string()
    }),
    field("MinMemory", 'm', "MIN_MEMORY", memory),
    field("MinTime", NONE, "TIME_MIN", |_, _| "0:00".to_owned()),
    field("MinTmpDisk", 'd', "MIN_TMP_DISK", |_, _| "0".to_owned()),
    field("Name", 'j', "NAME", |job, _| job.request.name.clone()),
    field("Nice", 'y', "NICE", |job, _| job.request.nice.to_string()),
    field("NodeList", 'N', "NODELIST", |job, _| hostlist(&job.nodes)),
    field("NumCPUs", 'C', "CPUS", cpus),
    field("NumNodes", 'D', "NODES", |job, context| {
        shown_nodes(job, context.cluster).to_string()
    }),
    field("Origin", NONE, "ORIGIN", |_, _| "NA".to_owned()),
    field("OverSubscribe", 'h', "OVER_SUBSCRIBE", |job, context| {
        // From 26.05 on it is asked for, not allowed.
        let allowed = context.generation() < Generation::V26_05 && !job.request.exclusive;
        if allowed { "OK" } else { "NO" }.to_owned()
    }),
    field("Partition", 'P', "PARTITION", |job, _| {
        job.shown_partition().to_owned()
    }),
    field("PendingTime", NONE, "PENDING_TIME", |job, context| {
        let until = job.start.unwrap_or(context.now);
        until.since(job.submit).as_secs().to_string()
    }),
    field("PreemptTime", NONE, "PREEMPT_TIME", |_, _| "N/A".to_owned()),
    field("Priority", 'p', "PRIORITY", |job, context| {
        let priority = job.priority(context.generation());
        format!("{:.14}", f64::from(priority) / f64::from(u32::MAX))
    }),
    field("PriorityLong", 'Q', "PRIORITY", |job, context| {
        job.priority(context.generation()).to_string()
    }),
    field("QOS", 'q', "QOS", |job, _| job.qos.clone()),
    field("Reason", 'r', "REASON", |job, _| job.reason.clone()),
    field("ReasonList", 'R', "NODELIST(REASON)", reason_list),
    field("Reboot", NONE, "REBOOT", |_, _| "0".to_owned()),
    field("ReqNodes", 'n', "REQ_NODES", |job, _| {
        names(&job.request.nodelist)
    }),
    field("", 'x', "EXC_NODES", |job, _| names(&job.request.exclude)),
    field("Requeue", NONE, "REQUEUE", |job, _| {
        u8::from(job.requeue).to_string()
    }),
    field("Reservation", 'v', "RESERVATION", |job, _| {
        null(&job.request.reservation)
    }),
    field("RestartCnt", NONE, "RESTART_COUNT", |job, _| {
        job.restarts.to_string()
    }),
    field("SchedNodes", 'Y', "SCHEDNODES", |_, _| "(null)".to_owned()),
    // The plugin that was to print something here is gone; 26.05 shows the SLUID.
    field("SelectJobInfo", 's', "", |_, _| String::new()),
    field("SCT", 'z', "S:C:T", |_, _| "*:*:*".to_owned()),
    field("Sockets", 'H', "SOCKETS_PER_NODE", |_, _| "*".to_owned()),
    field("StartTime", 'S', "START_TIME", start_time),
    field("State", 'T', "STATE", |job, context| {
        job.shown(context.generation()).0.to_owned()
    }),
    field("StateCompact", 't', "ST", |job, context| {
        job.shown(context.generation()).1.to_owned()
    }),
    // From 24.11 on it is what was asked for.
    field("STDERR", NONE, "STDERR", |job, context| {
        let asked = job.request.stderr.clone();
        if context.generation() >= Generation::V24_11 {
            return null(&asked);
        }
        asked.unwrap_or_else(|| stdout(job, context.generation()))
    }),
    field("STDIN", NONE, "STDIN", |job, _| job.request.stdin.clone()),
    field("STDOUT", NONE, "STDOUT", |job, context| {
        stdout(job, context.generation())
    }),
    field("SubmitTime", 'V', "SUBMIT_TIME", |job, context| {
        context.style.show(job.submit)
    }),
    field("system_comment", NONE, "SYSTEM_COMMENT", |_, _| {
        "(null)".to_owned()
    }),
    field("Threads", 'J', "THREADS_PER_CORE", |_, _| "*".to_owned()),
    field("TimeLeft", 'L', "TIME_LEFT", time_left),
    field("TimeLimit", 'l', "TIME_LIMIT", |job, _| {
        limit(job.time_limit)
    }),
    field("TimeUsed", 'M', "TIME", |job, context| {
        short_duration(time_used(job, context))
    }),
    field("tres-alloc", NONE, "TRES_ALLOC", |job, context| {
        tres(job, context.cluster)
    }),
    field("tres-per-node", 'b', "TRES_PER_NODE", tres_per_node),
    field("UserID", 'U', "UID", |job, _| job.request.uid.to_string()),
    field("UserName", 'u', "USER", |job, _| job.request.user.clone()),
    field("WCKey", 'w', "WCKEY", |job, _| null(&job.request.wckey)),
    field("WorkDir", 'Z', "WORK_DIR", |job, _| {
        job.request.workdir.clone()
    }),
];

fn tres_per_node(job: &Job, _: &Context<'_>) -> String {
    let gres = job.request.gres.as_ref();
    gres.map_or_else(|| "N/A".to_owned(), |gres| format!("gres:{gres}"))
}

fn names(list: &Option<String>) -> String {
    let names = list.iter().flat_map(|list| list.split(','));
    let names: Vec<String> = names.map(str::to_owned).collect();
    hostlist(&names)
}

/// A job that waits shows the nodes that its tasks will need, and of a range, unless it is held,
/// as many as there are.
fn shown_nodes(job: &Job, cluster: &Cluster) -> usize {
    let count = node_count(job);
    let widest = cluster.config.nodes.iter().map(|node| node.cpus).max();
    let request = &job.request;
    if !job.nodes.is_empty() || request.no_nodes || request.ntasks_per_node > 0 {
        return count;
    }
    if request.max_nodes > request.nodes && job.hold.is_none() {
        let mut partitions = cluster.config.partitions.iter();
        let own = partitions.find(|known| known.name == job.partition);
        let there = own.map_or(count, |partition| partition.nodes.len());
        return count.max(there.min(request.max_nodes as usize));
    }
    let on_each = widest.unwrap_or(1) / request.cpus_per_task.max(1);
    count.max(request.all_tasks().div_ceil(on_each.max(1)) as usize)
}

fn null(value: &Option<String>) -> String {
    value.clone().unwrap_or_else(|| "(null)".to_owned())
}

/// What it still waits for.
pub(crate) fn dependency(job: &Job) -> String {
    if job.dependencies.is_empty() {
        "(null)".to_owned()
    } else {
        job.dependencies.to_string()
    }
}

/// The script's path, up to 22.05 with its arguments, or `(null)` if it came from stdin.
pub(crate) fn command(job: &Job, generation: Generation) -> String {
    let request = &job.request;
    if request.command.is_empty() {
        return "(null)".to_owned();
    }
    let arguments = request.arguments.iter();
    let shown = arguments.filter(|_| generation < Generation::V24_11);
    shown.fold(request.command.clone(), |line, word| line + " " + word)
}

/// Where stdout goes, as squeue shows it: as it was asked for. Where it was not, up to 22.05 the
/// number of the job is known.
fn stdout(job: &Job, generation: Generation) -> String {
    let request = &job.request;
    let directory = &request.workdir;
    request.stdout.clone().unwrap_or_else(|| match generation {
        Generation::V20_11 | Generation::V22_05 => format!("{directory}/slurm-{}.out", job.id),
        Generation::V24_11 => format!("{directory}/slurm-%j.out"),
        Generation::V26_05 => "slurm-%j.out".to_owned(),
    })
}

/// How many nodes it has, had, or will have.
pub(crate) fn node_count(job: &Job) -> usize {
    if job.request.no_nodes {
        0
    } else if job.nodes.is_empty() {
        job.request.nodes.max(1) as usize
    } else {
        job.nodes.len()
    }
}

/// How many CPUs it has, had, or will have.
pub(crate) fn cpu_count(job: &Job) -> u32 {
    if job.request.no_nodes {
        0
    } else if job.nodes.is_empty() {
        job.cpus_on(0)
    } else {
        job.had_cpus()
    }
}

fn cpus(job: &Job, _: &Context<'_>) -> String {
    cpu_count(job).to_string()
}

/// MiB, of a node or, where it named none, of a CPU.
pub(crate) fn mebibytes(job: &Job, cluster: &Cluster) -> u64 {
    let request = &job.request;
    let asked = request.memory.or(request.memory_per_cpu);
    let old = cluster.config.generation == Generation::V20_11;
    match asked.unwrap_or(cluster.config.memory_per_cpu) {
        // What that was becomes known with the nodes.
        0 if old && !job.nodes.is_empty() => whole_node(cluster),
        mebibytes => mebibytes,
    }
}

fn whole_node(cluster: &Cluster) -> u64 {
    cluster.config.nodes.first().map_or(0, |node| node.memory)
}

fn memory(job: &Job, context: &Context<'_>) -> String {
    mebibytes_text(mebibytes(job, context.cluster))
}

/// `100M`, or `2G` where that is the same.
pub(crate) fn mebibytes_text(mebibytes: u64) -> String {
    if mebibytes == 0 {
        return "0".to_owned();
    }
    let (mut size, mut unit) = (mebibytes, "M");
    for larger in ["G", "T"] {
        if size.is_multiple_of(1024) {
            (size, unit) = (size / 1024, larger);
        } else {
            break;
        }
    }
    format!("{size}{unit}")
}

/// MiB on all nodes, of a job that asked for so much per node or per CPU, and that has these CPUs
/// and nodes or is to get them. Zero per node is all that a node has; 20.11 says so only of nodes
/// that the job has.
pub(crate) fn memory_in_all(
    (each, per_cpu): (Option<u64>, Option<u64>),
    cluster: &Cluster,
    (cpus, nodes): (u32, usize),
    has: bool,
) -> Option<u64> {
    let old = cluster.config.generation == Generation::V20_11;
    let per_cpu = per_cpu.unwrap_or(cluster.config.memory_per_cpu);
    match each {
        Some(0) if old && !has => None,
        Some(0) => Some(whole_node(cluster) * nodes as u64),
        Some(each) => Some(each * nodes as u64),
        None => Some(per_cpu * u64::from(cpus)),
    }
}

/// `mem=100M,`, or nothing where that is not known.
pub(crate) fn memory_tres(mebibytes: Option<u64>) -> String {
    mebibytes.map_or_else(String::new, |mebibytes| {
        format!("mem={},", mebibytes_text(mebibytes))
    })
}

/// `cpu=1,mem=100M,node=1,billing=1`.
pub(crate) fn tres(job: &Job, cluster: &Cluster) -> String {
    let (cpus, nodes) = (cpu_count(job), node_count(job));
    let asked = (job.request.memory, job.request.memory_per_cpu);
    let memory = memory_in_all(asked, cluster, (cpus, nodes), !job.nodes.is_empty());
    let memory = memory_tres(memory);
    format!("cpu={cpus},{memory}node={nodes},billing={cpus}")
}

/// Seconds that it ran, without those in which it was suspended.
pub(crate) fn time_used(job: &Job, context: &Context<'_>) -> u64 {
    let until = job.end.or(job.suspended).unwrap_or(context.now);
    let waiting = job.base == Base::Pending;
    let start = job.start.filter(|_| !waiting);
    let whole = start.map_or(0, |start| {
        until
            .seconds()
            .saturating_sub(start.seconds())
            .max(0)
            .unsigned_abs()
    });
    whole.saturating_sub(job.idle.as_secs())
}

fn time_left(job: &Job, context: &Context<'_>) -> String {
    let Some(minutes) = job.time_limit else {
        return "UNLIMITED".to_owned();
    };
    let left = (minutes * 60).checked_sub(time_used(job, context));
    left.map_or_else(|| "INVALID".to_owned(), short_duration)
}

/// When it was eligible. 20.11 does not forget it where a job was held that runs.
pub(crate) fn eligible_moment(job: &Job, generation: Generation) -> Option<Moment> {
    if generation == Generation::V20_11 {
        accrue_moment(job)
    } else {
        job.known_eligible()
    }
}

/// Since when its age counts. A job that was held while it ran had begun to wait.
pub(crate) fn accrue_moment(job: &Job) -> Option<Moment> {
    let ran = !job.nodes.is_empty();
    job.known_eligible().or(Some(job.eligible).filter(|_| ran))
}

/// When it started, or is to: a job that waits for its begin time shows that.
pub(crate) fn start_moment(job: &Job, now: Moment) -> Option<Moment> {
    let known = job
        .start
        .filter(|_| job.base != Base::Pending || job.is_completing());
    let begins = Some(job.eligible).filter(|at| job.base == Base::Pending && *at > now);
    known.or(begins)
}

fn start_time(job: &Job, context: &Context<'_>) -> String {
    context.style.show_or(start_moment(job, context.now), "N/A")
}

/// When it ended, or its time limit is to end it.
pub(crate) fn end_moment(job: &Job, now: Moment) -> Option<Moment> {
    let limit = |start: Moment| {
        job.time_limit
            .map(|minutes| start + Duration::from_secs(minutes.saturating_mul(60)))
    };
    match job.base {
        // A requeued job shows until its last run is cleaned up when that would have ended.
        Base::Pending => start_moment(job, now).and_then(limit),
        Base::Running | Base::Suspended => job.limit(),
        _ => job.end,
    }
}

fn end_time(job: &Job, context: &Context<'_>) -> String {
    let endless =
        job.base.is_started() || start_moment(job, context.now).is_some() && !job.base.is_over();
    let otherwise = if endless { "NONE" } else { "N/A" };
    context
        .style
        .show_or(end_moment(job, context.now), otherwise)
}

fn exit_code(job: &Job, context: &Context<'_>) -> String {
    let exit = job.exit;
    if context.generation() >= Generation::V24_11 {
        return exit.to_string();
    }
    exit.wait_status().to_string()
}

fn reason_list(job: &Job, _: &Context<'_>) -> String {
    let failed = matches!(
        job.base,
        Base::Pending | Base::Failed | Base::Timeout | Base::OutOfMemory | Base::Deadline
    );
    if failed && !job.is_completing() {
        return format!("({})", job.reason);
    }
    hostlist(&job.nodes)
}
