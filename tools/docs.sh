#!/usr/bin/env bash
# Builds the site of all pages into build/site, strictly: a warning is a failure,
# and so is a page that would load anything from elsewhere.
set -euo pipefail
cd "$(dirname "$0")/.."

stamp=.venv/docs/.stamp
if [ ! "$stamp" -nt requirements-docs.lock ]; then
    rm -rf .venv/docs
    .venv/bin/python -m venv .venv/docs
    .venv/docs/bin/pip install --quiet --quiet --disable-pip-version-check --require-hashes \
        --requirement requirements-docs.lock
    touch "$stamp"
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# not --quiet: what is not logged is not counted, and --strict would let it pass. The variable
# silences the theme's word on its own future
if ! NO_MKDOCS_2_WARNING=1 .venv/docs/bin/mkdocs build --strict "$@" >"$log" 2>&1; then
    grep -v '^INFO' "$log" >&2
    exit 1
fi
# what a page loads comes from the site itself; links lead where they like
if grep -rlE '<(script|link|img|source|iframe)[^>]* (src|href)="?(https?:)?//' build/site --include='*.html' >&2; then
    echo "docs: these pages load something from elsewhere" >&2
    exit 1
fi
echo "docs: build/site/index.html"
