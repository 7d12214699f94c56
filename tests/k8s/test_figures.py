"""The figures that depend on one another do, and those that were measured are kept."""

from __future__ import annotations

import re
from typing import Any

import pytest

from audio_processor.health import STUCK_AFTER_S
from audio_processor.settings import Settings, load_settings
from tests.k8s.rendering import FLAVOURS, K8S, Document, kustomize, one, pod, rendered

WAYS = ("kustomize", "helm")
MIB = 2**20
UNITS = {"": 1, "m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "k": 1e3, "M": 1e6, "G": 1e9}

MEASURED_TREE_MIB = 548
"""Peak of a worker and its FFmpegs at two tracks at once: docs/decisions/0023."""
SLOWEST_REALTIME_FACTOR = 5
"""Audio seconds a wall second that a track of two at once gets at least: docs/decisions/0023.

Well below what was measured (``SLOWEST_AUDIO_S_PER_CPU_S``): nodes differ, and so do tracks.
"""
SLOWEST_AUDIO_S_PER_CPU_S = 9.0
"""The slower of the two runs that docs/capacity.md tells of."""
SCRATCH_TIMES_SOURCE = 3
CLUSTER_AUTOSCALER_WAITS_S = 600
EXPENDABLE_BELOW = -10
"""The cluster autoscaler's --expendable-pods-priority-cutoff."""


def amount(quantity: str | int) -> float:
    """Return a Kubernetes quantity as a number."""
    match = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(quantity))
    assert match
    return float(match[1]) * UNITS[match[2]]


def settings_of(docs: list[Document]) -> Settings:
    return load_settings(environ=pod(docs, "worker").environment(docs))


def output_bytes(settings: Settings) -> float:
    """What the longest track is published as: every tier, the m4a, and 10 % for containers."""
    rates = [tier.bit_rate for tier in settings.ladder.tiers]
    return 1.1 * (sum(rates) + max(rates)) / 8 * settings.limits.max_duration_s


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("component", ["worker", "once"])
def test_memory_holds_what_was_measured_and_a_hostile_file_in_each_slot(
    way: str, flavour: str, component: str
) -> None:
    docs = rendered(way, flavour)
    settings, resources = settings_of(docs), pod(docs, component).container["resources"]
    assert settings.worker.concurrency == 2  # what was measured is of two
    request, limit = (amount(resources[k]["memory"]) / MIB for k in ("requests", "limits"))
    assert request >= MEASURED_TREE_MIB
    assert limit >= MEASURED_TREE_MIB + settings.worker.concurrency * settings.limits.memory_mib


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("component", ["worker", "once"])
def test_cpus_are_asked_for_by_track_and_not_limited(
    way: str, flavour: str, component: str
) -> None:
    docs = rendered(way, flavour)
    resources = pod(docs, component).container["resources"]
    assert amount(resources["requests"]["cpu"]) >= settings_of(docs).worker.concurrency
    assert "cpu" not in resources["limits"]
    # without a quota the program would take the node's CPUs for its own
    environment = pod(docs, component).environment(docs)
    assert environment["AUDIO_PROCESSOR__WORKER__CONCURRENCY"]
    assert settings_of(docs).ffmpeg.pin_cpus is False


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("component", ["worker", "once"])
def test_scratch_holds_the_largest_uploads_at_once(way: str, flavour: str, component: str) -> None:
    docs = rendered(way, flavour)
    settings, spec = settings_of(docs), pod(docs, component).spec
    volumes = {v["name"]: amount(v["emptyDir"]["sizeLimit"]) for v in spec["volumes"]}
    a_track = SCRATCH_TIMES_SOURCE * settings.limits.max_size_bytes + output_bytes(settings)
    assert volumes["scratch"] >= settings.worker.concurrency * a_track
    resources = pod(docs, component).container["resources"]
    # emptyDirs, logs and all else that is written count against it
    assert amount(resources["limits"]["ephemeral-storage"]) >= sum(volumes.values()) + 2**30
    assert resources["requests"]["ephemeral-storage"]


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("component", ["worker", "once"])
def test_a_stop_has_the_time_that_a_drain_takes(way: str, flavour: str, component: str) -> None:
    docs = rendered(way, flavour)
    settings = settings_of(docs)
    grace_s = pod(docs, component).spec["terminationGracePeriodSeconds"]
    assert grace_s >= settings.worker.drain_timeout_s + settings.storage.read_timeout_s + 30
    assert grace_s <= CLUSTER_AUTOSCALER_WAITS_S


