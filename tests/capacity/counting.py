"""What a real track asks of a real S3 server and a real PostgreSQL, counted outside the program.

Requests are counted on the wire, repeats included; statements by the server's own
``pg_stat_statements``, those that drivers and pools send of themselves included.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from audio_processor import AudioProcessor, Settings
from tests.servers.database import DatabaseServer
from tests.servers.s3 import S3Server
from tests.servers.wiretap import Wiretap, tapped

STATISTICS = {"shared_preload_libraries": "pg_stat_statements"}
"""What the server is to be started with."""
_VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "BEGIN", "COMMIT", "ROLLBACK", "SET")


@dataclass(slots=True)
class Counted:
    """A processor on real services, and counters on both."""

    processor: AudioProcessor
    bucket: str
    s3: S3Server
    database: DatabaseServer
    login: dict[str, Any]
    tap: Wiretap
    _heard: int = 0

    def reset(self) -> None:
        """Count from here on."""
        self.database.sql(self.login, "SELECT pg_stat_statements_reset()")
        self._heard = len(self.tap.heard)

    def requests(self) -> Counter[str]:
        """Return how many requests of each method the bucket was asked for since."""
        line = rb"(GET|PUT|POST|DELETE|HEAD) /%b/[^ \r\n]* HTTP/1.1\r\n" % self.bucket.encode()
        heard = self.tap.heard[self._heard :]
        return Counter(match[1].decode() for match in re.finditer(line, heard))

    def statements(self) -> Counter[str]:
        """Return how many statements of each kind this database has executed since."""
        rows = self.database.sql(
            self.login,
            "SELECT s.query, s.calls FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid"
            " WHERE d.datname = current_database()",
        )
        counted: Counter[str] = Counter()
        for query, calls in rows:
            if "pg_stat_statements" not in query:
                counted[kind_of(query)] += calls
        return counted


def kind_of(query: str) -> str:
    """Return a statement's verb; a pool's question whether its connection lives is a PING."""
    words = query.split()
    verb = words[0].upper().rstrip(";")
    if verb == "SELECT" and "FROM" not in query.upper():
        return "PING"
    return verb if verb in _VERBS else "OTHER"


@contextmanager
def counted(
    postgres: DatabaseServer, s3: S3Server, folder: Path, **stated: dict[str, Any]
) -> Iterator[Counted]:
    """Yield a processor whose every request and statement is counted."""
    where = urlsplit(s3.endpoint_url)
    assert where.hostname is not None and where.port is not None
    bucket, login = s3.make_bucket(), postgres.fresh_database()
    postgres.sql(login, "CREATE EXTENSION pg_stat_statements")
    with tapped(where.hostname, where.port) as tap:
        storage = s3.settings(bucket, endpoint_url=f"http://127.0.0.1:{tap.port}")
        settings = Settings.model_validate(
            {
                **stated,
                "storage": {**storage, **stated.get("storage", {})},
                "scratch": {"folder": folder / "scratch"},
            }
        )
        with AudioProcessor(bucket, login, "postgresql", settings=settings) as processor:
            processor.queue.migrate()
            yield Counted(processor, bucket, s3, postgres, login, tap)
