"""An object store whose every call is timed: for the folder, where a call is a request."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from audio_processor.errors import AudioProcessorError, DiskFull, StoreUnavailable
from audio_processor.ports import ByteProgress, ObjectStore, Over

Observe = Callable[[str, float, str | None], None]
"""Told the operation, the seconds of a request, and its error's code where it failed."""


def unobserved(_operation: str, _seconds: float, _error: str | None) -> None:
    """Tell nobody."""


class ObservedStore:
    """``ports.ObjectStore`` over another one."""

    def __init__(self, store: ObjectStore, observe: Observe) -> None:
        self._store = store
        self._observe = observe

    def ping(self) -> None:
        """Return if the store answers."""
        with self._timed("ping"):
            self._store.ping()

    def size(self, key: str) -> int | None:
        """Bytes of the object, or None."""
        with self._timed("head"):
            return self._store.size(key)

    def version(self, key: str) -> str | None:
        """What tells this object from any other under the key, or None."""
        with self._timed("head"):
            return self._store.version(key)

    def download(
        self, key: str, target: Path, *, max_bytes: int, progress: ByteProgress | None = None
    ) -> int:
        """Write the object to ``target`` and return its size."""
        with self._timed("get"):
            return self._store.download(key, target, max_bytes=max_bytes, progress=progress)

    def read(self, key: str, *, max_bytes: int) -> bytes:
        """Return a small object whole."""
        with self._timed("get"):
            return self._store.read(key, max_bytes=max_bytes)

    def upload(
        self,
        source: Path,
        key: str,
        *,
        content_type: str,
        cache_control: str | None = None,
        over: Over | None = None,
        progress: ByteProgress | None = None,
    ) -> None:
        """Store the file."""
        with self._timed("put"):
            self._store.upload(
                source,
                key,
                content_type=content_type,
                cache_control=cache_control,
                over=over,
                progress=progress,
            )

    def write(
        self,
        data: bytes,
        key: str,
        *,
        content_type: str,
        cache_control: str | None = None,
        over: Over | None = None,
        progress: ByteProgress | None = None,
    ) -> None:
        """Store the bytes."""
        with self._timed("put"):
            self._store.write(
                data,
                key,
                content_type=content_type,
                cache_control=cache_control,
                over=over,
                progress=progress,
            )

    def move(self, source_key: str, target_key: str) -> None:
        """Copy then delete."""
        with self._timed("move"):
            self._store.move(source_key, target_key)

    def delete(self, key: str, *, version: str | None = None) -> None:
        """Delete the object, or only this version."""
        with self._timed("delete"):
            self._store.delete(key, version=version)

    def describe(self) -> str:
        """Where this store is, for messages."""
        return self._store.describe()

    @contextmanager
    def _timed(self, operation: str) -> Iterator[None]:
        started = time.monotonic()
        error: str | None = None
        try:
            yield
        except (StoreUnavailable, DiskFull) as failure:
            error = failure.code
            raise
        except AudioProcessorError:
            raise  # an answer (no such object), or the job's own end
        except Exception:
            error = AudioProcessorError.code
            raise
        finally:
            self._observe(operation, time.monotonic() - started, error)
