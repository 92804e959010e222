# shellcheck shell=sh disable=SC2154 # prelude.sh sets job
# Questions with odd values, and orders to jobs that they do not fit. Jobs of each kind first:
# running, suspended, held, waiting for a time and for another job, ended, failed, cancelled.
empty
submit running.submitted stays -t 10
running=$job
reach RUNNING
next_second
submit suspended.submitted stays -n 2 --mem=200M
suspended=$job
reach RUNNING
run suspended.suspend scontrol suspend "$suspended"
submit held.submitted stays -H
held=$job
submit later.submitted stays --begin=now+1hour
later=$job
reason BeginTime
submit waiting.submitted stays "--dependency=afterok:$running"
waiting=$job
reason Dependency
submit over.submitted runner.sh
over=$job
reach COMPLETED
accounted COMPLETED
submit failed.submitted fails
failed=$job
reach FAILED
accounted FAILED
submit cancelled.submitted stays -H
cancelled=$job
run cancelled.cancel scancel "$cancelled"
accounted CANCELLED
all_jobs=$running,$suspended,$held,$later,$waiting,$over,$failed,$cancelled

# squeue: which jobs.
run jobs.all squeue -h -t all -j "$all_jobs" -o '%i %t %r' -S i
run jobs.spaces squeue -h -j "$running $held" -o %i
run jobs.gap squeue -h -j "$running,,$held" -o %i -S i
run jobs.empty squeue -h -j '' -o %i
run jobs.comma squeue -h -j , -o %i
run jobs.tail squeue -h -j "$running," -o %i
run jobs.twice squeue -h -j "$running,$running" -o %i
run jobs.letters squeue -h -j 1x -o %i
run jobs.zero squeue -h -j 0
run jobs.step squeue -h -j "$running.batch" -o %i
run jobs.large squeue -h -j 99999999999 -o %i
run users.empty squeue -h -u '' -j "$all_jobs"
run users.one-unknown squeue -h -u root,nosuch -j "$all_jobs" -o %i -S i
run users.last squeue -h -u root -u nosuch -j "$all_jobs" -o %i
run users.me-last squeue -h -u nosuch --me -j "$all_jobs" -o %i -S i
run nodes.unknown squeue -h -w n9
run nodes.one-unknown squeue -h -w n1,n9
run nodes.range squeue -h -w 'n[1-2]' -j "$all_jobs" -o %i -S i
run nodes.empty squeue -h -w ''
run nodes.too-many squeue -h -w 'n[1-9]'
run partitions.unknown squeue -h -p nosuch
run partitions.one-unknown squeue -h -p batch,nosuch -j "$all_jobs" -o %i -S i
run partitions.case squeue -h -p BATCH
run partitions.empty squeue -h -p ''
run states.empty squeue -h -t '' -j "$all_jobs"
run states.blank squeue -h -t ' R' -j "$all_jobs"
run states.short squeue -h -t RUN
run states.case squeue -h -t running,pd -j "$all_jobs" -o '%i %t' -S i
run states.all-and squeue -h -t all,R
run states.over squeue -h -t CD,F,CA -j "$all_jobs" -o '%i %t' -S i
run states.suspended squeue -h -t S -j "$all_jobs" -o '%i %t'
run qos.unknown squeue -h -q nosuch
run qos.case squeue -h -q NORMAL -j "$all_jobs" -o %i -S i
run accounts.unknown squeue -h -A nosuch
run names.unknown squeue -h -n nosuch
run names.several squeue -h -n "$NAME,nosuch" -j "$all_jobs" -o %i -S i
run reservation.unknown squeue -h -R nosuch
run operand.state squeue -h -j "$held" -p short

# squeue: in which order, and in which form.
for letter in i -i j T,i t,-i P,i l,i D,-i C,i m,i N,i V,i u,i e,i L,i c,i; do
    run "sort.$letter" squeue -h -j "$all_jobs" -S "$letter" -o %i
