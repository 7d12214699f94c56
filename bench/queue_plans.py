"""What one poll reads: the plans of the very statements that the queue sends, and page counts."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, event

from database_manager import DatabaseManager
from tests.queue.backend import Backend

EXPLAIN = {
    "postgresql": "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) ",
    "mysql": "ANALYZE FORMAT=JSON ",
}
SCAN = re.compile(r'Seq Scan|"table_name": "Uploads",\s*"access_type": "ALL"')
SORT = re.compile("Sort|filesort|temporary")


@dataclass(frozen=True, slots=True)
class Sent:
    """One statement as the queue sent it."""

    sql: str
    parameters: Any


@dataclass(frozen=True, slots=True)
class Plan:
    """How the server ran one statement."""

    sql: str
    text: str

    @property
    def scans(self) -> bool:
        """Whether it read a whole table."""
        return SCAN.search(self.text) is not None

    @property
    def sorts(self) -> bool:
        """Whether it put rows in order that no index had in it."""
        return SORT.search(self.text) is not None


@dataclass(frozen=True, slots=True)
class Pages:
    """What one call read on average."""

    table_pages: float | None
    """Of the table itself; None where the server does not count them apart."""
    index_pages: float | None
    rows_read: float
    """Rows or index entries that the server's executor was handed."""
    milliseconds: float
    """Median, from a single caller."""
    counters: dict[str, float] = field(default_factory=dict)


@contextmanager
def listening(sent: list[Sent]) -> Iterator[None]:
    """Note each statement that SQLAlchemy sends in this process."""

    def note(_connection: Any, _cursor: Any, sql: str, parameters: Any, *_: Any) -> None:
        sent.append(Sent(sql.rpartition("; ")[2], parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def plans(backend: Backend, call: Callable[[DatabaseManager], object]) -> list[Plan]:
    """Return how the server runs each statement that the call sends; nothing of it stays."""
    sent: list[Sent] = []
    queue = backend.open()
    try:
        queue.claim("bench", upload_id="none")  # the first words of all are not the call's
        with listening(sent):
            call(queue)
    finally:
        queue.close()
    return [
        Plan(one.sql, _explained(backend, one))
        for one in sent
        if one.sql.lstrip().upper().startswith(("SELECT", "WITH"))
    ]


def _explained(backend: Backend, sent: Sent) -> str:
    with closing(backend.connect()) as connection:
        connection.autocommit = False
        with closing(connection.cursor()) as cursor:
            if backend.db_type == "mysql":
                cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
            cursor.execute(EXPLAIN[backend.db_type] + sent.sql, sent.parameters)
            rows = cursor.fetchall()
        connection.rollback()
    if backend.db_type == "mysql":
        return json.dumps(json.loads(rows[0][0]), indent=1)
    return "\n".join(line for (line,) in rows)


def pages(backend: Backend, call: Callable[[DatabaseManager], object], calls: int = 200) -> Pages:
    """Return what a call reads and takes, on average of so many by a single caller.

    The server's counters have all of its sessions: nobody else may be at work.
    """
    queue = backend.open()
    call(queue)
    took = []
    before = _counters(backend)
    for _ in range(calls):
        began = time.perf_counter()
        call(queue)
        took.append(time.perf_counter() - began)
    queue.close()
    if backend.db_type == "postgresql":
        _settle(backend, before)
    after = _counters(backend)
    each = {name: (after[name] - before[name]) / calls for name in after}
    median_ms = 1000 * sorted(took)[calls // 2]
    if backend.db_type == "postgresql":
        return Pages(each["heap"], each["index"], each["entries"], median_ms, each)
    rows = sum(each[name] for name in each if name in HANDED_OVER)
    return Pages(None, None, rows, median_ms, each)


COUNTERS = {
    "postgresql": "SELECT heap_blks_read + heap_blks_hit, idx_blks_read + idx_blks_hit,"
    " (SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes"
    " WHERE relid = t.relid), (SELECT seq_scan FROM pg_stat_user_tables WHERE relid = t.relid)"
    " FROM pg_statio_user_tables t WHERE relname = 'uploads'",
    "mysql": "SHOW GLOBAL STATUS WHERE Variable_name = 'Innodb_buffer_pool_read_requests'"
    " OR Variable_name LIKE 'Handler_read%'",
}
HANDED_OVER = (
    "Handler_read_next",
    "Handler_read_prev",
    "Handler_read_rnd",
    "Handler_read_rnd_next",
)
"""Rows that MariaDB's executor read one after the other; ``Handler_read_key`` is a look-up."""


def _counters(backend: Backend) -> dict[str, float]:
    rows = backend.sql(COUNTERS[backend.db_type])
    if backend.db_type == "postgresql":
        names: Sequence[str] = ("heap", "index", "entries", "seq_scans")
        return {name: float(value) for name, value in zip(names, rows[0], strict=True)}
    return {str(name): float(value) for name, value in rows}


def _settle(backend: Backend, before: dict[str, float]) -> None:
    """Wait for the counters of the session that has just ended to be in."""
    deadline = time.monotonic() + 5
    while _counters(backend) == before and time.monotonic() < deadline:
        time.sleep(0.05)
