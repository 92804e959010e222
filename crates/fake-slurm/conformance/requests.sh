# shellcheck shell=sh disable=SC2154 # prelude.sh sets job
# What a client may ask for: each option by itself, all of them, and other ways to say it, first
# of a check and then of a submission. How many nodes a job gets depends on how many are free.
empty
sbatch_as test.nodes-too-many --test-only NIL runner.sh --nodes=3
sbatch_as test.cpus-too-many --test-only NIL runner.sh --cpus-per-task=9
sbatch_as test.tasks-too-many --test-only NIL runner.sh -n 20
sbatch_as test.nodes-and-tasks --test-only NIL runner.sh --nodes=1-2 -n 3
sbatch_as test.nodes-and-cpus --test-only NIL runner.sh --nodes=1-2 -c 2
submit nodes.range stays --nodes=1-2
reach RUNNING
run nodes.seen squeue -h -j "$job" -o '%D|%C|%N'
run nodes.cancel scancel "$job"
reach CANCELLED
empty
for mode in --test-only --parsable; do
    case $mode in
        --test-only) kind='test' ;;
        *) kind='submit' ;;
    esac
    sbatch_as "$kind.plain" "$mode" NIL runner.sh
    sbatch_as "$kind.exported" "$mode" CBX_LEASE_ID,CBX_NONCE runner.sh
    sbatch_as "$kind.account" "$mode" NIL runner.sh --account=lab
    sbatch_as "$kind.partition" "$mode" NIL runner.sh --partition=batch
    sbatch_as "$kind.partition-other" "$mode" NIL runner.sh --partition=short
    sbatch_as "$kind.qos" "$mode" NIL runner.sh --qos=normal
    sbatch_as "$kind.cpus" "$mode" NIL runner.sh --cpus-per-task=2
    sbatch_as "$kind.mem" "$mode" NIL runner.sh --mem=200M
    sbatch_as "$kind.time" "$mode" NIL runner.sh --time=00:03:00
    sbatch_as "$kind.gres" "$mode" NIL runner.sh --gres=gpu:1
    sbatch_as "$kind.nodes" "$mode" NIL runner.sh --nodes=1-2
    sbatch_as "$kind.constraint" "$mode" NIL runner.sh --constraint=nosuch
    sbatch_as "$kind.reservation" "$mode" NIL runner.sh --reservation=nosuch
    sbatch_as "$kind.several" "$mode" NIL runner.sh --account=lab --partition=batch --qos=normal \
        --cpus-per-task=2 --mem=200M --time=00:03:00 --nodes=1
    sbatch_as "$kind.all" "$mode" NIL runner.sh --account=lab --partition=batch --qos=normal \
        --cpus-per-task=2 --mem=200M --time=00:03:00 --gres=gpu:1 --nodes=1-2 --constraint=nosuch \
        --reservation=nosuch --exclusive
    sbatch_as "$kind.exclusive" "$mode" NIL runner.sh --exclusive
    sbatch_as "$kind.letters" "$mode" NIL runner.sh -N1 -n 2 -t 3
    sbatch_as "$kind.nodelist" "$mode" NIL runner.sh -w n1
    sbatch_as "$kind.mail" "$mode" NIL runner.sh --mail-type=END
    sbatch_as "$kind.wckey" "$mode" NIL runner.sh --wckey=abc
    sbatch_as "$kind.partition-unknown" "$mode" NIL runner.sh --partition=nosuch
    sbatch_as "$kind.partition-list" "$mode" NIL runner.sh --partition=short,batch
    sbatch_as "$kind.mem-too-much" "$mode" NIL runner.sh --mem=100G
    sbatch_as "$kind.mem-per-cpu" "$mode" NIL runner.sh --mem-per-cpu=100M -c 2
    sbatch_as "$kind.nodelist-unknown" "$mode" NIL runner.sh -w nosuch
    sbatch_as "$kind.time-text" "$mode" NIL runner.sh --time=soon
    sbatch_as "$kind.script-missing" "$mode" NIL nosuch
done
SBATCH_PARTITION=short SBATCH_ACCOUNT=lab SBATCH_QOS=normal
export SBATCH_PARTITION SBATCH_ACCOUNT SBATCH_QOS
submit variables stays
reach RUNNING
run variables.seen squeue -h -j "$job" -o '%P|%a|%q'
unset SBATCH_PARTITION SBATCH_ACCOUNT SBATCH_QOS
run variables.cancel scancel -v "$job"
reach CANCELLED