done
run sort.unknown squeue -h -j "$all_jobs" -S r
run sort.word squeue -h -j "$all_jobs" -S nosuch
run sort.default squeue -h -j "$all_jobs" -t all -o %i
run sort.none squeue -h -j "$all_jobs" -S '' -o %i
run sort.variable env SQUEUE_SORT=-i squeue -h -j "$all_jobs" -o %i
run start squeue --start -h -j "$all_jobs"
run start.format squeue --start -h -j "$all_jobs" -o '%i %j'
run start.format-long squeue --start -h -j "$all_jobs" -O jobid
run start.states squeue --start -h -t R -j "$all_jobs" -o '%i %t'
run start.sorted squeue --start -h -j "$all_jobs" -o %i -S -i
run long squeue -l -h -j "$held"
run long.format squeue -l -h -j "$running" -o %i
run format.both squeue -h -j "$running" -o %i -O jobid
run format.variable env 'SQUEUE_FORMAT=%i %j' squeue -h -j "$running"
run format.variables env SQUEUE_FORMAT=%i SQUEUE_FORMAT2=name squeue -h -j "$running"
run format.variable-start env 'SQUEUE_FORMAT=%i' squeue -h --start -j "$held"
run format.nothing squeue -h -j "$running" -o ''
run format.text squeue -j "$running" -o abc
run format.percent squeue -h -j "$running" -o 'x%'
run format.widths squeue -h -j "$running" -o '%.12i|%3t|%-3t|%.0t|%t%t|'
run format.letters squeue -h -j "$suspended" -o '%a|%c|%C|%d|%D|%E|%f|%h|%H|%I|%J|%k|%K|%l|%m|%n|%N|%O|%P|%q|%r|%R|%t|%T|%u|%U|%v|%w|%x|%X|%y|%Y|%z'
run format.unknown squeue -h -j "$running" -o '%@|%!'
run format.names squeue -h -j "$running" -O 'State:,UserName:.6,Partition: ,NoSuch'
run format.constants squeue -j "$running" -O boardspernode,burstbuffer,cpus-per-tres,network,profile,resizetime,tres-bind,wait4switch
run format.derived squeue -h -j "$failed" -t all -O exit_code:0,derivedec

# sacct: of which time, which jobs, which fields.
run when.garbage sacct -X -n -S garbage
run when.tomorrow.jobs sacct -X -n -j "$all_jobs" -S 2020-01-01 -E 2020-01-02 -o State
run when.unit sacct -X -n -S now-1min
run when.no-number sacct -X -n -S now-x
run when.yesterday sacct -X -n -S yesterday
run when.end sacct -X -n -E garbage
run when.today sacct -X -n -P -j "$all_jobs" -S midnight -o JobID,State
run when.hour sacct -X -n -P -j "$all_jobs" -S now-1hour -E now -o JobID,State
run when.later sacct -X -n -P -j "$all_jobs" -S now-1hour -E now+2hours -o JobID,State
run states.accounted sacct -X -n -P -j "$all_jobs" -s CD,F -o JobID,State
run states.accounted.running sacct -X -n -P -j "$running,$held,$over" -s R -o JobID,State
run states.accounted.pending sacct -X -n -P -j "$running,$suspended,$held,$later,$over" -s PD -o JobID,State
run states.accounted.suspended sacct -X -n -P -j "$all_jobs" -s S -S now-1hour -E now -o JobID,State
run states.accounted.then sacct -X -n -P -j "$all_jobs" -s R -S now-1hour -o JobID,State
run states.accounted.cancelled sacct -X -n -P -j "$all_jobs" -s CA -S now-1hour -E now -o JobID,State
run states.accounted.failed sacct -X -n -P -j "$all_jobs" -s F -S now-1hour -E now -o JobID,State
run states.accounted.unknown sacct -X -n -s nosuch
run users.accounted.unknown sacct -X -n -u nosuch
run users.accounted.one-unknown sacct -X -n -u root,nosuch
run nodes.accounted.unknown sacct -X -n -N n9
run nodes.accounted sacct -X -n -P -N 'n[1-2]' -j "$all_jobs" -o JobID
run partitions.accounted.unknown sacct -X -n -r nosuch
run accounts.accounted.unknown sacct -X -n -A nosuch
run names.accounted.unknown sacct -X -n --name nosuch
run jobs.accounted sacct -X -P -j "$running,,$held" -o JobID,State
run jobs.accounted.spaces sacct -X -n -P -j "$running $held" -o JobID
run jobs.accounted.letters sacct -X -n -P -j 1x -o JobID
run jobs.accounted.step sacct -X -n -P -j "$running.batch" -o JobID
run jobs.accounted.bad-step sacct -X -n -P -j "1.x" -o JobID
run jobs.accounted.one-bad sacct -X -n -P -j "$running,abc" -o JobID
run operands.accounted sacct -X -n extra more
run fields.sizes sacct -X -P -j "$running,$suspended,$held,$failed" -o AllocCPUS,AllocNodes,AllocTRES,NCPUS,NNodes,ReqCPUS,ReqNodes,ReqTRES
run fields.empty sacct -X -P -j "$running,$held" -o AdminComment,Constraints,Layout,McsLabel,MaxRSS,AveCPU,NTasks,Reservation,SystemComment
run fields.ends sacct -X -P -j "$over,$failed" -o State,ExitCode,DerivedExitCode,Timelimit,TimelimitRaw
run fields.columns sacct -X -j "$running" -o State%5,Partition%-8,NNodes,TimelimitRaw
run fields.width-twice sacct -X -n -j "$running" -o State%5,Partition,State%9
run fields.width-none sacct -X -n -j "$running" -o State%x,Partition
run fields.short sacct -X -P -j "$running" -o stat,part
run fields.gap sacct -X -P -j "$running" -o State,,Partition
run fields.blank sacct -X -P -j "$running" -o 'State, Partition'
run fields.none sacct -X -n -P -j "$running" -o ,
run fields.unknown sacct -X -j "$running" -o State,NoSuch%5
run fields.variable env SACCT_FORMAT=State,Partition sacct -X -n -P -j "$running"
run fields.variable-unknown env SACCT_FORMAT=NoSuch sacct -X -n -P -j "$running"
run fields.brief sacct -X -n -b -j "$failed"
run fields.help sacct --helpformat

