"""Fixtures that every area may use: the real servers, one of each a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.database import DatabaseServer
from tests.servers.mariadb import running_mariadb
from tests.servers.postgres import running_postgres
from tests.servers.s3 import S3Server, running_s3


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A real S3 server; make a bucket of your own in it."""
    with running_s3() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[DatabaseServer]:
    """A real PostgreSQL; ask it for a fresh database of your own."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[DatabaseServer]:
    """A real MariaDB; ask it for a fresh database of your own."""
    with running_mariadb() as server:
        yield server
