"""What is shown of a worker and of its queue while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from audio_processor.observed.queue import timed
from audio_processor.telemetry import Metrics, get_logger
from audio_processor.telemetry.worker_gauges import Room, Worker, WorkerGauges

log = get_logger(__name__)

DEPTH_EVERY_S = 15.0
_JOIN_S = 2.0


class Depth(Protocol):
    """How long the queue is."""

    @property
    def pending(self) -> int:
        """Rows that wait, those in backoff included."""

    @property
    def oldest_pending_age_s(self) -> float:
        """For how long the row that waits longest could have been claimed; 0 for none."""


@contextmanager
def depth_watched(
    look: Callable[[], Depth],
    metrics: Metrics,
    *,
    every_s: float = DEPTH_EVERY_S,
) -> Iterator[None]:
    """Have the queue looked at now and then while the block runs, on a thread of its own.

    Neither a scrape nor the claim loop waits for it; a database that is away leaves the last
    figures standing, and their time tells how old they are.
    """
    done = threading.Event()

    def watch() -> None:
        while True:
            try:
                with timed("depth", metrics.statement):
                    depth = look()
                metrics.queue_was(depth.pending, depth.oldest_pending_age_s)
            except Exception as error:  # the claim loop says what is wrong with the database
                log.debug("queue not looked at", error=str(error))
            if done.wait(every_s):
                return

    thread = threading.Thread(target=watch, name="queue-depth", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(_JOIN_S)


class WorkersShown:
    """Shows the worker of a process at each scrape: of several, the first."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._free = threading.Lock()

    @contextmanager
    def showing(self, worker: Worker, room: Room, slots: int) -> Iterator[bool]:
        """Show it while the block runs; False where another is shown."""
        if not self._free.acquire(blocking=False):
            yield False
            return
        try:
            self._metrics.has_slots(slots)
            with self._metrics.also(WorkerGauges(worker, room)):
                yield True
        finally:
            self._free.release()
