"""A real S3 server for the tests: OpenStack Swift with its S3 API, from PyPI alone.

It checks SigV4 signatures, does multipart uploads, conditional requests and SSE (AES256).
What it does not do: bucket policies, KMS, storage classes other than STANDARD.
"""

from __future__ import annotations

import contextlib
import functools
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.requirements import missing
from tests.servers.swift_cluster import ACCESS_KEY, REGION, SECRET_KEY

ROOT = Path(__file__).parents[2]
STOP_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class S3Server:
    """Where the server is and how to get in."""

    endpoint_url: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str

    def client(self) -> Any:
        """A plain boto3 client with every right, for setting up and looking behind the store."""
        return _client(self)

    def settings(self, bucket: str, *, endpoint_url: str | None = None) -> dict[str, Any]:
        """The program's ``[storage]`` for this server, or for a door in front of it."""
        return {
            "kind": "s3",
            "bucket": bucket,
            "endpoint_url": endpoint_url or self.endpoint_url,
            "region": self.region,
            "access_key_id": self.access_key,
            "secret_access_key": self.secret_key,
            "addressing_style": "path",
        }

    def make_bucket(self, name: str | None = None) -> str:
        """Create a bucket (of a fresh name unless told) and return its name."""
        bucket = name or f"test-{uuid.uuid4().hex[:12]}"
        self.client().create_bucket(Bucket=bucket)
        return bucket


@functools.cache
def _client(server: S3Server) -> Any:
    import boto3
    from botocore.config import Config

    return boto3.session.Session().client(
        "s3",
        endpoint_url=server.endpoint_url,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name=server.region,
        config=Config(s3={"addressing_style": "path"}),
    )


@contextlib.contextmanager
def running_s3() -> Iterator[S3Server]:
    """Start the server on a free port in a temporary folder; stop it and remove all of it."""
    if find_spec("swift") is None:
        missing("no S3 server: the swift package of requirements-dev.txt is not installed")
    with tempfile.TemporaryDirectory(prefix="swift-") as folder:
        log_path = Path(folder) / "stderr.log"
        with log_path.open("wb") as log, _process(Path(folder), log) as process:
            assert process.stdout is not None
            # blocks until the port is told, or the process ends and the line is empty
            port = process.stdout.readline().strip()
            if not port:
                raise RuntimeError(f"Swift did not start:\n{log_path.read_text()[-4000:]}")
            yield S3Server(f"http://127.0.0.1:{port}", ACCESS_KEY, SECRET_KEY, REGION)


@contextlib.contextmanager
def _process(folder: Path, log: Any) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-W", "ignore", "-m", "tests.servers.swift_cluster", str(folder)]
    with subprocess.Popen(
        argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
    ) as process:
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()  # what it takes as the word to stop
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
