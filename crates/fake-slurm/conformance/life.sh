# shellcheck shell=sh disable=SC2154 # prelude.sh sets job
# A job that runs, is cancelled, and others that end by themselves.
submit submitted stays
reach RUNNING
accounted RUNNING
queue running
records running.accounted
run running.shown scontrol show job "$job"
only "$NAME"
run of-the-user squeue --local -a -t all -u "$(id -u)" -O "$FORM"
run by-name squeue --local -h -a -t all -u "$(id -u)" -n "$NAME" -o '%j|%U'
all
run cancel scancel -v "$job"
reach CANCELLED
accounted CANCELLED
queue cancelled
records cancelled.accounted
run cancel.again scancel -v "$job"
run cancel.quietly scancel "$job"
run requeue.refused scontrol requeue "$job"
run forbid-requeue.over scontrol update "JobId=$job" Requeue=0
submit fails.submitted fails
reach FAILED
accounted FAILED
queue failed
records failed.accounted
submit ends.submitted runner.sh
reach COMPLETED
accounted COMPLETED
queue completed
records completed.accounted
run completed.without-t-all squeue -h -j "$job" -o %T
