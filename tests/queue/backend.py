"""One database with an Uploads table, seen from behind the queue: by plain SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from audio_processor.model import Claim, Loudness, RenditionSummary, TrackSummary
from database_manager import DatabaseManager, UploadRecord
from tests.servers.database import DatabaseServer

CUSTOMERS_TABLE = """CREATE TABLE Uploads (
    upload_id VARCHAR(255) PRIMARY KEY, file_name VARCHAR(255) NOT NULL,
    upload_type VARCHAR(50) DEFAULT 'track', processing_status VARCHAR(20) DEFAULT '0',
    uploaded_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, error_message TEXT)"""

DATABASE_NOW: dict[str, Callable[[int], str]] = {
    "sqlite": lambda s: f"strftime('%Y-%m-%d %H:%M:%f', 'now', '{s} seconds')",
    "postgresql": lambda s: f"clock_timestamp() + interval '{s} seconds'",
    "mysql": lambda s: f"utc_timestamp(6) + interval {s} second",
}


@dataclass(frozen=True, slots=True)
class Backend:
    """A database of one kind; ``server`` is None for SQLite."""

    db_type: str
    config: dict[str, Any]
    server: DatabaseServer | None = None

    def open(self, **options: Any) -> DatabaseManager:
        return DatabaseManager(self.config, self.db_type, **options)

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run the statements, each committed; return the last one's rows."""
        if self.server is not None:
            return self.server.sql(self.config, *statements)
        with closing(sqlite3.connect(self.config["database"], isolation_level=None)) as connection:
            rows: list[tuple[Any, ...]] = []
            for statement in statements:
                rows = connection.execute(statement).fetchall()
            return rows

    def connect(self) -> Any:
        """A plain driver's autocommitting connection."""
        if self.server is not None:
            return self.server.connect(self.config)
        return sqlite3.connect(
            self.config["database"], isolation_level=None, check_same_thread=False
        )

    def now(self, plus_s: int = 0) -> str:
        """SQL for the database's clock."""
        return DATABASE_NOW[self.db_type](plus_s)

    def set(self, upload_id: str, column: str, sql: str) -> None:
        self.sql(f"UPDATE Uploads SET {column} = {sql} WHERE upload_id = '{upload_id}'")

    def expire(self, upload_id: str) -> None:
        """Let the lease have run out a second ago."""
        self.set(upload_id, "lease_expires_at", self.now(-1))

    def age(self, upload_id: str, seconds: int) -> None:
        """Let the row have been uploaded so long ago."""
        clock = "CURRENT_TIMESTAMP" if self.db_type == "mysql" else self.now()
        ago = {
            "sqlite": f"datetime('now', '-{seconds} seconds')",
            "postgresql": f"localtimestamp - interval '{seconds} seconds'",
            "mysql": f"{clock} - interval {seconds} second",
        }
        self.set(upload_id, "uploaded_at", ago[self.db_type])


def row(queue: DatabaseManager, upload_id: str) -> UploadRecord:
    """The row's story; it must be there."""
    record = queue.find(upload_id)
    assert record is not None
    return record


def taken(queue: DatabaseManager, worker_id: str = "w") -> Claim:
    """The next claim; there must be one."""
    claim = queue.claim(worker_id)
    assert claim is not None
    return claim


def summary(track_id: str = "song") -> TrackSummary:
    source = Loudness(-9.7, 5.5, 0.4, 0.0, -6.1, -7.2)
    low = RenditionSummary("low", -14.1, -1.3, 5.4, 200.5, 54_321, 2, "codec_peak")
    return TrackSummary(track_id, 200.5, source, "static", -4.3, None, (low,), ("Größe ✓",))
