"""The overlay that docs/deploy.md shows is one that works."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from audio_processor.settings import load_settings
from tests.k8s.pod_security import violations
from tests.k8s.rendering import (
    FLAVOURS,
    K8S,
    Document,
    binary,
    documents,
    one,
    pod,
    pods,
    rendered,
)
from tests.k8s.validators import problems

PAGE = K8S.parent / "docs/deploy.md"


@pytest.fixture
def deploy(tmp_path: Path) -> Path:
    """The overlay as the page has it, beside a checkout."""

    def block(pattern: str) -> str:
        [found] = re.findall(pattern, PAGE.read_text(), re.MULTILINE | re.DOTALL)
        assert isinstance(found, str)
        return found

    deploy = tmp_path / "deploy"
    deploy.mkdir()
    overlay = block(r"^```yaml\n(apiVersion: kustomize\.config\.k8s\.io.*?)^```$")
    (deploy / "kustomization.yaml").write_text(overlay)
    (deploy / "settings.env").write_text(block(r"`deploy/settings\.env`:\n\n```ini\n(.*?)^```$"))
    (deploy / "rds-ca.pem").write_text("a certificate\n")
    (tmp_path / "audio-processor").symlink_to(K8S.parent)
    return deploy


def built(deploy: Path) -> list[Document]:
    argv = [binary("kubectl"), "kustomize", str(deploy)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


def test_a_corrected_setting_leaves_the_job_as_it_is_and_reaches_its_pods(deploy: Path) -> None:
    """The API server refuses a changed pod template: the second apply would fail as a whole."""
    wrong, file = built(deploy), deploy / "settings.env"
    settings = file.read_text()
    assert "DATABASE__HOST=" in settings
    file.write_text(re.sub("DATABASE__HOST=.*", "DATABASE__HOST=right.example.net", settings))
    (deploy / "rds-ca.pem").write_text("another certificate\n")
    corrected = built(deploy)
    assert json.dumps(one(corrected, "Job")) == json.dumps(one(wrong, "Job"))
    assert one(corrected, "Deployment") != one(wrong, "Deployment")  # rolled, on the other hand
    for each in pods(corrected):
        host = each.environment(corrected)["AUDIO_PROCESSOR__DATABASE__HOST"]
        assert host == "right.example.net", each.name


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("way", ["kustomize", "helm"])
def test_the_migration_and_the_workers_have_the_same_settings(way: str, flavour: str) -> None:
    docs = rendered(way, flavour)
    found = [
        one(docs, "ConfigMap", source["configMapRef"]["name"])
        for component in ("worker", "migrate")
        for source in pod(docs, component).container["envFrom"]
    ]
    assert len(found) == 2 and found[0]["data"] == found[1]["data"]
    # what a TTL deletes, a GitOps controller would make anew for ever
    assert "ttlSecondsAfterFinished" not in one(docs, "Job")["spec"]


def test_helm_as_the_page_has_it_makes_no_namespace_that_is_there_already() -> None:
    """Helm refuses to adopt one; and the one that is there has to hold pods to the standard."""
    [line] = re.findall(r"^helm upgrade --install (.+)$", PAGE.read_text(), re.MULTILINE)
    release, chart, *options = line.split()
    argv = [binary("helm"), "template", release, chart, *options]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=K8S.parent)
    assert done.returncode == 0, done.stderr
    docs = documents(done.stdout)
    assert docs and not any(document["kind"] == "Namespace" for document in docs)
    assert "--create-namespace" not in options, "it has no labels"
    [file] = re.findall(r"^kubectl apply -f (\S*namespace\S*)$", PAGE.read_text(), re.MULTILINE)
    [namespace] = documents((K8S.parent / file).read_text())
    assert namespace["metadata"]["name"] == options[options.index("--namespace") + 1]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_page_deletes_the_old_job_before_it_applies() -> None:
    delete = PAGE.read_text().index("delete job --selector app.kubernetes.io/component=migrate")
    assert delete < PAGE.read_text().index("kubectl apply -k k8s/overlays")
    labels = one(rendered("kustomize", "minimal"), "Job")["metadata"]["labels"]
    assert labels["app.kubernetes.io/component"] == "migrate"


def test_an_overlay_of_ones_own_as_the_page_has_it(deploy: Path) -> None:
    docs = built(deploy)
    assert [problem for document in docs for problem in problems(document)] == []
    for each in pods(docs):
        assert list(violations(each.spec)) == []
        assert not each.container["image"].startswith("audio-processor")
        settings = load_settings(environ=each.environment(docs))
        # what the page changes arrives in every pod
        ca = settings.database.tls_ca_file
        assert ca is not None
        mounts = [mount["mountPath"] for mount in each.container["volumeMounts"]]
        assert str(ca.parent) in mounts
    account = one(docs, "ServiceAccount", pod(docs, "worker").spec["serviceAccountName"])
    before = "arn:aws:iam::111122223333:role/audio-processor"
    assert account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"] != before
