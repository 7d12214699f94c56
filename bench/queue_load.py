"""The loads on the queue: 64 workers, each a process with its own connections.

A process a worker, as in production a pod: threads would wait for each other's interpreter
lock and show that as the database's latency. They are forked from a server process that has
imported everything, so that 64 cost a second.
"""

from __future__ import annotations

import logging
import multiprocessing
import multiprocessing.connection
import random
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from typing import Any, Literal

from audio_processor.errors import LeaseLost
from audio_processor.model import Claim, Loudness, RenditionSummary, TrackSummary
from database_manager import DatabaseManager

JOBS = 4
"""Tracks in work at once, of each worker."""
HEARTBEAT_S = 30.0
DEPTH_S = 15.0
LEASE_S = 900.0
"""Long enough for a crowded machine to start all workers before the first lease runs out."""
START_TIMEOUT_S = 120.0
SUMMARY = TrackSummary(
    "track",
    200.5,
    Loudness(-9.7, 5.5, 0.4, 0.0, -6.1, -7.2),
    "static",
    -4.3,
    None,
    tuple(
        RenditionSummary(tier, -14.04, -1.53, 5.41, 200.52, 54_321, 1, None)
        for tier in ("low", "med", "high", "m4a")
    ),
)


@dataclass(frozen=True, slots=True)
class Task:
    """What one worker is to do."""

    config: dict[str, Any]
    db_type: str
    kind: Literal["saturated", "realistic"]
    worker_id: str
    seconds: float
    polls_per_s: float = 1.0


@dataclass(slots=True)
class Told:
    """What one worker did, and how long each statement took, in seconds."""

    claims: list[tuple[str, str, int]] = field(default_factory=list)
    """Upload id, token and attempt of each."""
    took: dict[str, list[float]] = field(default_factory=dict)
    cpu_s: float = 0.0
    elapsed_s: float = 0.0
    repeats: dict[str, int] = field(default_factory=dict)
    """Transactions done again, by reason."""
    faults: list[str] = field(default_factory=list)

    @contextmanager
    def timed(self, statement: str) -> Iterator[None]:
        """Add how long the block takes."""
        began = time.perf_counter()
        yield
        self.took.setdefault(statement, []).append(time.perf_counter() - began)


def run(tasks: list[Task], tick: Callable[[float], None] = lambda _: None) -> list[Told]:
    """Start the workers, let them begin together, and return what each did.

    ``tick`` is called while they work, with the seconds since they began.
    """
    context: ForkServerContext = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    gate = context.Barrier(len(tasks) + 1)
    workers, ends = [], []
    for task in tasks:
        ours, theirs = context.Pipe(duplex=False)
        worker = context.Process(target=_work, args=(task, gate, theirs), daemon=True)
        worker.start()
        theirs.close()
        workers.append(worker)
        ends.append(ours)
    gate.wait(START_TIMEOUT_S)
    told = _collect(ends, tick, time.monotonic())
    for worker in workers:
        worker.join()
    for one in told:
        if one.faults:
            raise RuntimeError(f"a worker failed: {one.faults[0]}")
    return told


def _collect(ends: list[Any], tick: Callable[[float], None], began: float) -> list[Told]:
    told: list[Told] = []
    waiting = list(ends)
    while waiting:
        end: Any
        for end in multiprocessing.connection.wait(waiting, timeout=0.1):
            waiting.remove(end)
            told.append(end.recv())
        tick(time.monotonic() - began)
    return told


def _work(task: Task, gate: Any, end: Connection) -> None:
    told = Told()
    _count_repeats(told)
    queue = DatabaseManager(
        task.config, task.db_type, lease_s=LEASE_S, pool_size=JOBS, connect_timeout_s=60
    )
    try:
        worker = WORKERS[task.kind](queue, task, told)
        gate.wait(START_TIMEOUT_S)
        began, cpu = time.monotonic(), _cpu_s()
        worker.work()
        told.elapsed_s, told.cpu_s = time.monotonic() - began, _cpu_s() - cpu
    except Exception as error:
        told.faults.append(f"{type(error).__name__}: {error}")
        gate.abort()
    finally:
        queue.close()
        end.send(told)
        end.close()


