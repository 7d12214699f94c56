"""Our ends of a child's pipes: no read or write waits longer than it is allowed to.

The descriptors are non-blocking on our side only, so a wait is a ``poll`` with a time limit
and costs nothing while bytes flow.
"""

from __future__ import annotations

import fcntl
import os
import select
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO

PIPE_BYTES = 2**20
"""Wanted capacity; the kernel's default of 64 KiB is a third of a second of stereo float."""

STDERR_BYTES = 64 * 2**10
"""How much of the beginning of stderr is kept, and how much of its end."""

AllowedS = Callable[[], float]


class Stalled(Exception):
    """No byte moved in the time allowed."""


class PipeWriter:
    """The write end of a child's stdin."""

    def __init__(self, pipe: IO[bytes], allowed_s: AllowedS) -> None:
        self._pipe = pipe
        self._allowed_s = allowed_s
        _prepare(pipe.fileno())

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write everything. Raises ``Stalled``, ``BrokenPipeError``."""
        rest = memoryview(data)
        if rest.nbytes == 0:
            return
        rest = rest.cast("B")
        fd = self._pipe.fileno()
        while rest:
            try:
                rest = rest[os.write(fd, rest) :]
            except BlockingIOError:
                if not _wait(fd, select.POLLOUT, self._allowed_s()):
                    raise Stalled from None

    def close(self) -> None:
        """Close it; closing twice is fine."""
        with suppress(BrokenPipeError):
            self._pipe.close()


class PipeReader:
    """The read end of a child's stdout."""

    def __init__(self, pipe: IO[bytes], allowed_s: AllowedS) -> None:
        self._pipe = pipe
        self._allowed_s = allowed_s
        _prepare(pipe.fileno())

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Read at least a byte, at most the buffer; 0 at the end. Raises ``Stalled``."""
        fd = self._pipe.fileno()
        while True:
            try:
                return os.readv(fd, [buffer])
            except BlockingIOError:
                if not wait_readable(fd, self._allowed_s()):
                    raise Stalled from None

    def close(self) -> None:
        """Close it; closing twice is fine."""
        self._pipe.close()


class StderrTail:
    """Drains a child's stderr in a thread, so that it never blocks, and keeps a bounded part.

    The first lines are kept besides the last ones: of a thousand complaints about one file,
    the first says what is wrong with it.
    """

    def __init__(self, pipe: IO[bytes], kept_bytes: int = STDERR_BYTES) -> None:
        self._pipe = pipe
        self._kept_bytes = kept_bytes
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._drain, name="ffmpeg-stderr", daemon=True)
        self._thread.start()

    def text(self) -> str:
        """What there is until now, with a line that says how much was left out."""
        with self._lock:
            head, tail, dropped = bytes(self._head), bytes(self._tail), self._dropped
        gap = f"\n[… {dropped} bytes left out …]\n".encode() if dropped else b""
        return (head + gap + tail).decode("utf-8", "replace")

    def join(self, timeout_s: float) -> str:
        """Wait for the end of stderr, close it and return the text."""
        self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self._pipe.close()
        return self.text()

    def _drain(self) -> None:
        while chunk := os.read(self._pipe.fileno(), 65536):
            with self._lock:
                self._keep(chunk)

    def _keep(self, chunk: bytes) -> None:
        room = self._kept_bytes - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:] if room > 0 else chunk
        excess = len(self._tail) - self._kept_bytes
        if excess > 0:
            self._dropped += excess
            del self._tail[:excess]


def wait_readable(fd: int, timeout_s: float) -> bool:
    """Wait until the descriptor can be read (a pidfd: until the process has ended)."""
    return _wait(fd, select.POLLIN, timeout_s)


def _wait(fd: int, event: int, timeout_s: float) -> bool:
    poll = select.poll()
    poll.register(fd, event)
    return bool(poll.poll(timeout_s * 1000))


def _prepare(fd: int) -> None:
    os.set_blocking(fd, False)
    with suppress(OSError):  # beyond the user's share of pipe memory: stay with the default
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
