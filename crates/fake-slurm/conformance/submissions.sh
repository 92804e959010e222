# shellcheck shell=sh disable=SC2154 # prelude.sh sets job
# What sbatch makes of odd values, and the controller of odd requests: in which words it is refused,
# and whether a number was used up. Then what becomes of dependencies.
ROW='%T|%r|%D|%C|%c|%m|%l|%P|%q|%E|%y|%n|%x|%k'

# probe: the number of a job that stays held.
probe() { sbatch --parsable -H -J "$NAME-probe" -o /dev/null runner.sh </dev/null 2>err; }

# tried CASE OPTION...: whether it is taken, and how many numbers that took. A job that was taken is
# in $job.
tried() {
    tried_case=$1
    shift
    run "$tried_case" sbatch --parsable -J "$NAME-tried" -o /dev/null "$@"
    job=$(cut -d';' -f1 <out)
    next=$(probe)
    echo "numbers used: $((next - last - 1))"
    last=$next
}

# held CASE OPTION...: how a job that is held looks to squeue.
held() {
    held_case=$1
    shift
    tried "$held_case" -H "$@" runner.sh
    run "$held_case.seen" squeue -h -j "$job" -o "$ROW"
}

# A held job may ask for what no node has.
empty
last=$(probe)
held held.plain
held held.nodes-none -N 0
held held.nodes-many -N 3
held held.nodes-range -N 1-5
held held.nodes-exact -N 2-2
held held.cpus-many -c 9
held held.tasks-many -n 17
held held.tasks-on-one -N 1 -n 9
held held.tasks-each --ntasks-per-node=4 -N 2
held held.memory-many --mem=100G
held held.memory-small --mem=1025K
held held.memory-per-cpu --mem-per-cpu=3000 -n 2
held held.memory-all --mem=0
held held.nodelist -w 'n[1-2]'
held held.nodelist-turned -w n2,n1
held held.excluded -x 'n[2,1]'
held held.time-none -t 0
held held.time-unlimited -t UNLIMITED
held held.time-days -t 2-1:30:15
held held.time-seconds -t 0:30
held held.partitions -p short,batch
held held.partition-gap -p ,batch
held held.qos-none -q ''
held held.qos-unknown -q nosuch
held held.comment-none --comment=
held held.nice --nice
held held.nice-less --nice=-5
held held.account-none -A ''
held held.constraint-none -C ''
held held.begin-past -b 2020-01-01
held held.fewer-tasks -N 2 -n 1

# Refused by sbatch itself.
for value in 0 x ''; do
    tried "cpus:$value" -c "$value" runner.sh
    tried "tasks:$value" -n "$value" runner.sh
    tried "tasks-each:$value" "--ntasks-per-node=$value" runner.sh
done
for value in x '' 1-x 1-2-3 2-1 0x1 1.5; do tried "nodes:$value" -N "$value" runner.sh; done
for value in x '' 1:2:3:4 1.5 1h; do tried "time:$value" -t "$value" runner.sh; done
for value in x '' -1 1.5G 5B; do
    tried "memory:$value" "--mem=$value" runner.sh
    tried "memory-per-cpu:$value" "--mem-per-cpu=$value" runner.sh
done
for value in x '' now+x now+10min; do
    tried "begin:$value" -b "$value" runner.sh
    tried "deadline:$value" "--deadline=$value" runner.sh
done
tried memory-twice --mem=200M --mem-per-cpu=100M runner.sh
tried deadline-before-begin -b now+1hour --deadline=now+10minutes runner.sh
tried nice-large --nice=99999999999 runner.sh
tried open-mode --open-mode=x runner.sh
tried exclusive --exclusive=x runner.sh
tried distribution -m x runner.sh
tried mail-type --mail-type=x runner.sh
tried signal --signal=x runner.sh
tried invalid-dep --kill-on-invalid-dep=x runner.sh
tried tmp --tmp=x runner.sh
tried script-nameless ''
tried quiet -Q -H runner.sh

