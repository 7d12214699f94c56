#!/usr/bin/env bash
# Installs the programs of the database servers that the tests start themselves: no service is
# set up or started. Without the right to install, says in one line what is missing and goes on.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/usr/local/sbin

wanted=()
# beside the wheel's PostgreSQL (requirements-dev.txt), which knows no TLS
if ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
    wanted+=(postgresql)
fi
# the -core packages have the programs and no service; my_print_defaults is in the client's
if ! command -v mariadbd >/dev/null || ! command -v mariadb-install-db >/dev/null || ! command -v my_print_defaults >/dev/null; then
    wanted+=(mariadb-server-core mariadb-client-core)
fi
[ ${#wanted[@]} -gt 0 ] || exit 0

as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo -n)
if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
    echo "servers: not installed, for want of apt or root: ${wanted[*]} (the tests that need them are skipped)"
    exit 0
fi

echo "servers: installing ${wanted[*]}"
# Debian's word to postinst scripts that no service is to be started (101), put back afterwards
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
fi
"${as_root[@]}" apt-get -qq update || true  # a stale list may still do
if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install --no-install-recommends "${wanted[@]}" >/dev/null; then
    echo "servers: apt could not install ${wanted[*]} (the tests that need them are skipped)"
fi
