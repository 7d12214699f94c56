#!/usr/bin/env bash
# Fetches fdkaac and its library for the tests that hold the program to them: out of Debian's
# contrib and non-free into .venv/fdkaac. Nothing is installed in the system, nothing of it is
# shipped; its licence is in .venv/fdkaac/root/usr/share/doc.
# Where it cannot be had, says so in one line and goes on.
set -euo pipefail
cd "$(dirname "$0")/.."
target=.venv/fdkaac

[ ! -x "$target/fdkaac" ] || exit 0
gone() {
    echo "fdkaac: not fetched, $1 (the tests that need it are skipped)"
    exit 0
}
for program in apt-get dpkg-deb; do
    command -v "$program" >/dev/null || gone "for want of $program"
done
# shellcheck source=/dev/null
release=$(. /etc/os-release && [ "$ID" = debian ] && echo "${VERSION_CODENAME:-}") || release=
[ -n "$release" ] || gone "for want of Debian"

echo "fdkaac: fetching it from Debian's contrib and non-free"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/root"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keys] http://deb.debian.org/debian $release contrib non-free" >"$work/sources"
# lists and cache of its own: the system's need not know of non-free
apt=(apt-get -qq -o "Dir::Etc::SourceList=$work/sources" -o Dir::Etc::SourceParts=-
    -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root
    -o Dir::State::status=/dev/null)
"${apt[@]}" update >/dev/null 2>&1 || gone "for Debian's archive does not answer"
(
    cd "$work"
    "${apt[@]}" download fdkaac >/dev/null 2>&1
    # its name since Debian 13, and before
    "${apt[@]}" download libfdk-aac2t64 >/dev/null 2>&1 || "${apt[@]}" download libfdk-aac2 >/dev/null 2>&1
) || gone "for Debian's archive does not have it"
for package in "$work"/*.deb; do
    dpkg-deb -x "$package" "$work/root"
done

rm -rf "$target"
mkdir -p "$target"
mv "$work/root" "$target/root"
libraries=$(dirname "$(find "$PWD/$target/root/usr/lib" -name 'libfdk-aac.so.*' -print -quit)")
# exec: the supervisor's limits and its kill are for the encoder itself
cat >"$target/fdkaac" <<EOF
#!/bin/sh
LD_LIBRARY_PATH='$libraries' exec '$PWD/$target/root/usr/bin/fdkaac' "\$@"
EOF
chmod 755 "$target/fdkaac"
"$target/fdkaac" --help | head -n 1 || true  # which exits 1
