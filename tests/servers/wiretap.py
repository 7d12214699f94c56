"""Someone on the line between a client and a server who writes down what passes."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class Wiretap:
    """Forwards every connection to a server; ``heard`` is all that passed, both ways."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._lock = threading.Lock()
        self._heard = bytearray()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def heard(self) -> bytes:
        with self._lock:
            return bytes(self._heard)

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self._forward, args=(one, other), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                with self._lock:
                    self._heard += data
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def tapped(host: str, port: int) -> Iterator[Wiretap]:
    tap = Wiretap(host, port)
    try:
        yield tap
    finally:
        tap.close()
