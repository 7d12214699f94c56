"""Joins what is told (jobs, the queue's calls, a worker's state) to those who listen.

For the composition root. Nobody on the line knows who listens, and nothing here can fail a
track.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from audio_processor.observed.jobs import JobObserver
from audio_processor.observed.queue import ObservedQueue
from audio_processor.observed.workers import Depth, WorkersShown, depth_watched
from audio_processor.telemetry import Metrics
from audio_processor.telemetry.run import Listener
from audio_processor.telemetry.worker_gauges import Room, Worker

if TYPE_CHECKING:
    from audio_processor.ports import Queue

__all__ = ["Observed"]


class Observed:
    """One processor's: all its jobs, workers and calls of the queue go to the same listeners."""

    def __init__(self, metrics: Metrics, listeners: Sequence[Listener]) -> None:
        jobs = JobObserver(metrics, listeners)
        self.job, self.buried = jobs.job, jobs.buried
        self._metrics = metrics
        self._listeners = tuple(listeners)
        self._workers = WorkersShown(metrics)

    def queue(self, queue: Queue) -> Queue:
        """Return the queue with its calls timed."""
        return ObservedQueue(queue, self._metrics.statement)

    @contextmanager
    def worker(
        self, worker: Worker, room: Room, *, slots: int, look: Callable[[], Depth]
    ) -> Iterator[None]:
        """Show the worker and the queue while the block runs; of several workers the first."""
        with self._workers.showing(worker, room, slots) as shown:
            if not shown:
                yield
                return
            with depth_watched(look, self._metrics):
                yield

    def close(self) -> None:
        """Let go of the listeners; what they still have to send they may try for seconds."""
        for listener in self._listeners:
            listener.close()

    def built_of(self, *, version: str, ffmpeg: str, encoder: str) -> None:
        """Say with which tools tracks are made."""
        python = platform.python_version()
        self._metrics.built_of(version=version, ffmpeg=ffmpeg, encoder=encoder, python=python)
