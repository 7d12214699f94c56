"""One measurement each: a load, a poll by itself, and a table that has lived."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from statistics import quantiles
from typing import Any

from bench import queue_load, queue_table
from bench.queue_load import JOBS, Task, Told
from bench.queue_plans import Pages, pages
from bench.queue_watch import Watch, Watcher
from tests.queue.backend import Backend

Tick = Callable[[float], None]
SUPPLY_PER_S = 3000
ARRIVALS_PER_WORKER_S = 0.1


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of how long one statement's whole transaction took, in milliseconds."""

    count: int
    p50: float
    p99: float
    most: float


@dataclass(frozen=True, slots=True)
class Load:
    """One load on one table."""

    kind: str
    rows: int
    workers: int
    seconds: float
    claims: int
    claims_per_s: float
    doubles: int
    """Claims of a row that was claimed already, or that the table knows nothing of."""
    took: dict[str, Percentiles]
    client_cpu_ms: float
    """Of all workers, for one transaction."""
    server_cpu_ms: float
    repeats: dict[str, int]
    watch: Watch = field(default_factory=Watch)


@dataclass(frozen=True, slots=True)
class Alone:
    """Polls by one caller with nobody else at work: the plan's cost without the crowd's."""

    rows: int
    what: str
    empty: Pages
    claim: Percentiles


def saturated(backend: Backend, watcher: Watcher, workers: int, seconds: float, tick: Tick) -> Load:
    """Let the workers claim as fast as they can."""
    rows = queue_table.row_count(backend)
    run = f"run{secrets.token_hex(3)}"
    abandoned = workers
    queue_table.supply(backend, run, workers + int(seconds * SUPPLY_PER_S))
    queue_table.abandon(backend, run, abandoned)
    tasks = _tasks(backend, "saturated", run, workers, seconds)
    try:
        return _load(backend, watcher, run, tasks, rows, tick)
    finally:
        queue_table.remove(backend, run)
        queue_table.settle(backend)


def realistic(backend: Backend, watcher: Watcher, workers: int, seconds: float, tick: Tick) -> Load:
    """Let the workers poll once a second each, while tracks arrive one by one."""
    rows = queue_table.row_count(backend)
    run = f"run{secrets.token_hex(3)}"
    queue_table.supply(backend, run, workers * (JOBS + 1))
    tasks = _tasks(backend, "realistic", run, workers, seconds)
    try:
        with _arrivals(backend, run, workers * ARRIVALS_PER_WORKER_S):
            return _load(backend, watcher, run, tasks, rows, tick)
    finally:
        queue_table.remove(backend, run)
        queue_table.settle(backend)


@contextmanager
def _arrivals(backend: Backend, run: str, per_s: float) -> Iterator[None]:
    """Upload a track from time to time, as an old client does: by an INSERT of its own."""
    over = threading.Event()

    def upload() -> None:
        with closing(backend.connect()) as connection:
            cursor = connection.cursor()
            number = 0
            while not over.wait(1 / per_s):
                number += 1
                upload_id = f"{run}-late{number:06d}"
                cursor.execute(
                    "INSERT INTO Uploads (upload_id, file_name) VALUES (%s, %s)",
                    (upload_id, f"{upload_id}.mp3"),
                )

    thread = threading.Thread(target=upload)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _tasks(backend: Backend, kind: Any, run: str, workers: int, seconds: float) -> list[Task]:
    return [
        Task(backend.config, backend.db_type, kind, f"{run}:{number}", seconds)
        for number in range(workers)
    ]


def _load(
    backend: Backend, watcher: Watcher, run: str, tasks: list[Task], rows: int, tick: Tick
) -> Load:
    def look(elapsed_s: float) -> None:
        watcher.tick()
        tick(elapsed_s)

    with watcher.watching() as watch:
        told = queue_load.run(tasks, look)
    return _summed(backend, run, tasks, rows, told, watch)


