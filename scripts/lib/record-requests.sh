# shellcheck shell=bash
# What the commands answer to requests: refusals, unknown ids, the environment,
# other users' jobs, plugins.

: "${work=}" "${cluster=}" "${generation=}" "${user=}" "${note=}" "${fixtures=}"

scene_requests() {
    new_cluster --accounting --conf 'AccountingStorageEnforce=associations,limits,qos' \
        --conf 'PartitionName=closed Nodes=n1 AllowGroups=root'
    add_accounts
    accepted
    refused_options
    refused_scripts
    unknown_ids
    environment
    other_users
    whole_answers
}

accepted() {
    record sbatch/accepted sbatch -o /dev/null -H --wrap true
    record sbatch/accepted.parsable sbatch -o /dev/null -H --parsable --wrap true
    record sbatch/accepted.quiet sbatch -o /dev/null -H -Q --wrap true
    record sbatch/accepted.cluster sbatch -o /dev/null -H --parsable -M cluster --wrap true
    record sbatch/accepted.over-partition-limit sbatch -o /dev/null -H --parsable -p short -t 60 --wrap true
    record sbatch/accepted.chdir-missing sbatch -o /dev/null -H --parsable -D /nonexistent --wrap true
    record sbatch/accepted.array sbatch -o /dev/null -H --parsable -a 1-2 --wrap true
    record sbatch/accepted.heterogeneous sbatch -o /dev/null -H --parsable -N1 : -N1 --wrap true
    record sbatch/test-only.ok sbatch --test-only -t 1 --wrap true
    record sbatch/test-only.parsable sbatch --test-only --parsable -t 1 --wrap true
    record sbatch/test-only.bad-partition sbatch --test-only -p nosuch --wrap true
    record sbatch/test-only.too-many-nodes sbatch --test-only -N 3 --wrap true
    record sbatch/test-only.bad-account sbatch --test-only -A nosuch --wrap true
}

# refused CASE OPTION...: what a generation accepts all the same is kept under
# accepted.CASE, so that refused.* are refusals on every generation.
refused() {
    local base=$fixtures/sbatch/refused.$1 kind
    record "sbatch/refused.$1" sbatch -o /dev/null --parsable "${@:2}"
    [ "$(cat "$base.status")" = 0 ] || return 0
    for kind in cmd stdout stderr status; do
        mv "$base.$kind" "$fixtures/sbatch/accepted.$1.$kind"
    done
}

refused_options() {
    refused partition -p nosuch --wrap true
    refused partition-of-list -p batch,nosuch --wrap true
    refused partition-closed -p closed --wrap true
    refused account -A nosuch --wrap true
    refused qos -q nosuch --wrap true
    refused qos-limit -q short -t 60 --wrap true
    refused nodes -N 3 --wrap true
    refused cpus -n 100 --wrap true
    refused cpus-per-task -c 9 --wrap true
    refused memory --mem=100G --wrap true
    refused memory-text --mem=lots --wrap true
    refused gres --gres=gpu:1 --wrap true
    refused gpus --gpus=1 --wrap true
    refused constraint -C nosuch --wrap true
    refused reservation --reservation=nosuch --wrap true
    refused nodelist -w nosuch --wrap true
    refused nodelist-excluded -w n1 -x n1 --wrap true
    refused licenses -L nosuch:1 --wrap true
    refused time-text -t soon --wrap true
    refused time-zero -t 0 --time-min=5 --wrap true
    refused begin-text --begin=someday --wrap true
    refused deadline-past --deadline=2020-01-01 --wrap true
    refused dependency-unknown -d afterok:99999 --wrap true
    refused dependency-text -d nosuch --wrap true
    refused dependency-kind -d sometimes:1 --wrap true
    refused array-text -a x --wrap true
    refused array-size -a 1-5000 --wrap true
    refused signal --signal=NOSUCH --wrap true
    refused mail-type --mail-type=NOSUCH --wrap true
    refused tasks-zero -n 0 --wrap true
    refused cluster -M nosuch --wrap true
    refused uid --uid=bob --wrap true
    refused option --nosuch --wrap true
    refused argument-missing --wrap true -p
    refused wrap-and-script --wrap true /bin/true
    refused export-file --export-file=/nonexistent --wrap true
    as root scontrol update partition=short state=inactive
    refused partition-inactive -p short --wrap true
    as root scontrol update partition=short state=drain
    refused partition-draining -p short --wrap true
    as root scontrol update partition=short state=up
    user=bob note='bob has no access to this QOS'
    refused qos-of-others -q single --wrap true
    user=alice note='the account has no room for another job'
    quietly sacctmgr -i -Q modify user bob set MaxSubmitJobs=0
    user=bob
    refused submit-limit --wrap true
    user=alice note=''
    user=carol note='a user without an association'
    refused no-association --wrap true
    user=alice note='held jobs are checked less'
    record sbatch/accepted.held-nodes sbatch -o /dev/null -H --parsable -N 3 --wrap true
    record sbatch/accepted.held-cpus sbatch -o /dev/null -H --parsable -n 100 --wrap true
    note=''
}

