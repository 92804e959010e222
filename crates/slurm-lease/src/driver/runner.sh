#!/bin/sh
# The bundled runner: the batch script of a lease's job.
#
# It starts an sshd of its own in the allocation, publishes where that sshd
# answers, and ends the job when the lease is over. It runs as the job's user,
# needs no privileges, and uses nothing but a POSIX shell, coreutils, grep, sed
# and OpenSSH (7.4 or newer). docs/runners.md is its manual: the variables it
# reads, the files it exchanges with the driver, its exit codes.

set -u
# By these the caller of sbatch answers for itself, and sbatch hands on all
# that begins with SLURM_. No process of the job is to keep them.
if [ -n "${SLURM_JWT+x}${SLURM_SACK_KEY+x}${SLURM_SACK_SOCKET+x}" ]; then
    exec env -u SLURM_JWT -u SLURM_SACK_KEY -u SLURM_SACK_SOCKET /bin/sh "$0" "$@"
fi
# What the job was given, before any variable of this script comes in: one
# variable a line, its line breaks replaced by the control character RS.
job_environment=$(env -0 | tr '\n\0' '\036\n')
session_umask=$(umask)
LC_ALL=C
export LC_ALL
umask 077

readonly EXIT_USAGE=64 EXIT_NO_SSHD=69 EXIT_SSHD_DIED=70 EXIT_NO_FILE=73
# Seconds between two looks at the lease's directory.
readonly TICK=1
# Seconds that sessions have between SIGTERM and SIGKILL. Slurm's own limit
# for the whole job, KillWait, is 30 s unless a site lowers it.
readonly SESSION_GRACE=1
# sshd before 8.0 skips a line of authorized_keys beyond 16 KiB.
readonly ENVIRONMENT_LIMIT=14000
readonly PORT_ATTEMPTS=20

record_separator=$(printf '\036')
sshd_pid=
sleep_pid=
guard_pid=
run_dir=
endpoint=
lease_dir=
mark=
job_id=${SLURM_JOB_ID-}
restart_count=${SLURM_RESTART_COUNT:-0}
nonce=${CBX_NONCE-}

main() {
    trap 'finish 129 terminated "the job received SIGHUP"' HUP
    trap 'finish 130 terminated "the job received SIGINT"' INT
    trap 'finish 138 terminated "the job received SIGUSR1"' USR1
    trap 'finish 143 terminated "the job received SIGTERM"' TERM
    trap 'unexpected_exit $?' EXIT

    cd / || :
    read_settings
    make_run_dir
    end_if_released
    make_work_root
    make_host_key
    write_authorized_keys
    write_sshd_config
    choose_host
    start_sshd
    publish
    guard_sshd
    watch_lease
}

# --- what the job was told ---------------------------------------------------

