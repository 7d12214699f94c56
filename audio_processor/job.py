"""A running job as its worker and its line share it: the lease, and the means to stop it."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable

from audio_processor.errors import DatabaseUnavailable, LeaseLapsed, LeaseLost
from audio_processor.model import Claim

_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 2.0


def generation(lease_token: str) -> str:
    """Return the part of an object's name that tells which attempt made it: 12 hex digits.

    No two attempts have a lease token in common, so none can write over another's objects; the
    token itself is not given away.
    """
    return hashlib.sha256(lease_token.encode()).hexdigest()[:12]


class Job:
    """One claimed track in flight. Thread-safe: the heartbeat cancels, the line asks.

    ``renew`` is the queue's; it raises ``LeaseLost`` when the row is another's.
    """

    def __init__(
        self,
        claim: Claim,
        renew: Callable[[Claim], None],
        *,
        lease_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.claim = claim
        self._renew = renew
        self._lease_s = lease_s
        self._clock = clock
        self._held_until = clock() + lease_s
        self._lock = threading.Lock()
        self._error: Exception | None = None
        self._cancelled = threading.Event()
        self._unanswered = False
        self._on_cancel: list[Callable[[Exception], None]] = []
        self.generation = generation(claim.lease_token)
        """Marks what this attempt publishes: see ``generation``."""

    def renew(self) -> None:
        """Renew the lease now. Raises ``LeaseLost``, ``DatabaseUnavailable``, or the cancel error.

        The lease is reckoned from before the request: the database's clock started no earlier.
        """
        self._raise_if_cancelled()
        asked_at = self._clock()
        self._unanswered = True
        self._renew(self.claim)
        self._unanswered = False
        self._held_until = asked_at + self._lease_s

    def due(self) -> None:
        """Take note that a renewal is due: until one is answered, the database is not heard."""
        self._unanswered = True

    def insist(self, ask: Callable[[], object]) -> None:
        """Ask something of the database, again and again while the lease lasts.

        A database that restarts is back before that; raises ``LeaseLapsed`` if it is not, and
        whatever else ``ask`` and ``check`` raise.
        """
        pause_s = _PAUSE_S
        while True:
            self.check()
            try:
                ask()
            except DatabaseUnavailable:
                self._unanswered = True
                self._cancelled.wait(min(pause_s, max(0.0, self.lease_left_s)))
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                return

    @property
    def lease_left_s(self) -> float:
        """Seconds for which the lease is surely still ours."""
        return self._held_until - self._clock()

    def on_cancel(self, stop: Callable[[Exception], None]) -> None:
        """Have ``stop(error)`` called at a cancel; at once if that has happened already."""
        with self._lock:
            if self._error is None:
                self._on_cancel.append(stop)
                return
            error = self._error
        stop(error)

    def cancel(self, error: Exception) -> None:
        """Stop the job: its subprocesses are killed and its next step raises ``error``.

        Also while it publishes: what it has written by then, no master leads to.
        """
        with self._lock:
            if self._error is not None:
                return
            self._error = error
            stops = tuple(self._on_cancel)
        self._cancelled.set()
        for stop in stops:
            stop(error)

    def check(self) -> None:
        """Raise the error that the job was cancelled with, or ``LeaseLost`` past the lease's end.

        A process that was stopped and woken finds its lease run out before its heartbeat does.
        Where the last renewal was not answered it is ``LeaseLapsed``: the database was away.
        """
        self._raise_if_cancelled()
        if self.lease_left_s <= 0.0:
            kind = LeaseLapsed if self._unanswered else LeaseLost
            self.cancel(kind("The lease ran out before it could be renewed."))
            self._raise_if_cancelled()

    def rest(self, seconds: float) -> None:
        """Wait so long, or until a cancel."""
        self._cancelled.wait(seconds)

    def _raise_if_cancelled(self) -> None:
        if self._error is not None:
            raise self._error
