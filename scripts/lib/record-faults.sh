# shellcheck shell=bash
# What the commands answer when a part of Slurm is down, hung or new.

: "${here=}" "${cluster=}" "${generation=}" "${user=}" "${note=}"

daemon() { "$here/slurm-cluster" "$1" "$cluster" "$2"; }

scene_faults() {
    new_cluster --accounting
    note='the MariaDB of slurmdbd is stopped'
    without mariadbd no-database
    note='slurmdbd is stopped: its port refuses'
    without slurmdbd slurmdbd-down
    note='slurmctld is stopped: its port refuses'
    without slurmctld controller-down
    hung_controller
    note='munged is stopped'
    without munged munged-down
    note='no slurm.conf can be found'
    record squeue/fault.no-conf SLURM_CONF=/nonexistent/slurm.conf squeue --local -h
    record sbatch/fault.no-conf SLURM_CONF=/nonexistent/slurm.conf sbatch --parsable --wrap true
    wiped_controller
    note=''
}

# without DAEMON CASE: asks everything while that daemon is stopped.
without() {
    local first second
    first=$(submit -J first -H --wrap true)
    second=$(submit -J second -H --wrap true)
    daemon stop "$1"
    ask "$2" "$first" "$second"
    daemon start "$1"
}

# ask CASE ID ID: every command at once, since most of them wait for a timeout.
ask() {
    local case=$1 first=$2 second=$3 pids=() pid
    observe "fault.$case" "$first" &
    pids+=($!)
    record "squeue/fault.$case.by-name" squeue --local -h -t all -u alice -n first -o '%A|%T|%k' &
    pids+=($!)
    record "squeue/fault.$case.json" squeue --json -t all -j "$first" &
    pids+=($!)
    record "scancel/fault.$case" scancel "$first" &
    pids+=($!)
    record "scancel/fault.$case.v" scancel -v "$second" &
    pids+=($!)
    record "sbatch/fault.$case" sbatch -o /dev/null -H --parsable -J "fault-$case" --wrap true &
    pids+=($!)
    record "sbatch/fault.$case.test-only" sbatch --test-only -t 1 --wrap true &
    pids+=($!)
    record "scontrol/fault.$case.ping" scontrol ping &
    pids+=($!)
    record "scontrol/fault.$case.show-config" scontrol show config &
    pids+=($!)
    for pid in "${pids[@]}"; do
        wait "$pid"
    done
}

# A stopped process keeps its listening socket: requests are taken by the kernel
# and answered by nobody, or much later.
hung_controller() {
    local pid first second
    first=$(submit -J first -H --wrap true)
    second=$(submit -J second -H --wrap true)
    pid=$(cat "$cluster/pids/slurmctld.pid")
    note='slurmctld is stopped by SIGSTOP: it takes requests and does not answer'
    kill -STOP "$pid"
    ask controller-hung "$first" "$second"
    kill -CONT "$pid"
    wait_until 60 "the controller to answer" as root scontrol ping >/dev/null
    note='sent while slurmctld was stopped by SIGSTOP; asked again after SIGCONT'
    wait_until 20 "the job of the failed sbatch" late_job_is_there || true
    record squeue/fault.controller-hung.after squeue --local -h -t all -u alice -n fault-controller-hung -o '%A|%T|%k'
}

late_job_is_there() { [ -n "$(as root squeue --local -h -t all -n fault-controller-hung -o %A)" ]; }

# The same number is then somebody else's job.
wiped_controller() {
    local mine other=0
    mine=$(submit -J mine -H --wrap true)
    note='the controller lost its StateSaveLocation and began anew'
    daemon stop slurmctld
    rm -rf "$cluster"/state/*
    daemon start slurmctld
    observe fault.wiped "$mine"
    user=bob
    while [ "$other" -lt "$mine" ]; do
        other=$(submit -H -J theirs --wrap true)
    done
    user=alice note="the controller lost its StateSaveLocation; the number is now bob's job"
    observe fault.wiped.reused "$mine"
}

scene_two_clusters() {
    new_cluster --clusters 2
    local job
    note='clusters alpha (here) and beta on one slurmdbd'
    record sbatch/clusters.here sbatch -o /dev/null -H --parsable --wrap true
    record sbatch/clusters.other sbatch -o /dev/null -H --parsable -M beta --wrap true
    job=$(submit -H -M beta -J other --wrap true)
    job=${job%%;*}
    record sbatch/clusters.either sbatch -o /dev/null -H --parsable -M alpha,beta --wrap true
    record sbatch/clusters.other.text sbatch -o /dev/null -H -M beta --wrap true
    record sbatch/clusters.other.test-only sbatch --test-only -M beta -t 1 --wrap true
    record sbatch/clusters.other.refused sbatch -o /dev/null -H --parsable -M beta -p nosuch --wrap true
    note="clusters alpha (here) and beta on one slurmdbd; the job is beta's"
    record squeue/clusters.other squeue -M beta -h -t all -j "$job" -o '%A|%T|%U'
    record squeue/clusters.other.local squeue -M beta --local -h -t all -j "$job" -o '%A|%T|%U'
    record squeue/clusters.other.heading squeue -M beta -t all -j "$job" -o '%A|%T|%U'
    ask_ours clusters.other.ours -M beta -a -t all -j "$job"
    ask_ours clusters.other.ours.empty -M beta -a -t all -u 4003
    record squeue/clusters.both squeue -M alpha,beta -h -t all -u alice -o '%A|%T|%U'
    record squeue/clusters.not-asked squeue --local -h -t all -j "$job" -o '%A|%T|%U'
    record squeue/clusters.other.unknown squeue -M beta -h -t all -j 99999 -o '%A|%T|%U'
    record sacct/clusters.other sacct -M beta -X -n -P -D -j "$job" -o JobIDRaw,State,Cluster,JobName
    record sacct/clusters.not-asked sacct -X -n -P -D -j "$job" -o JobIDRaw,State,Cluster,JobName
    record scancel/clusters.not-asked.v scancel -v "$job"
    record scancel/clusters.other.unknown.v scancel -v -M beta 99999
    record scancel/clusters.other.v scancel -v -M beta "$job"
    note='clusters alpha (here) and beta on one slurmdbd; the controller of beta is stopped'
    daemon stop slurmctld.beta
    record squeue/clusters.other.down squeue -M beta -h -t all -j "$job" -o '%A|%T|%U'
    ask_ours clusters.other.ours.down -M beta -a -t all -u 4001
    record sbatch/clusters.other.down sbatch -o /dev/null -H --parsable -M beta --wrap true
    note=''
}
