# shellcheck shell=sh
# A job that may be requeued.
run submitted sbatch --parsable --requeue -J "$NAME" -o /dev/null -t 10 stays
job=$(cat out)
reach RUNNING
run requeue scontrol requeue "$job"
reach PENDING
run requeue.waiting scontrol requeue "$job"
next_second
run start-now scontrol update "JobId=$job" StartTime=now
reach RUNNING
run restarts squeue -h -j "$job" -O 'RestartCnt:0,Requeue:3'
run requeue.held scontrol requeuehold "$job"
reach PENDING
run held squeue -h -j "$job" -o '%T|%Q'
run held.cancel scancel "$job"
reach CANCELLED
run held.cancelled squeue -h -t all -j "$job" -O 'State:0|,RestartCnt:0|,NodeList:0'
run requeueable.submitted sbatch --parsable --requeue -J "$NAME" -o /dev/null -t 10 stays
job=$(cat out)
reach RUNNING
queue requeueable
run forbid-requeue scontrol update "JobId=$job" Requeue=0
queue forbidden
run forbid-requeue.again scontrol update "JobId=$job" Requeue=0
run requeue.refused scontrol requeue "$job"
run suspending scontrol suspend "$job"
reach SUSPENDED
queue suspended
run resuming scontrol resume "$job"
reach RUNNING
run cancel scancel "$job"
reach CANCELLED
