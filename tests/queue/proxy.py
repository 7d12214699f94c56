"""A network that breaks, also at the worst moment: after the server did it, before we know."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class Proxy:
    """Forwards bytes to a server; once armed, swallows the answer to a COMMIT and hangs up.

    A server that cannot be reached looks to the client like one that hangs up at once.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._armed = threading.Event()
        self.swallowed = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def swallow_next_commit(self) -> None:
        self._armed.set()

    def cut(self) -> int:
        """Break every connection, whatever is under way on it; return how many there were."""
        with self._lock:
            broken = tuple(self._open)
        for client in broken:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        return len(broken)

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            self._open.add(client)
        try:
            with contextlib.suppress(OSError):
                self._forward(client)
        finally:
            with self._lock:
                self._open.discard(client)
            client.close()

    def _forward(self, client: socket.socket) -> None:
        committing = threading.Event()
        with socket.create_connection(self._target) as server:
            backward = threading.Thread(target=self._answers, args=(server, client, committing))
            backward.start()
            with contextlib.suppress(OSError):
                while data := client.recv(65536):
                    if b"COMMIT" in data and self._armed.is_set():
                        self._armed.clear()
                        committing.set()
                    server.sendall(data)
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            backward.join()

    def _answers(
        self, server: socket.socket, client: socket.socket, committing: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if committing.is_set():
                    self.swallowed += 1
                    break
                client.sendall(data)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def proxied(host: str, port: int) -> Iterator[Proxy]:
    proxy = Proxy(host, port)
    try:
        yield proxy
    finally:
        proxy.close()
