# shellcheck shell=sh disable=SC2154 # prelude.sh sets job
# Jobs that wait.
submit submitted stays -H
queue held
run forbid-requeue scontrol update "JobId=$job" Requeue=0
run release scontrol release "$job"
reach RUNNING
run hold.running scontrol hold "$job"
run cancel.running scancel "$job"
reach CANCELLED
submit cancelled.submitted stays -H
run cancel scancel -v "$job"
queue cancelled
accounted CANCELLED
records cancelled.accounted
run states-variable env SQUEUE_STATES=RUNNING squeue -h -j "$job" -o %T
submit later.submitted stays --begin=now+1hour
reason BeginTime
queue later
run cancel.state-variable env SCANCEL_STATE=RUNNING scancel "$job"
run cancel.name-variable env SCANCEL_NAME=other scancel "$job"
run later.stays squeue -h -j "$job" -o %T
run later.cancel scancel "$job"
submit first.submitted stays --nodes=2 --exclusive
reach RUNNING
first=$job
submit second.submitted runner.sh --nodes=2
reason Resources
queue resources
run second.cancel scancel -v "$job"
reach CANCELLED
submit after.submitted runner.sh "--dependency=afterok:$first"
reason Dependency
queue dependency
run first.cancel scancel -v "$first"
reason DependencyNeverSatisfied
queue dependency-never
run after.cancel scancel -v "$job"
reach CANCELLED
queue after.cancelled
