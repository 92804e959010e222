# shellcheck shell=bash
# Every job state that one host can bring about, as squeue and sacct show it.

: "${work=}" "${cluster=}" "${generation=}" "${user=}" "${mark=}" "${note=}"

scene_states() {
    write_hooks
    new_cluster --accounting --conf "Epilog=$work/epilog" --conf 'Licenses=soft:1' \
        --conf 'SchedulerParameters=bf_interval=3' \
        --conf 'PartitionName=one Nodes=n1 MaxNodes=1' --conf 'RequeueExitHold=42' \
        --conf 'AccountingStorageEnforce=associations,limits,qos'
    add_accounts
    # These take the longest to come about, so they begin first.
    local timeout deadline
    timeout=$(submit -J timeout -w n1 -t 1 --wrap 'sleep 600')
    deadline=$(submit -J deadline --no-requeue -p short -w n1 --exclusive -t 1 --deadline=now+75 --wrap 'sleep 600')
    ended_states
    running_states
    requeued_states
    free_text
    note='ended by its time limit of one minute'
    observe_when TIMEOUT timeout "$timeout" 120
    note='could no longer end before its --deadline'
    observe_when DEADLINE deadline "$deadline" 120
    note=''
    pending_states
    resized_state
}

# An epilog that takes as long as a flag file exists.
write_hooks() {
    cat >"$work/epilog" <<HOOK
#!/bin/sh
for i in \$(seq 300); do
    [ -e $work/flags/epilog ] || exit 0
    sleep 0.2
done
HOOK
    chmod 755 "$work/epilog"
}

quietly() { as root "$@" >/dev/null; }

add_accounts() {
    local name
    quietly sacctmgr -i -Q add account lab
    for name in alice bob; do
        quietly sacctmgr -i -Q add user "$name" account=lab
    done
    quietly sacctmgr -i -Q add qos single MaxJobsPerUser=1
    quietly sacctmgr -i -Q add qos short MaxWall=1 Flags=DenyOnLimit
    quietly sacctmgr -i -Q modify user alice set qos=normal,single,short
    wait_until 20 "the account to be known" submit -J first --wrap true >/dev/null
}

ended_states() {
    local completed failed killed output
    completed=$(submit -J completed --no-requeue --comment 'tag=1' --wrap true)
    failed=$(submit -J failed --no-requeue --wrap 'exit 3')
    # shellcheck disable=SC2016 # expanded in the job
    killed=$(submit -J killed --no-requeue --wrap 'kill -9 $$')
    output=$(submit -J output --no-requeue -o /nonexistent/out --wrap true)
    note='--no-requeue; the script ended with 0'
    observe_when COMPLETED completed "$completed"
    record sacct/completed.without-duplicates sacct -X -n -P -j "$completed" -o JobIDRaw,State,Submit,Start,End,ExitCode,JobName
    record squeue/completed.without-t-all squeue --local -h -j "$completed" -o '%A|%T'
    record squeue/completed.json squeue --json -t all -j "$completed"
    record scancel/already-over scancel "$completed"
    record scancel/already-over.v scancel -v "$completed"
    record scontrol/requeue-no-requeue scontrol requeue "$completed"
    note='--no-requeue; the script ended with 3'
    observe_when FAILED failed "$failed"
    note='--no-requeue; the script was killed by signal 9'
    observe_when FAILED failed.signal "$killed"
    note='its output file could not be made'
    observe_when FAILED failed.output "$output"
    note='ended by itself, requeueable'
    local again
    again=$(submit -J again --requeue --wrap 'sleep 2')
    if wait_state "$again" COMPLETED; then
        record scontrol/requeue-completed scontrol requeue "$again"
        observe requeued.completed "$again"
    fi
    note='--no-requeue; the script ended with 3'
    record sacct/failed.json sacct --json -X -j "$failed"
    note=''
    record sacct/unknown.json sacct --json -X -j 99999
}

running_states() {
    local job pending
    job=$(submit -J running --no-requeue -t 10 --comment 'tag=2' --wrap 'sleep 600')
    record sacct/just-submitted sacct -X -n -P -D -j "$job" -o JobIDRaw,State,Submit,Start,End,ExitCode,JobName
    observe_when RUNNING running "$job"
    record squeue/running.json squeue --json -t all -j "$job"
    record scontrol/show-job.running scontrol show job -o "$job"
    as root scontrol suspend "$job"
    note='scontrol suspend'
    observe_when SUSPENDED suspended "$job"
    as root scontrol resume "$job"
    wait_state "$job" RUNNING || true
    note='scancel --signal=STOP'
    as "$user" scancel --signal=STOP "$job"
    observe_when STOPPED stopped "$job" 5
    as "$user" scancel --signal=CONT "$job"
    note='scancel while it runs; the epilog takes a while'
    wait_state "$job" RUNNING || true
    touch "$work/flags/epilog"
    record scancel/accepted.v scancel -v "$job"
    observe_when COMPLETING completing.cancelled "$job"
    record scontrol/requeue-completing scontrol requeue "$job"
    record scancel/completing.v scancel -v "$job"
    rm "$work/flags/epilog"
    observe_when CANCELLED cancelled.running "$job"
    note='cancelled before it began'
    pending=$(submit -J unstarted -H --wrap true)
    record scancel/accepted scancel "$pending"
    observe_when CANCELLED cancelled.pending "$pending"
    note='its node was set down; --no-requeue'
    job=$(submit -J nodefail --no-requeue -w n2 --wrap 'sleep 600')
    wait_state "$job" RUNNING || true
    as root scontrol update nodename=n2 state=down reason=test
    observe_when NODE_FAIL node-fail "$job"
    wait_until 60 "n2 to be back" node_is_back || true
    note=''
}

