"""The endpoints tell the truth about the worker."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from audio_processor.bounded_http import MAX_CONNECTIONS, BoundedHTTPServer
from audio_processor.errors import ConfigError
from audio_processor.health import STUCK_AFTER_S, serve_health
from audio_processor.job import Job
from audio_processor.model import Claim, Receipt
from audio_processor.telemetry import Metrics
from audio_processor.worker import Worker
from database_manager import DatabaseManager
from tests.line.test_worker import OPTIONS


@dataclass
class FakeWorker:
    """A worker whose state the test decides."""

    last_loop_at: float = field(default_factory=time.monotonic)
    hindrance: str | None = None


def _get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("hindrance", "idle_s", "live", "ready"),
    [
        (None, 0.0, 200, (200, "ready\n")),
        ("draining", 0.0, 200, (503, "draining\n")),
        (None, STUCK_AFTER_S + 1, 503, (200, "ready\n")),
    ],
)
def test_live_and_ready(
    hindrance: str | None, idle_s: float, live: int, ready: tuple[int, str]
) -> None:
    worker = FakeWorker(last_loop_at=time.monotonic() - idle_s, hindrance=hindrance)
    with serve_health(worker, Metrics(), host="127.0.0.1", port=_free_port()) as port:
        assert _get(port, "/live")[0] == live
        assert _get(port, "/ready") == ready
        assert _get(port, "/else")[0] == 404


def test_a_claim_loop_that_hangs_is_not_alive_and_one_that_turns_again_is(tmp_path: Path) -> None:
    queue = DatabaseManager({"database": str(tmp_path / "q.db")}, "sqlite")
    hanging, go_on = threading.Event(), threading.Event()

    class Hangs:
        """The queue, but for a claim that does not come back."""

        def __getattr__(self, name: str) -> object:
            return getattr(queue, name)

        def claim(self, worker_id: str, *, alone: bool) -> Claim | None:
            hanging.set()
            assert go_on.wait(60)
            return queue.claim(worker_id, alone=alone)

    worker = Worker(Hangs(), _nothing, "w", OPTIONS)  # type: ignore[arg-type]  # all but one method is the queue's own
    daemon = threading.Thread(target=worker.run)
    daemon.start()
    with serve_health(
        worker, Metrics(), host="127.0.0.1", port=_free_port(), stuck_after_s=0.5
    ) as port:
        assert hanging.wait(60)
        _until(lambda: _get(port, "/live")[0] == 503)
        go_on.set()
        _until(lambda: _get(port, "/live")[0] == 200)
        _until(lambda: _get(port, "/ready") == (200, "ready\n"))
        worker.stop()
        _until(lambda: _get(port, "/ready") == (503, "draining\n"))
    daemon.join(60)
    assert not daemon.is_alive()


def _nothing(_: Job) -> Receipt:
    raise AssertionError("there is nothing to process")


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_metrics_are_served() -> None:
    metrics = Metrics()
    metrics.queue_was(7, 3.5)
    with serve_health(FakeWorker(), metrics, host="127.0.0.1", port=_free_port()) as port:
        status, page = _get(port, "/metrics")
    assert status == 200
    assert "audio_processor_queue_pending 7.0" in page


def test_port_0_serves_nothing() -> None:
    with serve_health(FakeWorker(), Metrics(), host="127.0.0.1", port=0) as port:
        assert port == 0


def test_a_port_in_use_names_the_key() -> None:
    with (
        serve_health(FakeWorker(), Metrics(), host="127.0.0.1", port=_free_port()) as port,
        pytest.raises(ConfigError, match=r"worker\.health_port"),
        serve_health(FakeWorker(), Metrics(), host="127.0.0.1", port=port),
    ):
        pass


def _connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def test_idle_connections_keep_nobody_from_an_answer_and_cost_a_bounded_number_of_threads() -> None:
    before = threading.active_count()
    with (
        serve_health(FakeWorker(), Metrics(), host="127.0.0.1", port=_free_port()) as port,
        ExitStack() as held,
    ):
        for _ in range(3 * MAX_CONNECTIONS):
            idle = held.enter_context(contextlib.closing(_connected(port)))
            idle.sendall(b"GET /metr")
        assert _get(port, "/live")[0] == 200
        assert _get(port, "/ready") == (200, "ready\n")
        assert _get(port, "/metrics")[0] == 200
        # those that were cut end as soon as they see it
        _until(lambda: threading.active_count() - before <= MAX_CONNECTIONS + 1)


def test_a_client_that_sends_a_byte_now_and_then_is_cut_at_the_deadline() -> None:
    class Handler(BaseHTTPRequestHandler):
        pass

    server = BoundedHTTPServer(("127.0.0.1", 0), Handler, deadline_s=0.5)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    cut = threading.Event()
    try:
        with contextlib.closing(_connected(server.server_address[1])) as slow:
            slow.settimeout(0.05)

            def trickle() -> bool:
                try:
                    slow.sendall(b"x")
                    return slow.recv(1) == b""
                except TimeoutError:
                    return False
                except OSError:
                    return True

            _until(trickle)
            cut.set()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert cut.is_set()
