#!/usr/bin/env bash
# Builds the image from the Dockerfile without a container engine: build.sh FOLDER [BUILD-ARG...]
# The base is made by debootstrap, for no registry is asked; the rest is buildah with chroot
# isolation. Needs root. FOLDER keeps the base and buildah's storage; the image is there as
# localhost/audio-processor, and build.json says what it came to.
set -euo pipefail
folder=$(realpath -m "$1")
shift
cd "$(dirname "$0")/../.."
PATH=$PATH:/usr/sbin:/usr/local/sbin
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
base=localhost/debian:trixie-slim image=localhost/audio-processor
mkdir -p "$folder"
in_storage() { buildah --root "$folder/storage" --runroot "$folder/run" "$@"; }

make_base() {
    local tree=$folder/base
    rm -rf "$tree"
    debootstrap --variant=minbase trixie "$tree" "$mirror" >"$folder/debootstrap.log"
    # what the official slim images leave out as well
    printf 'path-exclude /usr/share/%s/*\n' doc man locale info groff lintian >"$tree/etc/dpkg/dpkg.cfg.d/slim"
    echo 'path-include /usr/share/doc/*/copyright' >>"$tree/etc/dpkg/dpkg.cfg.d/slim"
    find "$tree/usr/share/doc" -type f ! -name copyright -delete
    rm -rf "$tree"/usr/share/{man,locale,info}/* "$tree"/var/{lib/apt/lists,cache/apt}/* \
        "$tree"/var/log/{apt,dpkg.log,bootstrap.log}
    local container
    container=$(in_storage from scratch)
    in_storage add --quiet "$container" "$tree" / >/dev/null
    in_storage commit --quiet --format docker --rm "$container" "$base" >/dev/null
    rm -rf "$tree"
}

in_storage images --quiet "$base" >/dev/null 2>&1 || make_base

arguments=(
    --isolation chroot --format docker --tag "$image"
    --build-arg "BASE_IMAGE=$base" --build-arg "DEBIAN_MIRROR=$mirror"
    --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)"
    --build-arg "CREATED=$(date --utc +%Y-%m-%dT%H:%M:%SZ)"
)
for one in "$@"; do
    arguments+=(--build-arg "$one")
done
# where an outbound proxy signs, its certificate is among this machine's
if [ -n "${SSL_CERT_FILE-}" ]; then
    arguments+=(--secret "id=ca,src=$SSL_CERT_FILE")
fi
started=$SECONDS
in_storage bud --layers "${arguments[@]}" .
seconds=$((SECONDS - started))
container=$(in_storage from "$image")
tree=$(in_storage mount "$container")
bytes=$(du --summarize --bytes --one-file-system "$tree" | cut -f1)
in_storage rm "$container" >/dev/null
printf '{"build_s": %d, "unpacked_bytes": %d}\n' "$seconds" "$bytes" | tee "$folder/build.json"
