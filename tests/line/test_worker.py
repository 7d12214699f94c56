"""The worker on a real queue (SQLite): outcomes recorded, leases beaten, drains honoured."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from audio_processor import called_off
from audio_processor.breaker import Breaker
from audio_processor.errors import (
    ConfigError,
    CorruptMedia,
    DatabaseUnavailable,
    Interrupted,
    LeaseLost,
    StoreUnavailable,
)
from audio_processor.job import Job
from audio_processor.model import Claim, Loudness, Receipt, TrackSummary
from audio_processor.outcome import Abandon, BackoffPolicy, Completed, Failed, HandBack, RetryLater
from audio_processor.worker import Worker, WorkerOptions
from database_manager import DatabaseManager

OPTIONS = WorkerOptions(
    concurrency=2,
    poll_interval_s=0.02,
    lease_s=5.0,
    heartbeat_s=0.05,
    drain_timeout_s=5.0,
    max_attempts=3,
    backoff=BackoffPolicy(base_s=0.01, cap_s=0.02),
)
SILENCE = Loudness(None, None, None, None, None, None)


@pytest.fixture
def queue(tmp_path: Path) -> DatabaseManager:
    return DatabaseManager({"database": str(tmp_path / "queue.db")}, "sqlite", max_attempts=3)


def _receipt(job: Job) -> Receipt:
    summary = TrackSummary(job.claim.file_name, 1.0, SILENCE, "none", 0.0, "silence", ())
    return Receipt(job.claim.file_name, "out/", 1, 1, summary)


def _worker(queue: DatabaseManager, process: Callable[[Job], Receipt], **changes: float) -> Worker:
    return Worker(queue, process, "worker-1", replace(OPTIONS, **changes))  # type: ignore[arg-type]  # keyword names are checked at run time


def _fill(queue: DatabaseManager, count: int) -> list[str]:
    names = [f"upload-{i}" for i in range(count)]
    for name in names:
        queue.insert(name, f"{name}.wav")
    return names


def _status(queue: DatabaseManager, upload_id: str) -> str | None:
    record = queue.find(upload_id)
    assert record is not None
    return record.status


def test_a_success_is_recorded_with_what_was_measured(queue: DatabaseManager) -> None:
    _fill(queue, 1)
    [ended] = _worker(queue, _receipt).run_pending(["upload-0"])
    record = queue.find("upload-0")
    assert isinstance(ended.outcome, Completed) and ended.completed
    assert record is not None and record.status == "completed" and record.summary is not None


def test_a_permanent_error_fails_the_row_and_then_tells_of_it(queue: DatabaseManager) -> None:
    _fill(queue, 1)
    told: list[tuple[str | None, str]] = []

    def corrupt(_: Job) -> Receipt:
        raise CorruptMedia("The file ends after 3 s of 60 s.")

    def on_failed(claim: Claim, failed: Failed) -> None:
        told.append((_status(queue, claim.upload_id), failed.error_code))

    worker = Worker(queue, corrupt, "worker-1", OPTIONS, on_failed=on_failed)
    [ended] = worker.run_pending(["upload-0"])
    record = queue.find("upload-0")
    assert isinstance(ended.outcome, Failed)
    assert record is not None
    assert (record.status, record.error_code) == ("failed", "corrupt_media")
    assert record.error_message == "The file ends after 3 s of 60 s."
    assert told == [("failed", "corrupt_media")]


def test_a_transient_error_goes_back_with_a_pause_until_attempts_run_out(
    queue: DatabaseManager,
) -> None:
    _fill(queue, 1)

    def outage(_: Job) -> Receipt:
        raise StoreUnavailable("The bucket cannot be reached.")

    worker = _worker(queue, outage)
    outcomes = []
    while (record := queue.find("upload-0")) and record.status == "0":
        ended = worker.run_one("upload-0")
        outcomes.extend([type(ended.outcome)] if ended else [])
    assert outcomes == [RetryLater, RetryLater, Failed]
    assert record is not None and record.attempts == 3


def test_an_unforeseen_error_never_escapes(queue: DatabaseManager) -> None:
    _fill(queue, 1)

    def bug(_: Job) -> Receipt:
        raise ZeroDivisionError("in /secret/path")

    [ended] = _worker(queue, bug).run_pending(["upload-0"])
    record = queue.find("upload-0")
    assert isinstance(ended.outcome, RetryLater)
    assert record is not None and "/secret/path" not in (record.error_message or "")


def test_the_heartbeat_keeps_a_lease_that_is_shorter_than_the_job(tmp_path: Path) -> None:
    queue = DatabaseManager({"database": str(tmp_path / "q.db")}, "sqlite", lease_s=1.0)
    queue.insert("long", "long.wav")
    other = DatabaseManager({"database": str(tmp_path / "q.db")}, "sqlite", lease_s=1.0)
    stolen: list[Claim | None] = []

    def slow(job: Job) -> Receipt:
        deadline = time.monotonic() + 2.5
        while time.monotonic() < deadline:
            stolen.append(other.claim("thief"))
            time.sleep(0.1)
        return _receipt(job)

    [ended] = _worker(queue, slow, lease_s=1.0).run_pending(["long"])
    assert ended.completed and set(stolen) == {None}


def test_a_lost_lease_cancels_the_job_and_writes_nothing(queue: DatabaseManager) -> None:
    _fill(queue, 1)
    cancelled: list[Exception] = []

    class Stolen:
        """The queue, but for its lease: another worker has it."""

        def __getattr__(self, name: str) -> object:
            return getattr(queue, name)

        def renew(self, _claim: Claim) -> None:
            raise LeaseLost("another worker has it")

    def waits(job: Job) -> Receipt:
        gone = threading.Event()

        def stop(error: Exception) -> None:
            cancelled.append(error)
            gone.set()

        job.on_cancel(stop)
        assert gone.wait(60), "the heartbeat never told the job"
        job.check()
        raise AssertionError("a cancelled job went on")

    worker = Worker(Stolen(), waits, "worker-1", OPTIONS)  # type: ignore[arg-type]  # all but one method is the queue's own
    [ended] = worker.run_pending(["upload-0"])
    assert isinstance(ended.outcome, Abandon)
    assert [type(error) for error in cancelled] == [LeaseLost]
    assert _status(queue, "upload-0") == "processing"


def test_stop_lets_running_jobs_finish_and_claims_no_more(queue: DatabaseManager) -> None:
    _fill(queue, 5)
    started, go_on = threading.Semaphore(0), threading.Event()

    def waits(job: Job) -> Receipt:
        started.release()
        assert go_on.wait(60)
        return _receipt(job)

    worker = _worker(queue, waits)
    daemon = threading.Thread(target=worker.run)
    daemon.start()
    assert started.acquire(timeout=60) and started.acquire(timeout=10)
    worker.stop()
    go_on.set()
    daemon.join(60)
    assert not daemon.is_alive()
    counts = queue.counts()
    assert (counts.completed, counts.pending, counts.processing) == (2, 3, 0)


@pytest.mark.parametrize("by", ["second stop", "drain timeout"])
def test_what_does_not_finish_in_time_is_handed_back_with_its_attempt(
    queue: DatabaseManager, by: str
) -> None:
    _fill(queue, 1)
    started = threading.Event()

    def endless(job: Job) -> Receipt:
        gone = threading.Event()
        job.on_cancel(lambda _: gone.set())
        started.set()
        assert gone.wait(60)
        job.check()
        raise AssertionError("a cancelled job went on")

    worker = _worker(queue, endless, drain_timeout_s=30.0 if by == "second stop" else 0.2)
    daemon = threading.Thread(target=worker.run)
    daemon.start()
    assert started.wait(60)
    worker.stop()
    if by == "second stop":
        worker.stop()
    daemon.join(60)
    assert not daemon.is_alive()
    record = queue.find("upload-0")
    assert record is not None and (record.status, record.attempts) == ("0", 0)


@pytest.mark.parametrize("stops", [1, 2])
def test_a_claim_that_was_on_its_way_when_the_stop_came_is_handed_back(
    queue: DatabaseManager, stops: int
) -> None:
    _fill(queue, 1)
    asked, answer = threading.Event(), threading.Event()

    class Slow:
        """The queue behind a database that answers a claim late."""

        def __getattr__(self, name: str) -> object:
            return getattr(queue, name)

        def claim(self, worker_id: str, *, alone: bool) -> Claim | None:
            claim = queue.claim(worker_id, alone=alone)
            asked.set()
            assert answer.wait(60)
            return claim

    def works(job: Job) -> Receipt:
        job.check()
        return _receipt(job)

    worker = Worker(Slow(), works, "worker-1", OPTIONS)  # type: ignore[arg-type]  # all but one method is the queue's own
    daemon = threading.Thread(target=worker.run)
    daemon.start()
    assert asked.wait(60)
    for _ in range(stops):
        worker.stop()
    answer.set()
    daemon.join(60)
    assert not daemon.is_alive()
    record = queue.find("upload-0")
    assert record is not None and (record.status, record.attempts) == ("0", 0)


def test_a_database_that_falls_silent_costs_no_job_an_attempt(queue: DatabaseManager) -> None:
    """The first renewal hangs past every lease: the second job was never asked for at all."""
    _fill(queue, 2)

    class Silent:
        """The queue behind a database that lets a renewal hang."""

        def __getattr__(self, name: str) -> object:
            return getattr(queue, name)

        def renew(self, _claim: Claim) -> None:
            time.sleep(1.0)
            raise DatabaseUnavailable("no answer")

    def works(job: Job) -> Receipt:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            job.check()
            job.rest(0.05)
        raise AssertionError("a job outlived its lease")

    worker = Worker(Silent(), works, "worker-1", replace(OPTIONS, lease_s=0.5))  # type: ignore[arg-type]  # all but one method is the queue's own
    ended = worker.run_pending(["upload-0", "upload-1"])
    assert [type(one.outcome) for one in ended] == [HandBack, HandBack]
    records = [queue.find(name) for name in ("upload-0", "upload-1")]
    assert [(one.status, one.attempts) for one in records if one] == [("0", 0), ("0", 0)]


@pytest.mark.parametrize("when", ["before_failed", "on_failed"])
def test_a_second_stop_calls_off_what_is_done_about_a_failure(
    queue: DatabaseManager, when: str
) -> None:
    """A store that hangs must not keep the worker past its grace."""
    _fill(queue, 1)
    waiting = threading.Event()

    def corrupt(_: Job) -> Receipt:
        raise CorruptMedia("Half.")

    def store_that_hangs(_claim: Claim, _failed: Failed) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            called_off.present().check()
            waiting.set()
            called_off.present().rest(30.0)
        raise AssertionError("nobody called it off")

    worker = Worker(queue, corrupt, "worker-1", OPTIONS, **{when: store_that_hangs})  # type: ignore[arg-type]  # one of two by name
    daemon = threading.Thread(target=worker.run)
    daemon.start()
    assert waiting.wait(60)
    worker.stop()
    worker.stop()
    daemon.join(25)
    assert not daemon.is_alive()
    record = queue.find("upload-0")
    expected = ("0", 0) if when == "before_failed" else ("failed", 1)
    assert record is not None and (record.status, record.attempts) == expected


def test_a_table_that_cannot_be_claimed_from_ends_the_daemon_once_its_tracks_are_done(
    queue: DatabaseManager,
) -> None:
    _fill(queue, 1)
    worker: Worker
    refused = threading.Event()

    class Revoked:
        """The queue behind a database that takes a right away after the first claim."""

        def __getattr__(self, name: str) -> object:
            return getattr(queue, name)

        def claim(self, worker_id: str, *, alone: bool) -> Claim | None:
            if queue.counts().pending:
                return queue.claim(worker_id, alone=alone)
            refused.set()
            raise ConfigError("The user may not UPDATE.")

    def works(job: Job) -> Receipt:
        assert refused.wait(60)
        before = worker.last_loop_at
        time.sleep(1.2)
        assert worker.last_loop_at > before, "/live would say that the loop is stuck"
        return _receipt(job)

    worker = Worker(Revoked(), works, "worker-1", OPTIONS)  # type: ignore[arg-type]  # all but one method is the queue's own
    with pytest.raises(ConfigError, match="may not UPDATE"):
        worker.run()
    assert _status(queue, "upload-0") == "completed"


def test_the_daemon_waits_out_a_database_that_is_away(queue: DatabaseManager) -> None:
    _fill(queue, 1)
    away = 3

    class Flaky:
        """The queue behind a database that does not answer at first."""

        def __getattr__(self, name: str) -> object:
            return getattr(queue, name)

        def claim(self, worker_id: str, *, alone: bool) -> Claim | None:
            nonlocal away
            if away:
                away -= 1
                raise DatabaseUnavailable("no answer")
            return queue.claim(worker_id, alone=alone)

    done = threading.Event()

    def process(job: Job) -> Receipt:
        done.set()
        return _receipt(job)

    worker = Worker(Flaky(), process, "worker-1", OPTIONS)  # type: ignore[arg-type]  # all but one method is the queue's own
    daemon = threading.Thread(target=worker.run)
    daemon.start()
    assert done.wait(60)
    assert worker.database_reachable
    worker.stop()
    daemon.join(60)
    record = queue.find("upload-0")
    assert record is not None and (record.status, record.attempts) == ("completed", 1)


def test_two_workers_share_the_pending_tracks(queue: DatabaseManager) -> None:
    names = _fill(queue, 20)
    seen: list[str] = []

    def process(job: Job) -> Receipt:
        seen.append(job.claim.upload_id)
        return _receipt(job)

    workers = [Worker(queue, process, f"worker-{i}", OPTIONS) for i in range(2)]
    runs = [threading.Thread(target=w.run_pending, args=(names,)) for w in workers]
    for run in runs:
        run.start()
    for run in runs:
        run.join(30)
    assert sorted(seen) == sorted(names)
    assert queue.counts().completed == 20


def test_hand_back_is_what_an_interrupted_job_becomes(queue: DatabaseManager) -> None:
    _fill(queue, 1)
    worker: Worker

    def process(job: Job) -> Receipt:
        worker.interrupt()
        job.check()
        raise AssertionError("an interrupted job went on")

    worker = _worker(queue, process)
    ended = worker.run_one("upload-0")
    assert ended is not None and isinstance(ended.outcome, HandBack)


def test_a_run_takes_each_upload_once_however_soon_it_may_be_tried_again(
    queue: DatabaseManager,
) -> None:
    names = _fill(queue, 3)
    seen: list[str] = []

    def outage(job: Job) -> Receipt:
        seen.append(job.claim.upload_id)
        raise StoreUnavailable("away")

    worker = Worker(queue, outage, "worker-1", replace(OPTIONS, backoff=BackoffPolicy(1e-9, 1e-9)))
    ended = worker.run_pending(names)
    assert sorted(seen) == names and len(ended) == 3


def test_a_job_past_its_lease_stops_even_before_the_heartbeat_says_so() -> None:
    now = 100.0
    claim = Claim("u", "u.wav", 1, "token", "w")
    job = Job(claim, lambda _: None, lease_s=10.0, clock=lambda: now)
    job.check()
    now = 110.5
    with pytest.raises(LeaseLost):
        job.check()


def test_a_job_is_cancelled_once_by_whatever_comes_first() -> None:
    job = Job(Claim("u", "u.wav", 1, "token", "w"), lambda _: None, lease_s=10.0)
    told: list[Exception] = []
    job.on_cancel(told.append)
    job.cancel(Interrupted("stopping"))
    job.cancel(LeaseLost("another's"))
    with pytest.raises(Interrupted):
        job.check()
    assert [type(error) for error in told] == [Interrupted]


def test_attempts_of_one_track_mark_their_objects_differently() -> None:
    jobs = [
        Job(Claim("u", "u.wav", 1, token, "w"), lambda _: None, lease_s=10.0)
        for token in ("a", "b")
    ]
    assert len({job.generation for job in jobs}) == 2
    assert all("a" != job.generation != "b" for job in jobs), "the token is not given away"


def test_what_cannot_be_recorded_for_want_of_a_right_ends_the_daemon(
    queue: DatabaseManager,
) -> None:
    _fill(queue, 1)

    class Forbidden:
        """The queue, but for a right that was taken away."""

        def __getattr__(self, name: str) -> object:
            return getattr(queue, name)

        def complete(self, _claim: Claim, _summary: TrackSummary) -> None:
            raise ConfigError("UPDATE is denied")

    worker = Worker(Forbidden(), _receipt, "worker-1", OPTIONS)  # type: ignore[arg-type]  # all but one method is the queue's own
    with pytest.raises(ConfigError, match="denied"):
        worker.run()


def test_a_track_that_lost_its_worker_twice_runs_alone(tmp_path: Path) -> None:
    """It may be what kills the worker, and would take the jobs beside it along every time."""
    config = {"database": str(tmp_path / "q.db")}
    short = DatabaseManager(config, "sqlite", lease_s=0.01, max_attempts=9)
    _fill(short, 5)
    for _ in range(2):
        assert short.claim("dies", upload_id="upload-2") is not None
        time.sleep(0.05)  # the lease is the database's to end
    queue = DatabaseManager(config, "sqlite", max_attempts=9)
    beside: dict[str, set[str]] = {}
    lock = threading.Lock()
    now: set[str] = set()

    def process(job: Job) -> Receipt:
        with lock:
            now.add(job.claim.upload_id)
            for upload_id in now:
                beside.setdefault(upload_id, set()).update(now)
        time.sleep(0.1)
        with lock:
            now.discard(job.claim.upload_id)
        return _receipt(job)

    worker = _worker(queue, process)
    daemon = threading.Thread(target=worker.run)
    daemon.start()
    while queue.counts().completed < 5:
        assert daemon.is_alive()
        time.sleep(0.05)
    worker.stop()
    daemon.join(60)
    assert beside["upload-2"] == {"upload-2"}
    assert max(map(len, beside.values())) >= 2, "the others ran side by side"


def test_the_cron_run_leaves_suspects_for_its_end(tmp_path: Path) -> None:
    config = {"database": str(tmp_path / "q.db")}
    short = DatabaseManager(config, "sqlite", lease_s=0.01, max_attempts=9)
    names = _fill(short, 4)
    for _ in range(2):
        assert short.claim("dies", upload_id="upload-0") is not None
        time.sleep(0.05)
    queue = DatabaseManager(config, "sqlite", max_attempts=9)
    seen: list[str] = []

    def process(job: Job) -> Receipt:
        seen.append(job.claim.upload_id)
        return _receipt(job)

    ended = _worker(queue, process).run_pending(names)
    assert len(ended) == 4 and all(one.completed for one in ended)
    assert seen[-1] == "upload-0"


# ── services that are away ───────────────────────────────────────────────────────────────


class Service:
    """Something that every track needs, to be taken away by a test."""

    def __init__(self) -> None:
        self.away = False
        self.asked = 0

    def ask(self) -> None:
        self.asked += 1
        if self.away:
            raise StoreUnavailable("away")


def test_an_outage_refunds_the_attempt_and_nothing_is_claimed_until_it_is_over(
    queue: DatabaseManager,
) -> None:
    _fill(queue, 4)
    service = Service()

    def process(job: Job) -> Receipt:
        if job.claim.upload_id == "upload-0" and not service.away and service.asked == 1:
            service.away = True
        if service.away:
            raise StoreUnavailable("away")
        return _receipt(job)

    worker = Worker(queue, process, "worker-1", OPTIONS, breaker=Breaker(service.ask))
    daemon = threading.Thread(target=worker.run)
    daemon.start()
    while service.asked < 4:
        assert daemon.is_alive()
        time.sleep(0.02)
    assert worker.hindrance == "store_unavailable"
    assert queue.counts().pending == 4
    service.away = False
    while queue.counts().completed < 4:
        assert daemon.is_alive()
        time.sleep(0.02)
    worker.stop()
    daemon.join(60)
    for number in range(4):
        record = queue.find(f"upload-{number}")
        assert record is not None and record.attempts == 1


def test_an_outcome_waits_for_a_database_that_is_away(queue: DatabaseManager) -> None:
    _fill(queue, 1)
    refusals = 3

    class Away:
        """The queue behind a database that restarts just when the track is done."""

        def __getattr__(self, name: str) -> object:
            return getattr(queue, name)

        def complete(self, claim: Claim, summary: TrackSummary) -> None:
            nonlocal refusals
            if refusals:
                refusals -= 1
                raise DatabaseUnavailable("restarting")
            queue.complete(claim, summary)

    worker = Worker(Away(), _receipt, "worker-1", OPTIONS)  # type: ignore[arg-type]  # all but one method is the queue's own
    [ended] = worker.run_pending(["upload-0"])
    assert ended.completed and refusals == 0
    assert _status(queue, "upload-0") == "completed"


def test_a_lease_that_lapsed_for_want_of_a_database_is_handed_back(queue: DatabaseManager) -> None:
    _fill(queue, 1)

    class Mute:
        """The queue behind a database that takes no renewals."""

        def __getattr__(self, name: str) -> object:
            return getattr(queue, name)

        def renew(self, _claim: Claim) -> None:
            raise DatabaseUnavailable("no answer")

    def publishes(job: Job) -> Receipt:
        job.insist(job.renew)
        raise AssertionError("published without a lease")

    worker = Worker(Mute(), publishes, "worker-1", replace(OPTIONS, lease_s=0.4))  # type: ignore[arg-type]  # all but one method is the queue's own
    [ended] = worker.run_pending(["upload-0"])
    record = queue.find("upload-0")
    assert isinstance(ended.outcome, HandBack)
    assert record is not None and (record.status, record.attempts) == ("0", 0)


def test_a_failure_that_cannot_be_prepared_comes_again(queue: DatabaseManager) -> None:
    """A ladder that must be taken off the air first, and a store that is away."""
    _fill(queue, 1)

    def corrupt(_: Job) -> Receipt:
        raise CorruptMedia("Half.")

    def withdraw(_claim: Claim, _failed: Failed) -> None:
        raise StoreUnavailable("away")

    worker = Worker(queue, corrupt, "worker-1", OPTIONS, before_failed=withdraw)
    ended = worker.run_one("upload-0")
    assert ended is not None and isinstance(ended.outcome, HandBack)
    assert _status(queue, "upload-0") == "0"


def test_a_store_that_answers_and_fails_every_job_is_tried_with_one_at_a_time() -> None:
    now = 0.0
    breaker = Breaker(lambda: None, clock=lambda: now)
    assert breaker.pause_s(0) == 0.0
    pauses = []
    for _ in range(8):
        breaker.doubt()
        pauses.append(breaker.pause_s(0))
        now += pauses[-1]
        assert breaker.pause_s(1) > 0, "nothing beside the one that is tried"
        assert breaker.pause_s(0) == 0.0
    assert pauses[-1] > pauses[0] > 0
    breaker.trust()
    assert breaker.pause_s(5) == 0.0


def test_what_is_away_to_begin_with_is_said_by_what_was_asked() -> None:
    service = Service()
    service.away = True
    breaker = Breaker(service.ask)
    with pytest.raises(StoreUnavailable, match="away"):
        breaker.require()
    with pytest.raises(StoreUnavailable):
        breaker.require()
    assert service.asked == 1, "a service that is away is not stormed"
