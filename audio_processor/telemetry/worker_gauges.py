"""What is asked of a worker at each scrape: nothing here may wait for a service."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from audio_processor.telemetry.metrics import OTHER, PREFIX

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily, Metric

REASONS = ("database_unavailable", "store_unavailable", "disk_full", "draining", OTHER)


class Worker(Protocol):
    """What the gauges need to know of a worker."""

    last_loop_at: float

    @property
    def hindrance(self) -> str | None:
        """Why it takes no further track, or None."""


class Room(Protocol):
    """What they need to know of its scratch folder."""

    def used_bytes(self) -> int:
        """Bytes on disk in this process's corner."""

    def free_bytes(self) -> int:
        """Bytes that are free on its file system."""


class WorkerGauges:
    """A collector for ``Metrics.also``; ``room`` may raise ``OSError`` where it cannot look."""

    def __init__(self, worker: Worker, room: Room) -> None:
        self._worker = worker
        self._room = room

    def describe(self) -> Iterable[Metric]:
        """Name nothing: registering must not ask."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Yield the worker as it is now."""
        hindrance = self._worker.hindrance
        reason = hindrance if hindrance is None or hindrance in REASONS else OTHER
        yield _gauge("ready", "1 where a track would be taken.", float(hindrance is None))
        reasons = _gauge("hindrance", "1 for the reason why no track is taken.", None, "reason")
        for each in REASONS:
            reasons.add_metric([each], float(each == reason))
        yield reasons
        idle_s = time.monotonic() - self._worker.last_loop_at
        yield _gauge(
            "claim_loop_turned_timestamp_seconds",
            "When the claim loop last came round.",
            time.time() - idle_s,
        )
        try:
            used, free = self._room.used_bytes(), self._room.free_bytes()
        except OSError:  # gone or unreadable; the worker says so by itself
            return
        yield _gauge("scratch_bytes", "Bytes on disk in this worker's scratch folder.", used)
        yield _gauge("scratch_free_bytes", "Bytes free on the scratch's file system.", free)


def _gauge(name: str, about: str, value: float | None, *labels: str) -> GaugeMetricFamily:
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(PREFIX + name, about, value=value, labels=labels or None)
