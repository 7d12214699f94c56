"""Ways to be told where a track is: see ``ports.Progress``, which all of these satisfy."""

from __future__ import annotations

import sys
from typing import Protocol

from audio_processor.telemetry.run import present


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


class RunProgress:
    """Tells the present job's run. The line calls it on the job's own thread."""

    def stage(self, _track_id: str, stage: str) -> None:
        """Enter the stage."""
        if (run := present()) is not None:
            run.enter(stage)

    def advance(self, track_id: str, fraction: float) -> None:
        """Ignore it: nobody counts fractions."""

    def finished(self, _track_id: str) -> None:
        """Leave the last stage, with what is just being raised, if anything is."""
        if (run := present()) is not None:
            run.leave(sys.exception())
