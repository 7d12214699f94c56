"""The behavioural suite runs on every engine: each test module gets a database of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from database_manager import DatabaseManager
from tests.queue.backend import Backend

ENGINES = ("sqlite", "postgresql", "mariadb")


def fresh_backend(request: pytest.FixtureRequest, engine: str, folder: Path) -> Backend:
    """A database with nothing in it."""
    if engine == "sqlite":
        return Backend("sqlite", {"database": str(folder / "queue" / "uploads.db")})
    name = "postgres_server" if engine == "postgresql" else "mariadb_server"
    server = request.getfixturevalue(name)
    return Backend(server.db_type, server.fresh_database(), server)


def migrated_backend(request: pytest.FixtureRequest, folder: Path) -> Backend:
    backend = fresh_backend(request, request.param, folder)
    queue = backend.open()
    queue.migrate()
    queue.close()
    return backend


@pytest.fixture(scope="module", params=ENGINES)
def migrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Backend:
    return migrated_backend(request, tmp_path_factory.mktemp("queue"))


@pytest.fixture(scope="module", params=ENGINES[1:])
def migrated_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Backend:
    return migrated_backend(request, tmp_path_factory.mktemp("queue"))


@pytest.fixture
def backend(migrated: Backend) -> Backend:
    """A migrated database with an empty table, on each engine."""
    migrated.sql("DELETE FROM Uploads")
    return migrated


@pytest.fixture
def server_backend(migrated_server: Backend) -> Backend:
    """The same, on each engine that is a server."""
    migrated_server.sql("DELETE FROM Uploads")
    return migrated_server


@pytest.fixture
def queue(backend: Backend) -> Iterator[DatabaseManager]:
    manager = backend.open(max_attempts=3, pool_size=8)
    yield manager
    manager.close()


@pytest.fixture
def server_queue(server_backend: Backend) -> Iterator[DatabaseManager]:
    manager = server_backend.open(pool_size=8)
    yield manager
    manager.close()
