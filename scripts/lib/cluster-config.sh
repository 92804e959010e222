# shellcheck shell=bash
# Everything that a cluster's directory holds before its first daemon starts.
# Its functions work on the variables that `up` sets.
: "${dir=}" "${root=}" "${generation=}" "${accounting=}" "${clusters=}" "${cluster_name=}" "${port_base=}"
: "${suffixes=}" "${extra_conf=}" "${extra_files=}" "${cache_dir=}"

# Lays out the directory, the configurations and one start script per daemon.
layout() {
    mkdir -p "$dir"/{bin,daemons,log,pids,munge}
    printf '%s\n' "$root" >"$dir/root"
    make_munge_key
    write_hosts
    write_enter
    write_daemon munged /usr/sbin/munged --foreground --force \
        --key-file="$dir/munge/key" --socket="$dir/munge/socket" \
        --pid-file="$dir/munge/pid" --log-file="$dir/log/munged.log" \
        --seed-file="$dir/munge/seed" --num-threads=4
    local suffix port=$port_base
    for suffix in "${suffixes[@]}"; do
        layout_cluster "$suffix" "$port"
        port=$((port + 5))
    done
    [ -z "$accounting" ] || layout_accounting
    if [ "$clusters" = 2 ]; then
        ln -s alpha/slurm.conf "$dir/slurm.conf"
    fi
    write_clients
    write_env
}

make_munge_key() {
    head -c 128 /dev/urandom >"$dir/munge/key"
    chmod 400 "$dir/munge/key"
    # munged wants a directory that others may enter, to reach the socket.
    chmod 755 "$dir/munge"
}

# Slurm's daemons listen on every address, or on the one that the host's name
# stands for; in their name space that is loopback.
write_hosts() {
    local name
    {
        printf '127.0.0.1 localhost'
        for name in "$(hostname)" "$(hostname -s)"; do
            printf ' %s' "$name"
        done
        printf '\n'
        grep -vwF -e "$(hostname -s)" /etc/hosts || true
    } >"$dir/hosts"
}

