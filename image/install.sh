#!/usr/bin/env bash
# A build stage's two steps: `install.sh packages`, then, once the sources are there, `… program`.
# Every file is checked against its hash before anything of it runs; nothing is compiled.
set -euo pipefail
cd "$(dirname "$0")"
venv=/opt/audio-processor

# a proxy's certificate, where the build was given one
if [ -s /run/secrets/ca ]; then
    export SSL_CERT_FILE=/run/secrets/ca PIP_CERT=/run/secrets/ca
fi
pip() { /opt/pip/bin/pip --disable-pip-version-check --quiet "$@"; }
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

case ${1-} in
packages)
    pip --python "$venv/bin/python" install --no-cache-dir --only-binary :all: \
        --require-hashes --requirement requirements.lock
    if [ "${WITH_OTEL:-0}" = 1 ]; then
        pip --python "$venv/bin/python" install --no-cache-dir --only-binary :all: \
            --require-hashes --requirement requirements-otel.lock
    fi
    pip install --no-cache-dir --only-binary :all: --require-hashes --target setuptools \
        --requirement requirements-build.lock
    # the image has an FFmpeg of its own
    rm -r "$site"/imageio_ffmpeg/binaries/ffmpeg-*
    # mysql-connector's C extension, with an OpenSSL that nobody patches: what the tests ran, and
    # what it falls back to where it is missing, is the pure Python (docs/decisions/0001)
    rm -r "$site"/_mysql*.so "$site"/mysql/vendor
    # the packages' own tests, but for numpy's: numpy.testing reads one of them
    find "$site" -type d -name tests -not -path "$site/numpy/*" -prune -exec rm -r {} +
    ;;
program)
    PYTHONPATH=$PWD/setuptools pip --python "$venv/bin/python" install --no-cache-dir --no-deps \
        --no-build-isolation .
    rm -rf build ./*.egg-info
    ;;
*)
    echo "install.sh: packages or program" >&2
    exit 2
    ;;
esac
