#!/usr/bin/env bash
# Makes .venv if need be and installs the given set of packages, each file of them checked against
# its hash before anything of it is run: setup.sh LOCK STAMP
set -euo pipefail
cd "$(dirname "$0")/.."
lock=$1 stamp=$2
python=${PYTHON:-python3}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "setup: $python is older than 3.11; set PYTHON=path/to/python3.11" >&2
    exit 2
}

make_venv() {
    "$python" -m venv .venv 2>/dev/null && return
    rm -rf .venv  # a half-made one: Debian's python3 has no ensurepip without python3-venv
    if command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; then
        local as_root=()
        [ "$(id -u)" = 0 ] || as_root=(sudo -n)
        "${as_root[@]}" apt-get -qq update
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends python3-venv >/dev/null
        "$python" -m venv .venv
    else
        echo "setup: '$python -m venv' does not work here; install python3-venv (needs root once)" >&2
        return 2
    fi
}

# a virtual environment whose interpreter has gone is made anew
[ -x .venv/bin/python ] && .venv/bin/python -c '' 2>/dev/null || { rm -rf .venv; make_venv; }

echo "setup: installing $lock into .venv"
pip() { .venv/bin/python -m pip install --quiet --quiet --disable-pip-version-check "$@"; }
pip --require-hashes --requirement "$lock"
# what builds the package has a place of its own, so that its hash is checked as well: pip's own
# isolated build would take whatever setuptools is the newest today
pip --require-hashes --upgrade --target .venv/build --requirement requirements-build.lock
PYTHONPATH=$PWD/.venv/build pip --no-deps --no-build-isolation --editable .
touch "$stamp"
