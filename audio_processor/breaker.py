"""Whether work can be done at all: none is begun while what every track needs is away.

That is the object store, and room in the scratch folder. Where one of them is found wanting
when it is asked for, nothing is claimed until it is back. Where they answer and have failed a
job all the same (a store that takes no writes, say), there is a doubt: then one track at a time
is tried, at growing distances, until one gets through. So an outage costs a few attempts at
worst, not one of every track, and none where it can be told from the track's own fault.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from random import random

from audio_processor.errors import StoreUnavailable, TransientError
from audio_processor.outcome import BackoffPolicy
from audio_processor.telemetry import get_logger

log = get_logger(__name__)

OUTAGE = BackoffPolicy(base_s=0.5, cap_s=60.0)
"""Between questions to a service that is away: nobody's attempt is at stake."""


class Breaker:
    """Asks before work is begun; ``ask`` raises a ``TransientError``. Thread-safe."""

    def __init__(
        self, ask: Callable[[], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._lock = threading.Lock()
        self._refusals: int | None = None
        """Questions in a row that were answered with an error; None before the first."""
        self._doubts = 0
        """Jobs in a row that failed for want of what was there when it was asked for."""
        self._again_at = 0.0
        self._error: TransientError = StoreUnavailable("The store was not asked yet.")

    @property
    def hindrance(self) -> str | None:
        """The code of what is away, as far as it is known; None where nothing is."""
        return None if self._refusals == 0 else self._error.code

    def pause_s(self, running: int) -> float:
        """Return how long to wait before work may be begun, 0 for now.

        Asks where the answer is not known; ``running`` jobs are at work just now.
        """
        if self._refusals == 0 and not self._doubts:
            return 0.0
        wait_s = self._again_at - self._clock()
        if wait_s <= 0 and self.is_away():
            wait_s = self._again_at - self._clock()
        if wait_s > 0:
            return wait_s
        return 1.0 if self._doubts and running else 0.0

    def require(self) -> None:
        """Raise the ``TransientError`` of what is known to be away, or is asked and is."""
        if self._refusals != 0 and (self._again_at > self._clock() or self.is_away()):
            raise self._error

    def is_away(self) -> bool:
        """Ask now."""
        try:
            self._ask()
        except TransientError as error:
            with self._lock:
                self._refusals = (self._refusals or 0) + 1
                self._error = error
                delay_s = self._later(self._refusals)
            log.warning("waiting", error=str(error), retry_in_s=round(delay_s, 1))
            return True
        with self._lock:
            if self._refusals:
                log.info("waiting no longer")
            self._refusals = 0
        return False

    def doubt(self) -> None:
        """A job failed for want of what is there."""
        with self._lock:
            self._doubts += 1
            self._later(self._doubts)

    def trust(self) -> None:
        """A job has got through."""
        with self._lock:
            self._doubts = 0

    def _later(self, times: int) -> float:
        delay_s = OUTAGE.outage_delay_s(times, random)
        self._again_at = self._clock() + delay_s
        return delay_s