# Refused by the controller, before or after the job had its number.
tried nodes-none -N 0 runner.sh
run nodes-none.left squeue -h -t all -n "$NAME-tried" -t FAILED -o "$ROW"
tried nodes-many -N 3 runner.sh
tried cpus-many -c 9 runner.sh
tried cpus-too-many -c 17 runner.sh
tried tasks-too-many -n 17 runner.sh
tried tasks-on-one -N 1 -n 9 runner.sh
tried tasks-each --ntasks-per-node=9 runner.sh
tried memory-many --mem=4001 runner.sh
tried memory-per-cpu-many --mem-per-cpu=4001 runner.sh
tried excluded-all -x n1,n2 runner.sh
tried excluded-one -N 2 -x n1 runner.sh
tried excluded-unknown -x n9 runner.sh
tried nodelist-unknown -w n1,n9 runner.sh
tried nodelist-range -w 'n[1-9]' runner.sh
tried nodelist-open -w 'n[1' runner.sh
tried nodelist-excluded -w n1 -x n1 runner.sh
tried partition-none -p '' runner.sh
tried partition-first -p nosuch,batch runner.sh
tried licences -L nosuch runner.sh
tried constraint -C nosuch runner.sh
tried reservation --reservation=nosuch runner.sh
tried deadline-past --deadline=2020-01-01 runner.sh
tried deadline-soon --deadline=now+10minutes runner.sh
tried later.memory-many -b now+1hour --mem=100G runner.sh
tried held.constraint -H -C nosuch runner.sh
tried test.memory-many --test-only --mem=100G runner.sh
tried test.nodelist-unknown --test-only -w n9 runner.sh
tried test.excluded --test-only -x n1 runner.sh
tried test.dependency --test-only -d foo:1 runner.sh
run cancel.tried scancel -n "$NAME-tried"
run cancel.probes scancel -n "$NAME-probe"
empty

# Lines of the script, and variables.
lines() {
    lines_case=$1
    shift
    printf '#!/bin/sh\n' >lines.sh
    printf '%s\n' "$@" >>lines.sh
    tried "$lines_case" -H lines.sh
}
lines lines.options '#SBATCH -n 2 --time=10' '#SBATCH --comment="a b" # why'
run lines.options.seen squeue -h -j "$job" -o "$ROW"
lines lines.after-command true '#SBATCH -n 2'
run lines.after-command.seen squeue -h -j "$job" -o "$ROW"
lines lines.word '#SBATCH -n 2 foo -c 3'
lines lines.time '#SBATCH -t soon'
lines lines.nodes '#SBATCH -N 2-1'
lines lines.wrap '#SBATCH --wrap=x'
for pair in SBATCH_TIMELIMIT=soon SBATCH_TIMELIMIT= SBATCH_PARTITION=nosuch SBATCH_QOS= \
    SBATCH_MEM_PER_NODE=zz SBATCH_EXCLUSIVE=x SBATCH_OPEN_MODE=x SBATCH_RESERVATION=nosuch; do
    run "variable:$pair" env "$pair" sbatch --parsable -H -J "$NAME-tried" -o /dev/null runner.sh
    job=$(cat out)
done
run cancel.lines scancel -n "$NAME-tried"

# Dependencies: of a job that ended well, one that did not, one that runs and one that is held.
submit well.submitted runner.sh -J "$NAME"
well=$job
reach COMPLETED
submit badly.submitted fails
badly=$job
reach FAILED
submit runs.submitted stays
runs=$job
reach RUNNING
submit waits.submitted stays -H
waits=$job

# after CASE DEPENDENCY: how a job looks that waits for that, once it is clear whether it does.
after() {
    tried "after.$1" "--dependency=$2" runner.sh
    case $job in
        '' | *[!0-9]*) return ;;
    esac
    turns=0
    until squeue -h -t all -j "$job" -o '%T|%r' | grep -Eq 'COMPLETED|Dependency'; do
        turns=$((turns + 1))
        if [ "$turns" -gt 600 ]; then
            echo "gave up waiting for the job with a dependency"
            return
        fi
        sleep 0.1
    done
    run "after.$1.seen" squeue -h -t all -j "$job" -o '%T|%r|%E'
}
last=$(probe)
for kind in after afterany afterok afternotok aftercorr; do
    after "$kind.well" "$kind:$well"
    after "$kind.badly" "$kind:$badly"
    after "$kind.waits" "$kind:$waits"
    # The controller of some generations refuses these.
    tried "after.$kind.unknown" "--dependency=$kind:999999" -H runner.sh
    after "$kind.nothing" "$kind:"
