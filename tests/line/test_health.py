"""The endpoints tell the truth about the worker."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field

import pytest

from audio_processor.errors import ConfigError
from audio_processor.health import STUCK_AFTER_S, serve_health
from audio_processor.telemetry import Metrics


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
    import socket

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


def test_metrics_are_served() -> None:
    metrics = Metrics()
    metrics.track_ended("failed", "corrupt_media")
    with serve_health(FakeWorker(), metrics, host="127.0.0.1", port=_free_port()) as port:
        status, page = _get(port, "/metrics")
    assert status == 200
    assert 'audio_processor_tracks_total{error_code="corrupt_media",outcome="failed"} 1.0' in page


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
