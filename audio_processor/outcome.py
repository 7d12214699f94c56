"""What becomes of a row, from how its job ended: the one place where that is decided. Pure.

==========================================  ================================================
the job ended with                          the row
==========================================  ================================================
a ``Receipt``                               completed
``LeaseLapsed``                             pending again if nobody has it, attempt refunded
``LeaseLost``                               is another worker's: nothing is written
``PermanentError``                          failed
a ``TransientError`` while a service is     pending again after a pause, the attempt refunded
away
anything else while stopping; a cancel      pending again, the attempt refunded
``TransientError``                          pending again after a pause, ``max_attempts`` times
``VerificationFailed``, anything unforeseen  the same, at most ``UNFORESEEN_ATTEMPTS`` times
==========================================  ================================================

A result or a verdict that came in while stopping still counts. Any other error then cannot
be told from the stop's own doing, so the track is handed back.

``StoreUnavailable`` and ``DatabaseUnavailable`` of a service that answers when it is asked
count as attempts: it may be this very object that it cannot give, and a row that can never be
processed must come to an end. Their pauses start four times higher and are at least half of
their ceiling, so that with the default six attempts a track outlives half an hour of that.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass

from audio_processor.errors import (
    AudioProcessorError,
    DatabaseUnavailable,
    LeaseLapsed,
    LeaseLost,
    PermanentError,
    StoreUnavailable,
    TransientError,
)
from audio_processor.model import Receipt, TrackSummary

UNFORESEEN_ATTEMPTS = 3
"""Encoders are deterministic and bugs patient: more tries would only cost more CPU."""
OUTAGE_BASE_FACTOR = 4
MAX_MESSAGE_CHARACTERS = 500
ATTEMPTS_EXHAUSTED = "attempts_exhausted"

Jitter = Callable[[], float]
"""A random number, 0…1; ``random.random`` outside of tests."""


@dataclass(frozen=True, slots=True)
class Completed:
    """Everything is in the store."""

    summary: TrackSummary


@dataclass(frozen=True, slots=True)
class Failed:
    """The track is given up, and its artist told why."""

    error_code: str
    error_message: str


@dataclass(frozen=True, slots=True)
class RetryLater:
    """Back to pending, not to be claimed before ``delay_s`` have passed."""

    error_code: str
    error_message: str
    delay_s: float


@dataclass(frozen=True, slots=True)
class HandBack:
    """Back to pending with the attempt refunded: the worker is stopping, or a service is away."""

    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Abandon:
    """The row is no longer ours: write nothing. The reason is for the log."""

    reason: str


Outcome = Completed | Failed | RetryLater | HandBack | Abandon


@dataclass(frozen=True, slots=True)
class BackoffPolicy:
    """Exponential backoff: ``base_s`` before the second attempt, doubled to ``cap_s``."""

    base_s: float
    cap_s: float

    def ceiling_s(self, attempt: int) -> float:
        """Return the longest pause after the given attempt, 1 being the first."""
        doublings = min(max(attempt - 1, 0), 64)
        return min(self.cap_s, math.ldexp(self.base_s, doublings))

    def delay_s(self, attempt: int, jitter: Jitter) -> float:
        """Return the pause with full jitter: anything from 0 to the ceiling."""
        return self.ceiling_s(attempt) * _unit(jitter())

    def outage_delay_s(self, attempt: int, jitter: Jitter) -> float:
        """Return the pause with equal jitter: a service that is down is not stormed."""
        patient = BackoffPolicy(self.base_s * OUTAGE_BASE_FACTOR, self.cap_s)
        return patient.ceiling_s(attempt) * (1 + _unit(jitter())) / 2


def decide(  # noqa: PLR0911  # a table, a line of it a return
    result: Receipt | BaseException,
    *,
    attempt: int,
    max_attempts: int,
    backoff: BackoffPolicy,
    stopping: bool,
    outage: bool = False,
    jitter: Jitter,
) -> Outcome:
    """Return what becomes of the row. ``attempt`` is this job's own number, 1 the first.

    ``outage``: the service that failed the job does not answer anybody.
    """
    match result:
        case Receipt():
            return Completed(result.summary)
        case LeaseLost() if not isinstance(result, LeaseLapsed):
            return Abandon(sentence(result))
        case PermanentError():
            return Failed(result.code, sentence(result))
        case _ if stopping or isinstance(result, LeaseLapsed) or _is_cancel(result):
            return HandBack()
        case TransientError() if outage:
            return HandBack(backoff.delay_s(1, jitter))
        case StoreUnavailable() | DatabaseUnavailable():
            allowed, delay_s = max_attempts, backoff.outage_delay_s(attempt, jitter)
        case TransientError():
            allowed, delay_s = max_attempts, backoff.delay_s(attempt, jitter)
        case _:
            allowed = min(max_attempts, UNFORESEEN_ATTEMPTS)
            delay_s = backoff.delay_s(attempt, jitter)
    if attempt >= allowed:
        return Failed(_code(result), sentence(result))
    return RetryLater(_code(result), sentence(result), delay_s)


def sentence(error: BaseException) -> str:
    """Return one bounded line for the row: no traceback, absolute path or credential.

    Our own errors are written to be read; of any other only the class is told, since its
    text may hold anything.
    """
    if isinstance(error, AudioProcessorError):
        text = _safe(str(error))
        if text:
            return text
    name = re.sub(r"\W", "", type(error).__name__, flags=re.ASCII)[:60] or "error"
    return f"Processing stopped on an unexpected {name}; the log has the details."


_URL_CREDENTIALS = re.compile(r"://[^/\s@]*@")
_ABSOLUTE_PATH = re.compile(r"(?<![\w/:.…])/(?:[^\s/'\"()<>,;:]+/)*[^\s/'\"()<>,;:]+")
_TRACEBACK = re.compile(r"Traceback \(most recent call last\).*", re.DOTALL)


def _safe(text: str) -> str:
    text = _TRACEBACK.sub("", text)
    text = "".join(c if c.isprintable() else " " for c in text)
    text = _URL_CREDENTIALS.sub("://…@", text)
    text = _ABSOLUTE_PATH.sub("…", text)
    text = " ".join(text.split())
    if len(text) > MAX_MESSAGE_CHARACTERS:
        text = text[: MAX_MESSAGE_CHARACTERS - 1].rstrip() + "…"
    return text


def _code(result: Receipt | BaseException) -> str:
    return result.code if isinstance(result, AudioProcessorError) else AudioProcessorError.code


def _is_cancel(result: Receipt | BaseException) -> bool:
    """Whether the job was told to end: a cancel, Ctrl-C or the interpreter's exit."""
    return isinstance(result, CancelledError) or not isinstance(result, Exception)


def _unit(value: float) -> float:
    return min(1.0, max(0.0, value))
