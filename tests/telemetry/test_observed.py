"""What joins queue, store and worker to the metrics: bounded, honest, in nobody's way."""

from __future__ import annotations

import logging
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from audio_processor import AudioProcessor
from audio_processor.errors import (
    DatabaseUnavailable,
    DiskFull,
    Interrupted,
    LeaseLost,
    OutputConflict,
    SourceMissing,
    StoreUnavailable,
)
from audio_processor.job import Job
from audio_processor.model import Claim, Receipt
from audio_processor.observed import Observed
from audio_processor.observed.queue import timed
from audio_processor.observed.workers import depth_watched
from audio_processor.outcome import BackoffPolicy
from audio_processor.scratch import Scratch
from audio_processor.secret import Secret
from audio_processor.storage import FolderOptions, S3Options, open_store
from audio_processor.telemetry import Metrics, carried
from audio_processor.telemetry.job_log import JobLog
from audio_processor.telemetry.metrics import leave
from audio_processor.telemetry.run import Run, running
from audio_processor.telemetry.worker_gauges import REASONS, WorkerGauges
from audio_processor.worker import Worker, WorkerOptions
from database_manager import DatabaseManager
from tests.telemetry.conftest import (
    Scrape,
    daemon,
    embedded_settings,
    heard_logs,
    parsed,
    scraped,
    until,
)

CLAIM = Claim("upload-1", "t.wav", 2, "token", "worker-1")


def page(metrics: Metrics) -> Scrape:
    return parsed(metrics.exposition()[0].decode())


@dataclass
class FakeWorker:
    """A worker whose state the test decides."""

    last_loop_at: float = 0.0
    hindrance: str | None = None


class FakeRoom:
    """A scratch folder whose state the test decides."""

    def __init__(self, error: OSError | None = None) -> None:
        self._error = error

    def used_bytes(self) -> int:
        if self._error is not None:
            raise self._error
        return 7

    def free_bytes(self) -> int:
        return 11


# ── the worker ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("hindrance", "shown"),
    [(None, None), *((reason, reason) for reason in REASONS), ("never heard of", "other")],
)
def test_one_reason_at_most_is_shown_and_ready_is_its_absence(
    hindrance: str | None, shown: str | None
) -> None:
    metrics = Metrics()
    with metrics.also(WorkerGauges(FakeWorker(hindrance=hindrance), FakeRoom())):
        scrape = page(metrics)
    assert scrape("ready") == float(hindrance is None)
    reasons = {key[0]: value for key, value in scrape.of("hindrance").items()}
    assert reasons == {reason: float(reason == shown) for reason in REASONS}
    assert "audio_processor_ready" not in metrics.exposition()[0].decode()


def test_a_scratch_folder_that_is_gone_hides_nothing_else() -> None:
    metrics = Metrics()
    worker = FakeWorker(last_loop_at=time.monotonic() - 100)
    with metrics.also(WorkerGauges(worker, FakeRoom(OSError("gone")))):
        scrape = page(metrics)
    assert scrape("claim_loop_turned_timestamp_seconds") == pytest.approx(time.time() - 100, abs=5)
    assert not scrape.of("scratch_bytes")


def test_scratch_bytes_are_those_on_disk_and_a_link_counts_as_itself(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"x" * 2**20)
    scratch = Scratch(tmp_path / "scratch")
    with scratch.job_folder() as folder:
        before = scratch.used_bytes()
        (folder / "pcm").write_bytes(os.urandom(256 * 1024))
        (folder / "link").symlink_to(tmp_path / "elsewhere")
        (folder / "loop").symlink_to(folder)
        assert 256 * 1024 <= scratch.used_bytes() - before < 300 * 1024
    scratch.close()
    with pytest.raises(OSError, match="No such file"):
        scratch.used_bytes()


def test_a_draining_daemon_says_so_and_the_queue_is_looked_at_meanwhile(tmp_path: Path) -> None:
    with AudioProcessor(None, None, settings=embedded_settings(tmp_path)) as processor:
        for name in ("one", "two"):
            processor.queue.insert(name, f"{name}.wav")
        with daemon(processor) as port:
            until(lambda: scraped(port)("queue_observed_timestamp_seconds") > 0)
            until(
                lambda: (
                    scraped(port)("tracks_total", outcome="failed", error_code="source_missing")
                    == 2
                )
            )
            processor.stop()
            until(lambda: scraped(port)("hindrance", reason="draining") == 1)
            assert scraped(port)("ready") == 0


