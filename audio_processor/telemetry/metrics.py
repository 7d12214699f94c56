"""What ``/metrics`` shows, in a registry of its own: two processors share nothing.

A ``Listener`` for what jobs tell, and methods for the rest. What is in which series, and how
it is measured, is in docs/decisions/0024-what-is-measured-where.md.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from audio_processor.errors import AudioProcessorError
from audio_processor.telemetry import buckets
from audio_processor.telemetry.promise import LIMITS, M4A, Promise
from audio_processor.telemetry.run import End, Left, Listener, Run

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
    from prometheus_client.registry import Collector

PREFIX = "audio_processor_"
OTHER = "other"
STAGES = ("fetch", "probe", "treat", "analyse", "plan", "render", "verify", "package", "publish")
_LOST = {"lease_lost", "lease_lapsed"}
_NOT_OF_THE_TREE = {"attempts_exhausted"}


class Metrics(Listener):
    """What a worker has done and is doing. Every method may be called from any thread.

    ``promise`` is what is aimed at: the loudness histogram is fine around it, and what was
    delivered beyond its limits is counted.
    """

    def __init__(self, promise: Promise | None = None) -> None:
        from prometheus_client import CollectorRegistry, ProcessCollector

        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._define_jobs()
        self._define_delivered(promise or Promise())
        self._define_queue()
        self._define_services()

    def _define_jobs(self) -> None:
        self._tracks = self._counter(
            "tracks", "Jobs by how they ended; error_code is empty for a success.",
            "outcome", "error_code",
        )  # fmt: skip
        self._tracks.labels("completed", "")  # series that are there from the start can be rated
        for code in sorted(known_codes()):
            self._tracks.labels("failed", code)
        self._track_seconds = self._histogram(
            "track_seconds", "Wall time of a whole job.", buckets.TRACK_S, "outcome"
        )
        self._stages = self._histogram(
            "stage_seconds", "Wall time of each stage.", buckets.STAGE_S, "stage"
        )
        self._stage_cpu = self._counter(
            "stage_cpu_seconds", "CPU time of our threads and of FFmpeg's processes.", "stage"
        )
        for stage in STAGES:
            self._stages.labels(stage)
            self._stage_cpu.labels(stage)
        self._ingest = self._histogram(
            "upload_to_published_seconds",
            "From a track's upload, as its row has it, to its recorded completion.",
            buckets.INGEST_S,
        )
        self._audio = self._counter("audio_seconds", "Audio taken in, by the source's duration.")
        self._realtime = self._histogram(
            "realtime_factor", "Audio seconds per wall second of a completed track.",
            buckets.REALTIME,
        )  # fmt: skip
        self._claims = self._counter("claims", "Attempts begun.")
        self._attempts = self._histogram(
            "attempts", "Attempt at which a track completed, or failed for good.",
            buckets.ATTEMPTS, "outcome",
        )  # fmt: skip
        self._lease_losses = self._counter("lease_losses", "Jobs whose lease did not last.")
        self._in_flight = self._gauge("jobs_in_flight", "Tracks in work now.")
        self._slots = self._gauge("job_slots", "Tracks that may be in work at once.")
        self._build = self._gauge(
            "build_info", "1, with the versions at work.", "version", "ffmpeg", "encoder", "python"
        )

    def _define_delivered(self, promise: Promise) -> None:
        self._promise = promise
        self._candidates = self._histogram(
            "candidates_tried", "Encodes until one was kept, of a completed track.",
            buckets.CANDIDATES, "tier",
        )  # fmt: skip
        self._loudness = self._histogram(
            "delivered_loudness_lufs", "Integrated loudness as measured on what was delivered.",
            buckets.loudness_lufs(promise.integrated_lufs), "rendition",
        )  # fmt: skip
        self._true_peak = self._histogram(
            "delivered_true_peak_dbtp", "True peak as measured on what was delivered.",
            buckets.TRUE_PEAK_DBTP, "rendition",
        )  # fmt: skip
        self._beyond = self._counter(
            "delivered_out_of_tolerance",
            "Renditions beyond a limit of the configured target, as measured on what was "
            "delivered; kept_quiet states its reason.",
            "rendition", "limit",
        )  # fmt: skip
        for rendition in promise.renditions:
            for limit in LIMITS:
                self._beyond.labels(rendition, limit)

    def _define_queue(self) -> None:
        self._pending = self._gauge(
            "queue_pending", "Rows that wait, those in backoff included, when last looked at."
        )
        self._oldest = self._gauge(
            "queue_oldest_pending_seconds",
            "How long the longest-waiting row has been claimable, when last looked at; 0: none.",
        )
        self._observed = self._gauge(
            "queue_observed_timestamp_seconds", "When the queue was last looked at; 0 for never."
        )

    def _define_services(self) -> None:
        self._requests = self._histogram(
            "storage_request_seconds", "One request to the object store.", buckets.STORAGE_S,
            "operation",
        )  # fmt: skip
        self._request_errors = self._counter(
            "storage_errors", "Requests that failed, those that were then repeated too.",
            "operation", "error",
        )  # fmt: skip
        self._statements = self._histogram(
            "database_statement_seconds", "One statement of the queue, its repeats included.",
            buckets.DATABASE_S, "statement",
        )  # fmt: skip
        self._statement_errors = self._counter(
            "database_errors", "Statements that failed.", "statement", "error"
        )

    # ── what jobs tell ───────────────────────────────────────────────────────────────────

    def begun(self, _run: Run, /) -> None:
        """Count an attempt."""
        self._claims.inc()

    def spent(self, _run: Run, /, stage: str, cpu_s: float) -> None:
        """Count CPU time; a clock that was read twice in one tick may be a hair below 0."""
        self._stage_cpu.labels(stage).inc(max(0.0, cpu_s))

    def left(self, _run: Run, /, left: Left) -> None:
        """Count a stage's wall time."""
        self._stages.labels(left.stage).observe(left.seconds)

    def heard(self, _run: Run, /, audio_s: float) -> None:
        """Count audio."""
        self._audio.inc(audio_s)

    def ended(self, run: Run, /, end: End) -> None:
        """Count a job: and what was delivered, where it completed."""
        code = end.error_code
        self._tracks.labels(end.outcome, code if not code or code in known_codes() else OTHER).inc()
        if code in _LOST:
            self._lease_losses.inc()
        if end.outcome in {"completed", "failed"}:
            self._attempts.labels(end.outcome).observe(run.claim.attempt)
        if end.seconds is not None:
            self._track_seconds.labels(end.outcome).observe(end.seconds)
        if end.outcome == "completed" and end.summary is not None:
            if run.claim.uploaded_at is not None:
                waited = datetime.now(UTC) - run.claim.uploaded_at
                self._ingest.observe(max(0.0, waited.total_seconds()))  # the row's clock is another
            if end.seconds:
                self._realtime.observe(end.summary.duration_s / end.seconds)
            self._delivered(end)

    def _delivered(self, end: End) -> None:
        assert end.summary is not None
        for rendition in end.summary.renditions:
            if rendition.integrated_lufs is not None:
                self._loudness.labels(rendition.name).observe(rendition.integrated_lufs)
            if rendition.true_peak_dbtp is not None:
                self._true_peak.labels(rendition.name).observe(rendition.true_peak_dbtp)
            for limit in self._promise.passed(rendition):
                self._beyond.labels(rendition.name, limit).inc()
            if rendition.name != M4A:  # that is the best tier's encode again
                self._candidates.labels(rendition.name).observe(rendition.candidates)

    @contextmanager
    def job(self) -> Iterator[None]:
        """Count a track as in work for as long as the block runs."""
        self._in_flight.inc()
        try:
            yield
        finally:
            self._in_flight.dec()

    # ── what queue, store and worker tell ────────────────────────────────────────────────

    def queue_was(self, pending: int, oldest_s: float) -> None:
        """Note the queue as it was just read."""
        self._pending.set(pending)
        self._oldest.set(oldest_s)
        self._observed.set(time.time())

    def request(self, operation: str, seconds: float, error: str | None) -> None:
        """Count a request to the object store; ``error`` is its code, of a bounded set."""
        self._requests.labels(operation).observe(seconds)
        if error is not None:
            self._request_errors.labels(operation, error).inc()

    def statement(self, name: str, seconds: float, error: str | None) -> None:
        """Count a statement of the queue; ``error`` is the project's code."""
        self._statements.labels(name).observe(seconds)
        if error is not None:
            self._statement_errors.labels(name, error if error in known_codes() else OTHER).inc()

    def built_of(self, *, version: str, ffmpeg: str, encoder: str, python: str) -> None:
        """Say what is at work."""
        self._build.labels(version, ffmpeg, encoder, python).set(1)

    def has_slots(self, count: int) -> None:
        """Say how many tracks may be in work at once."""
        self._slots.set(count)

    @contextmanager
    def also(self, collector: Collector) -> Iterator[None]:
        """Show what the collector collects for as long as the block runs."""
        self.registry.register(collector)
        try:
            yield
        finally:
            self.registry.unregister(collector)

    def exposition(self) -> tuple[bytes, str]:
        """Return the page in Prometheus' text format, and its content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(_Page(self.registry)), CONTENT_TYPE_LATEST

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        from prometheus_client import Counter

        return Counter(PREFIX + name, about, labels, registry=self.registry)

    def _gauge(self, name: str, about: str, *labels: str) -> Gauge:
        from prometheus_client import Gauge

        return Gauge(PREFIX + name, about, labels, registry=self.registry)

    def _histogram(
        self, name: str, about: str, buckets_: tuple[float, ...], *labels: str
    ) -> Histogram:
        from prometheus_client import Histogram

        return Histogram(PREFIX + name, about, labels, buckets=buckets_, registry=self.registry)


def leave(metrics: Metrics, path: Path) -> None:
    """Write the page for a textfile collector, whole or not at all. Raises ``OSError``.

    Without ``process_*``: those series of the same names are node_exporter's own.
    """
    from prometheus_client import generate_latest

    page = generate_latest(_Page(metrics.registry, without="process_"))
    # a name that nobody can foresee, made only where there is nothing: others may write there too
    fd, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # no *.prom: unread
    half = Path(name)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(page)
            os.fchmod(fd, 0o644)  # the collector is another user
        half.replace(path)
    except BaseException:
        half.unlink(missing_ok=True)
        raise


class _Page:
    """A registry without the client's ``_created`` series: a third of a page that nobody asks for.

    The client's own switch for them is one for the whole process, which is not ours to turn.
    """

    def __init__(self, registry: CollectorRegistry, without: str | None = None) -> None:
        self._registry = registry
        self._without = without

    def collect(self) -> Iterator[Metric]:
        """Yield the registry's metrics."""
        for metric in self._registry.collect():
            if self._without is not None and metric.name.startswith(self._without):
                continue
            metric.samples = [s for s in metric.samples if not s.name.endswith("_created")]
            yield metric


def known_codes() -> frozenset[str]:
    """Return every ``error_code`` that a job can end with: what else comes is ``other``."""
    return _codes_of(AudioProcessorError) | _NOT_OF_THE_TREE


def _codes_of(kind: type[AudioProcessorError]) -> frozenset[str]:
    return frozenset({kind.code}).union(*(_codes_of(each) for each in kind.__subclasses__()))
