"""Is a document one that the API server would take? Strictly: what it does not know is refused.

Kubernetes' own kinds by kubernetes-validate and its schemas, custom resources by the schemas in
``schemas/``. A kind that neither knows is a problem, not a warning.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator, Draft202012Validator
from kubernetes_validate.utils import all_versions, latest_version, major_minor, schema_contents
from referencing import Registry, Resource

from tests.k8s.rendering import Document

SCHEMAS = Path(__file__).with_name("schemas")
CUSTOM = {
    "keda.sh/v1alpha1": {"ScaledObject", "TriggerAuthentication"},
    "monitoring.coreos.com/v1": {"ServiceMonitor", "PrometheusRule"},
    "external-secrets.io/v1": {"ExternalSecret", "SecretStore"},
}
KUBERNETES_VERSIONS = ("1.29", latest_version())
"""The oldest that the chart admits, and the newest that the schemas know."""


def problems(document: Document) -> Iterator[str]:
    """Yield what is wrong with the document; nothing for one that would be taken."""
    kind, version = document.get("kind", ""), document.get("apiVersion", "")
    where = f"{kind} {document.get('metadata', {}).get('name')}"
    if kind in CUSTOM.get(version, ()):
        for error in custom_validator(kind).iter_errors(document):
            yield f"{where}: {error.json_path}: {error.message}"
        return
    for release in KUBERNETES_VERSIONS:
        try:
            validator = kubernetes_validator(release, kind, version)
        except FileNotFoundError:
            yield f"{where}: Kubernetes {release} has no {kind} of {version or 'no version'}"
            continue
        for error in validator.iter_errors(document):
            yield f"{where}: Kubernetes {release}: {error.json_path}: {error.message}"


@cache
def kubernetes_validator(release: str, kind: str, version: str) -> Draft202012Validator:
    """Return the strict validator that kubernetes-validate would use, kept for the next document.

    Raises ``FileNotFoundError`` for a kind that Kubernetes has not.
    """
    # rbac.authorization.k8s.io/v1 → rbac-v1, as the package names its files
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", version)
    schema = schema_contents(f"{folder(release)}/{kind.lower()}-{group}.json", release)
    return Draft202012Validator(schema, registry=Resource.from_contents(schema) @ shared(release))


@cache
def shared(release: str) -> Registry[Any]:
    definitions = schema_contents(f"{folder(release)}/_definitions.json", release)
    return Resource.from_contents(definitions) @ Registry()


def folder(release: str) -> str:
    [version] = {v for v in all_versions() if major_minor(v) == major_minor(release)}
    return f"kubernetes-json-schema/v{version}-local-strict"


@cache
def custom_validator(kind: str) -> Draft7Validator:
    """Return the validator of one custom resource."""
    schema: dict[str, Any] = json.loads((SCHEMAS / f"{kind}.json").read_text(encoding="utf-8"))
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)
