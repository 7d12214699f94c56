"""Counters for ``/metrics``, in a registry of their own: two processors share nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

STAGE_BUCKETS_S = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)


class Metrics:
    """What a worker has done and is doing."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self.registry = CollectorRegistry()
        self._tracks = Counter(
            "audio_processor_tracks",
            "Jobs by how they ended; error_code is empty for a success.",
            ("outcome", "error_code"),
            registry=self.registry,
        )
        self._stages = Histogram(
            "audio_processor_stage_seconds",
            "Wall time of each stage.",
            ("stage",),
            buckets=STAGE_BUCKETS_S,
            registry=self.registry,
        )
        self._in_flight = Gauge(
            "audio_processor_jobs_in_flight", "Tracks in work now.", registry=self.registry
        )
        self._lease_losses = Counter(
            "audio_processor_lease_losses",
            "Leases lost to another worker.",
            registry=self.registry,
        )

    def track_ended(self, outcome: str, error_code: str = "") -> None:
        """Count a job: completed, failed, retry_later, hand_back or abandon."""
        self._tracks.labels(outcome, error_code).inc()

    def stage_took(self, stage: str, seconds: float) -> None:
        """Count a stage's wall time."""
        self._stages.labels(stage).observe(seconds)

    def lease_lost(self) -> None:
        """Count a lost lease."""
        self._lease_losses.inc()

    @contextmanager
    def job(self) -> Iterator[None]:
        """Count a track as in work for as long as the block runs."""
        self._in_flight.inc()
        try:
            yield
        finally:
            self._in_flight.dec()

    def exposition(self) -> tuple[bytes, str]:
        """Return the page in Prometheus' text format, and its content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self.registry), CONTENT_TYPE_LATEST