# scancel: what it does not do.
run signal scancel -s USR1 "$running"
run signal.term scancel -s TERM "$running"
run signal.verbose scancel -v -s SIGUSR1 "$running"
run signal.unknown scancel -s NOSUCH "$running"
run signal.zero scancel -s 0 "$running"
run signal.over scancel -s USR1 "$over"
run signal.nowhere scancel -s USR1
run signal.still squeue -h -j "$running" -o %T
run cancel.user scancel -u nosuch
run cancel.user-and-job scancel -u nosuch "$running"
run cancel.state scancel -t nosuch
run cancel.states scancel -t R,PD "$running"
run cancel.state-over scancel -t CD -n "$NAME"
run cancel.state-other scancel -v -t S "$running"
run cancel.state-variable-unknown env SCANCEL_STATE=nosuch scancel "$running"
run cancel.verbose-variable env SCANCEL_VERBOSE=1 scancel "$over"
run cancel.partition scancel -p nosuch
run cancel.partition-verbose scancel -v -p nosuch "$running"
run cancel.partition-empty scancel -p ''
run cancel.account scancel -A nosuch
run cancel.qos scancel -v -q nosuch
run cancel.node scancel -w n9
run cancel.name scancel -v -n nosuch "$running"
run cancel.filtered-over scancel -n "$NAME" "$over"
run cancel.filtered-over-verbose scancel -v -n "$NAME" "$over"
run cancel.job-zero scancel 0
run cancel.job-letters scancel 1x
run cancel.job-empty scancel ''
run cancel.job-comma scancel ,
run cancel.job-large scancel 99999999999
run cancel.still squeue -h -j "$all_jobs" -o '%i %T' -S i

# scontrol: orders that do not fit.
for verb in hold uhold release requeue requeuehold suspend resume show; do
    run "few.$verb" scontrol "$verb"
