#!/usr/bin/env bash
# Installs what `make image-test` builds and runs an image with where there is no container engine:
# buildah, debootstrap and runc, from apt. Without the right to install, says in one line what is
# missing.
set -euo pipefail
PATH=$PATH:/usr/sbin:/usr/local/sbin

wanted=()
for program in buildah debootstrap runc; do
    command -v "$program" >/dev/null || wanted+=("$program")
done
[ ${#wanted[@]} -gt 0 ] || exit 0

as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo -n)
if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
    echo "image: not installed, for want of apt or root: ${wanted[*]}" >&2
    exit 1
fi
echo "image: installing ${wanted[*]}"
"${as_root[@]}" apt-get -qq update || true  # a stale list may still do
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install --no-install-recommends "${wanted[@]}" >/dev/null