done
after runs "afterok:$runs"
after number "$runs"
after two "afterok:$well:$runs"
after two-kinds "afterok:$runs,afterany:$waits"
after never-of-two "afterok:$badly:$runs"
after either "afterok:$badly?afterok:$runs"
after either-well "afterok:$runs?afterok:$well"
after twice "afterok:$runs,afterok:$runs"
after minutes "after:$runs+5"
after minutes-none "after:$runs+0"
after singleton singleton
after none 0
after foo foo:1
after expand "expand:$runs"
after gap "afterok:$runs,"
run waits.cancel scancel "$waits"
submit chained.submitted runner.sh "--dependency=afternotok:$runs"
chained=$job
submit broken.submitted runner.sh "--dependency=afterok:$runs"
broken=$job
run runs.cancel scancel "$runs"
job=$chained
reach COMPLETED
job=$broken
reason DependencyNeverSatisfied
run broken.seen squeue -h -j "$broken" -o '%T|%r|%E'
run broken.cancel scancel "$broken"
run cancel.after scancel -n "$NAME-tried"
run cancel.probes.after scancel -n "$NAME-probe"
empty

# What the database has of CPUs.
submit alone.submitted runner.sh --exclusive --nodes=2
reach COMPLETED
accounted COMPLETED
run alone.accounted sacct -X -n -P -j "$job" -o State,AllocCPUS,AllocNodes,NCPUS,NNodes,QOS
submit never.submitted runner.sh -H --nodes=2 -n 3
run never.cancel scancel "$job"
accounted CANCELLED
run never.accounted sacct -X -n -P -j "$job" -o State,AllocCPUS,AllocNodes,NCPUS,NNodes,QOS
submit qos.submitted runner.sh --qos=nosuch
reach COMPLETED
accounted COMPLETED
run qos.accounted sacct -X -n -P -j "$job" -o State,AllocCPUS,QOS
submit memory-each.submitted runner.sh -H -n 3 --mem-per-cpu=300
run memory-each.cancel scancel "$job"
accounted CANCELLED
run memory-each.accounted sacct -X -n -P -j "$job" -o ReqCPUS,ReqTRES
submit memory-all.submitted runner.sh -n 1 --mem=0 -H
run memory-all.waits squeue -h -j "$job" -O tres-alloc
run memory-all.release scontrol release "$job"
reach COMPLETED
run memory-all.over squeue -h -t all -j "$job" -O tres-alloc,minmemory
accounted COMPLETED
run memory-all.accounted sacct -X -n -P -j "$job" -o AllocCPUS,AllocTRES,ReqTRES

# A job that names several partitions is in all of them as long as it waits, except to scancel.
submit several.submitted runner.sh -H -p short,batch
run several.one squeue -h -j "$job" -p batch -o %P
run several.both squeue -h -j "$job" -p batch,short -o %P
run several.cancel-one scancel -p batch "$job"
run several.cancel-first scancel -p short "$job"
run several.still squeue -h -j "$job" -o '%P|%T'
run several.cancel scancel "$job"
accounted CANCELLED
run several.cancelled squeue -h -t all -j "$job" -o '%P|%T'
run several.accounted sacct -X -n -P -j "$job" -o Partition,State
submit several.runs.submitted stays -p short,batch
reach RUNNING
accounted RUNNING
run several.runs.seen squeue -h -j "$job" -o %P
run several.runs.accounted sacct -X -n -P -j "$job" -o Partition
run several.requeueable scontrol update "JobId=$job" Requeue=1
run several.requeue scontrol requeuehold "$job"
reason 'job requeued in held state'
run several.requeued squeue -h -j "$job" -o %P
run several.requeued.cancel scancel "$job"
# It starts in the first that will have it.
submit several.limit.submitted stays -p short,batch -t 10
reach RUNNING
accounted RUNNING
run several.limit.seen squeue -h -j "$job" -o '%P|%l'
run several.limit.accounted sacct -X -n -P -j "$job" -o Partition,Timelimit
run several.limit.cancel scancel "$job"
