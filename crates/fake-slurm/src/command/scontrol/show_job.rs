//! `scontrol show job`.

use crate::model::Job;
use crate::render::fields::{
    Context, accrue_moment, command, cpu_count, dependency, eligible_moment, end_moment, mebibytes,
    mebibytes_text, node_count, start_moment, time_used, tres,
};
use crate::render::hostlist::hostlist;
use crate::render::time::{limit_long, long_duration};

/// A job as `scontrol show job` of 22.05.8 prints it: in paragraphs, or with `-o` on one line.
pub(super) fn show(job: &Job, context: &Context<'_>, one_line: bool) -> String {
    let generation = context.cluster.config.generation;
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
            "SuspendTime={} SecsPreSuspend={presuspend} LastSchedEval={} Scheduler=Main",
            context.style.show_or(job.suspended, "None"),
            when(Some(job.submit))
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
        format!("NodeList={}", hostlist(&job.nodes)),
    ];
    if let Some(host) = &job.batch_host {
        lines.push(format!("BatchHost={host}"));
    }
    lines.extend([
        format!(
            "NumNodes={} NumCPUs={cpus} NumTasks={} CPUs/Task={} ReqB:S:C:T=0:0:*:*",
            node_count(job),
            request.tasks.max(1),
            request.cpus_per_task.max(1)
        ),
        format!("TRES={}", tres(job, context.cluster)),
        "Socks/Node=* NtasksPerN:B:S:C=0:0:*:* CoreSpec=*".to_owned(),
        format!(
            "MinCPUsNode={} {}={} MinTmpDiskNode=0",
            request.cpus_per_task.max(1),
            if request.memory.is_some() {
                "MinMemoryNode"
            } else {
                "MinMemoryCPU"
            },
            mebibytes_text(mebibytes(job, context.cluster))
        ),
        format!("Features={} DelayBoot=00:00:00", null(&request.features)),
        format!(
            "OverSubscribe={} Contiguous=0 Licenses={} Network=(null)",
            if request.exclusive { "NO" } else { "OK" },
            null(&request.licenses)
        ),
        format!("Command={}", command(job, generation)),
        format!("WorkDir={}", request.workdir),
    ]);
    if let Some(comment) = &request.comment {
        lines.push(format!("Comment={comment} "));
    }
    // scontrol puts the job's number and its like in.
    let default = format!("{}/slurm-%j.out", request.workdir);
    let stdout = request.stdout.as_ref().unwrap_or(&default);
    let stderr = request.stderr.as_ref().unwrap_or(stdout);
    lines.extend([
        format!("StdErr={}", expand(stderr, job)),
        format!("StdIn={}", expand(&request.stdin, job)),
        format!("StdOut={}", expand(stdout, job)),
        "Power=".to_owned(),
    ]);
    let (between, end) = if one_line {
        (" ", " \n")
    } else {
        ("\n   ", "\n   \n\n")
    };
    lines.join(between) + end
}

/// The patterns that scontrol knows.
fn expand(path: &str, job: &Job) -> String {
    let path = path.replace("%j", &job.id.to_string());
    let path = path.replace("%x", &job.request.name);
    path.replace("%u", &job.request.user)
}
