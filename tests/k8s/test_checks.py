"""Values that would break a pod are refused in words, and its size follows what it has to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audio_processor.capacity_figures import MEMORY_BASE_MIB
from tests.k8s.rendering import CHART, Document, documents, helm_template, one, pod
from tests.k8s.test_figures import (
    MEASURED_TREE_MIB,
    MIB,
    SCRATCH_TIMES_SOURCE,
    amount,
    output_bytes,
    settings_of,
)

GIB = 2**30


def with_values(values: Document, folder: Path, *options: str) -> list[Document]:
    file = folder / "values.json"
    file.write_text(json.dumps(values))
    return documents(helm_template("--values", str(file), *options))


def test_a_scrape_is_never_given_longer_than_the_interval(tmp_path: Path) -> None:
    """Prometheus refuses that; left out, it is its own default, cut to the interval."""
    docs = with_values({"monitoring": {"enabled": True, "interval": "5s"}}, tmp_path)
    [endpoint] = one(docs, "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["interval"] == "5s"
    assert "scrapeTimeout" not in endpoint


# ── reckoned ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("component", ["worker", "once"])
@pytest.mark.parametrize(
    "given",
    [
        {"worker.concurrency": 1},
        {"worker.concurrency": 8},
        {"worker.concurrency": 256},
        {"worker.concurrency": 3, "limits.max_size_bytes": 10_000_000_000},
        {"worker.concurrency": 3, "limits.memory_mib": 1024},
        {"limits.max_size_bytes": None, "limits.memory_mib": None},
    ],
    ids=str,
)
def test_a_pod_has_room_for_all_its_tracks(given: Document, component: str, tmp_path: Path) -> None:
    docs = with_values({"settings": given}, tmp_path)
    known, spec = settings_of(docs), pod(docs, component).spec
    tracks, resources = known.worker.concurrency, pod(docs, component).container["resources"]
    requests, limits = resources["requests"], resources["limits"]
    assert amount(requests["cpu"]) == tracks

    # what was measured is of two: the program itself, and what each track adds to it
    a_track_mib = (MEASURED_TREE_MIB - MEMORY_BASE_MIB.value) / 2
    tree_mib = MEMORY_BASE_MIB.value + tracks * a_track_mib
    assert tree_mib <= amount(requests["memory"]) / MIB < 2 * tree_mib
    at_most_mib = tree_mib + tracks * known.limits.memory_mib
    assert at_most_mib <= amount(limits["memory"]) / MIB < 2 * at_most_mib

    volumes = {v["name"]: amount(v["emptyDir"]["sizeLimit"]) for v in spec["volumes"]}
    scratch = SCRATCH_TIMES_SOURCE * known.limits.max_size_bytes + output_bytes(known)
    assert tracks * scratch <= volumes["scratch"] < 2 * tracks * scratch
    assert amount(limits["ephemeral-storage"]) >= sum(volumes.values()) + GIB
    assert amount(requests["ephemeral-storage"]) < amount(limits["ephemeral-storage"])


def test_what_the_values_say_wins_key_by_key(tmp_path: Path) -> None:
    wanted = {"requests": {"cpu": "500m"}, "limits": {"ephemeral-storage": "100Gi"}}
    values = {"worker": {"resources": wanted, "scratchSizeLimit": "90Gi"}}
    before = documents(helm_template())
    after = with_values(values, tmp_path)
    for component in ("worker", "once"):
        [was, now] = [pod(docs, component).container["resources"] for docs in (before, after)]
        for kind in ("requests", "limits"):
            assert now[kind] == was[kind] | wanted[kind]
        volumes = {v["name"]: v["emptyDir"] for v in pod(after, component).spec["volumes"]}
        assert volumes["scratch"] == {"sizeLimit": "90Gi"}


def test_the_values_tell_the_figures_that_two_tracks_get() -> None:
    said = " ".join((CHART / "values.yaml").read_text().replace("#", "").split())
    worker = pod(documents(helm_template()), "worker")
    requests, limits = (worker.container["resources"][kind] for kind in ("requests", "limits"))
    assert f"requests of {requests['cpu']} CPUs, {requests['memory']} and " in said
    assert f"and {requests['ephemeral-storage']} of ephemeral-storage, " in said
    assert f"limits of {limits['memory']} and {limits['ephemeral-storage']}." in said
    [scratch] = [v["emptyDir"] for v in worker.spec["volumes"] if v["name"] == "scratch"]
    assert f"{scratch['sizeLimit']} for two" in said