read_settings() {
    case ${CBX_LEASE_ID-} in
    '' | .* | *[!A-Za-z0-9._-]*) usage "CBX_LEASE_ID is not a lease id: '${CBX_LEASE_ID-}'" ;;
    esac
    case ${CBX_STATE_DIR-} in
    /*) ;;
    *) usage "CBX_STATE_DIR is not an absolute path: '${CBX_STATE_DIR-}'" ;;
    esac
    [ -d "$CBX_STATE_DIR/jobs/$CBX_LEASE_ID" ] || finish "$EXIT_NO_FILE" error \
        "$CBX_STATE_DIR/jobs/$CBX_LEASE_ID does not exist on $(uname -n): the state directory must be on a file system that compute nodes share"
    lease_dir=$CBX_STATE_DIR/jobs/$CBX_LEASE_ID
    [ -n "$job_id" ] || usage "SLURM_JOB_ID is not set: this script runs as a Slurm job"
    for number in "$job_id" "$restart_count"; do
        case $number in *[!0-9]*) usage "'$number' is not a job id or restart count" ;; esac
    done
    [ -r "${CBX_SSH_PUBLIC_KEY_FILE-}" ] ||
        usage "CBX_SSH_PUBLIC_KEY_FILE can't be read: '${CBX_SSH_PUBLIC_KEY_FILE-}'"

    # A driver that gives no nonce writes no "claimed" file either.
    grace_default=120
    [ -n "$nonce" ] || grace_default=0
    read_seconds CBX_UNCLAIMED_GRACE_SECONDS "${CBX_UNCLAIMED_GRACE_SECONDS-$grace_default}"
    grace=$number
    read_seconds CBX_IDLE_SECONDS "${CBX_IDLE_SECONDS-}"
    idle_limit=$number
    read_seconds CBX_TTL_SECONDS "${CBX_TTL_SECONDS-}"
    look_at_clock
    expires_on_clock=0
    [ "$number" -eq 0 ] || expires_on_clock=$((now + number))

    choose_user
    choose_ports
    find_programs
}

# read_seconds NAME TEXT: empty and 0 both mean "no limit".
read_seconds() {
    plain_number "$2" || usage "$1 is not a number of seconds: '$2'"
}

# Sets number to TEXT without leading zeros, which would make it octal.
plain_number() {
    number=$1
    case $number in *[!0-9]* | ?????????????*) return 1 ;; esac
    while :; do
        case $number in 0?*) number=${number#0} ;; *) break ;; esac
    done
    number=${number:-0}
}

choose_user() {
    own_name=$(id -un)
    user=${CBX_SSH_USER:-$own_name}
    # Only root's sshd can become somebody else.
    [ "$(id -u)" -eq 0 ] || [ "$(id -u "$user" 2>/dev/null)" = "$(id -u)" ] ||
        usage "CBX_SSH_USER is $user, but the job runs as $own_name and its sshd can admit nobody else"
}

# CBX_SSH_PORT is one port or a range, LOW-HIGH.
choose_ports() {
    # Below the ports that Linux gives to outgoing connections (32768 up).
    lowest_port=20000
    highest_port=32767
    if [ -n "${CBX_SSH_PORT-}" ]; then
        plain_number "${CBX_SSH_PORT%%-*}" || usage "CBX_SSH_PORT is not a port: '$CBX_SSH_PORT'"
        lowest_port=$number
        plain_number "${CBX_SSH_PORT#*-}" || usage "CBX_SSH_PORT is not a port: '$CBX_SSH_PORT'"
        highest_port=$number
    fi
    if [ "$lowest_port" -lt 1 ] || [ "$highest_port" -lt "$lowest_port" ] || [ "$highest_port" -gt 65535 ]; then
        usage "CBX_SSH_PORT is not a port or a range of ports: '${CBX_SSH_PORT-}'"
    fi
}

find_programs() {
    # sshd starts itself again for each connection and insists on its full path.
    sshd=${CBX_SSHD-}
    for candidate in "$(command -v sshd)" /usr/sbin/sshd /usr/local/sbin/sshd /sbin/sshd; do
        [ -n "$sshd" ] || { [ ! -x "$candidate" ] || sshd=$candidate; }
    done
    case $sshd in
    /*) [ -x "$sshd" ] || finish "$EXIT_NO_SSHD" error "sshd can't be run: $sshd (CBX_SSHD)" ;;
    '') finish "$EXIT_NO_SSHD" error "there is no sshd on $(uname -n): install OpenSSH's server or set CBX_SSHD" ;;
    *) usage "CBX_SSHD is not an absolute path: '$sshd'" ;;
    esac
    command -v ssh-keygen >/dev/null ||
        finish "$EXIT_NO_SSHD" error "there is no ssh-keygen on $(uname -n)"
    # Old and embedded sleeps know whole seconds only.
    instant=0.01
    moment=0.05
    sleep 0.001 2>/dev/null || { instant=1 && moment=1; }
}

# --- preparation -------------------------------------------------------------

# The host key and sshd's files live on the node, away from the shared disk.
make_run_dir() {
    for parent in "${SLURM_TMPDIR-}" "${TMPDIR-}" /tmp "$lease_dir"; do
        # sshd_config would take a space or a % in a path for something else.
        case $parent in '' | [!/]* | *[!A-Za-z0-9/._,+=@:-]*) continue ;; esac
        run_dir=$(mktemp -d "$parent/slurm-cbx.XXXXXXXXXX" 2>/dev/null) && return
    done
    run_dir=
    finish "$EXIT_NO_FILE" error "no temporary directory can be made on $(uname -n)"
}

make_work_root() {
    [ -n "${CBX_WORK_ROOT-}" ] || return 0
    (umask "$session_umask" && mkdir -p -- "$CBX_WORK_ROOT") ||
        say "the work root $CBX_WORK_ROOT can't be made" >&2
}

make_host_key() {
    # Machines in FIPS mode refuse ed25519.
    for key_type in ed25519 ecdsa rsa; do
        if ssh-keygen -q -t "$key_type" -N '' -C slurm-cbx -f "$run_dir/host_key" >"$run_dir/keygen.log" 2>&1 </dev/null; then
            read -r key_name key_text _ <"$run_dir/host_key.pub"
            host_key="$key_name $key_text"
            return
        fi
        rm -f "$run_dir/host_key" "$run_dir/host_key.pub"
    done
    cat "$run_dir/keygen.log" >&2
    finish "$EXIT_NO_SSHD" error "ssh-keygen makes no host key"
}

# The job's environment travels as options of the key: that works in every
# OpenSSH, for shells, commands and sftp alike, and no login shell has to parse
# it. (sshd_config's SetEnv came with 7.8 and takes no quote before 8.7.)
write_authorized_keys() {
    mark=CBX_RUN=$job_id.$restart_count.$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
    options="environment=\"$mark\""
    wanted_names=,$(printf %s "${CBX_SESSION_ENV-}" | tr ' ' ','),
    while IFS= read -r variable; do
        ! is_for_sessions "${variable%%=*}" || add_to_options "${variable%%=*}" "${variable#*=}"
    done <<VARIABLES
$job_environment
VARIABLES
    while read -r key || [ -n "$key" ]; do
        case $key in
        '' | '#'*) ;;
        ssh-* | ecdsa-* | sk-*) printf '%s %s\n' "$options" "$key" ;;
        *) printf '%s,%s\n' "$options" "$key" ;; # the key brings options of its own
        esac
    done <"$CBX_SSH_PUBLIC_KEY_FILE" >"$run_dir/authorized_keys"
    [ -s "$run_dir/authorized_keys" ] ||
        finish "$EXIT_NO_FILE" error "$CBX_SSH_PUBLIC_KEY_FILE holds no key, or $run_dir is full"
}

is_for_sessions() {
    case $1 in
    # They would make srun hide the session's environment from its tasks.
    SLURM_EXPORT_ENV | SLURM_GET_USER_ENV) return 1 ;;
    SLURM_* | SLURMD_* | CUDA_* | NVIDIA_* | GPU_* | ROCR_* | HIP_* | ZE_*) return 0 ;;
    TMPDIR | KRB5CCNAME) return 0 ;;
    CBX_LEASE_ID | CBX_SLUG | CBX_NAME | CBX_WORK_ROOT) return 0 ;;
    esac
    case $wanted_names in *,"$1",*) return 0 ;; esac
    return 1
}

# add_to_options NAME VALUE
add_to_options() {
    case $1 in '' | [0-9]* | *[!A-Za-z0-9_]*) return ;; esac
    value=$2
    case $value in
    *"$record_separator"* | *\\)
        say "sessions do without $1: its value has a line break or ends in a backslash" >&2
        return
        ;;
    *'"'*) value=$(printf '%s\n' "$value" | sed 's/"/\\"/g') ;;
    esac
    if [ $((${#options} + ${#1} + ${#value})) -gt "$ENVIRONMENT_LIMIT" ]; then
        say "sessions do without $1: the environment is larger than $ENVIRONMENT_LIMIT bytes" >&2
        return
    fi
    options="$options,environment=\"$1=$value\""
}

write_sshd_config() {
    config=$run_dir/sshd_config
    # "?" stands in for what AllowUsers would not take literally.
    allowed=$(printf %s "$user" | sed 's/[^A-Za-z0-9._-]/?/g')
    {
        printf '%s\n' "HostKey $run_dir/host_key" "AuthorizedKeysFile $run_dir/authorized_keys" \
            "AllowUsers $allowed" 'PidFile none' 'LogLevel INFO' \
            'AuthenticationMethods publickey' 'PubkeyAuthentication yes' 'PasswordAuthentication no' \
            'PermitRootLogin prohibit-password' 'PermitUserEnvironment yes' 'AcceptEnv LANG LC_*' \
            'X11Forwarding no' 'PermitTunnel no' 'PrintMotd no' 'PrintLastLog no' 'UseDNS no' \
            'Subsystem sftp internal-sftp' \
            'MaxSessions 200' 'MaxStartups 100:30:300' 'MaxAuthTries 20' \
            'LoginGraceTime 30' 'ClientAliveInterval 30' 'ClientAliveCountMax 4'
        # The files above lie in a directory of our own, mode 0700, but that may
        # be under /tmp, whose mode sshd would refuse.
        printf '%s\n' 'StrictModes no'
        [ -z "${CBX_SSH_LISTEN-}" ] || printf 'ListenAddress %s\n' "$CBX_SSH_LISTEN"
    } >"$config" || finish "$EXIT_NO_FILE" error "$run_dir can't be written"

    # Names that came or went between OpenSSH 7.4 and 10. The penalties (9.8)
    # would shut out a login node that many people's connections come from.
    set -- 'UsePAM no' 'KbdInteractiveAuthentication no' 'ChallengeResponseAuthentication no' \
        'PerSourcePenalties no'
    add_known "$@" && return
    make_privilege_separation_directory
    config_is_good || add_if_known 'UsePrivilegeSeparation no' || {
        cat "$run_dir/test.log" >&2
        finish "$EXIT_NO_SSHD" error "sshd refuses its configuration: $(tail -n 1 "$run_dir/test.log")"
    }
    for line in "$@"; do
        add_if_known "$line" || :
    done
}

config_is_good() {
    "$sshd" -t -f "$config" >"$run_dir/test.raw" 2>&1
    good=$?
    tr -d '\r' <"$run_dir/test.raw" >"$run_dir/test.log"
    return "$good"
}

# add_known LINE...: adds those whose names this sshd knows, at the cost of at
# most two tests; fails, and adds none, if it does not like the rest either.
add_known() {
    cp "$config" "$config.before"
    printf '%s\n' "$@" >>"$config"
    config_is_good && return
    unknown=$(sed -n 's/.*: Bad configuration option: *//p' "$run_dir/test.log" | tr '\n' ' ')
    cp "$config.before" "$config"
    for line in "$@"; do
        case " $unknown" in *" ${line%% *} "*) ;; *) printf '%s\n' "$line" ;; esac
    done >>"$config"
    config_is_good && return
    mv -f "$config.before" "$config"
    return 1
}

