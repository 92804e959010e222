# shellcheck shell=sh disable=SC2154 # prelude.sh sets job
# The same questions with the cluster named, and with one that does not exist.
submit submitted stays -M cluster
reach RUNNING
accounted RUNNING
run running squeue -M cluster -a -t all -j "$job" -O "$FORM"
only "$NAME"
run of-the-user squeue -M cluster -a -t all -u "$(id -u)" -O "$FORM"
all
run running.accounted sacct -M cluster -X -n -P -D '--delimiter=|~00000000~|' -j "$job" -o "$ROWS"
run requeue.refused scontrol -M cluster requeue "$job"
run forbid-requeue scontrol -M cluster update "JobId=$job" Requeue=0
run cancel scancel -M cluster -v "$job"
reach CANCELLED
accounted CANCELLED
run cancelled squeue -M cluster -a -t all -j "$job" -O "$FORM"
run cancelled.accounted sacct -M cluster -X -n -P -D '--delimiter=|~00000000~|' -j "$job" -o "$ROWS"
run cancel.again scancel -M cluster -v "$job"
run forbid-requeue.over scontrol -M cluster update "JobId=$job" Requeue=0
sbatch_as submit --parsable NIL runner.sh -M cluster
sbatch_as submit.exported --parsable CBX_LEASE_ID,CBX_NONCE runner.sh -M cluster
sbatch_as submit.all --parsable NIL runner.sh -M cluster --account=lab --partition=batch \
    --qos=normal --cpus-per-task=2 --mem=200M --time=00:03:00 --gres=gpu:1 --nodes=1-2 \
    --constraint=nosuch --reservation=nosuch --exclusive
sbatch_as submit.partition-unknown --parsable NIL runner.sh -M cluster --partition=nosuch
sbatch_as test --test-only NIL runner.sh -M cluster
sbatch_as test.exported --test-only CBX_LEASE_ID,CBX_NONCE runner.sh -M cluster
sbatch_as test.all --test-only NIL runner.sh -M cluster --account=lab --partition=batch \
    --qos=normal --cpus-per-task=2 --mem=200M --time=00:03:00 --gres=gpu:1 --nodes=1-2 \
    --constraint=nosuch --reservation=nosuch --exclusive
sbatch_as test.partition-unknown --test-only NIL runner.sh -M cluster --partition=nosuch
run unknown squeue -M cluster -a -t all -j 999999 -O "$FORM"
run unknown.accounted sacct -M cluster -X -n -P -D '--delimiter=|~00000000~|' -j 999999 -o "$ROWS"
run unknown.cancel scancel -M cluster -v 999999
run unknown.forbid-requeue scontrol -M cluster update JobId=999999 Requeue=0
run nowhere squeue -M nosuch -a -t all -j 999999 -O "$FORM"
run nowhere.of-the-user squeue -M nosuch -a -t all -u "$(id -u)" -O "$FORM"
run nowhere.accounted sacct -M nosuch -X -n -P -D '--delimiter=|~00000000~|' -j 999999 -o "$ROWS"
run nowhere.cancel scancel -M nosuch -v 999999
run nowhere.forbid-requeue scontrol -M nosuch update JobId=999999 Requeue=0
run nowhere.configuration scontrol -M nosuch show config
sbatch_as nowhere.submit --parsable NIL runner.sh -M nosuch
sbatch_as nowhere.test --test-only NIL runner.sh -M nosuch
