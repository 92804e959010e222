# shellcheck shell=bash
# What the scenes are written with: one cluster at a time in /tmp/slurm/cluster,
# users, jobs, waiting for conditions, and `record`.

: "${here=}" "${fixtures=}" "${generation=}"
work=/tmp/slurm
cluster=$work/cluster
# Who calls, and what a reader of the .cmd files should know beside the command.
user=alice
note=''
# What marks the end of a field in the queries; a program draws it at random.
mark='|~mark~|'
squeue_fields="JobID:0$mark,State:0$mark,UserID:0$mark,SubmitTime:0$mark,StartTime:0$mark,EndTime:0$mark,RestartCnt:0$mark,Requeue:0$mark,Reason:0$mark,BatchHost:0$mark,NodeList:0$mark,exit_code:0$mark,Partition:0$mark,TimeLeft:0$mark,WorkDir:0$mark,Name:0$mark,Comment:0$mark"
sacct_fields=JobIDRaw,State,Submit,Start,End,ExitCode,UID,NodeList,JobName,Comment

progress() { printf 'record-fixtures: %s %s\n' "$(date -u +%T)" "$*" >&2; }

make_users() {
    local name uid=4001
    for name in alice bob carol; do
        id "$name" >/dev/null 2>&1 || useradd -m -s /bin/bash -u "$uid" "$name"
        uid=$((uid + 1))
    done
    mkdir -p "$work/flags"
    chmod 777 "$work/flags"
}

# new_cluster OPTION...: replaces the cluster; conf holds its slurm.conf lines
# that differ from the default, to be noted with every recording.
new_cluster() {
    local option previous=''
    drop_cluster
    conf=''
    for option; do
        [ "$previous" != --conf ] || conf="$conf; $option"
        [ "$option" != --accounting ] || conf="$conf; AccountingStorageType=accounting_storage/slurmdbd"
        previous=$option
    done
    conf=${conf#; }
    "$here/slurm-cluster" up --generation "$generation" --port-base 28200 "$@" "$cluster"
}

drop_cluster() {
    rm -f "$work"/flags/*
    "$here/slurm-cluster" down "$cluster"
}

# as USER [VAR=VALUE]... COMMAND...: in a clean environment, from the home.
as() {
    local who=$1 home=/home/$1
    [ "$who" != root ] || home=/root
    shift
    (
        cd "$home" || exit 1
        exec runuser -u "$who" -- env -i PATH="$cluster/bin:/usr/bin:/bin" HOME="$home" USER="$who" \
            LOGNAME="$who" SHELL=/bin/bash LC_ALL=C TZ=UTC SLURM_CONF="$cluster/slurm.conf" "$@"
    )
}

# record CASE [VAR=VALUE]... COMMAND...: runs it as $user and keeps stdout,
# stderr, exit status and the command line as fixtures/GENERATION/CASE.*
record() {
    local base=$fixtures/$1 status=0 word line=''
    shift
    mkdir -p "$(dirname "$base")"
    as "$user" timeout 200 env "$@" </dev/null >"$base.stdout" 2>"$base.stderr" || status=$?
    # getopt complains in the name it was called by; a root's is not neutral.
    LC_ALL=C sed -i 's|^/[^ ]*/usr/bin/|/usr/bin/|' "$base.stderr"
    printf '%s\n' "$status" >"$base.status"
    for word; do
        line="$line $(quoted "$word")"
    done
    {
        printf '%s\n' "${line# }"
        printf '# user: %s\n' "$user"
        [ -z "$conf" ] || printf '# slurm.conf: %s\n' "$conf"
        [ -z "$note" ] || printf '# %s\n' "$note"
    } >"$base.cmd"
}

# A word as a shell would take it, in ASCII.
quoted() {
    local LC_ALL=C
    case $1 in
        '' | *[!A-Za-z0-9_./=:,@%+-]*) printf '%s' "${1@Q}" ;;
        *) printf '%s' "$1" ;;
    esac
}

# ask_ours CASE OPTION...: squeue as slurm-lease asks it, with its heading.
ask_ours() {
    local case=$1
    shift
    record "squeue/$case" SLURM_TIME_FORMAT=%s squeue "$@" -O "$squeue_fields"
}

# observe CASE ID: what the controller and the database say about one job.
observe() {
    ask_ours "$1" --local -a -t all -j "$2"
    record "squeue/$1.o" SLURM_TIME_FORMAT=%s squeue --local -h -a -t all -j "$2" -o '%A|%T|%U|%V|%S|%r|%B|%j|%k'
    case $conf in
        *slurmdbd*) record "sacct/$1" SLURM_TIME_FORMAT=%s sacct -X -n -P -D "--delimiter=$mark" -j "$2" -o "$sacct_fields" ;;
    esac
}

# submit OPTION...: as $user; prints the id.
submit() {
    as "$user" sbatch --parsable -o /dev/null "$@"
}

# Prints a job's state as the controller has it now.
state_of() {
    as root squeue --local -h -a -t all -j "$1" -o %T 2>/dev/null
}

# wait_state ID STATE [SECONDS]
wait_state() {
    wait_until "${3:-30}" "job $1 to be $2" state_is "$1" "$2"
}

state_is() { [ "$(state_of "$1")" = "$2" ]; }

reason_is() { [ "$(as root squeue --local -h -a -t all -j "$1" -o %r 2>/dev/null)" = "$2" ]; }

# wait_until SECONDS WHAT COMMAND...: a scene that does not come about is told
# and passed over, so that one oddity does not cost the whole recording.
wait_until() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        if ((SECONDS >= deadline)); then
            progress "$generation: gave up waiting for $what"
            return 1
        fi
        sleep 0.2
    done
}

# observe_when STATE CASE ID [SECONDS]: records only what really came about.
observe_when() {
    if wait_state "$3" "$1" "${4:-30}"; then
        observe "$2" "$3"
    fi
}

cancel_all() {
    as root scancel -u "$user" || true
    wait_until 30 "the queue to empty" queue_is_empty || true
}

queue_is_empty() { [ -z "$(as root squeue --local -h)" ]; }
