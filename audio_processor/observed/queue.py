"""The queue's calls, timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from audio_processor.errors import AudioProcessorError, LeaseLost, PermanentError
from audio_processor.model import Claim, TrackSummary
from audio_processor.ports import Queue

Observe = Callable[[str, float, str | None], None]
"""Told what was done, the seconds it took, and the error's code where it failed."""


class ObservedQueue:
    """The ``ports.Queue`` behind it, each call timed. An answer is no error: see ``_is_fault``."""

    def __init__(self, queue: Queue, observe: Observe) -> None:
        self._queue = queue
        self._observe = observe

    def claim(
        self, worker_id: str, *, upload_id: str | None = None, alone: bool = True
    ) -> Claim | None:
        """Take a track."""
        with self._timed("claim"):
            return self._queue.claim(worker_id, upload_id=upload_id, alone=alone)

    def renew(self, claim: Claim) -> None:
        """Push the lease's end out."""
        with self._timed("renew"):
            self._queue.renew(claim)

    def reserve_output(self, claim: Claim, track_id: str) -> None:
        """Make the track id this upload's own."""
        with self._timed("reserve_output"):
            self._queue.reserve_output(claim, track_id)

    def complete(self, claim: Claim, summary: TrackSummary) -> None:
        """Record success."""
        with self._timed("complete"):
            self._queue.complete(claim, summary)

    def fail(self, claim: Claim, *, error_code: str, error_message: str) -> None:
        """Record failure."""
        with self._timed("fail"):
            self._queue.fail(claim, error_code=error_code, error_message=error_message)

    def retry_later(
        self, claim: Claim, *, error_code: str, error_message: str, delay_s: float
    ) -> None:
        """Back to pending."""
        with self._timed("retry_later"):
            self._queue.retry_later(
                claim, error_code=error_code, error_message=error_message, delay_s=delay_s
            )

    def hand_back(self, claim: Claim, *, delay_s: float = 0.0) -> None:
        """Back to pending, the attempt refunded."""
        with self._timed("hand_back"):
            self._queue.hand_back(claim, delay_s=delay_s)

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        with timed(name, self._observe):
            yield


@contextmanager
def timed(name: str, observe: Observe) -> Iterator[None]:
    """Tell how long the block took and with which error it ended, if that was the service's."""
    started = time.monotonic()
    error: str | None = None
    try:
        yield
    except AudioProcessorError as failure:
        error = failure.code if _is_fault(failure) else None
        raise
    except Exception:
        error = AudioProcessorError.code
        raise
    finally:
        observe(name, time.monotonic() - started, error)


def _is_fault(error: AudioProcessorError) -> bool:
    """A lease that is another's and a name that is taken are what was asked for: answers."""
    return not isinstance(error, LeaseLost | PermanentError)
