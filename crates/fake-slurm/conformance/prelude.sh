#!/bin/sh
# What every script of the catalogue starts with. The commands are the first in PATH: the fake's,
# or those of a real cluster. The place of the working directory is the same for both. NAME is a
# name that no other job has. Each `run` is a case of its own, called by its first word.
set -u

FORM='JobID:0|~00000000~|,State:0|~00000000~|,UserID:0|~00000000~|,SubmitTime:0|~00000000~|,StartTime:0|~00000000~|,EndTime:0|~00000000~|,RestartCnt:0|~00000000~|,Requeue:0|~00000000~|,Reason:0|~00000000~|,BatchHost:0|~00000000~|,NodeList:0|~00000000~|,exit_code:0|~00000000~|,Partition:0|~00000000~|,TimeLeft:0|~00000000~|,WorkDir:0|~00000000~|,Name:0|~00000000~|,Comment:0|~00000000~|'
ROWS='JobIDRaw,State,Submit,Start,End,ExitCode,UID,NodeList,JobName,Comment'
TAG='slurm-lease/1 0a1b2c3d cbx_0123456789ab 00000000deadbeef'
export SLURM_TIME_FORMAT=%s TZ=UTC LC_ALL=C
export CBX_LEASE_ID=cbx_0123456789ab CBX_NONCE=00000000deadbeef

# run CASE COMMAND...: its answer and how it ended go into the transcript.
run() {
    printf '== %s\n' "$1"
    shift
    status=0
    "$@" >out 2>err </dev/null || status=$?
    printf '$ %s\n' "$*"
    shown out out
    shown err err
    printf '  status: %s\n' "$status"
}

# only PATTERN, all: what the next cases show of their stdout.
pattern=
only() { pattern=$1; }
all() { pattern=; }

shown() {
    if [ "$1" = out ] && [ -n "$pattern" ]; then
        grep -E -- "$pattern" "$2" | sort >some
        sed "s/^/  $1: /" some
    else
        sed "s/^/  $1: /" "$2"
    fi
}

# sbatch_as CASE MODE EXPORT SCRIPT [OPTION]...: with the options that a careful client gives,
# which come last, so that none before them can undo them.
sbatch_as() {
    sbatch_case=$1 mode=$2 export=$3 script=$4
    shift 4
    run "$sbatch_case" sbatch "$@" "$mode" --no-requeue "--job-name=$NAME" "--comment=$TAG" \
        "--export=$export" "--chdir=$PWD" --input=/dev/null "--output=$PWD/slurm-%j.out" \
        "--error=$PWD/slurm-%j.out" --open-mode=append "$PWD/$script"
}

# submit CASE SCRIPT [OPTION]...: the number of the job is in $job.
submit() {
    submit_case=$1 submit_script=$2
    shift 2
    sbatch_as "$submit_case" --parsable NIL "$submit_script" "$@"
    job=$(cut -d';' -f1 <out)
}

# reach STATE: waits until the job shows it, at most a minute.
reach() {
    turns=0
    until [ "$(squeue -h -t all -j "$job" -o %T 2>err)" = "$1" ]; do
        turns=$((turns + 1))
        if [ "$turns" -gt 600 ]; then
            echo "gave up waiting for $1: $(squeue -h -t all -j "$job" -o '%T %r' 2>&1)"
            return 0
        fi
        sleep 0.1
    done
    echo "reached $1"
}

# reason REASON: waits until the job, which is not running, waits for that.
reason() {
    turns=0
    until [ "$(squeue -h -t all -j "$job" -o %r 2>err)" = "$1" ]; do
        turns=$((turns + 1))
        if [ "$turns" -gt 600 ]; then
            echo "gave up waiting for $1: $(squeue -h -t all -j "$job" -o '%T %r' 2>&1)"
            return 0
        fi
        sleep 0.1
    done
    echo "waits for $1"
}

# empty: waits until the queue is, at most a minute.
empty() {
    turns=0
    until [ -z "$(squeue -h 2>err)" ]; do
        turns=$((turns + 1))
        if [ "$turns" -gt 600 ]; then
            echo "gave up waiting for an empty queue"
            return 0
        fi
        sleep 0.1
    done
}

# next_second: waits for it. A slurmd refuses a start that was granted in the very second in which
# the job's last run was killed.
next_second() {
    now=$(date +%s)
    until [ "$(date +%s)" != "$now" ]; do sleep 0.05; done
}

# accounted STATE: waits until the database shows the newest row so, with its name.
accounted() {
    turns=0
    until sacct -X -n -P -j "$job" -o State,JobName 2>err | grep -q "^$1.*|$NAME$"; do
        turns=$((turns + 1))
        if [ "$turns" -gt 300 ]; then
            echo "gave up waiting for $1 in the database"
            return 0
        fi
        sleep 0.1
    done
}

# queue CASE: the job asked for by itself; records CASE: all that the database knows of it.
queue() { run "$1" squeue --local -a -t all -j "$job" -O "$FORM"; }
records() { run "$1" sacct -X -n -P -D '--delimiter=|~00000000~|' -j "$job" -o "$ROWS"; }

printf '#!/bin/sh\necho up; exec sleep 300\n' >stays
printf '#!/bin/sh\nexit 37\n' >fails
printf '#!/bin/sh\ntrue\n' >runner.sh