def _summed(
    backend: Backend, run: str, tasks: list[Task], rows: int, told: list[Told], watch: Watch
) -> Load:
    took: dict[str, list[float]] = {}
    for one in told:
        for statement, durations in one.took.items():
            took.setdefault(statement, []).extend(durations)
    claims = [claim for one in told for claim in one.claims]
    timed = len(took.get("claim", ()))
    seconds = max(one.elapsed_s for one in told)
    transactions = sum(map(len, took.values())) or 1
    repeats: Counter[str] = Counter()
    for one in told:
        repeats.update(one.repeats)
    return Load(
        kind=tasks[0].kind,
        rows=rows,
        workers=len(tasks),
        seconds=round(seconds, 2),
        claims=len(claims),
        claims_per_s=round(timed / seconds, 1),
        doubles=_doubles(backend, run, claims),
        took={statement: percentiles(each) for statement, each in sorted(took.items())},
        client_cpu_ms=round(1000 * sum(one.cpu_s for one in told) / transactions, 3),
        server_cpu_ms=round(1000 * watch.server_cpu_s / transactions, 3),
        repeats=dict(repeats),
        watch=watch,
    )


def _doubles(backend: Backend, run: str, claims: list[tuple[str, str, int]]) -> int:
    """Count the claims that are not one to one with what the table says."""
    # a row that a vanished worker left is claimed again, but never the same attempt of it
    doubles = len(claims) - len({(upload_id, attempt) for upload_id, _, attempt in claims})
    first: dict[str, int] = {}
    for upload_id, _, attempt in claims:
        first[upload_id] = min(attempt, first.get(upload_id, attempt))
    held = queue_table.held(backend, run, sum(attempt - 1 for attempt in first.values()))
    wrong = {
        abs(held.rows - len(first)),
        abs(held.tokens - len(first)),
        abs(held.claims - len(claims)),
    }
    return max(doubles, *wrong)


def percentiles(seconds: list[float]) -> Percentiles:
    """Return what is said of a list of durations."""
    if len(seconds) < 2:
        seconds = seconds * 2 or [0.0, 0.0]
    cuts = quantiles(seconds, n=100, method="inclusive")
    return Percentiles(
        len(seconds), *(round(1000 * s, 2) for s in (cuts[49], cuts[98], max(seconds)))
    )


def alone(backend: Backend, what: str, calls: int = 200) -> Alone:
    """Poll an empty queue, then claim what there is, by a single caller."""
    rows = queue_table.row_count(backend)
    empty = pages(backend, lambda queue: queue.claim("alone"), calls)
    run = f"one{secrets.token_hex(3)}"
    queue_table.supply(backend, run, calls + 1)
    took = []
    queue = backend.open()
    try:
        queue.claim("alone")
        for _ in range(calls):
            began = time.perf_counter()
            if queue.claim("alone") is None:
                raise RuntimeError("there is less to claim than there was put in")
            took.append(time.perf_counter() - began)
    finally:
        queue.close()
        queue_table.remove(backend, run)
    return Alone(rows, what, empty, percentiles(took))


def lived(backend: Backend, cycles: int) -> Iterator[Alone]:
    """Measure a table that has lived: without a vacuum, under an old snapshot, and after one."""
    run = f"life{secrets.token_hex(3)}"
    postgresql = backend.db_type == "postgresql"
    if postgresql:
        backend.sql("ALTER TABLE uploads SET (autovacuum_enabled = off)")
    try:
        queue_table.live(backend, f"{run}a", cycles)
        yield alone(backend, f"after {cycles:,} tracks" + ", no vacuum" * postgresql)
        if postgresql:
            backend.sql("VACUUM uploads")
        with _old_snapshot(backend):
            queue_table.live(backend, f"{run}b", cycles // 5)
            yield alone(backend, f"after {cycles // 5:,} more under an old snapshot")
        if postgresql:
            backend.sql("VACUUM uploads")
        yield alone(backend, "once it has ended" + " and VACUUM" * postgresql)
    finally:
        if postgresql:
            backend.sql("ALTER TABLE uploads RESET (autovacuum_enabled)")
        for part in "ab":
            queue_table.remove(backend, f"{run}{part}")
        queue_table.settle(backend)


@contextmanager
def _old_snapshot(backend: Backend) -> Iterator[None]:
    """Hold a transaction open that may still read what the table was, as a long report does."""
    with closing(backend.connect()) as connection, closing(connection.cursor()) as cursor:
        if backend.db_type == "postgresql":
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        else:
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        cursor.execute("SELECT count(*) FROM (SELECT 1 FROM Uploads LIMIT 1) AS one")
        cursor.fetchall()
        yield
        cursor.execute("ROLLBACK")


def plain(value: Any) -> Any:
    """Return a measurement as JSON has it."""
    return asdict(value)
