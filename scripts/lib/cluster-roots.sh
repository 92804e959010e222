# shellcheck shell=bash
# Where each generation's Slurm comes from: the host's own packages when they
# are of that generation, else a Debian root made with debootstrap and kept.

cache_dir=${SLURM_CLUSTER_CACHE:-/var/cache/slurm-cluster}
mirror=${SLURM_CLUSTER_MIRROR:-http://deb.debian.org/debian}
slurm_packages="slurmctld slurmd slurm-client slurmdbd munge openssh-server openssh-client"
job_packages="bash git rsync tar python3-minimal procps"
: "${dir=}" "${root=}"
client_commands="sbatch squeue sacct scancel scontrol sinfo sacctmgr srun salloc"

# Prints the root directory of a generation, empty for the host itself.
root_of_generation() {
    local suite
    case $1 in
        20.11) suite=bullseye ;;
        22.05) suite=bookworm ;;
        24.11) suite=trixie ;;
        26.05) suite=sid ;;
        *) die "no such generation: $1 (20.11, 22.05, 24.11, 26.05)" ;;
    esac
    if [ "$(slurm_generation /)" = "$1" ]; then
        return 0
    fi
    build_root "$1" "$suite"
    printf '%s\n' "$cache_dir/$suite"
}

# The generation (two first numbers of the version) that a root has installed.
slurm_generation() {
    local version
    version=$(dpkg-query --admindir="$1/var/lib/dpkg" -W -f '${Version}' slurmctld 2>/dev/null) || true
    printf '%s\n' "$version" | sed -n 's/^\([0-9]*\.[0-9]*\)\..*/\1/p'
}

install_host_packages() {
    local wanted="munge openssh-server openssh-client rsync util-linux iproute2 procps" missing=() package
    # Only Debian bookworm carries the generation that can run without a root.
    if [ "$(host_release)" = bookworm ]; then
        wanted="$wanted slurmctld slurmd slurm-client slurmdbd"
    fi
    if [ "$generation" != 22.05 ] || [ "$(host_release)" != bookworm ]; then
        wanted="$wanted debootstrap debian-archive-keyring"
    fi
    [ -z "$accounting" ] || wanted="$wanted mariadb-server"
    for package in $wanted; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing ${missing[*]}"
    without_services apt-get update -q
    without_services apt-get install -q -y --no-install-recommends "${missing[@]}"
}

host_release() {
    # shellcheck disable=SC1091 # the host's file
    (. /etc/os-release && printf '%s\n' "${VERSION_CODENAME:-}")
}

# Runs a package command so that no system service is started by it.
without_services() {
    local policy=/usr/sbin/policy-rc.d made='' status=0
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        made=yes
    fi
    DEBIAN_FRONTEND=noninteractive "$@" >&2 || status=$?
    [ -z "$made" ] || rm -f "$policy"
    return "$status"
}

build_root() {
    local generation=$1 suite=$2 root=$cache_dir/$2 packages
    if [ ! -e "$root/.complete" ]; then
        [ "$(id -u)" = 0 ] || die "building a root needs root"
        mkdir -p "$cache_dir"
        chmod 755 "$cache_dir"
        (
            flock -n 9 || {
                say "waiting for another process that makes the root of Slurm $generation"
                flock 9
            }
            [ ! -e "$root/.complete" ] || exit 0
            rm -rf "$root"
            packages="$slurm_packages $job_packages"
            case $generation in
                24.11 | 26.05) packages="$packages slurm-wlm-mysql-plugin" ;;
            esac
            say "making the root of Slurm $generation from Debian $suite (about a minute)"
            # What debootstrap mounts in there ends with it, also when it is killed.
            unshare --mount --propagation slave \
                env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin debootstrap --variant=minbase \
                --include="$(printf '%s' "$packages" | tr ' ' ,)" \
                "$suite" "$root" "$mirror" 2>&1 | show_progress
            finish_root "$root"
            touch "$root/.complete"
        ) 9>"$cache_dir/$suite.lock"
    fi
    [ "$(slurm_generation "$root")" = "$generation" ] ||
        die "Debian $suite has Slurm $(slurm_generation "$root"), not $generation; see $root"
}

# Shows what debootstrap is at: one line that changes on a terminal, elsewhere a line whenever it
# goes over to something else and after every fifty packages, and its errors and warnings in any case.
show_progress() {
    local line doing last='' count=0 terminal=''
    [ ! -t 2 ] || terminal=yes
    while IFS= read -r line; do
        case $line in
            'E: '* | 'W: '*) printf '  %s\n' "$line" >&2; continue ;;
            'I: Retrieving '*) doing='fetching packages' ;;
            'I: Extracting '*) doing='unpacking the base' ;;
            'I: Unpacking '*) doing='unpacking packages' ;;
            'I: Configuring '*) doing='setting packages up' ;;
            *) continue ;;
        esac
        if [ "$doing" != "$last" ]; then
            [ -z "$last" ] || [ -z "$terminal" ] || printf '\n' >&2
            [ -n "$terminal" ] || printf '  %s\n' "$doing" >&2
            count=0
        fi
        last=$doing count=$((count + 1))
        if [ -n "$terminal" ]; then
            printf '\r  %s: %d' "$doing" "$count" >&2
        elif ((count % 50 == 0)); then
            printf '  %s: %d\n' "$doing" "$count" >&2
        fi
    done
    [ -z "$last" ] || [ -z "$terminal" ] || printf '\n' >&2
}

# The host's users are the root's users, now and later: the files are reached
# through a directory that `enter` binds, because useradd replaces them.
finish_root() {
    local root=$1 file
    mkdir -p "$root/host-etc" "$root/run/sshd"
    for file in passwd group shadow hosts; do
        ln -sfn "/host-etc/$file" "$root/etc/$file"
    done
    # The root's own path, seen from inside, is /: one slurm.conf with one
    # PluginDir then serves daemons inside and clients outside.
    mkdir -p "$root$(dirname "$root")"
    ln -sfn / "$root$root"
    chmod 755 "$root"
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
}

plugin_dir() {
    local found
    for found in "$1"/usr/lib/*/slurm-wlm; do
        [ -e "$found/libslurmfull.so" ] || continue
        printf '%s\n' "$found"
        return
    done
    die "no Slurm plugins below $1/usr/lib"
}

# Writes $dir/bin/*: clients that any user can run on the host. Those of a root
# run there under that root's own loader and libraries; no privilege is needed.
write_clients() {
    local command run plugins libraries
    for command in $client_commands; do
        [ -x "$root/usr/bin/$command" ] || continue
        run="$root/usr/bin/$command"
        if [ -n "$root" ]; then
            plugins=$(plugin_dir "$root")
            libraries=$(dirname "$plugins")
            run="$libraries/ld-linux-x86-64.so.2 --library-path $libraries:$plugins $run"
        fi
        cat >"$dir/bin/$command" <<CLIENT
#!/bin/sh
: "\${SLURM_CONF:=$dir/slurm.conf}"
export SLURM_CONF
exec $run "\$@"
CLIENT
        chmod 755 "$dir/bin/$command"
    done
}
