"""An HTTP server that nobody can keep busy: bounded in connections, threads and time.

A probe that waits behind idle connections restarts the pod, so no client may hold one for
long, and none can keep another from being answered: where all places are taken, the oldest
connection gives up its own. A request is answered in milliseconds, a slow one was going to be
cut anyway.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
from typing import Any

from audio_processor.telemetry import get_logger

log = get_logger(__name__)

MAX_CONNECTIONS = 32
"""Far more than probes and scrapes need; each is a thread."""
DEADLINE_S = 10.0
"""From a connection's beginning to its end, however diligently it sends a byte now and then."""


class BoundedHTTPServer(ThreadingMixIn, HTTPServer):
    """Serves each connection on a thread of its own, ``max_connections`` at once."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    """Connections not yet accepted; beyond it the kernel lets a probe wait for a second or more."""

    def __init__(
        self,
        address: tuple[str, int],
        handler: type[BaseHTTPRequestHandler],
        *,
        max_connections: int = MAX_CONNECTIONS,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._max_connections = max_connections
        self._deadline_s = deadline_s
        self._lock = threading.Lock()
        self._open: dict[socket.socket, float] = {}
        """Connections that are served, oldest first, and when each began."""
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve the connection, in the oldest one's place where there is no other."""
        with self._lock:
            excess = len(self._open) + 1 - self._max_connections
            for oldest in list(self._open)[: max(0, excess)]:
                self._cut(oldest)
            self._open[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection and close it."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Cut what has been open too long. Called twice a second by ``serve_forever``."""
        with self._lock:
            now = time.monotonic()
            for connection, began_at in list(self._open.items()):
                if now - began_at < self._deadline_s:
                    break
                self._cut(connection)

    def handle_error(self, *_: Any) -> None:
        """Say what is ours; a client that went away, or that was cut, is no news."""
        if not isinstance(sys.exception(), OSError):
            log.exception("endpoint failed")

    def _cut(self, connection: socket.socket) -> None:
        """Wake its thread, which then closes it; the place is free from now on."""
        self._open.pop(connection, None)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
