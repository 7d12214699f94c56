"""KEDA's query on the real servers: it counts what a worker could claim, and what one is at."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from database_manager import DatabaseManager
from tests.k8s.rendering import kustomize, one, template
from tests.queue.backend import Backend, taken
from tests.queue.conftest import migrated_backend
from tests.servers.database import PASSWORD

FLAVOURS = {"postgresql": "postgresql", "mariadb": "mysql"}
COLUMNS = "upload_type, processing_status, available_at, lease_expires_at"


@pytest.fixture(scope="module", params=FLAVOURS)
def migrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Backend:
    return migrated_backend(request, tmp_path_factory.mktemp("scaling"))


@pytest.fixture
def backend(migrated: Backend) -> Backend:
    migrated.sql("DELETE FROM Uploads")
    return migrated


@pytest.fixture
def queue(backend: Backend) -> Iterator[DatabaseManager]:
    manager = backend.open(max_attempts=3)
    yield manager
    manager.close()


def trigger(db_type: str) -> dict[str, Any]:
    metadata: dict[str, Any] = one(kustomize(db_type), "ScaledObject")["spec"]["triggers"][0]
    return metadata


def counted(backend: Backend) -> int:
    """What KEDA would read."""
    [(value,)] = backend.sql(trigger(backend.db_type)["metadata"]["query"])
    return int(value)


def insert(backend: Backend, name: str, **columns: str) -> None:
    """As a client does that knows the six columns only, unless a test says more."""
    names = ["upload_id", "file_name", *columns]
    values = [f"'{name}'", f"'{name}.wav'", *columns.values()]
    backend.sql(f"INSERT INTO Uploads ({', '.join(names)}) VALUES ({', '.join(values)})")


def in_work(queue: DatabaseManager) -> int:
    return len(queue.leases())


def test_it_scales_the_servers_that_the_overlays_are_for() -> None:
    for db_type in FLAVOURS.values():
        assert trigger(db_type)["type"] == db_type
        [chart] = one(template(db_type), "ScaledObject")["spec"]["triggers"]
        assert chart == trigger(db_type)


def test_an_empty_table_wants_no_worker(backend: Backend) -> None:
    assert counted(backend) == 0


def test_with_nothing_in_work_it_counts_the_claimable_and_nothing_else(
    backend: Backend, queue: DatabaseManager
) -> None:
    for number in range(5):
        insert(backend, f"pending-{number}")
    insert(backend, "due", available_at=backend.now(-1))
    insert(backend, "put-off", available_at=backend.now(600))
    insert(backend, "podcast", upload_type="'podcast'")
    insert(backend, "typeless", upload_type="NULL")
    insert(backend, "statusless", processing_status="NULL")
    insert(backend, "done", processing_status="'completed'")
    insert(backend, "failed", processing_status="'failed'")
    insert(backend, "of-an-old-worker", processing_status="'processing'")
    assert counted(backend) == len(queue.claimable_ids()) == 6


def test_a_track_counts_from_its_upload_to_its_end(
    backend: Backend, queue: DatabaseManager
) -> None:
    for number in range(4):
        insert(backend, f"track-{number}")
    first, second = taken(queue), taken(queue)
    # half are in work: a count of the pending alone would have said 2, and then 0
    assert counted(backend) == len(queue.claimable_ids()) + in_work(queue) == 4
    queue.fail(first, error_code="corrupt_media", error_message="It is damaged.")
    assert counted(backend) == 3
    queue.retry_later(
        second, error_code="store_unavailable", error_message="It is away.", delay_s=600
    )
    assert counted(backend) == len(queue.claimable_ids()) == 2
    backend.set(second.upload_id, "available_at", backend.now(-1))
    assert counted(backend) == len(queue.claimable_ids()) == 3


def test_a_dead_workers_track_brings_a_worker_back(
    backend: Backend, queue: DatabaseManager
) -> None:
    insert(backend, "orphan")
    claim = taken(queue)
    backend.expire(claim.upload_id)
    assert counted(backend) == len(queue.claimable_ids()) == 1


def test_it_stops_counting_where_more_changes_nothing(backend: Backend) -> None:
    rows = ", ".join(f"('{n}', '{n}.wav')" for n in range(1200))
    backend.sql(f"INSERT INTO Uploads (upload_id, file_name) VALUES {rows}")
    assert counted(backend) == 1000


def test_it_reads_the_claims_indexes_and_no_row(backend: Backend) -> None:
    rows = ", ".join(f"('{n}', '{n}.wav', 'completed')" for n in range(3000))
    backend.sql(
        f"INSERT INTO Uploads (upload_id, file_name, processing_status) VALUES {rows}",
        "VACUUM ANALYZE uploads" if backend.db_type == "postgresql" else "ANALYZE TABLE Uploads",
    )
    plan = backend.sql(f"EXPLAIN {trigger(backend.db_type)['metadata']['query']}")
    text = "\n".join(" ".join(map(str, line)) for line in plan)
    assert "ix_uploads_ready" in text and "ix_uploads_lease" in text
    if backend.db_type == "postgresql":
        assert "Seq Scan" not in text
    else:
        assert text.count("Using index") == 2


def test_its_user_needs_four_columns_and_gets_nothing_else(backend: Backend) -> None:
    """The rights that docs/decisions/0023 gives it, to the letter."""
    insert(backend, "track")
    assert backend.server is not None
    name = f"scaler_{uuid.uuid4().hex[:8]}"
    administrator = backend.server.config(backend.server.home)
    database = backend.config["database"]
    if backend.db_type == "postgresql":
        backend.sql(
            f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'",
            f"GRANT SELECT ({COLUMNS}) ON uploads TO {name}",
        )
    else:
        backend.server.sql(
            administrator,
            f"CREATE USER '{name}'@'%' IDENTIFIED BY '{PASSWORD}'",
            f"GRANT SELECT ({COLUMNS}) ON {database}.Uploads TO '{name}'@'%'",
        )
    config = backend.config | {"user": name}
    [(value,)] = backend.server.sql(config, trigger(backend.db_type)["metadata"]["query"])
    assert int(value) == 1
    for forbidden in ("SELECT file_name FROM Uploads", "DELETE FROM Uploads"):
        with pytest.raises(Exception, match=r"denied"):
            backend.server.sql(config, forbidden)


def test_the_rights_stand_in_the_decision() -> None:
    page = Path(__file__).parents[2] / "docs/decisions/0023-kustomize-and-a-chart.md"
    text = " ".join(page.read_text().split())
    assert f"GRANT SELECT ({COLUMNS}) ON uploads TO audio_scaler" in text
    assert f"GRANT SELECT ({COLUMNS}) ON music.Uploads TO 'audio_scaler'@'%'" in text
