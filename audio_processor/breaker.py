"""Whether the store may be counted on: work is not begun while it is away.

Closed, work is begun as it comes. A store that does not answer when it is asked opens it until
it does. One that answers and yet has failed a job (it takes no writes, say) leaves a doubt: then
one track at a time is tried, at growing distances, until one gets through. So an outage costs a
few attempts at worst, not one of every track.
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
    """Asks the store itself (``ask`` raises ``StoreUnavailable``). Thread-safe."""

    def __init__(
        self, ask: Callable[[], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._lock = threading.Lock()
        self._unanswered = 0
        """Questions in a row without an answer."""
        self._doubts = 0
        """Jobs in a row that failed for the store although it answered."""
        self._again_at = 0.0
        self._asked = False
        self.reason: str | None = None
        """Why work is not begun, or None."""

    @property
    def reachable(self) -> bool:
        """Whether the store answered when it was last asked."""
        return self._asked and self._unanswered == 0

    def require(self) -> None:
        """Raise ``StoreUnavailable`` where the store is known to be away, or is asked and is."""
        if self._unanswered or not self._asked:
            wait_s = self._again_at - self._clock()
            if wait_s > 0 or self.is_away():
                raise StoreUnavailable(self.reason or "The store does not answer.")

    def pause_s(self, running: int) -> float:
        """Return how long to wait before work may be begun, 0 for now.

        Asks the store where that is not known; ``running`` jobs are at work just now.
        """
        if self._asked and not self._unanswered and not self._doubts:
            return 0.0
        wait_s = self._again_at - self._clock()
        if wait_s > 0:
            return wait_s
        if self.is_away():
            return self._again_at - self._clock()
        return 1.0 if self._doubts and running else 0.0

    def is_away(self) -> bool:
        """Ask the store now."""
        try:
            self._ask()
        except TransientError as error:
            with self._lock:
                self._asked = True
                self._unanswered += 1
                self.reason = str(error)
                delay_s = self._later(self._unanswered)
            log.warning("store unavailable", error=str(error), retry_in_s=round(delay_s, 1))
            return True
        with self._lock:
            if self._unanswered:
                log.info("store available again")
            self._asked, self._unanswered = True, 0
            if not self._doubts:
                self.reason = None
        return False

    def doubt(self, error: StoreUnavailable) -> None:
        """A job failed for the store, which answers."""
        with self._lock:
            self._doubts += 1
            self.reason = str(error)
            self._later(self._doubts)

    def trust(self) -> None:
        """A job has got through."""
        with self._lock:
            self._doubts = 0
            if not self._unanswered:
                self.reason = None

    def _later(self, times: int) -> float:
        delay_s = OUTAGE.outage_delay_s(times, random)
        self._again_at = self._clock() + delay_s
        return delay_s
