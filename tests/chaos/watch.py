"""The rows seen from outside, by plain SQL, all the while; and how soon each one recovers."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.chaos.site import Site

EVERY_S = 0.25
ENDED = {"completed", "failed"}

_OVERDUE = {
    "postgresql": "EXTRACT(EPOCH FROM (now() - lease_expires_at))",
    "mysql": "TIMESTAMPDIFF(MICROSECOND, lease_expires_at, UTC_TIMESTAMP(6)) / 1000000",
}


@dataclass(frozen=True, slots=True)
class Row:
    """What SQL says of an upload."""

    upload_id: str
    file_name: str
    status: str
    attempts: int
    token: str | None
    worker_id: str | None
    error_code: str | None
    error_message: str | None
    history: str
    overdue_s: float
    """How long ago the lease ran out; negative while it runs."""

    @property
    def worker_pid(self) -> int:
        """Of the process that claimed it last: worker ids are host-pid-random."""
        parts = (self.worker_id or "").rsplit("-", 2)
        return int(parts[1]) if len(parts) == 3 else 0


def look(site: Site, connection: Any) -> dict[str, Row]:
    """Return every row."""
    cursor = connection.cursor()
    cursor.execute(
        "SELECT upload_id, file_name, processing_status, attempts, lease_token, worker_id, "
        f"error_code, error_message, history, {_OVERDUE[site.database.db_type]} FROM Uploads"
    )
    return {row[0]: _row(*row) for row in cursor.fetchall()}


def _row(*columns: Any) -> Row:
    row = Row(*columns)
    return replace(row, history=row.history or "", overdue_s=float(row.overdue_s or 0.0))


@dataclass
class Hit:
    """A fault and the rows that were in work when it struck."""

    kind: str
    at: float
    waiting: dict[str, str | None]
    """Upload id → the token it had."""


@dataclass
class Watch:
    """Polls the rows on a thread of its own."""

    site: Site
    rows: dict[str, Row] = field(default_factory=dict)
    recovered_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """By kind of fault: from it until the row had ended or another attempt had begun."""
    undone: list[str] = field(default_factory=list)
    """Uploads that were completed once and were not any more later."""
    _hits: list[Hit] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _done: threading.Event = field(default_factory=threading.Event)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def in_work(self, pid: int | None = None) -> list[Row]:
        """Rows being processed, by this worker process or by any."""
        return [
            row
            for row in self.rows.values()
            if row.status == "processing" and pid in (None, row.worker_pid)
        ]

    def hit(self, kind: str, rows: Iterable[Row]) -> None:
        """Note a fault that has just struck these rows."""
        waiting = {row.upload_id: row.token for row in rows}
        if waiting:
            with self._lock:
                self._hits.append(Hit(kind, time.monotonic(), waiting))

    def wait_for(self, true: Callable[[], bool], seconds: float) -> bool:
        """Wait until it is true of the rows; return whether it is."""
        with self._changed:
            return self._changed.wait_for(true, seconds)

    def _run(self) -> None:
        connection: Any = None
        while not self._done.wait(EVERY_S):
            try:
                if connection is None:
                    connection = self.site.database.connect(self.site.config)
                rows = look(self.site, connection)
            except Exception:  # the database is one of the things that break here
                connection = None
                continue
            self._take(rows)
        if connection is not None:
            connection.close()

    def _take(self, rows: dict[str, Row]) -> None:
        now = time.monotonic()
        for upload_id, before in self.rows.items():
            if before.status == "completed" and rows[upload_id].status != "completed":
                self.undone.append(upload_id)
        with self._lock:
            for hit in self._hits:
                for upload_id, token in list(hit.waiting.items()):
                    row = rows[upload_id]
                    if row.status in ENDED or row.token != token:
                        self.recovered_s[hit.kind].append(now - hit.at)
                        del hit.waiting[upload_id]
            self._hits = [hit for hit in self._hits if hit.waiting]
        with self._changed:
            self.rows = rows
            self._changed.notify_all()
