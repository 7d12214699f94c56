"""The pods, as processes: their arguments and variables against a real database and a real S3.

What differs from a cluster is said in one place: where the servers are, their certificates (none
here), and what the Secrets hold.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from audio_processor.cli import Exit
from tests.k8s.rendering import K8S, Document, kustomize, pod
from tests.servers.database import DatabaseServer
from tests.servers.s3 import S3Server

PREFIX = "AUDIO_PROCESSOR__"


@pytest.fixture
def cluster(postgres_server: DatabaseServer, s3_server: S3Server, tmp_path: Path) -> dict[str, str]:
    """What the cluster of this test has other than the manifests say."""
    database = postgres_server.fresh_database()
    secrets = {"DATABASE__USER": database["user"], "DATABASE__PASSWORD": database["password"]}
    places = {
        "DATABASE__HOST": database["host"],
        "DATABASE__PORT": str(database["port"]),
        "DATABASE__NAME": database["database"],
        "DATABASE__TLS": "false",
        "STORAGE__BUCKET": s3_server.make_bucket(),
        "STORAGE__ENDPOINT_URL": s3_server.endpoint_url,
        "STORAGE__REGION": s3_server.region,
        "STORAGE__ADDRESSING_STYLE": "path",
        "STORAGE__ACCESS_KEY_ID": s3_server.access_key,
        "STORAGE__SECRET_ACCESS_KEY": s3_server.secret_key,
        "SCRATCH__FOLDER": str(tmp_path / "scratch"),
        "WORKER__HEALTH_PORT": "0",
    }
    return {f"{PREFIX}{name}": value for name, value in (places | secrets).items()}


def started(
    docs: list[Document], component: str, cluster: dict[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run the component's container to its end."""
    each = pod(docs, component)
    environment = each.environment(docs) | cluster
    return subprocess.run(
        [sys.executable, "-m", "audio_processor", *each.container["args"]],
        env=environment | {"PATH": os.environ["PATH"], "PYTHONPATH": str(K8S.parent)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_worker_before_the_migration_says_so_and_one_after_it_works(
    cluster: dict[str, str], tmp_path: Path
) -> None:
    docs = kustomize("postgresql")
    for component in ("worker", "once"):
        early = started(docs, component, cluster, tmp_path)
        assert early.returncode == Exit.CONFIGURATION, early.stderr
        assert "run: audio-processor migrate" in early.stderr
    migration = started(docs, "migrate", cluster, tmp_path)
    assert migration.returncode == Exit.FINE, migration.stderr
    # a Job that is started again is no trouble
    assert started(docs, "migrate", cluster, tmp_path).returncode == Exit.FINE
    run = started(docs, "once", cluster, tmp_path)
    assert run.returncode == Exit.FINE, run.stderr
    assert "0 completed" in run.stdout
