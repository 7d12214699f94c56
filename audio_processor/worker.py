"""The claim loop, the heartbeat and the drain: jobs in, outcomes recorded.

One heartbeat thread renews the leases of all running jobs, from the first claim until the
last job has ended: a worker that is draining still owns what it is working on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from random import random, uniform

from audio_processor.errors import (
    AudioProcessorError,
    ConfigError,
    DatabaseUnavailable,
    Interrupted,
    LeaseLost,
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

_OUTAGE = BackoffPolicy(base_s=2.0, cap_s=60.0)
"""Between claims while the database is away: nobody's attempt is at stake."""
_LOOP_PULSE_S = 15.0
"""However long it rests, the claim loop shows so often that it lives."""

Process = Callable[[Job], Receipt]
OnFailed = Callable[[Claim, Failed], None]


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How a worker polls, beats, drains and retries."""

    concurrency: int
    poll_interval_s: float
    lease_s: float
    heartbeat_s: float
    drain_timeout_s: float
    max_attempts: int
    backoff: BackoffPolicy


@dataclass(frozen=True, slots=True)
class Ended:
    """One job's end as its row has it."""

    claim: Claim
    outcome: Outcome

    @property
    def completed(self) -> bool:
        """Whether the track is published and its row says so."""
        return isinstance(self.outcome, Completed)


