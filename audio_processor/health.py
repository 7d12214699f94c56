"""``/live``, ``/ready`` and ``/metrics`` over HTTP, in a thread of their own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from threading import Thread
from typing import Protocol

from audio_processor.bounded_http import BoundedHTTPServer
from audio_processor.errors import ConfigError
from audio_processor.telemetry import Metrics

STUCK_AFTER_S = 120.0
"""A claim loop that has not come round for so long is stuck; a claim is bounded well below."""


class Watched(Protocol):
    """What the endpoints need to know of a worker."""

    last_loop_at: float
    """``time.monotonic()`` of the claim loop's last turn."""

    @property
    def hindrance(self) -> str | None:
        """Why it takes no further track, or None."""


@contextmanager
def serve_health(
    worker: Watched,
    metrics: Metrics,
    *,
    host: str,
    port: int,
    stuck_after_s: float = STUCK_AFTER_S,
) -> Iterator[int]:
    """Serve while the block runs; yield the port (0 asks for none and serves nothing).

    Raises ``ConfigError`` when the address cannot be bound.
    """
    if port == 0:
        yield 0
        return
    try:
        server = BoundedHTTPServer((host, port), _handler(worker, metrics, stuck_after_s))
    except OSError as error:
        raise ConfigError(
            f"worker.health_port: {host}:{port} cannot be served ({error.strerror}); "
            "choose another port, or 0 for none."
        ) from error
    thread = Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(
    worker: Watched, metrics: Metrics, stuck_after_s: float
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                page, content_type = metrics.exposition()
                self._answer(HTTPStatus.OK, page, content_type)
            elif self.path == "/live":
                idle_s = time.monotonic() - worker.last_loop_at
                stuck = idle_s > stuck_after_s
                self._say(not stuck, f"claim loop last turned {idle_s:.0f} s ago")
            elif self.path == "/ready":
                hindrance = worker.hindrance
                self._say(hindrance is None, hindrance or "ready")
            else:
                self._answer(HTTPStatus.NOT_FOUND, b"not found\n", "text/plain")

        def _say(self, fine: bool, text: str) -> None:  # a private one-liner
            status = HTTPStatus.OK if fine else HTTPStatus.SERVICE_UNAVAILABLE
            self._answer(status, f"{text}\n".encode(), "text/plain; charset=utf-8")

        def _answer(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # the base's name
            """Probes every few seconds are no news."""

    return Handler
