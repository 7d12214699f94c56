"""Values that would break a pod are refused in words, and its size follows what it has to do."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from audio_processor.capacity_figures import MEMORY_BASE_MIB
from audio_processor.settings import Settings
from tests.k8s.rendering import CHART, Document, Refused, documents, helm_template, one, pod
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


def settings(**keys: float | str | None) -> Document:
    return {"settings": {key.replace("__", "."): value for key, value in keys.items()}}


# ── refused ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("values", "named", "way_out"),
    [
        (
            {"worker": {"terminationGracePeriodSeconds": 10}},
            "worker.terminationGracePeriodSeconds is 10",
            "Set it to 420 or more",
        ),
        (
            settings(worker__drain_timeout_s=900),
            "settings.worker.drain_timeout_s (900)",
            "Set it to 1020 or more",
        ),
        (
            settings(storage__read_timeout_s=60.5),
            "settings.storage.read_timeout_s (60.5)",
            "Set it to 421 or more",
        ),
        (settings(scratch__folder="/tmp"), "settings.scratch.folder is /tmp", "of its own"),
        (settings(scratch__folder="/a/../tmp/"), "settings.scratch.folder is /tmp", "of its own"),
        (settings(scratch__folder="/"), "settings.scratch.folder is /,", "of its own"),
        (
            {"extraVolumeMounts": [{"name": "ca", "mountPath": "/scratch/"}]},
            "extraVolumeMounts: ca is mounted at /scratch",
            "another mountPath",
        ),
        (
            {"extraVolumeMounts": [{"name": each, "mountPath": "/ca"} for each in ("a", "b")]},
            "extraVolumeMounts: b is mounted at /ca",
            "another mountPath",
        ),
        (
            {"worker": {"scratchSizeLimit": "90Gi"}},
            "worker.scratchSizeLimit is 90Gi",
            "worker.resources.limits.ephemeral-storage",
        ),
        (
            {"autoscaling": {"enabled": True, "minReplicas": 21}},
            "autoscaling.minReplicas is 21, above autoscaling.maxReplicas, 20",
            "lower the one or raise the other",
        ),
        ({"monitoring": {"enabled": True, "interval": "0s"}}, "interval", "pattern"),
    ],
    ids=str,
)
def test_what_would_break_in_the_cluster_is_refused_by_name(
    values: Document, named: str, way_out: str, tmp_path: Path
) -> None:
    with pytest.raises(Refused) as refused:
        with_values(values, tmp_path)
    said = " ".join(str(refused.value).split())
    assert named in said
    assert way_out in said


@pytest.mark.parametrize("given", [{}, {"drain_timeout_s": 0}, {"drain_timeout_s": 90.5}], ids=str)
def test_the_shortest_grace_is_the_programs_drain_and_a_minute(
    given: dict[str, float], tmp_path: Path
) -> None:
    """Where a setting is not given, by the program's own default: the chart has to know it."""
    drain_s = given.get("drain_timeout_s", Settings().worker.drain_timeout_s)
    shortest = math.ceil(drain_s + Settings().storage.read_timeout_s + 60)
    values = settings(worker__drain_timeout_s=given.get("drain_timeout_s"))
    values["worker"] = {"terminationGracePeriodSeconds": shortest}
    docs = with_values(values, tmp_path)
    assert settings_of(docs).worker.drain_timeout_s == drain_s
    assert pod(docs, "worker").spec["terminationGracePeriodSeconds"] == shortest
    values["worker"]["terminationGracePeriodSeconds"] -= 1
    with pytest.raises(Refused, match=rf"Set it to {shortest} or more"):
        with_values(values, tmp_path)


def test_what_is_not_enabled_is_not_judged(tmp_path: Path) -> None:
    assert with_values({"autoscaling": {"enabled": False, "minReplicas": 21}}, tmp_path)


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