# Leaves LINE in the configuration if this sshd can live with it.
add_if_known() {
    cp "$config" "$config.before"
    printf '%s\n' "$1" >>"$config"
    config_is_good && return
    mv -f "$config.before" "$config"
    return 1
}

# Root's sshd wants this directory; Debian makes it when its own sshd starts.
make_privilege_separation_directory() {
    if [ "$(id -u)" -ne 0 ] || config_is_good; then return; fi
    missing=$(sed -n 's/^Missing privilege separation directory: *//p' "$run_dir/test.log")
    [ -z "$missing" ] || (umask 022 && mkdir -p "$missing")
}

# The first that is a host name: an IPv6 literal breaks rsync's host:path.
choose_host() {
    if [ -n "${CBX_SSH_HOST-}" ]; then
        case $CBX_SSH_HOST in *[!A-Za-z0-9._-]*) usage "CBX_SSH_HOST is not a host name: '$CBX_SSH_HOST'" ;; esac
        host=$CBX_SSH_HOST
        return
    fi
    # With a broken DNS, hostname -f takes its time.
    for host in "$(timeout 3 hostname -f 2>/dev/null)" "$(hostname 2>/dev/null)" "${SLURMD_NODENAME-}" "$(uname -n)"; do
        case $host in '' | localhost | localhost.* | *[!A-Za-z0-9._-]*) ;; *) return ;; esac
    done
    finish "$EXIT_USAGE" error "this node has no host name that others could use: set CBX_SSH_HOST"
}

