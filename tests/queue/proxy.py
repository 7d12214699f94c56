"""A network that breaks, also at the worst moment: after the server did it, before we know."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class Proxy:
    """Forwards bytes to a server; once armed, swallows the answer to a COMMIT and hangs up.

    Or it keeps answers back, so that the server seems silent, or says something of its own in
    an answer's place.

    A server that cannot be reached looks to the client like one that hangs up at once.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._armed = threading.Event()
        self._garbage: bytes | None = None
        self._released = threading.Event()
        self._silent: frozenset[socket.socket] = frozenset()
        self.swallowed = 0
        self.kept_back = 0
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

    def fall_silent(self) -> None:
        """Keep back every answer on the connections that there are now; later ones are served."""
        with self._lock:
            self._silent = frozenset(self._open)

    def speak_up(self) -> None:
        """Deliver what was kept back, however late."""
        self._silent = frozenset()
        self._released.set()

    def garble_next_answer(self, garbage: bytes) -> None:
        """Give the client this in place of the next answer."""
        self._garbage = garbage

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
                if client in self._silent:
                    self.kept_back += 1
                    self._released.wait(60)
                if self._garbage is not None:
                    data, self._garbage = self._garbage, None
                client.sendall(data)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def proxied(host: str, port: int) -> Iterator[Proxy]:
    proxy = Proxy(host, port)
    try:
        yield proxy
    finally:
        proxy.speak_up()
        proxy.close()
