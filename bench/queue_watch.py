"""What the servers say of a load: CPU, waits, locks, connections; and how busy the machine was."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil

from tests.queue.backend import Backend

SAMPLE_S = 0.2
WAITS = {
    "postgresql": "SELECT coalesce(wait_event_type || ': ' || wait_event, 'running')"
    " FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'"
    " AND pid <> pg_backend_pid()",
    "mysql": "SELECT coalesce(nullif(state, ''), 'running') FROM information_schema.processlist"
    " WHERE db = database() AND command NOT IN ('Sleep', 'Daemon') AND id <> connection_id()",
}
CONNECTIONS = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid()",
    "mysql": "SELECT count(*) FROM information_schema.processlist WHERE db = database()"
    " AND id <> connection_id()",
}
COUNTERS = {
    "postgresql": "SELECT 'deadlocks', deadlocks FROM pg_stat_database"
    " WHERE datname = current_database()",
    "mysql": "SHOW GLOBAL STATUS WHERE Variable_name IN"
    " ('Innodb_deadlocks', 'Innodb_row_lock_waits', 'Innodb_row_lock_time')",
}
PROGRAMS = {"postgresql": "postgres", "mysql": "mariadbd"}


@dataclass(slots=True)
class Watch:
    """What was seen while a load ran."""

    server_cpu_s: float = 0.0
    connections: int = 0
    """The most at once."""
    waits: dict[str, int] = field(default_factory=dict)
    """What statements were seen doing, sampled five times a second."""
    counters: dict[str, int] = field(default_factory=dict)
    """Deadlocks and lock waits (milliseconds of them, in ``Innodb_row_lock_time``)."""
    load_average: tuple[float, float] = (0.0, 0.0)
    """The machine's, of a minute: before and after."""


class Watcher:
    """Looks at one server while a load runs; ``tick`` is to be called often."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._connection = backend.connect()
        self._seen = Watch()
        self._next = 0.0

    def tick(self, _: float = 0.0) -> None:
        """Take a sample, if it is time."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + SAMPLE_S
        kind = self._backend.db_type
        for (name,) in self._ask(WAITS[kind]):
            self._seen.waits[str(name)] = self._seen.waits.get(str(name), 0) + 1
        ((connections,),) = self._ask(CONNECTIONS[kind])
        self._seen.connections = max(self._seen.connections, int(connections))

    @contextmanager
    def watching(self) -> Iterator[Watch]:
        """Yield what will have been seen once the block is left."""
        self._seen = seen = Watch()
        kind = self._backend.db_type
        before, cpu_s, load = self._counters(), server_cpu_s(kind), os.getloadavg()[0]
        yield seen
        seen.server_cpu_s = server_cpu_s(kind) - cpu_s
        seen.load_average = (round(load, 2), round(os.getloadavg()[0], 2))
        after = self._counters()
        seen.counters = {name: after[name] - before.get(name, 0) for name in after}

    def close(self) -> None:
        """Close its connection."""
        self._connection.close()

    def _counters(self) -> dict[str, int]:
        return {str(name): int(value) for name, value in self._ask(COUNTERS[self._backend.db_type])}

    def _ask(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(sql)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def server_cpu_s(db_type: str) -> float:
    """Return the CPU seconds of the server that this process started, ended children included."""
    total = 0.0
    for child in psutil.Process().children():
        try:
            if child.name() != PROGRAMS[db_type]:
                continue
            total += sum(child.cpu_times()[:4])
            total += sum(sum(one.cpu_times()[:2]) for one in child.children(recursive=True))
        except psutil.NoSuchProcess:
            continue
    return total
