"""The present job, for what is called far below it: whether to go on, and how to wait.

A context variable, as telemetry's run is; the job's threads take it along
(``telemetry.carried``). So an adapter that repeats a request can end with the job, and its port
need not speak of jobs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from audio_processor.errors import Interrupted

_LOOK_S = 0.25


class Errand(Protocol):
    """What may be called off."""

    def check(self) -> None:
        """Raise the error with which it was called off, if it was."""

    def rest(self, seconds: float) -> None:
        """Wait so long, or until it is called off."""


class Until:
    """An errand of no job, that goes on until ``over()``: then it ends with ``Interrupted``."""

    def __init__(self, over: Callable[[], bool]) -> None:
        self._over = over

    def check(self) -> None:
        """Raise ``Interrupted`` once it is over."""
        if self._over():
            raise Interrupted("The worker is stopping; this was left as it is.")

    def rest(self, seconds: float) -> None:
        """Wait so long, or until it is over."""
        end = time.monotonic() + seconds
        while (left_s := end - time.monotonic()) > 0 and not self._over():
            time.sleep(min(left_s, _LOOK_S))


class _Nobodys:
    """An errand of no job: it goes on."""

    def check(self) -> None:
        return

    def rest(self, seconds: float) -> None:
        time.sleep(seconds)


_errand: ContextVar[Errand] = ContextVar("errand", default=_Nobodys())  # noqa: B039  # no state


@contextmanager
def on(errand: Errand) -> Iterator[None]:
    """Have this be the present errand for as long as the block runs."""
    token = _errand.set(errand)
    try:
        yield
    finally:
        _errand.reset(token)


def present() -> Errand:
    """Return the present errand; where there is none, one that is never called off."""
    return _errand.get()
