# shellcheck shell=sh disable=SC2154 # prelude.sh sets job
# What a job finds in its environment, by what it asked for. Left out is what docs/fake-slurm.md
# names: SLURM_CONF and SLURM_TASK_PID are others for every job, the rest is not played.
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
        grep -vE '^SLURM_(CONF|JOB_SLUID|TASK_PID|WORKING_CLUSTER)=' | sort | sed 's/^/  job: /'
done