refused_scripts() {
    local scripts=$work/scripts
    mkdir -p "$scripts/directory"
    : >"$scripts/empty"
    printf 'true\n' >"$scripts/no-shebang"
    printf '#!/bin/sh\r\ntrue\r\n' >"$scripts/dos"
    printf '#!/bin/sh\n\0\0\0\ntrue\n' >"$scripts/nul"
    printf '#!/bin/sh\n#SBATCH --nosuch\ntrue\n' >"$scripts/directive"
    { printf '#!/bin/sh\n'; head -c 4500000 /dev/zero | tr '\0' '#'; printf '\ntrue\n'; } >"$scripts/too-big"
    printf '#!/nonexistent/shell\ntrue\n' >"$scripts/bad-shell"
    printf '#!/bin/sh\ntrue\n' >"$scripts/unreadable"
    chmod -R a+rX "$scripts"
    chmod 600 "$scripts/unreadable"
    refused script-missing "$scripts/missing"
    refused script-directory "$scripts/directory"
    refused script-empty "$scripts/empty"
    refused script-no-shebang "$scripts/no-shebang"
    refused script-dos "$scripts/dos"
    refused script-nul "$scripts/nul"
    refused script-directive "$scripts/directive"
    refused script-too-big "$scripts/too-big"
    refused script-unreadable "$scripts/unreadable"
    refused script-bad-shell "$scripts/bad-shell"
    note='no script: standard input is empty'
    refused script-stdin-empty
    note=''
}

unknown_ids() {
    local id
    observe unknown 99999
    observe unknown.several 99998,99999
    # Federation puts the cluster's number into bits 26 and up.
    observe unknown.federated 134217735
    observe unknown.array 99999_7
    observe unknown.heterogeneous 99999+1
    id=$(submit -H -J known --wrap true)
    observe unknown.beside-known "$id,99999"
    observe not-a-number abc
    record scancel/unknown scancel 99999
    record scancel/unknown.v scancel -v 99999
    record scancel/unknown.several.v scancel -v 99998 99999
    record scancel/not-a-number scancel abc
    record scancel/by-name-unknown.v scancel -v -n nosuch -u alice
    record scontrol/show-job.unknown scontrol show job 99999
    record scontrol/requeue-unknown scontrol requeue 99999
    record squeue/unknown.user squeue --local -h -t all -u nosuch -o '%A|%T|%k'
    record squeue/unknown.uid squeue --local -h -t all -u 4242 -o '%A|%T|%k'
    ask_ours unknown.uid.ours --local -a -t all -u 4242
    note='carol has no job'
    ask_ours empty --local -a -t all -u 4003
    note=''
    record squeue/unknown.name squeue --local -h -t all -u alice -n nosuch -o '%A|%T|%k'
    record squeue/unknown.json squeue --json -t all -j 99999
    record squeue/unknown.field squeue --local -h -t all -j "$id" -O JobID:0,NoSuch:0
    record squeue/unknown.option squeue --nosuch
    record squeue/cluster.known squeue -M cluster -h -t all -j "$id" -o '%A|%T|%U'
    record squeue/cluster.unknown squeue -M nosuch -h -t all -j "$id" -o '%A|%T|%U'
    record sacct/cluster.unknown sacct -M nosuch -X -n -P -j "$id" -o JobIDRaw,State
    record scancel/cluster.unknown scancel -M nosuch "$id"
    record scancel/cluster.known.unknown-id.v scancel -v -M cluster 99999
    as "$user" scancel "$id"
}