class Saturated:
    """Claims as fast as it can until there is nothing left or the time is over."""

    def __init__(self, queue: DatabaseManager, task: Task, told: Told) -> None:
        self._queue, self._task, self._told = queue, task, told
        self._claim()  # the first one compiles the statements: a worker lives for days
        told.took.clear()

    def work(self) -> None:
        """Claim."""
        until = time.monotonic() + self._task.seconds
        while time.monotonic() < until and self._claim():
            pass

    def _claim(self) -> bool:
        with self._told.timed("claim"):
            claim = self._queue.claim(self._task.worker_id)
        if claim is not None:
            self._told.claims.append((claim.upload_id, claim.lease_token, claim.attempt))
        return claim is not None


class Realistic:
    """Polls once a second; has four jobs, renews their leases, and ends one for each new one."""

    def __init__(self, queue: DatabaseManager, task: Task, told: Told) -> None:
        self._queue, self._task, self._told = queue, task, told
        self._jobs: list[Claim] = []
        self._over = threading.Event()
        for _ in range(JOBS + 1):
            self._poll()
        self._beat()
        queue.depth()
        told.took.clear()

    def work(self) -> None:
        """Poll, with the heartbeat and the metrics beside it, until the time is over."""
        task = self._task
        beside = [
            threading.Thread(target=self._every, args=(HEARTBEAT_S, self._beat)),
            threading.Thread(target=self._every, args=(DEPTH_S, self._look)),
        ]
        for thread in beside:
            thread.start()
        until = time.monotonic() + task.seconds
        interval_s = 1.0 / task.polls_per_s
        time.sleep(random.uniform(0, interval_s))
        while time.monotonic() < until:
            self._poll()
            time.sleep(interval_s * random.uniform(0.8, 1.2))
        self._over.set()
        for thread in beside:
            thread.join()

    def _every(self, interval_s: float, act: Callable[[], None]) -> None:
        pause_s = random.uniform(0, interval_s)
        while not self._over.wait(pause_s):
            act()
            pause_s = interval_s

    def _poll(self) -> None:
        began = time.perf_counter()
        claim = self._queue.claim(self._task.worker_id, alone=False)
        took_s = time.perf_counter() - began
        self._told.took.setdefault("claim" if claim else "empty poll", []).append(took_s)
        if claim is None:
            return
        self._told.claims.append((claim.upload_id, claim.lease_token, claim.attempt))
        self._jobs.append(claim)
        if len(self._jobs) > JOBS:
            ended = self._jobs.pop(0)
            with suppress(LeaseLost):
                with self._told.timed("reserve output"):
                    self._queue.reserve_output(ended, ended.upload_id)
                with self._told.timed("complete"):
                    self._queue.complete(ended, SUMMARY)

    def _beat(self) -> None:
        for claim in list(self._jobs):
            try:
                with self._told.timed("renew"):
                    self._queue.renew(claim)
            except LeaseLost:
                if claim in self._jobs:  # else it was just completed
                    self._told.repeats["lease lost"] = self._told.repeats.get("lease lost", 0) + 1
                    self._jobs.remove(claim)

    def _look(self) -> None:
        with self._told.timed("depth"):
            self._queue.depth()


WORKERS: dict[str, type[Saturated | Realistic]] = {
    "saturated": Saturated,
    "realistic": Realistic,
}


class _Repeats(logging.Handler):
    """Counts what ``uploads_queue.transactions`` says of each transaction done again."""

    def __init__(self, told: Told) -> None:
        super().__init__()
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        reason = str(record.args[0]) if isinstance(record.args, tuple) else record.getMessage()
        self._told.repeats[reason] = self._told.repeats.get(reason, 0) + 1


def _count_repeats(told: Told) -> None:
    logger = logging.getLogger("uploads_queue.transactions")
    logger.handlers = [_Repeats(told)]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
