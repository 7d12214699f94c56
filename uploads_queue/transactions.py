"""Transactions that are done again when the database asks for it, within bounds.

Deadlocks and serialisation failures can hit any statement and roll back the whole
transaction, so it is always the whole that is repeated. A connection that breaks before the
commit leaves nothing behind: repeat. One that breaks *during* the commit leaves a doubt: the
work is told (``in_doubt``) and must find out whether it is already done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from uploads_queue.connect import for_writing
from uploads_queue.faults import FOREIGN, Kind, translate, understand
from uploads_queue.place import Place

MAX_TRIES = {Kind.CONFLICT: 12, Kind.LOCKED: 3, Kind.DISCONNECTED: 3}
MAX_RETRY_S = 35.0
"""No retry starts after this: a renewal that hangs on must end before its lease does. A connection
that fell silent has taken 30 s of it, and a new one is worth a try."""
WAITS = {
    Kind.CONFLICT: wait_random_exponential(multiplier=0.01, max=0.5),
    Kind.LOCKED: wait_random_exponential(multiplier=0.1, max=1.0),
    Kind.DISCONNECTED: wait_random_exponential(multiplier=0.25, max=2.0),
}

log = logging.getLogger(__name__)
T = TypeVar("T")


class Transactions:
    """Runs work in a transaction on a pooled connection; raises only our own errors.

    A fault that the work itself can answer it catches inside; everything else that a driver
    raises comes out as ``DatabaseUnavailable`` or ``ConfigError``.
    """

    def __init__(self, engine: Engine, place: Place) -> None:
        self._reading = engine
        self._writing = for_writing(engine)
        self._place = place

    def read(self, work: Callable[[Connection], T]) -> T:
        """Return what the work reads in one transaction, which is rolled back."""

        def once() -> T:
            with self._reading.connect() as connection:
                return work(connection)

        return self._bounded(once)

    def write(self, work: Callable[[Connection, bool], T]) -> T:
        """Return what the work returns once its transaction is committed.

        The work gets the connection and ``in_doubt``: whether an earlier try may have been
        committed after all.
        """
        in_doubt = False

        def once() -> T:
            nonlocal in_doubt
            with self._writing.begin() as connection:
                result = work(connection, in_doubt)
                in_doubt = True  # from here until the block is left, the commit is under way
            return result

        return self._bounded(once)

    def once(self, work: Callable[[Connection], T]) -> T:
        """Return what the work reads, without a second try: for asking whether it is there.

        Of a kept connection that turns out to have died, a new one is the first try.
        """
        connected = False
        try:
            with self._reading.connect() as connection:
                connected = True
                return work(connection)
        except FOREIGN as error:
            if not connected or understand(error).kind is not Kind.DISCONNECTED:
                raise translate(error, self._place) from error
        try:
            with self._reading.connect() as connection:
                return work(connection)
        except FOREIGN as error:
            raise translate(error, self._place) from error

    def _bounded(self, once: Callable[[], T]) -> T:
        retrying = Retrying(
            retry=retry_if_exception_type(FOREIGN),
            stop=_give_up,
            wait=_wait,
            before_sleep=_tell,
            reraise=True,
        )
        try:
            return retrying(once)
        except FOREIGN as error:
            raise translate(error, self._place) from error


def _kind(state: RetryCallState) -> Kind:
    error = state.outcome.exception() if state.outcome else None
    return understand(error).kind if error else Kind.UNKNOWN


def _give_up(state: RetryCallState) -> bool:
    late = (state.seconds_since_start or 0.0) > MAX_RETRY_S
    return late or state.attempt_number >= MAX_TRIES.get(_kind(state), 1)


def _wait(state: RetryCallState) -> float:
    wait = WAITS.get(_kind(state))  # asked for also where no other try follows
    return wait(state) if wait else 0.0


def _tell(state: RetryCallState) -> None:
    log.info("database transaction repeated: %s, try %d", _kind(state).name, state.attempt_number)
