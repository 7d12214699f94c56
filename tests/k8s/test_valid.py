"""Every manifest is one that the API server would take, and a slip in one would be seen."""

from __future__ import annotations

import copy
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.k8s.rendering import (
    FLAVOURS,
    K8S,
    Document,
    binary,
    documents,
    kustomize,
    kustomized,
    one,
    rendered,
    templated,
)
from tests.k8s.validators import CUSTOM, KUBERNETES_VERSIONS, problems

WAYS = ("kustomize", "helm")
OURS = {kind for kinds in CUSTOM.values() for kind in kinds}


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("way", WAYS)
def test_every_document_is_valid(way: str, flavour: str) -> None:
    docs = rendered(way, flavour)
    assert docs
    assert [problem for document in docs for problem in problems(document)] == []


def test_the_command_line_of_kubernetes_validate_agrees(tmp_path: Path) -> None:
    """It only warns of a kind that it does not know, and ends with 0: each has to be ours."""
    path = tmp_path / "all.yaml"
    path.write_text(kustomized("mysql"))
    argv = [binary("kubernetes-validate"), "--strict", "-k", KUBERNETES_VERSIONS[-1], str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    said = done.stdout.splitlines()
    warnings = [line for line in said if not line.startswith("INFO")]
    custom = [document for document in kustomize("mysql") if document["kind"] in OURS]
    assert len(warnings) == len(custom)
    assert all(any(f"for kind {kind} " in line for kind in OURS) for line in warnings)


def test_secret_templates_are_valid_and_hold_no_secret() -> None:
    docs = documents((K8S / "secrets.example.yaml").read_text())
    assert [problem for document in docs for problem in problems(document)] == []
    for document in docs:
        for key, value in document["stringData"].items():
            assert value == "" or key == "username" or "PASSWORD" in value


@pytest.mark.parametrize("way", WAYS)
def test_the_minimal_flavour_has_no_custom_resource(way: str) -> None:
    versions = {document["apiVersion"] for document in rendered(way, "minimal")}
    assert versions == {
        "v1",
        "apps/v1",
        "batch/v1",
        "policy/v1",
        "networking.k8s.io/v1",
        "scheduling.k8s.io/v1",
    }


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("flavour", ["mysql", "postgresql"])
def test_the_others_have_every_kind(way: str, flavour: str) -> None:
    assert {document["kind"] for document in rendered(way, flavour)} == BUILT_IN | OURS


# ── a slip is seen, wherever it is made ──────────────────────────────────────────────────


BUILT_IN = {
    "ConfigMap",
    "CronJob",
    "Deployment",
    "Job",
    "Namespace",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "PriorityClass",
    "Service",
    "ServiceAccount",
}


def tables(value: Any) -> list[dict[str, Any]]:
    """Every table in the value whose keys are the schema's, not the user's."""
    found: list[dict[str, Any]] = []
    if isinstance(value, dict):
        found.append(value)
        free = {"data", "labels", "annotations", "matchLabels", "requests", "limits", "metadata"}
        for key, inner in value.items():
            if key not in free:
                found += tables(inner)
    elif isinstance(value, list):
        for inner in value:
            found += tables(inner)
    return found


@pytest.mark.parametrize("kind", sorted(BUILT_IN | OURS))
def test_a_misspelt_key_is_seen_at_every_depth(kind: str) -> None:
    document = next(d for d in kustomize("mysql") if d["kind"] == kind)
    if kind == "PrometheusRule":  # its rules are all alike
        document["spec"]["groups"] = document["spec"]["groups"][:1]
        document["spec"]["groups"][0]["rules"] = document["spec"]["groups"][0]["rules"][:2]
    places = len(tables(document))
    for place in range(places):
        broken = copy.deepcopy(document)
        table = tables(broken)[place]
        table["replicaz"] = 1
        assert list(problems(broken)), f"nobody saw it in {sorted(table)}"


@pytest.mark.parametrize(
    "change",
    [
        {"cooldownPeriod": "1800"},
        {"cooldownPeriod": 1.5},
        {"triggers": [{"type": "mysql", "metadata": {"queryValue": 2}}]},
        {"scaleTargetRef": {}},
    ],
    ids=["text", "part of one", "a number among texts", "nothing to scale"],
)
def test_a_wrong_type_is_seen(change: dict[str, Any]) -> None:
    document = one(kustomize("mysql"), "ScaledObject")
    assert not list(problems(document))
    document["spec"].update(change)
    assert list(problems(document))


@pytest.mark.parametrize(
    "document",
    [
        {"apiVersion": "keda.sh/v1", "kind": "ScaledObject", "metadata": {"name": "x"}},
        {"apiVersion": "v1", "kind": "Deployment", "metadata": {"name": "x"}},
        {"kind": "Service", "metadata": {"name": "x"}},
    ],
    ids=["version", "group", "none"],
)
def test_a_wrong_version_is_seen(document: Document) -> None:
    assert list(problems(document))


def test_a_wrong_duration_in_a_rule_is_seen() -> None:
    rule = copy.deepcopy(one(kustomize("mysql"), "PrometheusRule"))
    rule["spec"]["groups"][0]["interval"] = "thirty seconds"
    assert list(problems(rule))


def test_there_are_no_two_of_a_name() -> None:
    for flavour in FLAVOURS:
        for way in WAYS:
            names = [(d["kind"], d["metadata"]["name"]) for d in rendered(way, flavour)]
            assert len(set(names)) == len(names)


def test_no_key_is_given_twice() -> None:
    """YAML's readers take the last of two without a word."""

    class Loader(yaml.CSafeLoader):
        pass

    def unique(loader: yaml.CSafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
        keys = [loader.construct_object(key) for key, _ in node.value]
        assert len(set(keys)) == len(keys), f"twice in {node.start_mark}: {keys}"
        return dict(loader.construct_mapping(node, deep=True))

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, unique)
    sources = [path for path in K8S.rglob("*.yaml") if "templates" not in path.parts]
    assert len(sources) > 20
    for text in [path.read_text() for path in sources] + [templated(f) for f in FLAVOURS]:
        assert list(yaml.load_all(text, Loader))  # a SafeLoader with one rule more