# --- sshd --------------------------------------------------------------------

# The port belongs to whoever has bound it: so sshd tries, and we look.
start_sshd() {
    attempt=0
    while [ "$attempt" -lt "$PORT_ATTEMPTS" ]; do
        attempt=$((attempt + 1))
        port=$((lowest_port + ($(random_number) + attempt) % (highest_port - lowest_port + 1)))
        (
            umask "$session_umask"
            exec "$sshd" -D -e -f "$config" -p "$port"
        ) >"$run_dir/sshd.log" 2>&1 </dev/null &
        sshd_pid=$!
        if is_listening && answers && ! port_was_taken; then
            return
        fi
        stop_sshd
        port_was_taken || break
        [ "$lowest_port" -lt "$highest_port" ] || break
    done
    show_sshd_log
    finish "$EXIT_NO_SSHD" error "sshd does not start on port $port: $(tail -n 1 "$run_dir/sshd.log" | tr -d '\r')"
}

random_number() { od -An -N2 -tu2 /dev/urandom | tr -d ' \n'; }

is_listening() {
    looks=0
    while [ "$looks" -lt 1000 ] && is_our_child "$sshd_pid"; do
        ! grep -q '^Server listening on ' "$run_dir/sshd.log" || return 0
        pause "$instant"
        looks=$((looks + 1))
    done
    return 1
}