class Worker:
    """Runs claimed tracks down the line and records what became of each.

    ``process`` takes a job to its receipt; ``on_failed`` is told of a track that failed for
    good, after its row says so. Thread-safe.
    """

    def __init__(
        self,
        queue: Queue,
        process: Process,
        worker_id: str,
        options: WorkerOptions,
        *,
        on_failed: OnFailed = lambda _claim, _failed: None,
        on_ended: Callable[[Ended, float], None] = lambda _ended, _seconds: None,
    ) -> None:
        self.worker_id = worker_id
        self._queue = queue
        self._process = process
        self._options = options
        self._on_failed = on_failed
        self._on_ended = on_ended
        self._jobs: set[Job] = set()
        self._jobs_lock = threading.Lock()
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self.last_loop_at = time.monotonic()
        self.database_reachable = False
        self.fatal: ConfigError | None = None
        """Why the worker stopped by itself: what only an operator can mend."""

    # ── the three ways in ────────────────────────────────────────────────────────────────

    def run(self) -> None:
        """Claim and process until ``stop``; return when every job has ended. The daemon."""
        running: set[Future[Ended]] = set()
        failures = 0
        with self._heartbeat(), self._pool() as pool:
            while not self._stopping.is_set():
                self.last_loop_at = time.monotonic()
                running = {future for future in running if not future.done()}
                if len(running) >= self._options.concurrency:
                    self.rest(self._options.poll_interval_s)
                    continue
                try:
                    claim = self._queue.claim(self.worker_id)
                    self.database_reachable, failures = True, 0
                except DatabaseUnavailable as error:
                    self.database_reachable, failures = False, failures + 1
                    delay_s = _OUTAGE.delay_s(failures, random)
                    log.warning(
                        "database unavailable", error=str(error), retry_in_s=round(delay_s, 1)
                    )
                    self.rest(delay_s)
                    continue
                if claim is None:
                    self.rest(self._options.poll_interval_s * uniform(0.8, 1.2))
                    continue
                future = pool.submit(self._work, claim)
                future.add_done_callback(lambda _: self._wake.set())
                running.add(future)
            self._drain(running)
        if self.fatal is not None:
            raise self.fatal

    def run_pending(self, upload_ids: Sequence[str]) -> list[Ended]:
        """Process these uploads, each at most once, and return how each ended. The cron run.

        Those that another worker has taken meanwhile are left to it.
        """
        ended: list[Ended] = []
        waiting = iter(upload_ids)
        taking = threading.Lock()

        def drain() -> None:
            while not self._stopping.is_set():
                with taking:
                    upload_id = next(waiting, None)
                if upload_id is None:
                    return
                claim = self._queue.claim(self.worker_id, upload_id=upload_id)
                if claim is not None:
                    ended.append(self._work(claim))

        with self._heartbeat(), self._pool() as pool:
            lanes = [
                pool.submit(drain) for _ in range(min(self._options.concurrency, len(upload_ids)))
            ]
            for lane in lanes:
                lane.result()
        return ended

    def run_one(self, upload_id: str) -> Ended | None:
        """Claim the named row and process it; None where it cannot be claimed now."""
        with self._heartbeat():
            claim = self._queue.claim(self.worker_id, upload_id=upload_id)
            return None if claim is None else self._work(claim)

    # ── stopping ─────────────────────────────────────────────────────────────────────────

    def stop(self) -> None:
        """Claim nothing more, and hand back what still runs after the drain timeout.

        Called again: hand it back at once.
        """
        with self._jobs_lock:
            again = self._stopping.is_set()
            self._stopping.set()
        self._wake.set()
        if again:
            self.interrupt()
            return
        deadline = threading.Timer(self._options.drain_timeout_s, self.interrupt)
        deadline.daemon = True
        deadline.start()

    def interrupt(self) -> None:
        """Hand back every running job."""
        for job in self._running():
            job.cancel(Interrupted("The worker is stopping; the track was handed back."))

    @property
    def stopping(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stopping.is_set()

    def _drain(self, running: set[Future[Ended]]) -> None:
        while any(not future.done() for future in running):
            self.rest(1.0)

    # ── one job ──────────────────────────────────────────────────────────────────────────

    def _work(self, claim: Claim) -> Ended:
        job = Job(claim, self._queue.renew, lease_s=self._options.lease_s)
        with self._jobs_lock:
            self._jobs.add(job)
        started = time.monotonic()
        try:
            outcome = self._record(claim, self._decide(job))
        except Exception as error:  # a fault of ours or of the schema: said, never swallowed
            log.exception("outcome not recorded", upload_id=claim.upload_id)
            outcome = Abandon(f"The outcome could not be recorded: {type(error).__name__}.")
            if isinstance(error, ConfigError):
                self.fatal = error
                self.stop()
        finally:
            with self._jobs_lock:
                self._jobs.discard(job)
        ended = Ended(claim, outcome)
        self._on_ended(ended, time.monotonic() - started)
        return ended

    def _decide(self, job: Job) -> Outcome:
        result: Receipt | BaseException
        try:
            result = self._process(job)
        except Exception as error:
            result = error
            if not isinstance(error, AudioProcessorError):
                log.exception("unforeseen error", upload_id=job.claim.upload_id)
        return decide(
            result,
            attempt=job.claim.attempt,
            max_attempts=self._options.max_attempts,
            backoff=self._options.backoff,
            stopping=isinstance(result, Interrupted),
            jitter=random,
        )

    def _record(self, claim: Claim, outcome: Outcome) -> Outcome:
        """Write the outcome into the row; a lost lease means that there is nothing to write."""
        try:
            match outcome:
                case Completed(summary):
                    self._queue.complete(claim, summary)
                case Failed(error_code, error_message):
                    self._queue.fail(claim, error_code=error_code, error_message=error_message)
                    self._told_of_failure(claim, outcome)
                case RetryLater(error_code, error_message, delay_s):
                    self._queue.retry_later(
                        claim, error_code=error_code, error_message=error_message, delay_s=delay_s
                    )
                case HandBack():
                    self._queue.hand_back(claim)
                case Abandon():
                    pass
        except LeaseLost:
            return Abandon("The lease was lost before the outcome could be recorded.")
        except DatabaseUnavailable as error:
            # The lease runs out and another worker takes the row: nothing is lost.
            log.error("outcome not recorded", upload_id=claim.upload_id, error=str(error))
            return Abandon("The database could not be reached to record the outcome.")
        return outcome

    def _told_of_failure(self, claim: Claim, failed: Failed) -> None:
        """Tell of it; whatever goes wrong there, the row is recorded already."""
        try:
            self._on_failed(claim, failed)
        except Exception:
            log.exception("after a failed track", upload_id=claim.upload_id)

    # ── heartbeat ────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _heartbeat(self) -> Iterator[None]:
        done = threading.Event()

        def beat() -> None:
            while not done.wait(self._options.heartbeat_s):
                for job in self._running():
                    self._cancel_the_expired()
                    self._renew(job)

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _cancel_the_expired(self) -> None:
        """A renewal that hangs must not keep the others' jobs going past their leases."""
        for job in self._running():
            with suppress(Exception):  # the job's own thread reports
                job.check()

    def _renew(self, job: Job) -> None:
        try:
            job.renew()
        except LeaseLost as error:
            job.cancel(error)
        except DatabaseUnavailable as error:
            if job.lease_left_s <= self._options.heartbeat_s:
                job.cancel(LeaseLost(f"The lease could not be renewed in time: {error}"))
        except Exception as error:  # cancelled already, or unforeseen: the job's own thread reports
            log.debug("heartbeat skipped", upload_id=job.claim.upload_id, error=str(error))

    def _running(self) -> tuple[Job, ...]:
        with self._jobs_lock:
            return tuple(self._jobs)

    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._options.concurrency, thread_name_prefix="job")

    def rest(self, seconds: float) -> None:
        """Wait, but not beyond a ``stop`` or a job's end."""
        end = time.monotonic() + seconds
        while (left_s := end - time.monotonic()) > 0:
            self.last_loop_at = time.monotonic()
            if self._wake.wait(min(left_s, _LOOP_PULSE_S)):
                break
        self._wake.clear()
