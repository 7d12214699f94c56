#!/usr/bin/env bash
# Writes tests/k8s/schemas/*.json anew: strict JSON schemas of the custom resources that k8s/ uses,
# out of the types that the operators' own Go sources were turned into. The tests need no network;
# this does, and npm: to be run when a version in tests/k8s/schemas/package.json is moved.
set -euo pipefail
cd "$(dirname "$0")/../tests/k8s/schemas"
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
for kind in ScaledObject TriggerAuthentication ServiceMonitor PrometheusRule ExternalSecret SecretStore; do
    node_modules/.bin/ts-json-schema-generator --path kinds.ts --tsconfig tsconfig.json \
        --type "$kind" --jsDoc none --no-top-ref --out "$kind.json"
done
../../../.venv/bin/python - ./*.json <<'PYTHON'
import json, pathlib, sys

DURATION = r"^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$"


def sharpened(value, name=""):
    """TypeScript has one type of number and one of text; Go, and the API server, have more."""
    if isinstance(value, list):
        return [sharpened(one) for one in value]
    if not isinstance(value, dict):
        return value
    value = {key: sharpened(one, key) for key, one in value.items()}
    if value.get("type") == "number":
        value["type"] = "integer"
    if name in {"IDuration", "INonEmptyDuration"} and value.get("type") == "string":
        value["pattern"] = DURATION
    return value


for path in map(pathlib.Path, sys.argv[1:]):
    if path.stem[0].isupper():
        schema = sharpened(json.loads(path.read_text()))
        path.write_text(json.dumps(schema, indent=1, sort_keys=True) + "\n")
PYTHON
