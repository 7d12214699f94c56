"""Our ends of a child's pipes, and the thread that watches over them.

Reads and writes block, which costs the least: the kernel hands over pages, Python is not
woken for every one. What blocks too long is ended from outside: the thread that drains stderr
looks at each pipe now and then, and a killed child's pipes wake whoever waits on them.
"""

from __future__ import annotations

import fcntl
import os
import select
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO

from audio_processor.telemetry import carried

PIPE_BYTES = 2**20
"""Wanted capacity; the kernel's default of 64 KiB is a fifth of a second of stereo float."""
STDERR_BYTES = 64 * 2**10
"""How much of the beginning of stderr is kept, and how much of its end."""
LEFT_OUT = "bytes left out …]"
"""How the line ends that stands for what was not kept."""
_LOOK_EVERY_S = 1.0


class ChildPipe:
    """One end of a pipe; ``waiting_since`` is the monotonic time of a call that has not ended."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self.waiting_since: float | None = None
        self._pipe = pipe
        with suppress(OSError):  # beyond the user's share of pipe memory: stay with the default
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write everything. Raises ``BrokenPipeError`` where the child has ended."""
        rest = memoryview(data)
        if rest.nbytes == 0:
            return
        rest = rest.cast("B")
        fd = self._pipe.fileno()
        while rest:
            self.waiting_since = time.monotonic()
            try:
                written = os.write(fd, rest[:PIPE_BYTES])  # a stall is a MiB that does not move
            finally:
                self.waiting_since = None
            rest = rest[written:]

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Read at least a byte, at most the buffer; 0 where the child has closed its end."""
        self.waiting_since = time.monotonic()
        try:
            return os.readv(self._pipe.fileno(), [buffer])
        finally:
            self.waiting_since = None

    def close(self) -> None:
        """Close it; closing twice is fine."""
        with suppress(BrokenPipeError):
            self._pipe.close()


class Watch:
    """A thread that keeps a bounded part of a child's stderr and ends the child if it is late.

    Late is a read or write of ours that has waited for ``stall_timeout_s``, or any time after
    ``deadline_s`` (monotonic). The first lines are kept besides the last ones: of a thousand
    complaints about one file, the first says what is wrong with it.
    """

    def __init__(
        self,
        stderr: IO[bytes],
        pipes: Sequence[ChildPipe],
        *,
        stall_timeout_s: float,
        deadline_s: float,
        kill: Callable[[], None],
        kept_bytes: int = STDERR_BYTES,
    ) -> None:
        self.late: str | None = None
        """Why the child was ended, once it was."""
        self._stderr = stderr
        self._pipes = pipes
        self._stall_timeout_s = stall_timeout_s
        self._deadline_s = deadline_s
        self._kill = kill
        self._kept_bytes = kept_bytes
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=carried(self._run), name="ffmpeg-watch", daemon=True)
        self._thread.start()

    def text(self) -> str:
        """What there is until now, with a line that says how much was left out."""
        with self._lock:
            head, tail, dropped = bytes(self._head), bytes(self._tail), self._dropped
        gap = f"\n[… {dropped} {LEFT_OUT}\n".encode() if dropped else b""
        return (head + gap + tail).decode("utf-8", "replace")

    def join(self, timeout_s: float) -> str:
        """Wait for the end of stderr, close it and return the text."""
        self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self._stderr.close()
        return self.text()

    def expire(self, why: str) -> None:
        """End the child for being late, unless that was done before."""
        self.late = self.late or why
        self._kill()

    def _run(self) -> None:
        fd = self._stderr.fileno()
        look_every_s = min(_LOOK_EVERY_S, self._stall_timeout_s / 4)
        while True:
            if wait_readable(fd, min(look_every_s, self._left_s())):
                chunk = os.read(fd, 65536)
                if not chunk:
                    return
                with self._lock:
                    self._keep(chunk)
            if self.late is None and (why := self._lateness()):
                self.expire(why)

    def _left_s(self) -> float:
        left_s = self._deadline_s - time.monotonic()
        return left_s if left_s > 0 else _LOOK_EVERY_S

    def _lateness(self) -> str | None:
        now = time.monotonic()
        if now >= self._deadline_s:
            return "took longer than it may"
        for pipe in self._pipes:
            since = pipe.waiting_since
            if since is not None and now - since >= self._stall_timeout_s:
                return f"stood still for {self._stall_timeout_s:g} s"
        return None

    def _keep(self, chunk: bytes) -> None:
        room = self._kept_bytes - len(self._head)
        self._head += chunk[: max(0, room)]
        self._tail += chunk[max(0, room) :]
        excess = len(self._tail) - self._kept_bytes
        if excess > 0:
            self._dropped += excess
            del self._tail[:excess]


def wait_readable(fd: int, timeout_s: float) -> bool:
    """Wait until the descriptor can be read (a pidfd: until the process has ended)."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(max(0.0, timeout_s) * 1000))
