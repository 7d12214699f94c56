"""The claim reads its row off the index, whatever the table is full of."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from sqlalchemy import ClauseElement, select

from tests.queue.backend import Backend
from uploads_queue.connect import Patience, open_engine
from uploads_queue.inspection import depth_query
from uploads_queue.ownership import namesakes
from uploads_queue.place import read_config
from uploads_queue.schema import uploads
from uploads_queue.searching import searches

ROWS = 20_000
NUMBERS = (
    f"WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {ROWS})"
)
SCANS = ("SCAN Uploads", "Seq Scan", '"table_name": "Uploads", "access_type": "ALL"')
SORTS = ("filesort", '"Sort"', "Incremental Sort", "TEMP B-TREE", "temporary")
FILLINGS = {
    "mostly completed": "CASE WHEN n % 100 = 0 THEN '0' WHEN n % 1000 = 1 THEN 'processing'"
    " ELSE 'completed' END",
    "all pending": "'0'",
    "none pending": "CASE WHEN n % 7 = 0 THEN 'failed' ELSE 'completed' END",
}


@pytest.fixture(params=FILLINGS)
def filled(request: pytest.FixtureRequest, backend: Backend) -> Iterator[Backend]:
    """Twenty thousand rows, and statistics on them."""
    columns = "(upload_id, file_name, upload_type, processing_status, uploaded_at)"
    text = "concat('u', n)" if backend.db_type == "mysql" else "'u' || n"
    uploaded = {
        "sqlite": "datetime('2025-01-01', (n * 7919 % 100000) || ' minutes')",
        "postgresql": "timestamp '2025-01-01' + (n * 7919 % 100000) * interval '1 minute'",
        "mysql": "timestamp('2025-01-01 00:00:00') + interval (n * 7919 % 100000) minute",
    }[backend.db_type]
    rows = (
        f"SELECT {text}, {text}, CASE WHEN n % 50 = 0 THEN 'image' ELSE 'track' END,"
        f" {FILLINGS[request.param]}, {uploaded} FROM numbers"
    )
    if backend.db_type == "mysql":  # where the WITH goes behind the INSERT, and is bounded
        backend.sql(
            f"SET STATEMENT max_recursive_iterations = {ROWS + 1} FOR"
            f" INSERT INTO Uploads {columns} {NUMBERS} {rows}",
            "ANALYZE TABLE Uploads",
        )
    else:
        settle = "VACUUM ANALYZE Uploads" if backend.db_type == "postgresql" else "ANALYZE"
        backend.sql(f"{NUMBERS} INSERT INTO Uploads {columns} {rows}", settle)
    yield backend
    backend.sql("DELETE FROM Uploads")


def explained(backend: Backend, query: ClauseElement) -> str:
    engine = open_engine(
        read_config(backend.config, backend.db_type), pool_size=1, patience=Patience()
    )
    explain = {"sqlite": "EXPLAIN QUERY PLAN ", "postgresql": "EXPLAIN (FORMAT JSON) "}
    with engine.connect() as connection:
        compiled = query.compile(connection, compile_kwargs={"literal_binds": True})
        prefix = explain.get(backend.db_type, "EXPLAIN FORMAT=JSON ")
        rows = connection.exec_driver_sql(prefix + str(compiled)).fetchall()
    engine.dispose()
    plan = rows[0][0] if backend.db_type == "mysql" else [list(row) for row in rows]
    return json.dumps(json.loads(plan) if isinstance(plan, str) else plan, default=str)


def test_the_claim_reads_off_its_indexes_and_sorts_nothing(filled: Backend) -> None:
    plans = [explained(filled, search) for search in searches(filled.db_type)]
    together = "".join(plans)
    for index in ("ix_uploads_lease", "ix_uploads_ready"):
        assert index in together, together
    for plan in plans:
        assert "ix_uploads_" in plan, plan
        for bad in SCANS + SORTS:
            assert bad not in plan, plan


def test_the_depth_is_read_off_an_index_alone(filled: Backend) -> None:
    plan = explained(filled, depth_query(filled.db_type))
    looks = plan.count("ix_uploads_ready")
    alone = {"postgresql": "Index Only Scan", "mysql": '"using_index": true'}
    if filled.db_type == "mysql":
        looks //= 2  # each is named as possible, and as chosen
    assert looks == 3, plan
    assert plan.count(alone.get(filled.db_type, "COVERING INDEX")) == looks, plan
    for bad in SCANS + SORTS:
        assert bad not in plan, plan


def test_a_file_name_is_looked_up_by_its_index(filled: Backend) -> None:
    queue = filled.open()
    assert queue.find_by_file_name("u777") is not None
    queue.close()
    table = uploads(filled.db_type)
    plan = explained(filled, select(table.c.upload_id).where(table.c.file_name == "u777"))
    assert "ix_uploads_file_name" in plan, plan


@pytest.mark.parametrize("keys", ["none", "half"])
def test_an_owner_without_a_key_is_looked_up_by_an_index(filled: Backend, keys: str) -> None:
    if keys == "half":
        analyze = "ANALYZE TABLE Uploads" if filled.db_type == "mysql" else "ANALYZE"
        filled.sql(
            "UPDATE Uploads SET output_key = file_name WHERE upload_id > 'u5'",
            analyze,
        )
    plan = explained(filled, namesakes(filled.db_type, "u7_7"))
    assert "ix_uploads_file_name" in plan, plan
    for scan in SCANS:
        assert scan not in plan, plan