done
run few.update scontrol update
run keyword scontrol nosuch 1
run keyword.case scontrol HOLD "$held"
run version scontrol version
run hold.twice scontrol hold "$held"
run hold.list scontrol hold "$held,999999"
run hold.list-turned scontrol hold "999999,$held"
run hold.words scontrol hold "$held" "$later"
run hold.spaces scontrol hold "$held $later"
run hold.name scontrol hold jobname=nosuch
run hold.jobid scontrol hold "jobid=$held"
run hold.letters scontrol hold abc
run hold.letters-list scontrol hold "abc,$held"
run hold.zero scontrol hold 0
run hold.empty scontrol hold ''
run hold.running scontrol hold "$running"
run hold.over scontrol hold "$over"
run release.over scontrol release "$over"
run release.letters scontrol release abc
run release.quietly scontrol -Q release 999999
run suspend.pending scontrol suspend "$held"
run suspend.over scontrol suspend "$over"
run suspend.again scontrol suspend "$suspended"
run suspend.unknown scontrol suspend 999999
run suspend.letters scontrol suspend abc
run resume.pending scontrol resume "$held"
run resume.over scontrol resume "$over"
run resume.running scontrol resume "$running"
run resume.unknown scontrol resume 999999
run requeue.pending scontrol requeue "$held"
run requeue.list scontrol requeue "999999,$running"
run requeue.letters scontrol requeue abc
run requeuehold.state scontrol requeuehold state=nosuch 999999
run requeuehold.nothing scontrol requeuehold state=specialexit
run update.nothing scontrol update "JobId=$held"
run update.requeue scontrol update "JobId=$held" Requeue=2
run update.requeue-letters scontrol update "JobId=$held" Requeue=x
run update.no-value scontrol update "JobId=$held" Requeue
run update.unknown scontrol update "JobId=$held" nosuch=1
run update.no-job scontrol update comment=x
run update.letters scontrol update JobId=abc comment=x
run update.over scontrol update "JobId=$over" comment=x
run update.over-name scontrol update "JobId=$over" name=x
run update.over-start scontrol update "JobId=$over" starttime=now
run update.running-start scontrol update "JobId=$running" starttime=now
run update.start-garbage scontrol update "JobId=$held" starttime=garbage
run update.comment scontrol update "comment=a b" "JobId=$held"
run update.comment-seen squeue -h -j "$held" -o '%k|%T'
run update.comment-none scontrol update "JobId=$held" comment=
run update.list scontrol update "JobId=$held,999999" comment=z
run update.list-seen squeue -h -j "$held" -o '%k|%T'
run show.unknown scontrol show nosuch
run show.letters scontrol show job abc
run show.several scontrol show job "$running,$held"
run show.two scontrol show job "$running" "$held"
run show.hosts scontrol show hostnames 'n[1-3],login'
run show.hostlist scontrol show hostlist a1,a2,a4
run show.reservations scontrol show reservations
run orders.still squeue -h -j "$all_jobs" -o '%i %T' -S i

# The suspended one goes on, and everything ends.
run suspended.resume scontrol resume "$suspended"
run resumed squeue -h -j "$suspended" -o %T
run script-killed scancel -b "$suspended"
job=$suspended
reach FAILED
run script-killed.seen squeue -h -t all -j "$job" -O state,exit_code
run whole-cancelled scancel -f "$waiting"
run whole-cancelled.seen squeue -h -t all -j "$waiting" -o %T
run kill scancel -s KILL "$later"
run kill.seen squeue -h -t all -j "$later" -o %T
run kill.running scancel -s KILL "$running"
job=$running
reach CANCELLED
run rest scancel -n "$NAME"

# sinfo, with nothing running.
empty
run info sinfo
run info.partitions sinfo -h -p short,batch
run info.partition-unknown sinfo -h -p nosuch
run info.node sinfo -h -n n1 -o '%P %D %t'
run info.node-unknown sinfo -h -n n9 -o '%P %D %t'
run info.state sinfo -h -t idle -p batch
run info.state-none sinfo -h -t alloc,mix -p batch
run info.nodes sinfo -h -o '%N %t'
run info.count sinfo -h -o %D
run info.names sinfo -h -o '%P|%R|%a|%l|%T|%c|%m'
run info.widths sinfo -h -p batch -o '%4P|%.8P|%.3t|'
run info.unknown sinfo -h -p batch -o '%k|%P'
run info.nothing sinfo -h -o ''
run info.text sinfo -h -o abc
