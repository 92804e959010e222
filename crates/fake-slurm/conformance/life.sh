# shellcheck shell=sh disable=SC2154 # prelude.sh sets job
# A job that runs, is cancelled, and others that end by themselves.
submit submitted stays
reach RUNNING
accounted RUNNING
queue running
records running.accounted
run running.shown scontrol show job "$job"
run running.allocated sinfo -h -t alloc -o '%N %t'
# All but times, priorities and where it was submitted.
SHOWN='^ *(JobId|UserId|JobState|Requeue|NodeList|BatchHost|NumNodes|TRES|ReqTRES|AllocTRES|Socks|MinCPUsNode|Features|OverSubscribe|Command|WorkDir|Comment|StdErr|StdIn|StdOut|Power|NtasksPerTRES|TresPerTask|ReqNodeList|MailUser)'
only "$SHOWN"
run running.lines scontrol show job "$job"
all
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
submit held.submitted runner.sh -H --mem=200M -c 2 -w n1 -x n2
only "$SHOWN"
run held.lines scontrol show job "$job"
all
run held.cancel scancel "$job"
submit told.submitted runner.sh -H -N 2 --ntasks-per-node=2 --mail-type=END,FAIL --mail-user=a@b.c
# Without the range in NumNodes.
only '^ *(JobState|TRES|ReqTRES|Socks|MinCPUsNode|MailUser)'
run told.lines scontrol show job "$job"
all
run told.cancel scancel "$job"
submit told-all.submitted runner.sh -H -c 2 --mail-type=ALL
only "$SHOWN"
run told-all.lines scontrol show job "$job"
all
run told-all.cancel scancel "$job"
submit alone.submitted stays --exclusive -N 2
reach RUNNING
only "$SHOWN"
run alone.lines scontrol show job "$job"
all
run alone.cancel scancel "$job"
