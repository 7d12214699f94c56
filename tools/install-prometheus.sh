#!/usr/bin/env bash
# Unpacks Debian's Prometheus and promtool into .venv/prometheus for the tests: nothing is
# installed, so no service is set up or started. Where it cannot be had, says so and goes on.
set -euo pipefail
cd "$(dirname "$0")/.."
there=.venv/prometheus

if command -v prometheus >/dev/null && command -v promtool >/dev/null || [ -x $there/usr/bin/promtool ]; then
    exit 0
fi
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    echo "prometheus: not to be had without apt (the tests that need it are skipped)"
    exit 0
fi

echo "prometheus: unpacking Debian's package into $there"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"  # apt fetches as a user of its own
fetch() { (cd "$folder" && apt-get -qq download prometheus >/dev/null 2>&1); }
if ! fetch; then  # for want of the packages' list, perhaps
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo -n)
    "${as_root[@]}" apt-get -qq update || true
    fetch || {
        echo "prometheus: apt could not fetch the package (the tests that need it are skipped)"
        exit 0
    }
fi
dpkg-deb --extract "$folder"/prometheus_*.deb "$folder/unpacked"
rm -rf $there
mkdir -p $there/usr
mv "$folder/unpacked/usr/bin" $there/usr/bin
