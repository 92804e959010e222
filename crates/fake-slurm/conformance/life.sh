# shellcheck shell=sh disable=SC2154 # prelude.sh sets job
# A job that runs, is cancelled, and one that ends by itself.
submit stays
reach RUNNING
accounted RUNNING
queue
records
run squeue --local -h -a -t all -u "$(id -u)" -n "$NAME" -o '%j|%U'
run scancel -v "$job"
reach CANCELLED
accounted CANCELLED
queue
records
run scancel -v "$job"
run scancel "$job"
run scontrol requeue "$job"
submit fails
reach FAILED
accounted FAILED
queue
records
submit ends
reach COMPLETED
accounted COMPLETED
queue
records
run squeue -h -j "$job" -o %T
