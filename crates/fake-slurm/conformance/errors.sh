# shellcheck shell=sh
# What is refused, and what is not there.
run submit.partition sbatch --parsable -p nosuch runner.sh
run submit.memory sbatch --parsable --mem=100G runner.sh
run submit.constraint sbatch --parsable -C nosuch runner.sh
run submit.gres sbatch --parsable --gres=gpu:1 runner.sh
run submit.time sbatch --parsable -t soon runner.sh
run submit.begin sbatch --parsable --begin=someday runner.sh
run submit.script sbatch --parsable nosuch
run submit.nodelist sbatch --parsable -w nosuch runner.sh
run submit.nodelist-and-constraint sbatch --parsable -w nosuch -C nosuch runner.sh
run submit.nodelist-and-gres sbatch --parsable -w nosuch --gres=gpu:1 -M cluster runner.sh
run submit.gres-and-constraint sbatch --parsable --gres=gpu:1 -C nosuch -M cluster runner.sh
run submit.gres-and-reservation sbatch --parsable --gres=gpu:1 --reservation=nosuch -M cluster runner.sh
run submit.constraint-and-reservation sbatch --parsable -C nosuch --reservation=nosuch runner.sh
run submit.memory-and-reservation sbatch --parsable --mem=100G --reservation=nosuch runner.sh
run submit.dependency sbatch --parsable -d nosuch runner.sh
run test.partition sbatch --test-only -p nosuch runner.sh
run unknown.option sbatch --parsable --nosuch runner.sh
run unknown.option.queue squeue --nosuch
run not-played.array sbatch --parsable --array=1-2 -H runner.sh
array=$(cat out)
[ -z "$array" ] || scancel "$array"
run not-played.json squeue --json -j 999999
run unknown squeue --local -a -t all -j 999999 -O "$FORM"
run unknown.several squeue --local -a -t all -j 999998,999999 -O "$FORM"
run not-a-number squeue --local -h -j abc
run unknown.field squeue --local -h -O 'JobID:0,NoSuch:0' -j 999998,999999
run unknown.cluster squeue -M nosuch -h
run unknown.state squeue -t nosuch
run unknown.user squeue --local -a -t all -u 424242 -O "$FORM"
run unknown.accounted sacct -X -n -P -D '--delimiter=|~00000000~|' -j 999999 -o "$ROWS"
run not-a-number.accounted sacct -X -n -P -j abc
run unknown.field.accounted sacct -X -n -P -o NoSuch
run unknown.cancel scancel -v 999999
run unknown.cancel.quietly scancel 999999
run unknown.cancel.several scancel -v 999998 999999
run not-a-number.cancel scancel abc
run nothing.cancel scancel
run unknown.requeue scontrol requeue 999999
run unknown.forbid-requeue scontrol update JobId=999999 Requeue=0
run unknown.show scontrol show job 999999
run unknown.release scontrol release 999999
