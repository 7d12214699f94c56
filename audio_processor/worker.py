"""The claim loop, the heartbeat and the drain. What becomes of a job is in ``ending.py``.

One heartbeat thread renews the leases of all running jobs, from the first claim until the
last job has ended: a worker that is draining still owns what it is working on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from random import random, uniform

from audio_processor.breaker import OUTAGE, Breaker
from audio_processor.ending import RECORDING, Ended, Ending, Process, Tell
from audio_processor.errors import (
    ConfigError,
    DatabaseUnavailable,
    Interrupted,
    LeaseLapsed,
    LeaseLost,
)
from audio_processor.job import Job
from audio_processor.model import Claim
from audio_processor.outcome import Abandon, BackoffPolicy
from audio_processor.ports import Queue
from audio_processor.telemetry import get_logger, ids

log = get_logger(__name__)

_STOPPING = "The worker is stopping; the track was handed back."
_LOOP_PULSE_S = 15.0
"""However long it rests, the claim loop shows so often that it lives."""


Telling = Callable[[Claim], AbstractContextManager[Callable[[Ended], None]]]
"""Entered for each job; what it gives is told how the job ended."""


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


class Worker:
    """Runs claimed tracks down the line and records what became of each.

    ``process`` takes a job to its receipt. ``before_failed`` is told of a track that is about
    to fail for good while its row is still ours (raises ``StoreUnavailable`` where it has to be
    put off), ``on_failed`` after its row says so. Thread-safe.
    """

    def __init__(
        self,
        queue: Queue,
        process: Process,
        worker_id: str,
        options: WorkerOptions,
        *,
        breaker: Breaker | None = None,
        before_failed: Tell = lambda _claim, _failed: None,
        on_failed: Tell = lambda _claim, _failed: None,
        telling: Telling = lambda _claim: nullcontext(lambda _ended: None),
    ) -> None:
        self.worker_id = worker_id
        self._queue = queue
        self._process = process
        self._options = options
        self._breaker = breaker or Breaker(lambda: None)
        self._ending = Ending(
            queue,
            self._breaker,
            max_attempts=options.max_attempts,
            backoff=options.backoff,
            before_failed=before_failed,
            on_failed=on_failed,
        )
        self._telling = telling
        self._jobs: set[Job] = set()
        self._jobs_lock = threading.Lock()
        self._asking = False
        """Whether the heartbeat is at its renewals just now, and may wait for the database."""
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._claim_failures = 0
        self.last_loop_at = time.monotonic()
        self.database_reachable = False
        self.fatal: ConfigError | None = None
        """Why the worker stopped by itself: what only an operator can mend."""

    # ── the three ways in ────────────────────────────────────────────────────────────────

    def run(self) -> None:
        """Claim and process until ``stop``; return when every job has ended. The daemon."""
        running: dict[Future[Ended], Claim] = {}
        with self._heartbeat(), self._pool() as pool:
            while not self._stopping.is_set():
                self.last_loop_at = time.monotonic()
                running = {job: claim for job, claim in running.items() if not job.done()}
                suspected = any(claim.suspect for claim in running.values())
                if suspected or len(running) >= self._options.concurrency:
                    self.rest(self._options.poll_interval_s)
                    continue
                if (pause_s := self._breaker.pause_s(len(running))) > 0:
                    self.rest(pause_s)
                    continue
                if self._ending.owes:
                    # a database that was away: what we still owe it comes before what we ask,
                    # or we would claim our own lapsed tracks and count another attempt
                    self.rest(RECORDING.base_s)
                    continue
                if (claim := self._claim(alone=not running)) is None:
                    continue
                future = pool.submit(self._work, claim)
                future.add_done_callback(lambda _: self._wake.set())
                running[future] = claim
            self._drain(running)
        if self.fatal is not None:
            raise self.fatal

    def _claim(self, *, alone: bool) -> Claim | None:
        """Claim a track, or rest for as long as there is none to be had."""
        try:
            claim = self._queue.claim(self.worker_id, alone=alone)
        except ConfigError as error:  # what runs may end before it is raised
            self._end_with(error)
            return None
        except DatabaseUnavailable as error:
            self._claim_failures += 1
            self.database_reachable = False
            delay_s = OUTAGE.outage_delay_s(self._claim_failures, random)
            log.warning("database unavailable", error=str(error), retry_in_s=round(delay_s, 1))
            self.rest(delay_s)
            return None
        if self._claim_failures:
            log.info("database available again")
        self._claim_failures, self.database_reachable = 0, True
        if claim is None:
            self.rest(self._options.poll_interval_s * uniform(0.8, 1.2))
        return claim

    def run_pending(self, upload_ids: Sequence[str]) -> list[Ended]:
        """Process these uploads, each at most once, and return how each ended. The cron run.

        Those that another worker has taken meanwhile are left to it, and the rest to the next
        run once the store does not answer. Raises ``DatabaseUnavailable``, and
        ``StoreUnavailable`` where it does not answer to begin with.
        """
        self._breaker.require()
        ended: list[Ended] = []
        refused: list[str] = []
        waiting = iter(upload_ids)
        taking = threading.Lock()

        def drain() -> None:
            while not self._stopping.is_set():
                with taking:
                    upload_id = next(waiting, None)
                if upload_id is None or self._breaker.hindrance is not None:
                    return
                claim = self._queue.claim(self.worker_id, upload_id=upload_id, alone=False)
                if claim is None:
                    refused.append(upload_id)
                else:
                    ended.append(self._work(claim))

        with self._heartbeat(), self._pool() as pool:
            lanes = [
                pool.submit(drain) for _ in range(min(self._options.concurrency, len(upload_ids)))
            ]
            for lane in lanes:
                lane.result()
            # suspects, if nobody else has them: now nothing runs beside them
            for upload_id in refused:
                if self._stopping.is_set() or self._breaker.hindrance is not None:
                    break
                claim = self._queue.claim(self.worker_id, upload_id=upload_id)
                if claim is not None:
                    ended.append(self._work(claim))
        return ended

    def run_one(self, upload_id: str) -> Ended | None:
        """Claim the named row and process it; None where it cannot be claimed now.

        Raises ``StoreUnavailable`` where the store does not answer.
        """
        self._breaker.require()
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
        """Hand back every running job, and keep no outcome for a database that is away."""
        self._ending.give_up()
        for job in self._running():
            job.cancel(Interrupted(_STOPPING))

    @property
    def stopping(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stopping.is_set()

    @property
    def interrupted(self) -> bool:
        """Whether what runs was told to end at once."""
        return self._ending.given_up

    @property
    def hindrance(self) -> str | None:
        """Why no track is taken, or None."""
        if self.stopping:
            return "draining"
        if self._breaker.hindrance is not None:  # asked first: without it nothing is claimed
            return self._breaker.hindrance
        return None if self.database_reachable else DatabaseUnavailable.code

    def _drain(self, running: Iterable[Future[Ended]]) -> None:
        while any(not future.done() for future in running):
            self.rest(1.0)

    # ── one job ──────────────────────────────────────────────────────────────────────────

    def _work(self, claim: Claim) -> Ended:
        with self._telling(claim) as tell:
            ended = self._worked(claim)
            tell(ended)
        return ended

    def _worked(self, claim: Claim) -> Ended:
        job = Job(claim, self._queue.renew, lease_s=self._options.lease_s)
        with self._jobs_lock:
            self._jobs.add(job)
            late = self._stopping.is_set()
            if self._asking:  # and until that is answered, this one is not asked for
                job.due()
        if late:  # the claim was on its way when ``stop`` came; ``interrupt`` may have been, too
            job.cancel(Interrupted(_STOPPING))
        try:
            ended = self._ending.run(job, self._process)
        except Exception as error:  # a fault of ours or of the schema: said, never swallowed
            log.exception("outcome not recorded", upload_id=claim.upload_id)
            unrecorded = Abandon(f"The outcome could not be recorded: {type(error).__name__}.")
            ended = Ended(claim, unrecorded, error)
            if isinstance(error, ConfigError):
                self._end_with(error)
        finally:
            with self._jobs_lock:
                self._jobs.discard(job)
        return ended

    def _end_with(self, error: ConfigError) -> None:
        self.fatal = error
        self.stop()

    # ── heartbeat ────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _heartbeat(self) -> Iterator[None]:
        done = threading.Event()

        def beat() -> None:
            while not done.wait(self._options.heartbeat_s):
                with self._jobs_lock:
                    self._asking, jobs = True, tuple(self._jobs)
                for job in jobs:  # the last may be asked for long after the first
                    job.due()
                for job in jobs:
                    self._cancel_the_expired()
                    self._renew(job)
                self._asking = False

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
            with ids(job.claim):
                job.renew()
        except LeaseLost as error:
            job.cancel(error)
        except DatabaseUnavailable as error:
            if job.lease_left_s <= self._options.heartbeat_s:
                job.cancel(LeaseLapsed(f"The lease could not be renewed in time: {error}"))
        except ConfigError as error:
            log.warning("lease not renewed", upload_id=job.claim.upload_id, error=str(error))
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