environment() {
    local id variable
    id=$(submit -H -J known --wrap true)
    note='the job exists; the variable hides it'
    for variable in SQUEUE_STATES=RUNNING SQUEUE_USERS=bob SQUEUE_NAMES=other SQUEUE_PARTITION=short \
        SQUEUE_ACCOUNT=other SQUEUE_QOS=other SQUEUE_LICENSES=soft SLURM_CLUSTERS=nosuch SLURM_CLUSTERS=cluster; do
        record "squeue/environment.$variable" "$variable" squeue --local -h -j "$id" -o '%A|%T'
    done
    note='the job is held; the variable keeps scancel from cancelling it'
    for variable in SCANCEL_STATE=RUNNING SCANCEL_NAME=other SCANCEL_PARTITION=short SCANCEL_USER=bob \
        SLURM_CLUSTERS=nosuch; do
        record "scancel/environment.$variable" "$variable" scancel "$id"
    done
    note='the variable makes another kind of submission'
    record sbatch/environment.SBATCH_ARRAY_INX SBATCH_ARRAY_INX=1-2 sbatch -o /dev/null -H --parsable --wrap true
    record sbatch/environment.SBATCH_CLUSTERS SBATCH_CLUSTERS=cluster sbatch -o /dev/null -H --parsable --wrap true
    record sbatch/environment.SLURM_CLUSTERS SLURM_CLUSTERS=cluster sbatch -o /dev/null -H --parsable --wrap true
    record sbatch/environment.SBATCH_PARTITION SBATCH_PARTITION=nosuch sbatch -o /dev/null -H --parsable --wrap true
    note=''
    as "$user" scancel "$id"
}

other_users() {
    local id
    id=$(submit -H -J hers --wrap true)
    user=bob note="the job is alice's"
    observe other-user "$id"
    record scancel/other-user scancel "$id"
    record scancel/other-user.v scancel -v "$id"
    record scontrol/requeue-other-user scontrol requeue "$id"
    user=alice note=''
    as "$user" scancel "$id"
}

whole_answers() {
    record scontrol/show-config scontrol show config
    record scontrol/ping scontrol ping
    record scontrol/show-partition scontrol show partition -o
    record sinfo/partitions sinfo -h -o '%P|%a|%l|%D|%T|%N'
    record squeue/version squeue --version
    record sbatch/version sbatch --version
    record sacct/version sacct --version
}

# A cluster whose site has its own ideas.
scene_special() {
    local plugins=()
    write_plugins
    # 20.11 looks for them in /etc/slurm alone.
    [ "$generation" = 20.11 ] ||
        plugins=(--conf 'JobSubmitPlugins=lua' --file "$work/job_submit.lua"
            --conf 'CliFilterPlugins=lua' --file "$work/cli_filter.lua")
    new_cluster --accounting "${plugins[@]}" --conf 'PrivateData=jobs' --conf 'MinJobAge=2' --conf 'EnforcePartLimits=ALL' \
        --conf 'ResumeProgram=/bin/true' --conf 'SuspendProgram=/bin/true' \
        --conf 'ResumeTimeout=8' --conf 'SuspendTimeout=1' --conf 'SuspendTime=3600' \
        --conf 'JobAcctGatherType=jobacct_gather/linux' --conf 'JobAcctGatherFrequency=1' \
        --conf 'JobAcctGatherParams=OverMemoryKill' \
        --conf 'NodeName=cloud NodeAddr=127.0.0.1 Port=28218 State=CLOUD CPUs=8 RealMemory=4000' \
        --conf 'PartitionName=cloud Nodes=cloud' \
        --conf 'PartitionName=one Nodes=n1 MaxNodes=1' --conf 'MaxJobCount=20'
    powered_down_node
    private_jobs
    site_plugins
    purged
    over_memory
    full_queue
    without_accounting
}

