# shellcheck shell=sh disable=SC2154 # prelude.sh sets job
# Jobs that wait.
submit -H stays
queue
run scontrol release "$job"
reach RUNNING
run scontrol hold "$job"
run scancel "$job"
reach CANCELLED
submit -H stays
run scancel -v "$job"
queue
accounted CANCELLED
records
run env SQUEUE_STATES=RUNNING squeue -h -j "$job" -o %T
submit --begin=now+1hour stays
sleep 1
queue
run env SCANCEL_STATE=RUNNING scancel "$job"
run env SCANCEL_NAME=other scancel "$job"
run squeue -h -j "$job" -o %T
run scancel "$job"