# Last of all: 24.11 and 26.05 start no exclusive job on the node that it gave up.
resized_state() {
    local job
    note='scontrol update numnodes=1 of a running job'
    job=$(submit -J resized --no-requeue -N2 --wrap 'sleep 600')
    if wait_state "$job" RUNNING; then
        as "$user" scontrol update jobid="$job" numnodes=1
        observe resized "$job"
    fi
    note=''
    cancel_all
}

# ReturnToService=2: it may come back by itself, and resume is then refused.
node_is_back() {
    as root scontrol update nodename=n2 state=resume 2>/dev/null || true
    case $(as root sinfo -h -N -n n2 -p batch -o %T) in
        idle | mixed | allocated) ;;
        *) false ;;
    esac
}

# A job that was put back waits for two minutes unless it is told otherwise.
runs_when_told() {
    as "$user" scontrol update jobid="$1" starttime=now 2>/dev/null || true
    state_is "$1" RUNNING
}

requeued_states() {
    local job low high
    note='scontrol requeue of a running job'
    job=$(submit -J requeued --requeue --wrap 'sleep 600')
    wait_state "$job" RUNNING || true
    touch "$work/flags/epilog"
    as "$user" scontrol requeue "$job"
    observe requeued.completing "$job"
    rm "$work/flags/epilog"
    observe_when PENDING requeued.pending "$job"
    wait_until 60 "job $job to run again" runs_when_told "$job" || true
    observe_when RUNNING requeued.running "$job"
    record sacct/requeued.without-duplicates sacct -X -n -P -j "$job" -o JobIDRaw,State,Submit,Start,End,ExitCode,JobName
    note='scontrol requeuehold of a running job'
    as "$user" scontrol requeuehold "$job"
    wait_until 30 "the hold" is_held_again "$job" && observe requeued.held "$job"
    as "$user" scancel "$job"
    note='requeued twice, then cancelled'
    observe_when CANCELLED requeued.cancelled "$job"
    note='RequeueExitHold=42, and the script ended with 42'
    job=$(submit -J exithold --requeue --wrap 'exit 42')
    observe_when SPECIAL_EXIT special-exit.by-status "$job"
    as "$user" scancel "$job"
    note='scontrol requeuehold state=SpecialExit'
    job=$(submit -J special --requeue --wrap 'sleep 600')
    wait_state "$job" RUNNING || true
    as "$user" scontrol requeuehold state=SpecialExit "$job"
    observe_when SPECIAL_EXIT special-exit "$job"
    as "$user" scancel "$job"
    note='PartitionName=high preempts PartitionName=low; --no-requeue'
    low=$(submit -J low -p low --no-requeue -w n2 --exclusive --wrap 'sleep 600')
    wait_state "$low" RUNNING || true
    high=$(submit -J high -p high -w n2 --exclusive --wrap 'sleep 600')
    observe_when PREEMPTED preempted "$low" 60
    as "$user" scancel "$high"
    wait_until 30 "the queue to drain" queue_has_no "$high" || true
    note='PartitionName=high preempts PartitionName=low; --requeue'
    low=$(submit -J low -p low --requeue -w n2 --exclusive --wrap 'sleep 600')
    wait_state "$low" RUNNING 60
    high=$(submit -J high -p high -w n2 --exclusive --wrap 'sleep 600')
    wait_state "$high" RUNNING 60
    observe_when PENDING preempted.requeued "$low" 60
    as "$user" scancel "$low" "$high"
    note=''
}

is_held_again() {
    [ "$(state_of "$1")" != COMPLETING ] && [ "$(state_of "$1")" != RUNNING ]
}

queue_has_no() { ! as root squeue --local -h -o %A | grep -qx "$1"; }