def test_what_kills_a_worker_is_slower_than_what_it_may_take() -> None:
    container = pod(kustomize("mysql"), "worker").container
    startup, liveness = container["startupProbe"], container["livenessProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 60
    # /live itself waits for STUCK_AFTER_S; the probe need not, but must not hurry either
    assert liveness["periodSeconds"] * liveness["failureThreshold"] >= 60
    assert liveness["periodSeconds"] * liveness["failureThreshold"] <= STUCK_AFTER_S
    assert liveness["timeoutSeconds"] >= 5


def test_the_slowest_track_that_is_reckoned_with_is_slower_than_what_was_measured() -> None:
    page = (K8S.parent / "docs/capacity.md").read_text()
    assert f"gave {SLOWEST_AUDIO_S_PER_CPU_S}" in " ".join(page.split())
    # two tracks share the two CPUs that a pod asks for, nine tenths of them busy
    measured = SLOWEST_AUDIO_S_PER_CPU_S * 2 * 0.9 / 2
    assert measured / 1.5 >= SLOWEST_REALTIME_FACTOR


@pytest.mark.parametrize("flavour", ["mysql", "postgresql"])
@pytest.mark.parametrize("way", WAYS)
def test_scaling_follows_the_program(way: str, flavour: str) -> None:
    docs = rendered(way, flavour)
    settings, spec = settings_of(docs), one(docs, "ScaledObject")["spec"]
    longest_s = settings.limits.max_duration_s / SLOWEST_REALTIME_FACTOR
    assert spec["cooldownPeriod"] > longest_s
    assert spec["cooldownPeriod"] > settings.worker.lease_s
    assert spec["minReplicaCount"] == 0
    assert 0 < spec["fallback"]["replicas"] <= spec["maxReplicaCount"]
    metadata: dict[str, Any] = spec["triggers"][0]["metadata"]
    target = "queryValue" if flavour == "mysql" else "targetQueryValue"
    assert float(metadata[target]) == settings.worker.concurrency
    limits = re.findall(r"LIMIT (\d+)", metadata["query"])
    assert len(limits) == 2
    for limit in limits:  # beyond what could change the number of replicas, and not before
        assert int(limit) >= 2 * spec["maxReplicaCount"] * settings.worker.concurrency


def test_one_version_of_keda_is_asked_for() -> None:
    """And one whose counter of errors the alert rules know; 2.13's has no ``_total``."""
    root = K8S.parent
    places = [
        *K8S.glob("components/autoscaling/*/kustomization.yaml"),
        K8S / "chart/values.yaml",
        root / "docs/deploy.md",
        root / "docs/decisions/0023-kustomize-and-a-chart.md",
    ]
    said = [re.findall(r"KEDA ≥ (\d+)\.(\d+)", place.read_text()) for place in places]
    assert len(said) == 5 and all(len(versions) == 1 for versions in said)
    assert len({version for versions in said for version in versions}) == 1
    major, minor = said[0][0]
    assert (int(major), int(minor)) >= (2, 15)
    assert "keda_scaled_object_errors_total{" in (K8S / "base/prometheus/alerts.yaml").read_text()


@pytest.mark.parametrize("way", WAYS)
def test_nobody_but_the_autoscaler_says_how_many(way: str) -> None:
    for flavour in ("mysql", "postgresql"):
        docs = rendered(way, flavour)
        assert "replicas" not in one(docs, "Deployment")["spec"]
        target = one(docs, "ScaledObject")["spec"]["scaleTargetRef"]
        assert target["name"] == one(docs, "Deployment")["metadata"]["name"]
        assert target.get("kind", "Deployment") == "Deployment"
        assert not any(d["kind"] == "HorizontalPodAutoscaler" for d in docs)
    assert one(rendered(way, "minimal"), "Deployment")["spec"]["replicas"] == 3


def test_ingest_gives_way_and_still_gets_nodes() -> None:
    docs = kustomize("minimal")
    priority = one(docs, "PriorityClass")
    assert EXPENDABLE_BELOW <= priority["value"] < 0
    assert priority["preemptionPolicy"] == "Never"
    for component in ("worker", "once"):
        assert pod(docs, component).spec["priorityClassName"] == priority["metadata"]["name"]


def test_disruptions_take_one_worker_at_a_time_and_never_none() -> None:
    budget = one(kustomize("minimal"), "PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1 and "minAvailable" not in budget
    rollout = one(kustomize("minimal"), "Deployment")["spec"]["strategy"]["rollingUpdate"]
    assert rollout["maxUnavailable"] == 0


def test_cron_runs_do_not_pile_up() -> None:
    spec = one(kustomize("minimal"), "CronJob")["spec"]
    assert spec["suspend"] is True  # beside a daemon
    assert spec["concurrencyPolicy"] == "Forbid"
    [every] = re.findall(r"^\*/(\d+) \* \* \* \*$", spec["schedule"])
    assert 0 < spec["startingDeadlineSeconds"] < int(every) * 60
    job = spec["jobTemplate"]["spec"]
    assert job["backoffLimit"] == 0
    longest_s = settings_of(kustomize("minimal")).limits.max_duration_s / SLOWEST_REALTIME_FACTOR
    assert job["activeDeadlineSeconds"] > longest_s
    assert job["template"]["spec"]["restartPolicy"] == "Never"