def test_two_processors_share_nothing(tmp_path: Path) -> None:
    with (
        AudioProcessor(None, None, settings=embedded_settings(tmp_path / "1")) as one,
        AudioProcessor(None, None, settings=embedded_settings(tmp_path / "2")) as two,
    ):
        one.queue.insert("a", "a.wav")
        assert one.process_pending_tracks() == (0, 1)
        assert two.process_pending_tracks() == (0, 0)
        assert page(one.metrics)("claims_total") == 1
        assert page(two.metrics)("claims_total") == 0


# ── jobs ─────────────────────────────────────────────────────────────────────────────────


def test_a_lease_that_another_worker_takes_is_a_lease_lost(tmp_path: Path) -> None:
    queue = DatabaseManager({"database": str(tmp_path / "q.db")}, "sqlite", lease_s=0.2)
    queue.insert("a", "a.wav")
    metrics = Metrics()
    observed = Observed(metrics, [JobLog()])

    def overtaken(_job: Job) -> Receipt:
        until(lambda: queue.claim("another") is not None)
        raise Interrupted("Done.")

    options = WorkerOptions(1, 0.05, 60.0, 30.0, 5.0, 3, BackoffPolicy(0.01, 0.02))
    worker = Worker(observed.queue(queue), overtaken, "w", options, telling=observed.job)
    with heard_logs() as lines:
        assert worker.run_one("a") is not None
        log = lines()
    scrape = page(metrics)
    assert scrape("lease_losses_total") == 1
    assert scrape("tracks_total", outcome="abandon", error_code="lease_lost") == 1
    assert scrape("database_statement_seconds_count", statement="hand_back") == 1
    assert not scrape.of("database_errors_total")  # that it is another's is an answer
    assert [line["event"] for line in log] == ["track begun", "track ended"]
    assert log[-1]["error_code"] == "lease_lost"


def test_lines_of_other_libraries_and_of_a_job_s_threads_carry_its_ids() -> None:
    def say() -> None:
        logging.getLogger("uploads_queue.transactions").info("repeated")
        logging.getLogger("audio_processor.storage").warning("trying again")

    with heard_logs() as lines:
        with running(Run(CLAIM, "t")) as run:
            run.enter("publish")
            thread = threading.Thread(target=carried(say))
            thread.start()
            thread.join()
            run.leave()
            say()
        say()
        log = lines()
    ids = {"upload_id": "upload-1", "track_id": "t", "attempt": 2}
    seen = [{name: line.get(name) for name in (*ids, "stage")} for line in log]
    nobody = dict.fromkeys((*ids, "stage"))
    expected = [ids | {"stage": "publish"}, ids | {"stage": None}, nobody]
    assert seen == [each for each in expected for _ in range(2)]


# ── the queue ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (DatabaseUnavailable("away"), "database_unavailable"),
        (ZeroDivisionError(), "internal_error"),
        (LeaseLost("another's"), None),
        (OutputConflict("taken"), None),
    ],
)
def test_an_answer_is_no_error(error: Exception, counted: str | None) -> None:
    metrics = Metrics()
    with pytest.raises(type(error)), timed("claim", metrics.statement):
        raise error
    scrape = page(metrics)
    assert scrape("database_statement_seconds_count", statement="claim") == 1
    expected = {} if counted is None else {(counted, "claim"): 1.0}
    assert scrape.of("database_errors_total") == expected


def test_a_database_that_hangs_holds_up_neither_a_scrape_nor_the_end() -> None:
    metrics, asked, go_on = Metrics(), threading.Event(), threading.Event()

    class Depth:
        pending, oldest_pending_age_s = 3, 1.5

    def hanging() -> Depth:
        asked.set()
        assert go_on.wait(60)
        return Depth()

    with depth_watched(hanging, metrics):
        assert asked.wait(60)
        assert page(metrics)("queue_observed_timestamp_seconds") == 0  # never, so far
    go_on.set()
    until(lambda: page(metrics)("queue_pending") == 3)
    assert page(metrics)("queue_oldest_pending_seconds") == 1.5


def test_a_database_that_comes_back_is_looked_at_again() -> None:
    metrics = Metrics()
    answers = iter([DatabaseUnavailable("away"), DatabaseUnavailable("away")])

    class Depth:
        pending, oldest_pending_age_s = 3, 1.5

    def look() -> Depth:
        for error in answers:
            raise error
        return Depth()

    with depth_watched(look, metrics, every_s=0.01):
        until(lambda: page(metrics)("queue_pending") == 3)
    errors = page(metrics).of("database_errors_total")
    assert errors == {("database_unavailable", "depth"): 2.0}


