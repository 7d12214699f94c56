"""Stores to test, over a folder and over a real S3 server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from audio_processor.ports import ObjectStore
from audio_processor.storage import FolderOptions, S3Options, open_store
from tests.servers.flaky_proxy import FlakyProxy, Seen, flaky_proxy
from tests.servers.s3 import S3Server

PART_BYTES = 5 * 1024 * 1024
"""The smallest part that S3 takes."""


@pytest.fixture
def bucket(s3_server: S3Server) -> str:
    """A fresh bucket."""
    return s3_server.make_bucket()


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[FlakyProxy]:
    """A proxy before the S3 server that writes down and misbehaves."""
    with flaky_proxy(s3_server.endpoint_url) as running:
        yield running


@pytest.fixture
def s3_options(s3_server: S3Server, proxy: FlakyProxy, bucket: str) -> S3Options:
    """A bucket behind the proxy, with pauses that a test can afford."""
    return S3Options(
        bucket=bucket,
        endpoint_url=proxy.url,
        region=s3_server.region,
        access_key_id=s3_server.access_key,
        secret_access_key=s3_server.secret_key,
        part_size_bytes=PART_BYTES,
        connect_timeout_s=10,
        read_timeout_s=30,
        backoff_s=0.01,
        backoff_max_s=0.05,
    )


@pytest.fixture
def s3_store(s3_options: S3Options) -> ObjectStore:
    """The store over that bucket."""
    return open_store(s3_options)


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    """Either store. Whatever a test does, S3 sees only what three permissions allow."""
    if request.param == "folder":
        yield open_store(FolderOptions(tmp_path / "store"))
        return
    proxy: FlakyProxy = request.getfixturevalue("proxy")
    bucket: str = request.getfixturevalue("bucket")
    yield request.getfixturevalue("s3_store")
    assert {permission(seen, bucket) for seen in proxy.seen} <= {
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:AbortMultipartUpload",  # tried, never needed
    }


def permission(seen: Seen, bucket: str) -> str:
    """Name the permission that AWS asks for a request (*Required permissions for S3 API*)."""
    assert seen.path.startswith(f"/{bucket}/"), seen
    assert len(seen.path) > len(bucket) + 2, f"a request of the bucket itself: {seen}"
    parameters = frozenset(seen.query) - {"x-id"}
    forbidden_headers = {name for name in seen.headers if "acl" in name or "grant" in name}
    assert not forbidden_headers, seen
    if "x-amz-copy-source" in seen.headers and not parameters:
        assert seen.headers["x-amz-tagging-directive"] == "REPLACE"
    return {
        ("GET", frozenset()): "s3:GetObject",
        ("PUT", frozenset()): "s3:PutObject",
        ("POST", frozenset({"uploads"})): "s3:PutObject",
        ("PUT", frozenset({"partNumber", "uploadId"})): "s3:PutObject",
        ("POST", frozenset({"uploadId"})): "s3:PutObject",
        ("DELETE", frozenset({"uploadId"})): "s3:AbortMultipartUpload",
        ("DELETE", frozenset()): "s3:DeleteObject",
    }.get((seen.method, parameters), f"something else: {seen}")
