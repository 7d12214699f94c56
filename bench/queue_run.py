"""What ``bench.queue`` runs on each back end: servers, sizes, order, progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench import queue_table
from bench.queue_measure import Alone, Load, alone, lived, realistic, saturated
from bench.queue_plans import Plan, plans
from bench.queue_watch import Watcher
from tests.queue.backend import Backend
from tests.servers.database import DatabaseServer
from tests.servers.mariadb import running_mariadb
from tests.servers.postgres import running_postgres

BACK_ENDS = ("postgresql", "mariadb")


@dataclass(frozen=True, slots=True)
class Scale:
    """How large, how many, how long."""

    rows: int = 1_000_000
    workers: int = 64
    seconds: float = 8.0
    """Of each saturated load."""
    realistic_s: float = 30.0
    churn: int = 50_000
    """Tracks that the table has seen come and go when it is measured again."""

    @property
    def growth(self) -> list[int]:
        """The numbers of rows, each ten times the one before."""
        return [rows for rows in (self.rows // 100, self.rows // 10, self.rows) if rows >= 1000]

    @property
    def fleets(self) -> list[int]:
        """The numbers of workers below the full one."""
        return [self.workers >> shift for shift in (3, 2, 1) if self.workers >> shift]


QUICK = Scale(rows=20_000, workers=16, seconds=2.0, realistic_s=6.0, churn=5_000)


@dataclass(slots=True)
class Result:
    """Everything measured on one back end."""

    back_end: str
    version: str
    loads: list[Load] = field(default_factory=list)
    alone: list[Alone] = field(default_factory=list)
    plans: dict[str, list[Plan]] = field(default_factory=dict)
    sizes_mib: dict[str, float] = field(default_factory=dict)


Say = Callable[[str, float], AbstractContextManager[Callable[[float], None]]]


@contextmanager
def server(back_end: str) -> Iterator[DatabaseServer]:
    """Start one as a small production's would be: commits reach the disk."""
    if back_end == "postgresql":
        settings: dict[str, str | int] = {
            "fsync": "on",
            "shared_buffers": "1GB",
            "max_connections": 600,
            "max_wal_size": "4GB",
            "checkpoint_timeout": "15min",
        }
        with running_postgres(settings=settings) as running:
            yield running
        return
    settings = {
        "innodb-buffer-pool-size": "2G",
        "innodb-flush-log-at-trx-commit": 1,
        "innodb-log-file-size": "1G",
        "max-connections": 600,
    }
    with running_mariadb(settings=settings) as running:
        yield running


def fresh(running: DatabaseServer) -> Backend:
    """Return a database with the table as this version has it."""
    backend = Backend(running.db_type, running.fresh_database(), running)
    with closing(backend.open()) as queue:
        queue.migrate()
    return backend


def measure(backend: Backend, back_end: str, scale: Scale, say: Say) -> Result:
    """Run everything on one back end."""
    ((version,),) = backend.sql("SELECT version()")
    result = Result(back_end, str(version).partition(" on ")[0])
    with closing(Watcher(backend)) as watcher:
        filled = 0
        for rows in scale.growth:
            with say(f"fill to {rows:,} rows", rows - filled) as tick:
                queue_table.fill(backend, filled + 1, rows, tick)
                filled = rows
            with say(f"one caller, {rows:,} rows", 1):
                result.alone.append(alone(backend, "settled"))
            result.loads.append(_saturated(backend, watcher, scale.workers, scale, say))
        for workers in scale.fleets:
            result.loads.append(_saturated(backend, watcher, workers, scale, say))
        with say(f"realistic, {scale.workers} workers", scale.realistic_s) as tick:
            load = realistic(backend, watcher, scale.workers, scale.realistic_s, _since(tick))
            result.loads.append(load)
    result.sizes_mib = queue_table.sizes(backend)
    with say("plans", 1):
        result.plans = explained(backend)
    with say(f"a life of {scale.churn:,} tracks", 3) as tick:
        for one in lived(backend, scale.churn):
            result.alone.append(one)
            tick(1)
    return result


def explained(backend: Backend) -> dict[str, list[Plan]]:
    """Return the plans of a poll that finds nothing, of a claim, and of the depth."""
    found = {"empty poll": plans(backend, lambda queue: queue.claim("plan"))}
    found["depth"] = plans(backend, lambda queue: queue.depth())
    queue_table.supply(backend, "plan", 1000)
    found["claim"] = plans(backend, lambda queue: queue.claim("plan"))
    queue_table.remove(backend, "plan")
    return found


def _saturated(backend: Backend, watcher: Watcher, workers: int, scale: Scale, say: Say) -> Load:
    rows = queue_table.row_count(backend)
    with say(f"saturated, {workers} workers, {rows:,} rows", scale.seconds) as tick:
        return saturated(backend, watcher, workers, scale.seconds, _since(tick))


def _since(tick: Callable[[float], None]) -> Callable[[float], None]:
    """Return what takes the seconds since the beginning and ticks by the seconds since the last."""
    last = 0.0

    def advance(elapsed_s: float) -> None:
        nonlocal last
        tick(elapsed_s - last)
        last = elapsed_s

    return advance


@contextmanager
def progress(back_end: str) -> Iterator[Say]:
    """Yield what shows each step as a bar, on stderr."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description:<52}"), BarColumn(), TimeElapsedColumn()
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:

        @contextmanager
        def say(what: str, total: float) -> Iterator[Callable[[float], None]]:
            if not console.is_terminal:
                console.print(f"{back_end}: {what}", highlight=False)
            bar = bars.add_task(f"{back_end}: {what}", total=total)
            yield lambda more: bars.advance(bar, more)
            bars.update(bar, completed=total)

        yield say
