"""From a job's end to its row: decided by ``outcome``, put off where it must be, written."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import random

from audio_processor import called_off
from audio_processor.breaker import Breaker
from audio_processor.errors import (
    AudioProcessorError,
    DatabaseUnavailable,
    DiskFull,
    Interrupted,
    LeaseLapsed,
    LeaseLost,
    StoreUnavailable,
)
from audio_processor.job import Job
from audio_processor.model import Claim, Receipt
from audio_processor.outcome import (
    Abandon,
    BackoffPolicy,
    Completed,
    Failed,
    HandBack,
    Outcome,
    RetryLater,
    decide,
)
from audio_processor.ports import Queue
from audio_processor.telemetry import get_logger

log = get_logger(__name__)

_RECORDING_S = 900.0
"""For so long an outcome is kept for a database that does not take it."""
RECORDING = BackoffPolicy(base_s=0.1, cap_s=3.0)

Process = Callable[[Job], Receipt]
Tell = Callable[[Claim, Failed], None]


@dataclass(frozen=True, slots=True)
class Ended:
    """One job's end as its row has it."""

    claim: Claim
    outcome: Outcome
    cause: BaseException | None = None
    """What the job, or the recording of its end, raised."""

    @property
    def completed(self) -> bool:
        """Whether the track is published and its row says so."""
        return isinstance(self.outcome, Completed)


class Ending:
    """What a worker does at the end of every job. Thread-safe.

    ``before_failed`` is told of a track that is about to fail for good while its row is still
    ours (raises ``StoreUnavailable`` where it has to be put off), ``on_failed`` after its row
    says so.
    """

    def __init__(
        self,
        queue: Queue,
        breaker: Breaker,
        *,
        max_attempts: int,
        backoff: BackoffPolicy,
        before_failed: Tell,
        on_failed: Tell,
    ) -> None:
        self._queue = queue
        self._breaker = breaker
        self._max_attempts = max_attempts
        self._backoff = backoff
        self._before_failed = before_failed
        self._on_failed = on_failed
        self._given_up = threading.Event()
        self._unrecorded: set[Claim] = set()

    @property
    def owes(self) -> bool:
        """Whether the database has yet to take an outcome."""
        return bool(self._unrecorded)

    def give_up(self) -> None:
        """Keep no outcome for a database that is away, and wait for no store after a failure."""
        self._given_up.set()

    @property
    def given_up(self) -> bool:
        """Whether ``give_up`` was called."""
        return self._given_up.is_set()

    def run(self, job: Job, process: Process) -> Ended:
        """Process the job and record what became of it; raises what the recording cannot handle."""
        result: Receipt | BaseException
        try:
            result = process(job)
        except Exception as error:
            result = error
            if not isinstance(error, AudioProcessorError):
                log.exception("unforeseen error", upload_id=job.claim.upload_id)
        ended = self._decide(job, result)
        try:
            return self._record(ended)
        finally:
            self._unrecorded.discard(job.claim)

    def _decide(self, job: Job, result: Receipt | BaseException) -> Ended:
        claim = job.claim
        outcome = decide(
            result,
            attempt=claim.attempt,
            max_attempts=self._max_attempts,
            backoff=self._backoff,
            stopping=isinstance(result, Interrupted),
            outage=self._is_outage(result),
            jitter=random,
        )
        ended = Ended(claim, outcome, None if isinstance(result, Receipt) else result)
        return self._prepared(job, ended, outcome) if isinstance(outcome, Failed) else ended

    def _is_outage(self, result: Receipt | BaseException) -> bool:
        """Whether the job failed for want of what nobody gets just now."""
        if isinstance(result, Receipt):
            self._breaker.trust()
        if not isinstance(result, StoreUnavailable | DiskFull):
            return False
        if self._breaker.is_away():
            return True
        self._breaker.doubt()
        return False

    def _prepared(self, job: Job, ended: Ended, failed: Failed) -> Ended:
        """Do what a failure needs done before it; what keeps that from being done is the outcome.

        Without a store the track comes again later, and a worker that is told to stop hands it
        back: its next one comes to the same verdict.
        """
        claim = ended.claim
        try:
            with called_off.on(job):
                self._before_failed(claim, failed)
        except LeaseLapsed as error:
            return Ended(claim, HandBack(), error)
        except LeaseLost as error:
            lost = Abandon("The lease was lost before the failure could be recorded.")
            return Ended(claim, lost, error)
        except Interrupted as error:
            return Ended(claim, HandBack(), error)
        except StoreUnavailable as error:
            log.warning("failure put off", upload_id=claim.upload_id, error=str(error))
            return Ended(claim, HandBack(self._backoff.delay_s(1, random)), error)
        except Exception:  # the failure is the news, and it is to be told
            log.exception("before a failed track", upload_id=claim.upload_id)
        return ended

    def _record(self, ended: Ended) -> Ended:
        """Write the outcome into the row; a lost lease means that there is nothing to write.

        A database that is away is waited for: while nobody else takes the row, the token is
        still good. After that the lease has run out, and another worker takes the row.
        """
        claim, outcome = ended.claim, ended.outcome
        until = time.monotonic() + _RECORDING_S
        for failures in itertools.count(1):
            try:
                self._write(claim, outcome)
                break
            except LeaseLost as error:
                lost = Abandon("The lease was lost before the outcome could be recorded.")
                return Ended(claim, lost, error)
            except DatabaseUnavailable as error:
                self._unrecorded.add(claim)
                delay_s = RECORDING.outage_delay_s(failures, random)
                log.warning(
                    "outcome not recorded",
                    upload_id=claim.upload_id,
                    error=str(error),
                    retry_in_s=round(delay_s, 1),
                )
                if time.monotonic() > until or self._given_up.wait(delay_s):
                    away = Abandon("The database could not be reached to record the outcome.")
                    return Ended(claim, away, error)
        if isinstance(outcome, Failed):
            self._told_of_failure(claim, outcome)
        return ended

    def _write(self, claim: Claim, outcome: Outcome) -> None:
        match outcome:
            case Completed(summary):
                self._queue.complete(claim, summary)
            case Failed(error_code, error_message):
                self._queue.fail(claim, error_code=error_code, error_message=error_message)
            case RetryLater(error_code, error_message, delay_s):
                self._queue.retry_later(
                    claim, error_code=error_code, error_message=error_message, delay_s=delay_s
                )
            case HandBack(delay_s):
                self._queue.hand_back(claim, delay_s=delay_s)
            case Abandon():
                pass

    def _told_of_failure(self, claim: Claim, failed: Failed) -> None:
        """Tell of it; whatever goes wrong there, the row is recorded already.

        No errand of the job's: the row is no longer ours, so its lease says nothing here.
        """
        try:
            with called_off.on(called_off.Until(self._given_up.is_set)):
                self._on_failed(claim, failed)
        except Exception:
            log.exception("after a failed track", upload_id=claim.upload_id)
