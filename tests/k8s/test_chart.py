"""The chart as its users turn its knobs: what is valid renders, what is not is refused in words."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from audio_processor.settings import load_settings
from tests.k8s.pod_security import violations
from tests.k8s.rendering import (
    CHART,
    FLAVOURS,
    Document,
    Refused,
    binary,
    documents,
    helm_template,
    one,
    pod,
    pods,
)
from tests.k8s.validators import problems

ALL = {
    "image": {"repository": "registry.example.net/audio", "digest": f"sha256:{'a' * 64}"},
    "imagePullSecrets": [{"name": "registry"}],
    "settings": {
        "storage.endpoint_url": "https://s3.example.net",
        "limits.max_size_bytes": 4294967296,
        "loudness.integrated_lufs": -16.5,
        "database.tls": False,
        "ladder.tiers": [{"name": "only", "bit_rate": 96000, "sample_rate_hz": 44100}],
        "storage.region": None,
    },
    "worker": {
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"key": "audio", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "podAnnotations": {"example.net/team": "ingest"},
        "podLabels": {"team": "ingest"},
    },
    "extraVolumes": [{"name": "ca", "configMap": {"name": "database-ca"}}],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/audio-processor", "readOnly": True}],
    "monitoring": {"labels": {"release": "prometheus"}},
    "autoscaling": {"enabled": True, "maxReplicas": 40},
}


def with_values(values: Document, folder: Path, *options: str, release: str = "mine") -> str:
    path = folder / "values.yaml"
    path.write_text(yaml.safe_dump(values))
    return helm_template("--values", str(path), *options, release=release)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_helm_lint_finds_nothing(flavour: str) -> None:
    argv = [binary("helm"), "lint", "--strict", str(CHART)]
    argv += ["--values", str(CHART / "flavours" / f"{flavour}.yaml")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 chart(s) failed" in done.stdout


def test_with_every_knob_turned_it_is_valid_and_restricted(tmp_path: Path) -> None:
    text = with_values(ALL, tmp_path, "--values", str(CHART / "flavours/postgresql.yaml"))
    docs = documents(text)
    assert [problem for document in docs for problem in problems(document)] == []
    for each in pods(docs):
        assert list(violations(each.spec)) == []
        assert each.container["image"] == f"registry.example.net/audio@sha256:{'a' * 64}"
        assert each.spec["imagePullSecrets"] == [{"name": "registry"}]
        assert each.spec["nodeSelector"] == {"kubernetes.io/arch": "amd64"}
        assert {"name": "ca", "configMap": {"name": "database-ca"}} in each.spec["volumes"]
        mounts = {mount["name"]: mount for mount in each.container["volumeMounts"]}
        assert mounts["ca"]["mountPath"] == "/etc/audio-processor"
    worker = pod(docs, "worker")
    assert worker.labels["team"] == "ingest"
    assert worker.metadata["annotations"]["example.net/team"] == "ingest"
    assert one(docs, "ServiceMonitor")["metadata"]["labels"]["release"] == "prometheus"
    assert one(docs, "ScaledObject")["spec"]["maxReplicaCount"] == 40


def test_settings_of_every_type_arrive(tmp_path: Path) -> None:
    docs = documents(with_values(ALL, tmp_path))
    settings = load_settings(environ=pod(docs, "worker").environment(docs))
    assert settings.limits.max_size_bytes == 4294967296  # and not 4.294967296e+09
    assert settings.loudness.integrated_lufs == -16.5
    assert settings.database.tls is False
    assert [tier.name for tier in settings.ladder.tiers] == ["only"]
    assert settings.storage.region is None  # null takes a default of the chart away


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"settings": {"storage.buket": "x"}}, "storage.buket"),
        ({"settings": {"database.password": "x"}}, "database.password"),
        ({"settings": {"worker.concurrency": "two"}}, "concurrency"),
        ({"settings": {"database.type": "sqlite"}}, "database.type"),
        ({"autoscaling": {"enable": True}}, "enable"),
        ({"worker": {"replicas": -1}}, "replicas"),
        ({"worker": {"scratchSizeLimit": "28 GB"}}, "scratchSizeLimit"),
        ({"image": {"digest": "latest"}}, "digest"),
        ({"priorityClass": {"value": -100}}, "value"),
        ({"networkPolicies": {}}, "networkPolicies"),
    ],
    ids=str,
)
def test_a_slip_in_the_values_is_refused_by_name(
    values: Document, word: str, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match=word.replace(".", r"\.")):
        with_values(values, tmp_path)


def test_a_changed_setting_rolls_the_pods_and_brings_a_new_migration(tmp_path: Path) -> None:
    before = documents(helm_template())
    after = documents(
        with_values(
            {"settings": {"worker.poll_interval_s": 1}}, tmp_path, release="audio-processor"
        )
    )
    annotations = [pod(docs, "worker").metadata["annotations"] for docs in (before, after)]
    assert annotations[0]["checksum/settings"] != annotations[1]["checksum/settings"]
    jobs = [one(docs, "Job")["metadata"]["name"] for docs in (before, after)]
    assert jobs[0] != jobs[1]
    assert documents(helm_template()) == before  # and nothing else does


def test_two_releases_share_no_name_but_the_priority_class() -> None:
    names = [
        {
            (d["kind"], d["metadata"]["name"])
            for d in documents(helm_template("--set", "namespace.create=false", release=release))
            if d["kind"] != "PriorityClass"
        }
        for release in ("one", "two")
    ]
    assert names[0] and not names[0] & names[1]


@pytest.mark.parametrize(
    ("options", "release"),
    [
        (("--set", "fullnameOverride=ingest"), "mine"),
        (("--set", "nameOverride=ingest"), "mine"),
        ((), "mine"),
        ((), "a" * 53),  # cut off before its name is through
    ],
    ids=["fullname", "name", "release", "long"],
)
def test_the_rules_look_for_what_the_release_is_called(
    options: tuple[str, ...], release: str
) -> None:
    flavour = str(CHART / "flavours/postgresql.yaml")
    docs = documents(helm_template("--values", flavour, *options, release=release))
    scaled = one(docs, "ScaledObject")["metadata"]["name"]
    names = {
        "pod": f"{one(docs, 'Deployment')['metadata']['name']}-5d9c8b7f6d-x2x4z",
        "deployment": one(docs, "Deployment")["metadata"]["name"],
        "scaledObject": scaled,
        "horizontalpodautoscaler": f"keda-hpa-{scaled}",
        "job_name": one(docs, "Job")["metadata"]["name"],
    }
    found = set()
    rules = [rule for g in one(docs, "PrometheusRule")["spec"]["groups"] for rule in g["rules"]]
    for rule in rules:
        for label, pattern in re.findall(r'(\w+)=~"([^"]+)"', rule["expr"]):
            if label in names:
                found.add(label)
                assert re.fullmatch(pattern, names[label]), (rule, names[label])
    assert found == set(names)


def test_a_long_name_still_fits(tmp_path: Path) -> None:
    flavour = str(CHART / "flavours/mysql.yaml")
    docs = documents(helm_template("--values", flavour, release="a" * 53))
    for document in docs:
        most = 52 if document["kind"] == "CronJob" else 63
        assert len(document["metadata"]["name"]) <= most, document["kind"]
        assert not document["metadata"]["name"].endswith("-")


def test_what_can_be_left_out_can_be_left_out(tmp_path: Path) -> None:
    values = {
        "migrate": {"enabled": False},
        "networkPolicy": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
        "priorityClass": {"create": False, "name": "batch"},
    }
    docs = documents(with_values(values, tmp_path))
    kinds = {d["kind"] for d in docs}
    assert not kinds & {"Job", "NetworkPolicy", "PodDisruptionBudget", "PriorityClass", "Namespace"}
    assert pod(docs, "worker").spec["priorityClassName"] == "batch"
    assert [problem for document in docs for problem in problems(document)] == []
