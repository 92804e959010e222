//! `scontrol show job`.

use crate::generation::Generation;
use crate::model::Job;
use crate::render::fields::{
    Context, accrue_moment, command, cpu_count, dependency, eligible_moment, end_moment, mebibytes,
    mebibytes_text, node_count, start_moment, time_used, tres,
};
use crate::render::hostlist::hostlist;
use crate::render::time::{limit_long, long_duration};

/// A job as `scontrol show job` prints it: in paragraphs, or with `-o` on one line.
pub(super) fn show(job: &Job, context: &Context<'_>, one_line: bool) -> String {
    let generation = context.cluster.config.generation;
    let recent = generation >= Generation::V26_05;
    let request = &job.request;
    let null = |value: &Option<String>| value.clone().unwrap_or_else(|| "(null)".to_owned());
    let when = |moment| context.style.show_or(moment, "Unknown");
    let start = start_moment(job, context.now);
    let end = end_moment(job, context.now);
    let cpus = cpu_count(job);
    let presuspend = job.suspended.map_or(0, |_| time_used(job, context));
    let mut lines = vec![
        format!("JobId={} JobName={}", job.id, request.name),
        format!(
            "UserId={}({}) GroupId={}({}) MCS_label=N/A",
            request.user, request.uid, request.group, request.gid
        ),
        format!(
            "Priority={} Nice={} Account={} QOS={}",
            job.priority(generation),
            request.nice,
            null(&job.account),
            job.qos
        ),
        format!(
            "JobState={} Reason={} Dependency={}",
            job.shown(generation).0,
            job.reason.replace(' ', "_"),
            dependency(job)
        ),
        format!(
            "Requeue={} Restarts={} BatchFlag=1 Reboot=0 ExitCode={}",
            u8::from(job.requeue),
            job.restarts,
            job.exit
        ),
        format!(
            "RunTime={} TimeLimit={} TimeMin=N/A",
            long_duration(time_used(job, context)),
            limit_long(job.time_limit)
        ),
        format!(
            "SubmitTime={} EligibleTime={}",
            when(Some(job.submit)),
            when(eligible_moment(job, generation))
        ),
        format!("AccrueTime={}", when(accrue_moment(job))),
        format!(
            "StartTime={} EndTime={} Deadline={}",
            when(start),
            when(end),
            context.style.show_or(request.deadline, "N/A")
        ),
        format!(
            "SuspendTime={} SecsPreSuspend={presuspend} LastSchedEval={}{}",
            context.style.show_or(job.suspended, "None"),
            when(Some(job.submit)),
            if generation == Generation::V20_11 {
                ""
            } else {
                " Scheduler=Main"
            }
        ),
        format!(
            "Partition={} AllocNode:Sid=localhost:1",
            job.shown_partition()
        ),
        format!(
            "ReqNodeList={} ExcNodeList={}",
            null(&request.nodelist),
            null(&request.exclude)
        ),
        match hostlist(&job.nodes) {
            none if none.is_empty() && generation == Generation::V20_11 => {
                "NodeList=(null)".to_owned()
            }
            names => format!("NodeList={names}"),
        },
    ];
    if let Some(host) = &job.batch_host {
        lines.push(format!("BatchHost={host}"));
    }
    lines.push(format!(
        "NumNodes={} NumCPUs={cpus} NumTasks={} CPUs/Task={} ReqB:S:C:T=0:0:*:*",
        node_count(job),
        request.all_tasks(),
        request.cpus_per_task.max(1)
    ));
    lines.extend(resources(job, context));
    lines.extend([
        format!(
            "Socks/Node=* NtasksPerN:B:S:C={}:0:*:* CoreSpec=*",
            request.ntasks_per_node
        ),
        format!(
            "MinCPUsNode={} {}={} MinTmpDiskNode=0",
            request.cpus_per_task.max(1) * request.ntasks_per_node.max(1),
            if request.memory.is_some() {
                "MinMemoryNode"
            } else {
                "MinMemoryCPU"
            },
            mebibytes_text(mebibytes(job, context.cluster))
        ),
        format!("Features={} DelayBoot=00:00:00", null(&request.features)),
        sharing(job, generation),
        format!("Command={}", command(job, generation)),
        format!("WorkDir={}", request.workdir),
    ]);
    if let Some(comment) = &request.comment {
        let end = if recent { "" } else { " " };
        lines.push(format!("Comment={comment}{end}"));
    }
    // scontrol puts the job's number and its like in.
    let default = format!("{}/slurm-%j.out", request.workdir);
    let stdout = request.stdout.as_ref().unwrap_or(&default);
    let nothing = String::new();
    let otherwise = if recent { &nothing } else { stdout };
    let stderr = request.stderr.as_ref().unwrap_or(otherwise);
    lines.extend([
        format!("StdErr={}", expand(stderr, job)),
        format!("StdIn={}", expand(&request.stdin, job)),
        format!("StdOut={}", expand(stdout, job)),
    ]);
    if generation < Generation::V24_11 {
        lines.push("Power=".to_owned());
    } else if request.cpus_per_task > 0 {
        lines.push(format!("TresPerTask=cpu={}", request.cpus_per_task));
    }
    if let Some(mail_type) = &request.mail_type {
        let user = request.mail_user.as_ref().unwrap_or(&request.user);
        lines.push(format!("MailUser={user} MailType={mail_type}"));
    }
    if generation == Generation::V20_11 {
        lines.push("NtasksPerTRES:0".to_owned());
    }
    // An empty line of its own, where something else may stand.
    if [Generation::V22_05, Generation::V24_11].contains(&generation) {
        lines.push(String::new());
    }
    if one_line {
        lines.join(" ") + "\n"
    } else {
        lines.join("\n   ") + "\n\n"
    }
}

/// What it asks for and what it has, which were one up to 22.05.
fn resources(job: &Job, context: &Context<'_>) -> Vec<String> {
    let has = tres(job, context.cluster);
    if context.cluster.config.generation < Generation::V24_11 {
        return vec![format!("TRES={has}")];
    }
    let mut asks = job.clone();
    asks.nodes.clear();
    let asked = tres(&asks, context.cluster);
    let has = if job.nodes.is_empty() { "(null)" } else { &has };
    vec![format!("ReqTRES={asked}"), format!("AllocTRES={has}")]
}

/// Whether it shares its nodes.
fn sharing(job: &Job, generation: Generation) -> String {
    let licenses = job.request.licenses.as_deref().unwrap_or("(null)");
    let exclusive = job.request.exclusive;
    if generation < Generation::V26_05 {
        let shares = if exclusive { "NO" } else { "OK" };
        return format!("OverSubscribe={shares} Contiguous=0 Licenses={licenses} Network=(null)");
    }
    let alone = if exclusive { "NODE" } else { "NO" };
    format!(
        "OverSubscribe=NO Exclusive={alone} Contiguous=0 Licenses={licenses} LicensesAlloc=(null) \
         Network=(null)"
    )
}

/// The patterns that scontrol knows.
fn expand(path: &str, job: &Job) -> String {
    let path = path.replace("%j", &job.id.to_string());
    let path = path.replace("%x", &job.request.name);
    path.replace("%u", &job.request.user)
}