# A port that is taken for IPv4 can be free for IPv6: sshd then goes on with half.
port_was_taken() { grep -q 'Address already in use' "$run_dir/sshd.log"; }

# Is it our sshd that answers there? Its host key says so, its banner nearly.
answers() {
    address=${CBX_SSH_LISTEN:-127.0.0.1}
    if command -v ssh-keyscan >/dev/null; then
        case $(ssh-keyscan -T 5 -t "$key_type" -p "$port" "$address" 2>/dev/null) in
        *"$host_key"*) return 0 ;;
        esac
        return 1
    elif command -v bash >/dev/null; then
        # shellcheck disable=SC2016 # the inner bash expands these
        case $(timeout 5 bash -c 'exec 3<>"/dev/tcp/$1/$2" && head -c 4 <&3' bash "$address" "$port" 2>/dev/null) in
        SSH-) return 0 ;;
        esac
        return 1
    fi
}

show_sshd_log() {
    say "sshd's last lines:" >&2
    tail -n 20 "$run_dir/sshd.log" | tr -d '\r' >&2
}

stop_sshd() {
    [ -n "$sshd_pid" ] || return 0
    kill -KILL "$sshd_pid" 2>/dev/null
    wait "$sshd_pid" 2>/dev/null
    sshd_pid=
}

publish() {
    endpoint=$(
        printf '{"host":%s,"port":%s,"user":%s,"readyCheck":%s,"jobId":"%s","restartCount":%s,"nonce":%s,"hostKey":%s}' \
            "$(json_string "$host")" "$port" "$(json_string "$user")" "$(json_string "${CBX_READY_CHECK-}")" \
            "$job_id" "$restart_count" "$(json_string "$nonce")" "$(json_string "$host_key")"
    )
    write_file endpoint.json "$endpoint" ||
        finish "$EXIT_NO_FILE" error "endpoint.json can't be written to $lease_dir"
    say "lease $CBX_LEASE_ID, job $job_id: sshd answers on $host port $port"
}

# Killed with SIGKILL, as by the kernel when memory is short, the runner ends
# nothing, and with proctrack/linuxproc neither does Slurm. This process is told
# of it by the end of a pipe that only the runner holds.
guard_sshd() {
    mkfifo "$run_dir/alive" || return
    (
        trap '' HUP INT TERM USR1
        trap - EXIT
        read -r _ <"$run_dir/alive"
        end_sessions
        retract_endpoint
        rm -rf "$run_dir"
    ) </dev/null &
    guard_pid=$!
    # For both ends, so that it does not wait for the other.
    exec 9<>"$run_dir/alive"
}

stop_guard() {
    [ -n "$guard_pid" ] || return 0
    kill -KILL "$guard_pid" 2>/dev/null
    wait "$guard_pid" 2>/dev/null
    guard_pid=
}

# --- the lease ---------------------------------------------------------------

watch_lease() {
    look_at_clock
    published_at=$now
    active_at=$now
    claimed=
    touched_at=
    expires_at=
    while :; do
        forgive_a_gap
        look_at_lease_dir
        is_our_child "$sshd_pid" || sshd_exited
        end_if_expired
        end_if_unclaimed
        end_if_idle
        pause "$TICK"
    done
}

# A suspended job, or a file system that hung, must not look idle afterwards.
forgive_a_gap() {
    last_look=$now
    look_at_clock
    gap=$((now - last_look))
    if [ "$gap" -gt 15 ]; then
        published_at=$((published_at + gap))
        active_at=$now
    fi
}

# Listing the directory makes an NFS client ask its server; a test for one
# name could be answered from its cache for a minute.
look_at_lease_dir() {
    for file in "$lease_dir"/*; do
        case ${file##*/} in
        release) end_if_released ;;
        claimed) is_only_offered "$file" || claimed=yes ;;
        heartbeat) read_heartbeat "$file" ;;
        esac
    done
}

# A lease that is about to be handed out is not yet anybody's.
is_only_offered() {
    said=
    read -r said 2>/dev/null <"$1"
    [ "$said" = offered ]
}

