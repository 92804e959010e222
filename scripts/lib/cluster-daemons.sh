# shellcheck shell=bash
# Starting, waiting for and ending the daemons of a cluster's directory.

# start_daemons DIR NAME...: each is ready to answer when this returns.
start_daemons() {
    local dir=$1 name pid
    dir=$(cd "$dir" && pwd -P)
    shift
    for name; do
        [ -x "$dir/daemons/$name" ] || die "$dir has no daemon $name"
        ! daemon_is_alive "$dir" "$name" || continue
        setsid "$dir/daemons/$name" </dev/null >>"$dir/log/$name.out" 2>&1 &
        pid=$!
        printf '%s\n' "$pid" >"$dir/pids/$name.pid"
        until_true 60 "$name to answer" daemon_has_settled "$dir" "$name"
        ! process_is_gone "$pid" || die "$name ended at once; see $dir/log"
    done
}

# It answers, or it never will.
daemon_has_settled() {
    daemon_answers "$1" "$2" || process_is_gone "$(cat "$1/pids/$2.pid")"
}

daemon_answers() {
    local dir=$1 name=$2 conf=$1/slurm.conf pid
    daemon_is_alive "$dir" "$name" || return 1
    pid=$(cat "$dir/pids/$name.pid")
    case $name in
        *.*) conf=$dir/${name##*.}/slurm.conf ;;
    esac
    case $name in
        munged) munge -S "$dir/munge/socket" -n ;;
        mariadbd) mariadb-admin --no-defaults --user=root --socket="$dir/accounting/mysql.sock" ping ;;
        slurmdbd) SLURM_CONF=$conf "$dir/bin/sacctmgr" -n list cluster ;;
        slurmctld*) SLURM_CONF=$conf "$dir/bin/scontrol" ping | grep -q UP ;;
        slurmd-*) daemon_listens "$pid" ;;
    esac
}

# A slurmd has nothing to be asked; it listens once it has registered.
daemon_listens() {
    ss -Hltnp | grep -q "pid=$1,"
}

# A number in a pid file may since be another process's: it counts only while
# that process carries this directory in its command line or environment.
daemon_is_alive() {
    local pid
    pid=$(cat "$1/pids/$2.pid" 2>/dev/null) || return 1
    belongs_to "$1" "$pid"
}

belongs_to() {
    grep -qzF -- "$1/" "/proc/$2/cmdline" "/proc/$2/environ" 2>/dev/null
}

# stop_daemons DIR NAME...: also those that are stopped by SIGSTOP.
stop_daemons() {
    local dir=$1 name pid
    dir=$(cd "$dir" && pwd -P)
    shift
    for name; do
        if daemon_is_alive "$dir" "$name"; then
            pid=$(cat "$dir/pids/$name.pid")
            kill -TERM "$pid" 2>/dev/null || true
            kill -CONT "$pid" 2>/dev/null || true
            until_true 15 "$name to end" process_is_gone "$pid" ||
                { kill -KILL "$pid"; until_true 5 "$name to die" process_is_gone "$pid"; }
        fi
        rm -f "$dir/pids/$name.pid"
    done
}

# Gone, or a zombie whose parent has not looked yet.
process_is_gone() {
    ! grep -q '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$1/status" 2>/dev/null
}

# Jobs first, so that no daemon starts or reports anything about them; then the
# daemons in the reverse order of their start.
stop_everything() {
    local dir=$1 pattern path
    for pattern in slurmctld* slurmd-*; do
        for path in "$dir"/daemons/$pattern; do
            [ -e "$path" ] && stop_daemons "$dir" "${path##*/}"
        done
    done
    kill_leftovers "$dir"
    for path in slurmdbd mariadbd munged; do
        stop_daemons "$dir" "$path"
    done
}

# Ends step daemons and job processes, which outlive their slurmd, and all that
# descends from them (a login session of a job has an environment of its own).
kill_leftovers() {
    local dir=$1 round pids
    for round in 1 2 3 4 5; do
        pids=$(job_processes "$dir")
        [ -n "$pids" ] || return 0
        # shellcheck disable=SC2086 # a list of numbers
        kill -KILL $pids 2>/dev/null || true
        sleep "0.$round"
    done
    say "still there: $pids"
}

# has_log_open DIR PROC: whether a step daemon writes to a log of this cluster.
has_log_open() {
    local fd
    grep -qx slurmstepd "$2/comm" 2>/dev/null || return 1
    for fd in "$2"/fd/*; do
        case $(readlink "$fd" 2>/dev/null) in *"$1/log/slurmd-"*) return 0 ;; esac
    done
    return 1
}

# A step daemon carries the mark that its slurmd was started with, or (26.05, which
# writes its title over all of it) has that slurmd's log open; a job carries a job
# id together with this cluster's configuration.
job_processes() {
    local dir=$1 proc found=' ' pid parent grown=yes
    for proc in /proc/[0-9]*; do
        pid=${proc#/proc/}
        if grep -qzxF "SLURM_CLUSTER_DIR=$dir/" "$proc/environ" 2>/dev/null ||
            { grep -qzF "SLURM_CONF=$dir/" "$proc/environ" && grep -qz '^SLURM_JOB_ID=' "$proc/environ"; } 2>/dev/null ||
            has_log_open "$dir" "$proc"; then
            process_is_gone "$pid" || found="$found$pid "
        fi
    done
    while [ -n "$grown" ]; do
        grown=''
        while read -r pid parent; do
            case $found in *" $pid "*) continue ;; esac
            case $found in *" $parent "*) found="$found$pid " grown=yes ;; esac
        done < <(ps -A -o pid=,ppid=)
    done
    # A list that is only a blank is empty.
    printf '%s' "${found# }"
}
