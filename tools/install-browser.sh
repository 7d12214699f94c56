#!/usr/bin/env bash
# Installs what the player test needs: Chromium, and hls.js into tests/player/node_modules.
# Without the right to install, says in one line what is missing and goes on.
set -euo pipefail
cd "$(dirname "$0")/.."

wanted=()
command -v chromium >/dev/null || wanted+=(chromium)
command -v npm >/dev/null || wanted+=(npm)
if [ ${#wanted[@]} -gt 0 ]; then
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo -n)
    if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
        echo "browser: not installed, for want of apt or root: ${wanted[*]} (the player test is skipped)"
        exit 0
    fi
    echo "browser: installing ${wanted[*]}"
    "${as_root[@]}" apt-get -qq update || true  # a stale list may still do
    if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq install --no-install-recommends "${wanted[@]}" >/dev/null; then
        echo "browser: apt could not install ${wanted[*]} (the player test is skipped)"
        exit 0
    fi
fi

cd tests/player
# npm leaves a copy of the lock where it installed: nothing to do while they are the same
if [ package-lock.json -ot node_modules/.package-lock.json ]; then
    exit 0
fi
echo "browser: installing hls.js"
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null ||
    echo "browser: npm could not install hls.js (the player test is skipped)"