pending_states() {
    local hog held dependency resources
    hog=$(submit -J hog -t 10 -N2 --exclusive -L soft:1 -q single --wrap 'sleep 600')
    wait_state "$hog" RUNNING 60 || true
    held=$(pending_because JobHeldUser held-user -H)
    as root scontrol release "$held"
    as root scontrol hold "$held"
    reason_is "$held" JobHeldAdmin && observe pending.held-admin "$held"
    dependency=$(pending_because Dependency dependency -d "afterok:$hog")
    pending_because BeginTime begin-time --begin=now+1hour >/dev/null
    pending_because PartitionTimeLimit partition-time-limit -p short -t 60 >/dev/null
    pending_because Licenses licenses -L soft:1 >/dev/null
    pending_because QOSMaxJobsPerUserLimit qos-jobs -q single >/dev/null
    pending_because PartitionNodeLimit partition-node-limit -p one -N 2 >/dev/null
    quietly scontrol create reservation reservationname=later starttime=now+1hour duration=10 \
        users=alice nodes=n1
    pending_because Reservation reservation --reservation=later -t 1 >/dev/null
    as root scontrol update partition=short state=down
    pending_because PartitionDown partition-down -p short -t 1 >/dev/null
    as root scontrol update partition=short state=up
    resources=$(pending_because Resources resources -N2 --exclusive -t 5)
    pending_because Priority priority -N2 --exclusive -t 5 >/dev/null
    note='a row of a job array that waits'
    pending_because Priority array -a 1-4%2 -t 1 -N1 --exclusive >/dev/null
    note='two components of a heterogeneous job'
    local het
    het=$(submit -J het -t 1 -N1 : -N1 --wrap true)
    observe pending.heterogeneous "$het"
    note='the backfill scheduler has estimated a start'
    if wait_until 45 "an estimate" has_estimate "$resources"; then
        observe pending.estimated "$resources"
        record squeue/pending.estimated.start squeue --start --local -h -j "$resources"
    fi
    note='the job it depends on was cancelled'
    as "$user" scancel "$hog"
    wait_until 20 "the dependency to fail" reason_is "$dependency" DependencyNeverSatisfied &&
        observe pending.dependency-never "$dependency"
    note=''
    cancel_all
    note='an array whose tasks ended'
    local array
    array=$(submit -J array -a 1-3 -t 1 --wrap true)
    wait_until 40 "the array" array_is_over "$array" && observe array.over "$array"
    note='it can never run, but was held when it was submitted; then released'
    local never
    never=$(submit -H -J never -N 3 --wrap true)
    as root scontrol release "$never"
    wait_until 30 "a reason" has_another_reason "$never" && observe pending.never "$never"
    note='every node it may use is drained'
    as root scontrol update nodename=n1,n2 state=drain reason=test
    pending_because ReqNodeNotAvail drained-nodes -w n1 >/dev/null
    as root scontrol update nodename=n1,n2 state=resume
    note=''
    cancel_all
}

# pending_because REASON CASE OPTION...: submits, waits for the reason, records
# and prints the id. A reason can have more words, such as the nodes' names.
pending_because() {
    local reason=$1 case=$2 job
    shift 2
    job=$(submit -J "$case" --wrap true "$@")
    if wait_until 15 "$case to wait for $reason" reason_begins "$job" "$reason"; then
        observe "pending.$case" "$job"
    fi
    printf '%s\n' "$job"
}

reason_begins() {
    case $(as root squeue --local -h -t all -r -j "$1" -o %r 2>/dev/null | head -n 1) in
        *"$2"*) true ;;
        *) false ;;
    esac
}

has_another_reason() {
    case $(as root squeue --local -h -t all -j "$1" -o %r) in
        None | JobHeld* | Priority | Resources) false ;;
    esac
}

has_estimate() { [ "$(as root squeue --local -h -j "$1" -O StartTime:0)" != N/A ]; }

array_is_over() { [ "$(state_of "$1" | sort -u)" = COMPLETED ]; }

# Names and comments are free text, and nothing is escaped.
free_text() {
    local job
    note='free text that looks like fields'
    job=$(submit -H -J 'a|b,c d' --comment 'x|y;z "quoted" \back %A' --wrap true)
    observe text.separators "$job"
    note='free text that holds the mark of the query'
    job=$(submit -H -J "n${mark}m" --comment "1${mark}RUNNING${mark}0${mark}" --wrap true)
    observe text.mark "$job"
    note='free text of several lines'
    job=$(submit -H -J $'two\nlines' --comment $'one\ntwo\n\nfour' --wrap true)
    observe text.newline "$job"
    note='free text in UTF-8'
    job=$(submit -H -J $'gr\303\274n' --comment $'\342\202\254 \360\237\246\200' --wrap true)
    observe text.utf8 "$job"
    note='free text that is not UTF-8'
    job=$(submit -H -J $'l\374ge' --comment $'\377\376\200 end' --wrap true)
    observe text.bytes "$job"
    note='a long comment'
    job=$(submit -H -J "$(printf 'n%.0s' $(seq 200))" --comment "$(printf 'c%.0s' $(seq 500))" --wrap true)
    observe text.long "$job"
    note=''
    record squeue/by-name squeue --local -h -t all -u alice -n 'RUNNING' -o '%A|%T|%k'
    as "$user" scancel --state=PENDING -u alice
}
