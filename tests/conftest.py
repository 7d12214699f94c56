"""Fixtures that every area may use: the real servers, one of each a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.s3 import S3Server, running_s3


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A real S3 server; make a bucket of your own in it."""
    with running_s3() as server:
        yield server
