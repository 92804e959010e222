# shellcheck shell=sh disable=SC2154 # prelude.sh sets job
# What a job that runs meets: the variables that it finds, by what it asked for, and its output files.
# Left out of the variables is what docs/fake-slurm.md names.
printf '#!/bin/sh\nenv\n' >tells
for options in '' '-c 1' '-n 3 -c 2 --mem=100' '-n 3 -c 2 -N 2 -t 5' '-N 2 -n 5 --mem-per-cpu=20' \
    '-N 2 --ntasks-per-node=2' '-N 2 -w n2' '-n 9 --mem=0' '-n 1 -d PREVIOUS' \
    '--exclusive -c 2' '--exclusive -N 2 -n 3' '-N 1-2 -t 0'; do
    empty
    asked=$(printf '%s' "$options" | sed "s/PREVIOUS/afterany:${job-}/")
    # shellcheck disable=SC2086 # several options
    run "asked:$options" sbatch --parsable -J "$NAME" -o tells.out $asked tells
    job=$(cut -d';' -f1 <out)
    reach COMPLETED
    grep -E '^(SLURM_|ENVIRONMENT=|HOSTNAME=|TMPDIR=)' tells.out |
        grep -vE '^SLURM_(CONF|JOB_SLUID|PRIO_PROCESS|TASK_PID|WORKING_CLUSTER)=' | sort | sed 's/^/  job: /'
done

# Where the directory of an output file is missing. Newer ones make it.
run missing.submitted sbatch --parsable -J "$NAME" -o new/sub/out -e other/err --wrap 'echo out; echo err >&2'
job=$(cut -d';' -f1 <out)
turns=0
until squeue -h -t COMPLETED,FAILED -j "$job" -o %T | grep -q . || [ "$turns" -gt 600 ]; do
    turns=$((turns + 1))
    sleep 0.1
done
run missing.seen squeue -h -t all -j "$job" -o '%T %r'
for file in new/sub/out other/err; do
    if [ -e "$file" ]; then sed "s,^,  $file: ," "$file"; fi
done

# What a job's error file says when it is ended.
printf '#!/bin/sh\ntrap "" TERM\necho up\nsleep 300\n' >ignores
told() {
    turns=0
    until grep -q CANCELLED "slurm-$job.out" || [ "$turns" -gt 50 ]; do
        turns=$((turns + 1))
        sleep 0.1
    done
    sed -nE '/CANCELLED/s/[0-9-]+T[0-9:]+(\.[0-9]+)?/MOMENT/gp' "slurm-$job.out" | sed 's/^/  job: /'
}
up() {
    reach RUNNING
    turns=0
    until grep -qs up "slurm-$job.out" || [ "$turns" -gt 50 ]; do
        turns=$((turns + 1))
        sleep 0.1
    done
}
submit told-cancel.submitted stays
up
run told-cancel scancel "$job"
told
submit told-ignores.submitted ignores
up
run told-ignores scancel "$job"
reach CANCELLED
told
submit told-term.submitted stays
up
run told-term scancel -f -s TERM "$job"
told
submit told-batch.submitted stays
up
run told-batch scancel -b "$job"
told
submit told-signal.submitted ignores
up
run told-signal scancel -f -s USR1 "$job"
told
submit told-suspended.submitted stays
up
run told-suspended.suspend scontrol suspend "$job"
reach SUSPENDED
run told-suspended scancel "$job"
told
run told-requeue.submitted sbatch --parsable --requeue -J "$NAME" -o slurm-%j.out stays
job=$(cut -d';' -f1 <out)
up
run told-requeue scontrol requeuehold "$job"
told
run told-requeue.cancel scancel "$job"
