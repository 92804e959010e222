# shellcheck shell=sh disable=SC2154 # prelude.sh sets job
# Orders that change what a job waits for: holds of jobs that run, of jobs that are larger than the
# cluster, and by name.
SEEN='%T|%r|%R'

# A job that runs goes on, and is held when it is put back.
empty
submit running.submitted stays -t 10
reach RUNNING
next_second
run running.hold scontrol hold "$job"
run running.held squeue -h -j "$job" -o "$SEEN|%Q|%p"
run running.held.times squeue -h -j "$job" -O 'EligibleTime:0|,AccrueTime:0'
run running.release scontrol release "$job"
run running.released squeue -h -j "$job" -o "$SEEN"
run running.uhold scontrol uhold "$job"
run running.uheld squeue -h -j "$job" -o "$SEEN|%Q|%p"
run running.requeueable scontrol update "JobId=$job" Requeue=1
run running.requeue scontrol requeue "$job"
reach PENDING
reason JobHeldUser
run running.back squeue -h -j "$job" -o "$SEEN|%Q"
run running.back.times squeue -h -j "$job" -O 'EligibleTime:0|,StartTime:0|,EndTime:0'
run running.back.release scontrol release "$job"
next_second
run running.start scontrol update "JobId=$job" StartTime=now
reach RUNNING
run running.hold-again scontrol hold "$job"
run running.cancel scancel "$job"
reach CANCELLED
run running.cancelled squeue -h -t all -j "$job" -o "%T|%r|%Q"

# Put back and held: it is known when it could start.
submit back.submitted stays --requeue -t 10
reach RUNNING
accounted RUNNING
run back.requeueable scontrol update "JobId=$job" Requeue=1
run back.hold scontrol requeuehold "$job"
reach PENDING
reason 'job requeued in held state'
accounted PENDING
run back.times squeue -h -j "$job" -O 'EligibleTime:0|,StartTime:0|,EndTime:0'
run back.accounted sacct -X -n -P -j "$job" -o State,Eligible,Start,End
run back.pending sacct -X -n -P -j "$job" -s PD -S now -E now+1hour -o State
run back.cancel scancel "$job"

# Held, with and without a time.
submit held.submitted runner.sh -H
run held.times squeue -h -j "$job" -O 'EligibleTime:0|,StartTime:0|,EndTime:0'
submit later.submitted runner.sh -H -b now+1hour
accounted PENDING
run later.times squeue -h -j "$job" -O 'EligibleTime:0|,StartTime:0|,EndTime:0'
run later.accounted sacct -X -n -P -j "$job" -o State,Eligible
run later.pending sacct -X -n -P -j "$job" -s PD -S now -E now+2hours -o State
submit waits.submitted runner.sh "--dependency=afterok:$job"
reason Dependency
run waits.times squeue -h -j "$job" -O 'EligibleTime:0|,StartTime:0|,EndTime:0'
submit waits-later.submitted runner.sh "--dependency=afterok:$job" -b now+1hour
reason Dependency
run waits-later.times squeue -h -j "$job" -O 'EligibleTime:0|,StartTime:0|,EndTime:0'
run times.cancel scancel -n "$NAME"

# Larger than the cluster: more CPUs than it has, or more nodes, or more of one node.
for options in '-n 17' '-N 2 -n 17' '-c 9 -n 2' '-N 3' '-c 9' --mem=100G '-p short -t 10'; do
    # shellcheck disable=SC2086 # several options
    submit "large:$options" runner.sh -H $options
    run "large:$options.hold" scontrol hold "$job"
    run "large:$options.uhold" scontrol uhold "$job"
    run "large:$options.comment" scontrol update "JobId=$job" comment=x
    run "large:$options.requeueable" scontrol update "JobId=$job" Requeue=1
    run "large:$options.name" scontrol update "JobId=$job" "JobName=$NAME"
    run "large:$options.start" scontrol update "JobId=$job" StartTime=now+1hour
    run "large:$options.release" scontrol release "$job"
    run "large:$options.cancel" scancel "$job"
done

# By name: those that are over are named too.
submit named.submitted runner.sh -H
run named.hold scontrol hold "jobname=$NAME-other"
run named.rename scontrol update "JobId=$job" "JobName=$NAME-other"
run named.hold-now scontrol hold "jobname=$NAME-other"
run named.held squeue -h -j "$job" -o '%T|%r'
run named.comment scontrol update "jobname=$NAME-other" comment=x
run named.comment-first scontrol update comment=y "jobname=$NAME-other" requeue=1
run named.seen squeue -h -j "$job" -o '%k|%j'
run named.unknown scontrol update jobname=nosuch comment=x
run named.short scontrol update "name=$NAME-other" comment=x
run named.last scontrol update "jobname=$NAME-other" name=nosuch comment=x
run named.wrong scontrol update jobname=nosuch requeue=x
run named.number scontrol update "job=$job" "jobname=$NAME-other"
run named.release scontrol release "name=$NAME-other"
reach COMPLETED
run named.over scontrol update "jobname=$NAME-other" comment=x
run named.over.hold scontrol hold "jobname=$NAME-other"

# In the order of their priorities: a job that was released comes last.
submit order.base runner.sh -H
base=$job
submit order.first runner.sh "--dependency=afterok:$base"
first=$job
submit order.held runner.sh -H "--dependency=afterok:$base"
held=$job
submit order.last runner.sh "--dependency=afterok:$base"
reason Dependency
run order.before squeue -h -j "$base,$first,$held,$job" -o %i
run order.release scontrol release "$held"
run order.after squeue -h -j "$base,$first,$held,$job" -o %i
run order.release-again scontrol release "$first"
run order.after-again squeue -h -j "$base,$first,$held,$job" -o %i
run order.cancel scancel -n "$NAME"
