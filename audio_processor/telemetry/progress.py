"""Ways to be told where a track is: see ``ports.Progress``, which all of these satisfy."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from audio_processor.telemetry.logs import get_logger
from audio_processor.telemetry.metrics import Metrics


class _Progress(Protocol):
    def stage(self, track_id: str, stage: str) -> None: ...
    def advance(self, track_id: str, fraction: float) -> None: ...
    def finished(self, track_id: str) -> None: ...


class NullProgress:
    """Tells nobody."""

    def stage(self, track_id: str, stage: str) -> None:
        """Ignore it."""

    def advance(self, track_id: str, fraction: float) -> None:
        """Ignore it."""

    def finished(self, track_id: str) -> None:
        """Ignore it."""


class Progresses:
    """Tells several."""

    def __init__(self, *listeners: _Progress) -> None:
        self._listeners = listeners

    def stage(self, track_id: str, stage: str) -> None:
        """Tell all of them."""
        for listener in self._listeners:
            listener.stage(track_id, stage)

    def advance(self, track_id: str, fraction: float) -> None:
        """Tell all of them."""
        for listener in self._listeners:
            listener.advance(track_id, fraction)

    def finished(self, track_id: str) -> None:
        """Tell all of them."""
        for listener in self._listeners:
            listener.finished(track_id)


class _Stopwatch:
    """How long each track's present stage has taken. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entered: dict[str, tuple[str, float]] = {}

    def enter(self, track_id: str, stage: str | None) -> tuple[str, float] | None:
        """Start the stage (None: the track is done); return the one left and its seconds."""
        now = time.monotonic()
        with self._lock:
            left = self._entered.pop(track_id, None)
            if stage is not None:
                self._entered[track_id] = (stage, now)
        return None if left is None else (left[0], now - left[1])


class LoggingProgress:
    """Logs each stage as it is left, with the seconds it took."""

    def __init__(self) -> None:
        self._log = get_logger(__name__)
        self._stopwatch = _Stopwatch()

    def stage(self, track_id: str, stage: str) -> None:
        """Log the stage that was left."""
        self._left(track_id, stage)

    def advance(self, track_id: str, fraction: float) -> None:
        """Ignore it: a log is no progress bar."""

    def finished(self, track_id: str) -> None:
        """Log the last stage."""
        self._left(track_id, None)

    def _left(self, track_id: str, stage: str | None) -> None:
        if (left := self._stopwatch.enter(track_id, stage)) is not None:
            self._log.info("stage done", track=track_id, stage=left[0], seconds=round(left[1], 3))


class MetricsProgress:
    """Counts the seconds spent in each stage."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._stopwatch = _Stopwatch()

    def stage(self, track_id: str, stage: str) -> None:
        """Count the stage that was left."""
        self._left(track_id, stage)

    def advance(self, track_id: str, fraction: float) -> None:
        """Ignore it."""

    def finished(self, track_id: str) -> None:
        """Count the last stage."""
        self._left(track_id, None)

    def _left(self, track_id: str, stage: str | None) -> None:
        if (left := self._stopwatch.enter(track_id, stage)) is not None:
            self._metrics.stage_took(*left)