layout_cluster() {
    local suffix=$1 port=$2 home=$dir${1:+/${1#.}} node
    mkdir -p "$home"/{state,spool/n1,spool/n2}
    write_slurm_conf "$home" "${suffix#.}" "$port"
    [ ${#extra_files[@]} = 0 ] || cp -- "${extra_files[@]}" "$home/"
    # Slurm 23 and later insist on a cgroup plugin unless told otherwise.
    case $generation in
        20.11 | 22.05) ;;
        *) printf 'CgroupPlugin=disabled\n' >"$home/cgroup.conf" ;;
    esac
    write_slurm_daemon "slurmctld$suffix" "$home" slurmctld -D -i -f "$home/slurm.conf"
    for node in n1 n2; do
        write_slurm_daemon "slurmd-$node$suffix" "$home" slurmd -D -N "$node" -f "$home/slurm.conf"
    done
}

# write_slurm_conf HOME NAME PORT
write_slurm_conf() {
    local home=$1 name=${2:-$cluster_name} port=$3 line
    local -A given=()
    for line in ${extra_conf[@]+"${extra_conf[@]}"}; do
        given[$(printf '%s' "${line%%=*}" | tr '[:upper:]' '[:lower:]')]=yes
    done
    {
        default_conf "$home" "$name" "$port" | while IFS= read -r line; do
            # A key given twice makes every client complain on stderr.
            [ -n "${given[$(printf '%s' "${line%%=*}" | tr '[:upper:]' '[:lower:]')]:-}" ] ||
                printf '%s\n' "$line"
        done
        for line in ${extra_conf[@]+"${extra_conf[@]}"}; do
            printf '%s\n' "$line"
        done
        nodes_and_partitions "$port"
    } >"$home/slurm.conf"
}

default_conf() {
    local home=$1 name=$2 port=$3
    cat <<CONF
ClusterName=$name
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
CredType=cred/munge
StateSaveLocation=$home/state
SlurmdSpoolDir=$home/spool/%n
SlurmctldPidFile=$home/slurmctld.pid
SlurmdPidFile=$home/slurmd.%n.pid
SlurmctldLogFile=$dir/log/slurmctld${2:+.$name}.log
SlurmdLogFile=$dir/log/slurmd-%n.$name.log
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=100
SlurmdParameters=config_overrides
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
ReturnToService=2
KillWait=5
MinJobAge=300
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
CONF
    [ -z "$root" ] || printf 'PluginDir=%s\n' "$(plugin_dir "$root")"
    [ -n "$accounting" ] || return 0
    cat <<CONF
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$((port_base + 19))
AccountingStoragePass=$dir/munge/socket
CONF
    # 20.11 stores comments unless told not to; later ones when told to.
    [ "$generation" = 20.11 ] || printf 'AccountingStoreFlags=job_comment\n'
}

# `high` preempts `low`; `batch` and `short` neither preempt nor are preempted.
nodes_and_partitions() {
    local port=$1
    cat <<CONF
NodeName=n1 NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=8 RealMemory=4000 State=UNKNOWN
NodeName=n2 NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=8 RealMemory=4000 State=UNKNOWN
PartitionName=batch Nodes=n1,n2 Default=YES DefaultTime=30 MaxTime=UNLIMITED State=UP PriorityTier=1 PreemptMode=OFF
PartitionName=short Nodes=n1,n2 MaxTime=5 DefaultTime=1 State=UP PriorityTier=1 PreemptMode=OFF
PartitionName=low Nodes=n1,n2 MaxTime=UNLIMITED State=UP PriorityTier=1 PreemptMode=REQUEUE
PartitionName=high Nodes=n1,n2 MaxTime=UNLIMITED State=UP PriorityTier=10 PreemptMode=OFF
CONF
}

layout_accounting() {
    local home=$dir/accounting first=$dir${suffixes[0]:+/${suffixes[0]#.}}
    mkdir -p "$home/db"
    # slurmdbd looks for its file beside slurm.conf, and for slurm.conf itself.
    ln -s "$first/slurm.conf" "$home/slurm.conf"
    {
        cat <<CONF
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$((port_base + 19))
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
SlurmUser=root
LogFile=$dir/log/slurmdbd.log
PidFile=$home/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm_acct_db
CONF
        [ -z "$root" ] || printf 'PluginDir=%s\n' "$(plugin_dir "$root")"
    } >"$home/slurmdbd.conf"
    chmod 600 "$home/slurmdbd.conf"
    mariadb-install-db --no-defaults --user=root --datadir="$home/db" --skip-test-db \
        --auth-root-authentication-method=socket --auth-root-socket-user=root \
        >"$dir/log/mariadb-install.log" 2>&1
    write_daemon mariadbd /usr/sbin/mariadbd --no-defaults --user=root --datadir="$home/db" \
        --socket="$home/mysql.sock" --pid-file="$home/mysql.pid" --skip-networking \
        --innodb-buffer-pool-size=128M --innodb-lock-wait-timeout=900 \
        --innodb-flush-log-at-trx-commit=0
    write_slurm_daemon slurmdbd "$home" slurmdbd -D
}

# The client library finds the database's socket by MYSQL_UNIX_PORT: slurmdbd
# has no option for it. A step daemon writes its title over the variables that
# come first; the mark by which `down` knows it comes last.
write_slurm_daemon() {
    local name=$1 home=$2 program=$3
    shift 3
    write_daemon "$name" unshare --mount --propagation slave "$dir/daemons/.enter" \
        env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin \
        SLURM_CONF="$home/slurm.conf" MYSQL_UNIX_PORT="$dir/accounting/mysql.sock" \
        SLURM_CLUSTER_DIR="$dir/" "/usr/sbin/$program" "$@"
}

# write_daemon NAME COMMAND...: DIR/daemons/NAME becomes that daemon when run.
write_daemon() {
    local name=$1
    shift
    {
        printf '#!/bin/sh\nexec'
        printf " '%s'" "$@"
        printf '\n'
    } >"$dir/daemons/$name"
    chmod 755 "$dir/daemons/$name"
}

# Runs a daemon in a mount namespace of its own, so that no mount outlives it and
# its jobs: with the hosts file above and, where there is one, inside the root.
write_enter() {
    cat >"$dir/daemons/.enter" <<ENTER
#!/bin/sh
set -e
mount --bind "$dir/hosts" /etc/hosts
root=$root
[ -n "\$root" ] || exec "\$@"
for place in proc sys dev tmp home root; do
    mount --rbind "/\$place" "\$root/\$place"
done
mount --rbind /etc "\$root/host-etc"
case $dir in
    /tmp/* | /home/* | /root/*) ;;
    *)
        mkdir -p "\$root$dir"
        mount --bind "$dir" "\$root$dir"
        ;;
esac
exec chroot "\$root" "\$@"
ENTER
    chmod 755 "$dir/daemons/.enter"
}

write_env() {
    {
        printf 'SLURM_CONF=%s\n' "$dir${suffixes[0]:+/${suffixes[0]#.}}/slurm.conf"
        printf 'export SLURM_CONF\n'
        if [ "$clusters" = 2 ]; then
            printf 'SLURM_CONF_BETA=%s\n' "$dir/beta/slurm.conf"
            printf 'export SLURM_CONF_BETA\n'
        fi
        # shellcheck disable=SC2016 # expanded by whoever sources it
        printf 'PATH=%s:$PATH\nexport PATH\n' "$dir/bin"
    } >"$dir/env"
}

# Takes 20 ports for $dir that nothing listens on and no other cluster has taken, below the kernel's
# own range; prints the first.
take_ports() {
    mkdir -p "$cache_dir/ports"
    (
        flock 9
        base=$(free_port_base)
        printf '%s\n' "$dir" >"$cache_dir/ports/$base"
        printf '%s\n' "$base"
    ) 9>"$cache_dir/ports/.lock"
}

release_ports() {
    local taken
    for taken in "$cache_dir"/ports/[0-9]*; do
        [ ! -e "$taken" ] || [ "$(cat "$taken")" != "$1" ] || rm -f "$taken"
    done
}

free_port_base() {
    local try base port used
    used=$(awk 'NR > 1 && $4 == "0A" { sub(/.*:/, "", $2); print $2 }' /proc/net/tcp /proc/net/tcp6)
    for try in $(seq 0 399); do
        base=$((20000 + (($$ + try) % 400) * 20))
        # A cluster whose directory is gone needs its ports no more.
        [ ! -e "$cache_dir/ports/$base" ] || [ ! -d "$(cat "$cache_dir/ports/$base")" ] || continue
        for port in $(seq "$base" $((base + 19))); do
            ! grep -qx "$(printf '%04X' "$port")" <<<"$used" || continue 2
        done
        printf '%s\n' "$base"
        return
    done
    die "no free range of ports between 20000 and 28000"
}
