"""An object cut into parts, and the parts run on a few threads. Nothing here speaks S3."""

from __future__ import annotations

import errno
import io
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, NamedTuple, TypeVar

from audio_processor.ports import ByteProgress
from audio_processor.storage.options import MIB
from audio_processor.telemetry import carried

MAX_PARTS = 10_000
"""Amazon S3 User Guide, *Multipart upload limits*."""

T = TypeVar("T")


class Span(NamedTuple):
    """Bytes ``start`` … ``start + length - 1`` of an object."""

    start: int
    length: int

    @property
    def header(self) -> str:
        """As a Range header has it (RFC 9110 §14.1.2)."""
        return f"bytes={self.start}-{self.start + self.length - 1}"


def spans(size: int, part_size: int, start: int = 0) -> list[Span]:
    """Cut ``start`` … ``size`` into parts of ``part_size`` bytes, the last one shorter."""
    return [Span(at, min(part_size, size - at)) for at in range(start, size, part_size)]


def part_size_for(size: int, least: int) -> int:
    """Return the part size that brings ``size`` into 10,000 parts: ``least``, or whole MiB."""
    needed = -(-size // MAX_PARTS)
    return least if needed <= least else -(-needed // MIB) * MIB


class FileSpan(io.RawIOBase):
    """A span of an open file as a file: many can be read at once from one descriptor."""

    def __init__(self, fd: int, span: Span) -> None:
        self._fd = fd
        self._span = span
        self._at = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes: a body is read once to sign it and once to send it."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move within the span."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._span.length}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """Return the position within the span."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read; raises ``OSError`` where the file has become shorter than the span says."""
        view = memoryview(buffer)[: max(0, self._span.length - self._at)]
        if not view:
            return 0
        count = os.preadv(self._fd, [view], self._span.start + self._at)
        if not count:
            raise OSError(errno.EIO, "The file became shorter while it was being read")
        self._at += count
        return count


def in_parallel(
    tasks: Sequence[Callable[[threading.Event], tuple[int, T]]],
    workers: int,
    progress: ByteProgress | None,
) -> Iterator[T]:
    """Run the tasks on a few threads and yield results as they come, not in order.

    A task is given the event that tells it to stop, and returns the bytes it moved and its
    result. Progress is told on the caller's thread. The first exception, also one that
    ``progress`` raises, stops the other tasks and is raised once they have ended.
    """
    if not tasks:
        return
    stop = threading.Event()
    with ThreadPoolExecutor(min(workers, len(tasks))) as pool:
        futures = [pool.submit(carried(task), stop) for task in tasks]
        try:
            for future in as_completed(futures):
                moved, result = future.result()
                if progress:
                    progress(moved)
                yield result
        finally:
            stop.set()
            for future in futures:
                future.cancel()
