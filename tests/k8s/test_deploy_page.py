"""The overlay that docs/deploy.md shows is one that works."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from audio_processor.settings import load_settings
from tests.k8s.pod_security import violations
from tests.k8s.rendering import K8S, binary, documents, one, pod, pods
from tests.k8s.validators import problems

PAGE = K8S.parent / "docs/deploy.md"


def test_an_overlay_of_ones_own_as_the_page_has_it(tmp_path: Path) -> None:
    [block] = re.findall(
        r"^```yaml\n(apiVersion: kustomize\.config\.k8s\.io.*?)^```$",
        PAGE.read_text(),
        re.MULTILINE | re.DOTALL,
    )
    deploy = tmp_path / "deploy"
    deploy.mkdir()
    (deploy / "kustomization.yaml").write_text(block)
    (deploy / "rds-ca.pem").write_text("a certificate\n")
    (tmp_path / "audio-processor").symlink_to(K8S.parent)
    argv = [binary("kubectl"), "kustomize", str(deploy)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    docs = documents(done.stdout)
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