# A release names the attempt that it means; an empty one means any.
end_if_released() {
    [ -e "$lease_dir/release" ] || return 0
    wanted=
    read -r wanted 2>/dev/null <"$lease_dir/release"
    if [ -z "$wanted" ] || [ -z "$nonce" ] || [ "$wanted" = "$nonce" ]; then
        finish 0 released "a release was asked for"
    fi
}

# A touch is a new value, so that the clocks of two machines need not agree.
read_heartbeat() {
    while IFS='=' read -r key value || [ -n "$key" ]; do
        if [ -z "$value" ] || ! plain_number "$value"; then continue; fi
        case $key in
        idle_timeout_secs) idle_limit=$number ;;
        touched_at)
            [ "$number" = "$touched_at" ] || active_at=$now
            touched_at=$number
            ;;
        expires_at)
            [ "$number" = "$expires_at" ] || set_expiry
            expires_at=$number
            ;;
        esac
    done 2>/dev/null <"$1"
}

set_expiry() {
    expires_on_clock=0
    [ "$number" -eq 0 ] || expires_on_clock=$((now + number - $(date +%s)))
    # 0 stands for "never", also on a machine that has just started.
    [ "$number" -eq 0 ] || [ "$expires_on_clock" -ge 1 ] || expires_on_clock=1
}

end_if_expired() {
    if [ "$expires_on_clock" -ne 0 ] && [ "$now" -ge "$expires_on_clock" ]; then
        finish 0 ttl "the lease's time to live has passed"
    fi
}

end_if_unclaimed() {
    if [ -z "$claimed" ] && [ "$grace" -ne 0 ] && [ $((now - published_at)) -ge "$grace" ]; then
        finish 0 unclaimed "nobody claimed the lease within $grace s"
    fi
}

end_if_idle() {
    [ "$idle_limit" -ne 0 ] || return 0
    ! a_session_is_open || active_at=$now
    if [ $((now - active_at)) -ge "$idle_limit" ]; then
        finish 0 idle "no session and no touch for $idle_limit s"
    fi
}

# Each connection has a handler under our sshd. As long as it has not been
# authenticated, the titles of the handler and of its children carry a tag in
# brackets; then one of them reads "sshd: alice@pts/0" (or sshd-session, 9.8).
a_session_is_open() {
    children_of "$sshd_pid"
    for handler in $children; do
        children_of "$handler"
        for process in "$handler" $children; do
            title=
            read -r title 2>/dev/null <"/proc/$process/cmdline"
            case $title in
            *\[*) ;;
            sshd*': '* | */sshd*': '*) return 0 ;;
            esac
        done
    done
    return 1
}

sshd_exited() {
    # scancel signals every process of the job in turn, and sshd may come first.
    pause 0.5
    wait "$sshd_pid" 2>/dev/null
    status=$?
    sshd_pid=
    show_sshd_log
    finish "$EXIT_SSHD_DIED" sshd-exited "sshd ended by itself with status $status"
}

# --- the end -----------------------------------------------------------------

usage() { finish "$EXIT_USAGE" error "$1"; }

unexpected_exit() {
    status=$1
    [ "$status" -ne 0 ] || status=$EXIT_SSHD_DIED
    finish "$status" error "the runner ended unexpectedly"
}

# finish STATUS REASON MESSAGE: nothing that was started here outlives it.
finish() {
    trap '' HUP INT TERM USR1
    trap - EXIT
    [ -z "$sleep_pid" ] || kill "$sleep_pid" 2>/dev/null
    stop_guard
    end_sessions
    retract_endpoint
    if [ "$1" -eq 0 ]; then say "$2: $3"; else say "$2: $3" >&2; fi
    [ -z "$lease_dir" ] || write_file stopped.json "$(
        printf '{"jobId":"%s","restartCount":%s,"nonce":%s,"exitCode":%s,"reason":"%s","message":%s,"at":%s}' \
            "$job_id" "$restart_count" "$(json_string "$nonce")" "$1" "$2" "$(json_string "$3")" "$(date +%s)"
    )" || say "stopped.json can't be written to $lease_dir" >&2
    [ -z "$run_dir" ] || rm -rf "$run_dir"
    exit "$1"
}

