"""Traces leave the pods for the collector, where they are asked for and for nowhere else."""

from __future__ import annotations

import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from audio_processor.settings import load_settings
from audio_processor.telemetry.tracing import traces_wanted
from tests.k8s.rendering import (
    CHART,
    FLAVOURS,
    K8S,
    Document,
    Refused,
    binary,
    documents,
    helm_template,
    kustomize,
    one,
    pod,
    pods,
    template,
)
from tests.k8s.test_network import policies
from tests.k8s.test_same import comparable
from tests.k8s.validators import problems

OVERLAY = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: audio-processor
resources:
  - ../audio-processor/k8s/overlays/postgresql
components:
  - ../audio-processor/k8s/components/tracing
  - ../audio-processor/k8s/components/release
"""
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
FLAVOUR = ("--values", str(CHART / "flavours/postgresql.yaml"))


@pytest.fixture
def overlay(tmp_path: Path) -> list[Document]:
    deploy = tmp_path / "deploy"
    deploy.mkdir()
    (deploy / "kustomization.yaml").write_text(OVERLAY)
    (tmp_path / "audio-processor").symlink_to(K8S.parent)
    argv = [binary("kubectl"), "kustomize", str(deploy)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


def test_the_chart_renders_what_the_component_makes(overlay: list[Document]) -> None:
    chart = documents(helm_template(*FLAVOUR, "--set", "tracing.enabled=true"))
    assert comparable(chart) == comparable(overlay)
    assert [problem for document in overlay for problem in problems(document)] == []


def test_who_makes_traces_reaches_the_collector_and_nobody_else(overlay: list[Document]) -> None:
    for each in pods(overlay):
        environment = each.environment(overlay)
        ours = {name: value for name, value in environment.items() if name != ENDPOINT}
        assert traces_wanted(load_settings(environ=ours).tracing.enabled, environment)
        address = urlsplit(environment[ENDPOINT])
        assert address.hostname is not None
        ways = [
            (peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"], port["port"])
            for policy in policies(overlay, each, "Egress")
            for rule in policy["egress"]
            for peer in rule["to"]
            for port in rule["ports"]
            if "namespaceSelector" in peer and "podSelector" not in peer
        ]
        collector = (address.hostname.split(".")[1], address.port)
        assert ways == ([collector] if each.component != "migrate" else []), each.name


def test_another_collector_is_a_matter_of_values() -> None:
    given = ("endpoint=http://tempo.traces:14318", "port=14318", "namespace=traces")
    options = [part for value in given for part in ("--set", f"tracing.{value}")]
    docs = documents(
        helm_template(*FLAVOUR, "--set", "tracing.enabled=true", *options, release="mine")
    )
    assert [problem for document in docs for problem in problems(document)] == []
    assert pod(docs, "worker").environment(docs)[ENDPOINT] == "http://tempo.traces:14318"
    [rule] = one(docs, "NetworkPolicy", "mine-audio-processor-tracing")["spec"]["egress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 14318}]
    [peer] = rule["to"]
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "traces"}
    with pytest.raises(Refused, match="endpoint"):
        helm_template("--set", "tracing.enabled=true", "--set", "tracing.endpoint=tempo:4317")


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_without_being_asked_for_nothing_is_open_and_nothing_sent(flavour: str) -> None:
    for docs in (kustomize(flavour), template(flavour)):
        names = {d["metadata"]["name"] for d in docs if d["kind"] == "NetworkPolicy"}
        assert "audio-processor-tracing" not in names
        assert all(ENDPOINT not in each.environment(docs) for each in pods(docs))
