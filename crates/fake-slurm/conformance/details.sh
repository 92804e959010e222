# shellcheck shell=sh disable=SC2154 # prelude.sh sets job
# Details of single answers: what a script is called, where output goes, how lists may be written,
# what does not fit into a column.

# waits CASE ARGUMENT...: a job that stays held, in $job.
waits() {
    waits_case=$1
    shift
    run "$waits_case" sbatch --parsable -H -J "$NAME" "$@"
    job=$(cut -d';' -f1 <out)
}

# Scripts: their arguments, and where they are looked for.
empty
mkdir -p below
printf '#!/bin/sh\ntrue\n' >below/here
printf '\n \t\n' >blank
run script.blank sbatch -o /dev/null --parsable blank
waits script.arguments -o /dev/null runner.sh a 'b c' -d
run script.arguments.seen squeue -h -j "$job" -o %o
waits script.dot -o /dev/null ./runner.sh a
run script.dot.seen squeue -h -j "$job" -o %o
waits script.directory -o /dev/null -D below here
run script.directory.seen squeue -h -j "$job" -o '%o|%Z'
waits script.directory-lacks-it -o /dev/null -D "$PWD/below" runner.sh
run script.directory-lacks-it.seen squeue -h -j "$job" -o '%o|%Z'
waits script.in-path -o /dev/null here
PATH=$PATH:$PWD/below
waits script.in-path-now -o /dev/null here
run script.in-path-now.seen squeue -h -j "$job" -o %o
PATH=${PATH%:*}
run scripts.cancel scancel -n "$NAME"

# Output.
waits output.default runner.sh
run output.default.seen squeue -h -j "$job" -O StdOut:0
run output.default.error squeue -h -j "$job" -O StdErr:0
waits output.named -o a-%j -e b-%j -i c-%j runner.sh
run output.named.seen squeue -h -j "$job" -O 'StdOut:0|,StdErr:0|,StdIn:0'
only '^ *Std'
run output.named.shown scontrol show job "$job"
all
run outputs.cancel scancel -n "$NAME"

# What a job that may have several nodes is to get, and a node's whole tasks.
for options in '-c 3' '-c 3 -n 2' '-c 5 -n 2' '-c 8 -n 2' '-n 5 -c 2' '-n 8 -c 2' '-n 3 -c 4' \
    '-N 2 -c 3' '-N 1-2' '-N 1-2 -c 3' '-N 1-5' '-n 5 -c 3' '-n 3 -c 5'; do
    # shellcheck disable=SC2086 # several options
    run "size:$options" sbatch --parsable -b now+1hour -J "$NAME" -o /dev/null $options runner.sh
    job=$(cut -d';' -f1 <out)
    run "size:$options.seen" squeue -h -n "$NAME" -t PD -o '%D|%C'
    run "size:$options.cancel" scancel -n "$NAME"
done

# A running job and one that is held.
submit running.submitted stays -t 10
running=$job
reach RUNNING
accounted RUNNING
waits held.submitted -o /dev/null -p low runner.sh
held=$job
run gres squeue -j "$running" -O Gres
run jobs.plus squeue -h -j "$held,+$running" -o %i -S i
run jobs.blank squeue -h -j "$held, $running" -o %i -S i
run jobs.minus squeue -h -j "$held,-1" -o %i
run jobs.sign squeue -h -j + -o %i
run sort.minus squeue -h -j "$held,$running" -S - -o %i
run sort.minuses squeue -h -j "$held,$running" -S ,-- -o %i
run clusters.twice squeue -M cluster,cluster -j "$running" -o %T
run clusters.twice.accounted sacct -M cluster,cluster -X -n -P -j "$running" -o State
run clusters.twice.show scontrol -M cluster,cluster show job 999999
run clusters.twice.cancel scancel -M cluster,cluster 999999
accounted PENDING
run limit.held sacct -X -n -P -j "$held" -o Timelimit,TimelimitRaw
run limit.held.seen squeue -h -j "$held" -o %l
waits limit.unlimited -o /dev/null -p low -t UNLIMITED runner.sh
accounted PENDING
run limit.unlimited.held sacct -X -n -P -j "$job" -o Timelimit,TimelimitRaw
run limit.unlimited.cancel scancel "$job"
accounted CANCELLED
run limit.unlimited.cancelled sacct -X -n -P -j "$job" -o Timelimit,TimelimitRaw
run limit.cancel scancel "$held"
job=$held
accounted CANCELLED
run limit.cancelled sacct -X -n -P -j "$held" -o Timelimit,TimelimitRaw
submit limit.submitted stays -p low
reach RUNNING
accounted RUNNING
run limit.running sacct -X -n -P -j "$job" -o Timelimit,TimelimitRaw
run limit.running.cancel scancel "$job"
run width.plus sacct -X -n -j "$running" -o State%+5,Partition
run width.minus sacct -X -n -j "$running" -o State%-5,Partition
run width.blank sacct -X -n -j "$running" -o 'State% 5,Partition'
run width.times sacct -X -n -j "$running" -o Submit%3,End%3,End%-3
run width.times.seen env SLURM_TIME_FORMAT=standard sacct -X -n -j "$running" -o Submit%5,Submit%-5
run width.heading sacct -X -j "$running" -o Submit%3,AllocCPUS%3,State%3
run width.numbers sacct -X -n -j "$running" -o NCPUS%0,NNodes%0,AllocNodes%0,ReqCPUS%0,UID%0,GID%0,ExitCode%1
run width.durations sacct -X -n -j "$running" -o Suspended%3,Suspended%-3,Timelimit%3
run jobs.accounted.blank sacct -X -n -P -j " $running" -o JobID
run jobs.accounted.blank-later sacct -X -n -P -j "$held, $running" -o State
run signal.batch scancel -v -b -s CONT "$running"
run signal.full scancel -v -f -s CONT "$running"
run signal.batch.unknown scancel -v -b -s CONT 999999
run cancel.batch.unknown scancel -v -b 999999
run cancel.full.unknown scancel -v -f 999999
run cancel.batch.quietly scancel -Q -b 999999
run cancel.batch scancel -v -b "$running"
job=$running
reach FAILED
waits cancel.held -o /dev/null runner.sh
run cancel.held.full scancel -v -f "$job"
run check.quiet sbatch -Q --test-only runner.sh
run check.quiet-refused sbatch -Q --test-only -p nosuch runner.sh
run check.held sbatch --test-only -H runner.sh
run check.later sbatch --test-only -b now+1hour runner.sh

# sinfo, with nothing running.
empty
run info.cluster sinfo -M cluster
run info.cluster-quietly sinfo -M cluster -h
run info.clusters sinfo -M cluster,cluster -o %P
run info.states-empty sinfo -h -t ''
run info.states-comma sinfo -h -t ,
run info.partitions-empty sinfo -h -p ''

# What the database has of jobs that never ran.
for options in '--mem=200M -n 3' '--mem=200M -N 2' --mem=0 '--mem-per-cpu=150 -N 2 -c 2' \
    '--exclusive -N 2' '--mem=1025M -N 1-2' '-n 17' '-N 0' '-c 9'; do
    # shellcheck disable=SC2086 # several options
    waits "never:$options" -o /dev/null $options runner.sh
    accounted PENDING
    run "never:$options.cancel" scancel "$job"
    accounted CANCELLED
    run "never:$options.accounted" sacct -X -n -P -j "$job" -o ReqCPUS,ReqTRES,AllocCPUS,AllocNodes,ReqNodes,NNodes
done
