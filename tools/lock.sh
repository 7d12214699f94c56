#!/usr/bin/env bash
# Writes requirements*.lock anew: every package that requirements*.txt leads to, on every platform,
# with the hashes of all its files. What is locked already stays at its version: to move one, pin
# it in its .txt; `tools/lock.sh --upgrade` moves all that no .txt pins.
set -euo pipefail
cd "$(dirname "$0")/.."
UV=0.13.9

[ -x .venv/lock/bin/uv ] || {
    .venv/bin/python -m venv .venv/lock
    .venv/lock/bin/pip install --quiet --quiet --disable-pip-version-check --only-binary :all: "uv==$UV"
}
for name in requirements requirements-otel requirements-dev requirements-build requirements-audit requirements-docs; do
    # the development set holds the runtime set, and the extra lies beside it: all of them must
    # mean the same versions
    same=()
    [ "$name" = requirements-dev ] && same=(--constraints requirements.lock --constraints requirements-otel.lock)
    [ "$name" = requirements-otel ] && same=(--constraints requirements.lock)
    .venv/lock/bin/uv pip compile --quiet --no-config --system-certs --universal \
        --python-version 3.11 --generate-hashes --no-annotate --no-header "${same[@]}" "$@" \
        "$name.txt" --output-file "$name.lock"
done
