# shellcheck shell=sh
# What is refused, and what is not there.
run sbatch --parsable -p nosuch ends
run sbatch --parsable --mem=100G ends
run sbatch --parsable -C nosuch ends
run sbatch --parsable --gres=gpu:1 ends
run sbatch --parsable -t soon ends
run sbatch --parsable --begin=someday ends
run sbatch --parsable nosuch
run sbatch --parsable -w nosuch ends
run sbatch --parsable -d nosuch ends
run sbatch --test-only -p nosuch ends
run squeue --local -h -a -t all -j 999999 -O "$FORM"
run squeue --local -h -a -t all -j 999998,999999 -O "$FORM"
run squeue --local -h -j abc
run squeue --local -h -O 'JobID:0,NoSuch:0' -j 999998,999999
run squeue -M nosuch -h
run squeue -t nosuch
run sacct -X -n -P -D -j 999999 -o "$ROWS"
run sacct -X -n -P -j abc
run sacct -X -n -P -o NoSuch
run scancel -v 999999
run scancel 999999
run scancel abc
run scancel
run scontrol requeue 999999
run scontrol show job 999999
run scontrol release 999999
run squeue --version
run sbatch --version
run sacct --version
run scancel --version
run scontrol --version