write_plugins() {
    cat >"$work/job_submit.lua" <<'LUA'
function slurm_job_submit(job, partitions, uid)
    if job.name == "refused" then
        slurm.log_user("no jobs of that name here")
        return slurm.ERROR
    end
    if job.name == "rewritten" then
        job.comment = "site:" .. (job.comment or "")
        slurm.log_user("your comment was changed")
    end
    return slurm.SUCCESS
end
function slurm_job_modify(job, record, partitions, uid)
    return slurm.SUCCESS
end
return slurm.SUCCESS
LUA
    cat >"$work/cli_filter.lua" <<'LUA'
function slurm_cli_setup_defaults(options, early) return slurm.SUCCESS end
function slurm_cli_pre_submit(options, offset)
    if options["job-name"] == "banner" then print("Welcome to the cluster!") end
    return slurm.SUCCESS
end
function slurm_cli_post_submit(offset, job, step)
    return slurm.SUCCESS
end
return slurm.SUCCESS
LUA
    chmod 644 "$work"/*.lua
}

powered_down_node() {
    local job
    note='its node is being powered up, and never comes'
    job=$(submit -J boot -p cloud --no-requeue --wrap 'sleep 600')
    observe_when CONFIGURING configuring "$job"
    observe_when NODE_FAIL node-fail.not-resumed "$job" 60
    as root scontrol update nodename=cloud state=power_down_force >/dev/null 2>&1 ||
        as root scontrol update nodename=cloud state=power_down >/dev/null 2>&1 || true
    note=''
}

private_jobs() {
    local id
    id=$(submit -H -J hers --wrap true)
    user=bob note="PrivateData=jobs; the job is alice's"
    observe other-user.private "$id"
    record scancel/other-user.private scancel "$id"
    record scancel/other-user.private.v scancel -v "$id"
    user=alice note=''
    as "$user" scancel "$id"
}

site_plugins() {
    note='EnforcePartLimits=ALL'
    refused over-partition-limit -p short -t 60 --wrap true
    refused nodes-of-strict-partitions -N 3 --wrap true
    refused cpus-of-strict-partitions -n 100 --wrap true
    refused nodes-of-partition -p one -N 2 --wrap true
    note=''
    [ "$generation" != 20.11 ] || return 0
    note="the site's job_submit plugin refuses this name"
    record sbatch/site.refused sbatch -o /dev/null -H --parsable -J refused --wrap true
    note="the site's job_submit plugin rewrites the comment"
    record sbatch/site.rewritten sbatch -o /dev/null -H --parsable -J rewritten --comment mine --wrap true
    record squeue/site.rewritten squeue --local -h -t all -u alice -n rewritten -o '%A|%T|%k'
    note="the site's cli_filter plugin prints a line"
    record sbatch/site.banner sbatch -o /dev/null -H --parsable -J banner --wrap true
    note=''
    as "$user" scancel -u alice
}

purged() {
    local id
    id=$(submit -J purged --wrap true)
    note='purged: the job ended longer than MinJobAge ago'
    if wait_until 150 "the purge" is_purged "$id"; then
        observe purged "$id"
        observe purged.several "$id,99999"
        record scancel/purged.v scancel -v "$id"
        record scontrol/show-job.purged scontrol show job "$id"
    fi
    note=''
}

is_purged() { ! as root squeue --local -h -t all -j "$1" >/dev/null 2>&1; }

over_memory() {
    local job
    job=$(submit -J memory --no-requeue --mem=20 --wrap '{ head -c 400M /dev/zero; sleep 60; } | tail -c 390M')
    note='the job took more memory than it asked for'
    if wait_until 60 "the memory limit" is_over "$job"; then
        observe over-memory "$job"
    fi
    note=''
}

is_over() {
    case $(state_of "$1") in
        PENDING | CONFIGURING | RUNNING | COMPLETING | '') false ;;
    esac
}

# sbatch waits and tries again when the queue is full: two minutes in all.
full_queue() {
    local job=0
    while [ "$job" -lt 25 ]; do
        submit -H -J full --wrap true >/dev/null 2>&1 &
        job=$((job + 1))
        sleep 0.2
    done
    note='MaxJobCount=20 is reached; sbatch tries again by itself, for two minutes'
    record sbatch/refused.queue-full sbatch -o /dev/null -H --parsable --wrap true
    note=''
    as root scancel -u alice
    wait
}

without_accounting() {
    local id
    new_cluster
    id=$(submit -H -J alone --wrap true)
    record sacct/no-slurmdbd sacct -X -n -P -D -j "$id" -o JobIDRaw,State
    record sbatch/no-slurmdbd.cluster sbatch -o /dev/null -H --parsable -M cluster --wrap true
    record squeue/no-slurmdbd.cluster squeue -M cluster -h
    as "$user" scancel "$id"
}
