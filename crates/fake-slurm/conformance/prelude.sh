#!/bin/sh
# What every script of the catalogue starts with. The commands are the first in PATH: the fake's,
# or those of a real cluster. The place of the working directory is the same for both.
set -u

FORM='JobID:0|~m~|,State:0|~m~|,UserID:0|~m~|,SubmitTime:0|~m~|,StartTime:0|~m~|,EndTime:0|~m~|,RestartCnt:0|~m~|,Requeue:0|~m~|,Reason:0|~m~|,BatchHost:0|~m~|,NodeList:0|~m~|,exit_code:0|~m~|,Partition:0|~m~|,TimeLeft:0|~m~|,Name:0|~m~|,Comment:0|~m~|'
ROWS='JobIDRaw,State,Submit,Start,End,ExitCode,UID,NodeList,JobName,Comment'
export SLURM_TIME_FORMAT=%s TZ=UTC LC_ALL=C

# run COMMAND...: its answer and how it ended go into the transcript.
run() {
    status=0
    "$@" >out 2>err </dev/null || status=$?
    echo "\$ $*"
    sed 's/^/  out: /' out
    sed 's/^/  err: /' err
    echo "  status: $status"
}

# submit OPTION... SCRIPT: submits with the options that a careful client gives; the number is
# in $job. NAME is a name that no other job has.
submit() {
    run sbatch --parsable --no-requeue --job-name="$NAME" --comment=tag-1 --export=NIL \
        --time=10 --chdir="$PWD" --input=/dev/null --output="$PWD/job.out" --error="$PWD/job.out" \
        --open-mode=append "$@"
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

queue() { run squeue --local -h -a -t all -j "$job" -O "$FORM"; }
records() { run sacct -X -n -P -D '--delimiter=|~m~|' -j "$job" -o "$ROWS"; }

printf '#!/bin/sh\necho up; exec sleep 300\n' >stays
printf '#!/bin/sh\nexit 37\n' >fails
printf '#!/bin/sh\ntrue\n' >ends
