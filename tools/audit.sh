#!/usr/bin/env bash
# Asks the advisories of the Python Packaging Authority about every locked package (pip-audit).
# Exit 0: none is known to be vulnerable. 1: one is. 3: the advisories cannot be had here, which
# is no verdict; `audit.sh --if-reachable` says so and exits 0.
set -euo pipefail
cd "$(dirname "$0")/.."
lenient=${1:-}

stamp=.venv/audit/.stamp
if [ ! "$stamp" -nt requirements-audit.lock ]; then
    rm -rf .venv/audit
    .venv/bin/python -m venv .venv/audit
    .venv/audit/bin/pip install --quiet --quiet --disable-pip-version-check --require-hashes \
        --requirement requirements-audit.lock
    touch "$stamp"
fi

report=$(mktemp)
trap 'rm -f "$report" "$report.log"' EXIT
# the development set holds the runtime set; everything in it is locked, so nothing is resolved
.venv/audit/bin/pip-audit --requirement requirements-dev.lock --no-deps --disable-pip \
    --progress-spinner off --format json --output "$report" 2>"$report.log" && code=0 || code=$?
.venv/bin/python tools/audit_verdict.py "$report" "$report.log" "$code" && verdict=0 || verdict=$?
[ "$verdict" = 3 ] && [ "$lenient" = --if-reachable ] && verdict=0
exit "$verdict"
