# shellcheck shell=sh
# A job that may be requeued.
run sbatch --parsable --requeue -J "$NAME" -o /dev/null -t 10 stays
job=$(cat out)
reach RUNNING
run scontrol requeue "$job"
reach PENDING
run scontrol requeue "$job"
run scontrol update "JobId=$job" StartTime=now
reach RUNNING
run squeue -h -j "$job" -O 'RestartCnt:0,Requeue:3'
run scontrol requeuehold "$job"
reach PENDING
run squeue -h -j "$job" -o '%T|%Q'
run scancel "$job"
reach CANCELLED
run squeue -h -t all -j "$job" -O 'State:0|,RestartCnt:0|,NodeList:0'
submit stays
reach RUNNING
run scontrol update "JobId=$job" Requeue=0
run scontrol requeue "$job"
run scontrol suspend "$job"
reach SUSPENDED
run scontrol resume "$job"
reach RUNNING
run scancel "$job"
reach CANCELLED