# With proctrack/linuxproc Slurm itself loses processes that left the tree.
end_sessions() {
    [ -n "$mark" ] || return 0
    doomed=
    if [ -n "$sshd_pid" ]; then
        # Stopped, it can't accept a connection that the list would miss.
        kill -STOP "$sshd_pid" 2>/dev/null
        descendants_of "$sshd_pid"
        doomed=$descendants
        stop_sshd
    fi
    add_marked_processes
    signal_doomed TERM
    looks=0
    while any_doomed_left && [ "$looks" -lt $((SESSION_GRACE * 20)) ]; do
        sleep "$moment"
        looks=$((looks + 1))
    done
    # One that was not killed yet may have started another meanwhile.
    looks=0
    while add_marked_processes && [ -n "$doomed" ] && [ "$looks" -lt 20 ]; do
        signal_doomed KILL
        sleep "$moment"
        doomed=
        looks=$((looks + 1))
    done
}

# What a session left in the background has its mark. A job that was submitted
# from a session has inherited it too, and is known by its own job id.
add_marked_processes() {
    marked=$(grep -lsF "$mark" /proc/[0-9]*/environ)
    for environment in $marked; do
        process=${environment#/proc/}
        process=${process%/environ}
        if tr '\0' '\n' 2>/dev/null <"$environment" | grep -qx "SLURM_JOB_ID=$job_id"; then
            doomed="$doomed $process"
        fi
    done
    return 0
}

signal_doomed() {
    for process in $doomed; do
        kill "-$1" "$process" 2>/dev/null
    done
}

any_doomed_left() {
    for process in $doomed; do
        process_stat "$process" && return 0
    done
    return 1
}

# Another run of the job, on another node, may have published since.
retract_endpoint() {
    if [ -n "$endpoint" ] && [ "$(cat "$lease_dir/endpoint.json" 2>/dev/null)" = "$endpoint" ]; then
        rm -f "$lease_dir/endpoint.json"
    fi
}

# --- tools -------------------------------------------------------------------

say() { printf 'slurm-cbx runner: %s\n' "$*"; }

# In the background, so that a trap runs at once.
pause() {
    sleep "$1" &
    sleep_pid=$!
    wait "$sleep_pid" 2>/dev/null
    sleep_pid=
}

# Seconds on a clock that nobody sets.
look_at_clock() {
    read -r uptime _ </proc/uptime
    now=${uptime%%.*}
}

# Sets state and parent; fails for a process that is gone, dead processes that
# wait for their parent included.
process_stat() {
    stat=
    read -r stat 2>/dev/null <"/proc/$1/stat"
    # The name before the last ")" can hold anything.
    stat=${stat##*) }
    state=${stat%% *}
    stat=${stat#* }
    parent=${stat%% *}
    case $state in '' | Z | X) return 1 ;; esac
}

is_our_child() { process_stat "$1" && [ "$parent" = $$ ]; }

children_of() {
    children=
    if [ -r "/proc/$$/task/$$/children" ]; then
        for list in "/proc/$1"/task/*/children; do
            line=
            read -r line 2>/dev/null <"$list"
            children="$children $line"
        done
        return
    fi
    # Kernels without CONFIG_PROC_CHILDREN
    for entry in /proc/[0-9]*; do
        process_stat "${entry#/proc/}" && [ "$parent" = "$1" ] && children="$children ${entry#/proc/}"
    done
}

descendants_of() {
    descendants=
    queue=$1
    while [ -n "$queue" ]; do
        generation=
        for process in $queue; do
            children_of "$process"
            for child in $children; do
                generation="$generation $child"
            done
        done
        descendants="$descendants $generation"
        queue=$generation
    done
}

# Whoever reads FILE sees all of it or none.
write_file() {
    if printf '%s\n' "$2" >"$lease_dir/.$1.$job_id.$restart_count" &&
        mv -f "$lease_dir/.$1.$job_id.$restart_count" "$lease_dir/$1"; then
        return 0
    fi
    rm -f "$lease_dir/.$1.$job_id.$restart_count"
    return 1
} 2>/dev/null

json_string() {
    rest=$1
    text=
    while [ -n "$rest" ]; do
        tail=${rest#?}
        character=${rest%"$tail"}
        rest=$tail
        case $character in
        '"' | \\) text="$text\\$character" ;;
        '
') text="$text\\n" ;;
        '	') text="$text\\t" ;;
        [[:cntrl:]]) text="$text " ;;
        *) text="$text$character" ;;
        esac
    done
    printf '"%s"' "$text"
}

main