# ── the store ────────────────────────────────────────────────────────────────────────────


def test_the_folder_s_calls_are_timed_and_only_its_faults_are_errors(tmp_path: Path) -> None:
    metrics = Metrics()
    store = open_store(FolderOptions(tmp_path / "store"), observe=metrics.request)
    store.write(b"x", "a/b", content_type="text/plain")
    assert store.size("a/b") == 1
    with pytest.raises(SourceMissing):
        store.read("a/c", max_bytes=10)

    def stopped(_bytes: int) -> None:
        raise LeaseLost("another's")

    with pytest.raises(LeaseLost):
        store.write(b"y", "a/d", content_type="text/plain", progress=stopped)
    scrape = page(metrics)
    counted = {key[0]: n for key, n in scrape.of("storage_request_seconds_count").items()}
    assert counted == {"put": 2, "head": 1, "get": 1}
    assert not scrape.of("storage_errors_total")


@contextmanager
def failing_s3(answers: list[tuple[int, str]]) -> Iterator[str]:
    """Answers as told, one after the other: a status and S3's code."""

    class Handler(BaseHTTPRequestHandler):
        def do_DELETE(self) -> None:
            status, code = answers.pop(0)
            body = f"<Error><Code>{code}</Code></Error>".encode() if code else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_each_request_to_s3_is_counted_the_repeated_ones_too() -> None:
    metrics = Metrics()
    answers = [(503, "SlowDown"), (500, "Surprise42"), (204, ""), (403, "AccessDenied")]
    with failing_s3(answers) as url:
        options = S3Options(
            bucket="music", endpoint_url=url, region="us-east-1", access_key_id="k",
            secret_access_key=Secret("s" * 20), addressing_style="path", max_attempts=4,
            backoff_s=0.001, backoff_max_s=0.001,
        )  # fmt: skip
        store = open_store(options, observe=metrics.request)
        store.delete("a")
        with pytest.raises(StoreUnavailable):
            store.delete("b")
    scrape = page(metrics)
    assert scrape("storage_request_seconds_count", operation="delete") == 4
    assert scrape.of("storage_errors_total") == {
        ("SlowDown", "delete"): 1.0, ("other", "delete"): 1.0, ("AccessDenied", "delete"): 1.0,
    }  # fmt: skip


# ── for those whom nobody scrapes ────────────────────────────────────────────────────────


def test_a_textfile_is_whole_readable_by_others_and_free_of_the_collector_s_own(
    tmp_path: Path,
) -> None:
    metrics = Metrics()
    metrics.queue_was(7, 3.5)
    target = tmp_path / "audio_processor.prom"
    target.write_text("of the run before")
    old = os.umask(0o077)
    try:
        leave(metrics, target)
    finally:
        os.umask(old)
    scrape = parsed(target.read_text())
    assert scrape("queue_pending") == 7
    assert not [name for name, _ in scrape.samples if name.startswith("process_")]
    assert target.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [target]
    with pytest.raises(OSError, match="No such file"):
        leave(metrics, tmp_path / "nowhere" / "x.prom")


def test_a_link_that_was_put_in_the_way_is_not_followed(tmp_path: Path) -> None:
    """The collector's folder may be written to by its group."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    folder = tmp_path / "textfile"
    folder.mkdir()
    target = folder / "audio_processor.prom"
    for name in (target.name, f".{target.name}.{os.getpid()}"):
        (folder / name).symlink_to(victim)
    leave(Metrics(), target)
    assert victim.read_text() == "mine"
    assert not target.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o644


def test_what_could_not_be_left_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "audio_processor.prom"
    target.mkdir()
    with pytest.raises(OSError, match="directory"):
        leave(Metrics(), target)
    assert list(tmp_path.iterdir()) == [target]


def test_disk_full_is_an_error_of_the_store() -> None:
    from audio_processor.storage.observed import ObservedStore

    class Full:
        def delete(self, _key: str, *, version: str | None = None) -> None:
            raise DiskFull("no room")

    metrics = Metrics()
    store = ObservedStore(Full(), metrics.request)  # type: ignore[arg-type]  # one method is enough
    with pytest.raises(DiskFull):
        store.delete("a")
    assert page(metrics).of("storage_errors_total") == {("disk_full", "delete"): 1.0}
