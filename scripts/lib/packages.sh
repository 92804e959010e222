# shellcheck shell=bash
# install_packages PACKAGE...: installs what is missing of these Debian packages, as root, without
# starting a service of theirs; names it where we are not root.
install_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        printf 'missing, and only root can install them: %s\n' "${missing[*]}" >&2
        return 1
    fi
    printf 'installing %s\n' "${missing[*]}" >&2
    local policy=/usr/sbin/policy-rc.d ours=
    if [ ! -e "$policy" ]; then
        ours=yes
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    local status=0
    {
        DEBIAN_FRONTEND=noninteractive apt-get update -q &&
            DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
                "${missing[@]}"
    } >&2 || status=$?
    [ -z "$ours" ] || rm -f "$policy"
    return "$status"
}
