"""An object store in memory that remembers what was asked of it, in order."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from audio_processor.errors import LimitExceeded, ObjectChanged, SourceMissing, StoreUnavailable
from audio_processor.ports import ByteProgress, Over


@dataclass(frozen=True, slots=True)
class Stored:
    data: bytes
    content_type: str
    cache_control: str | None


@dataclass
class MemoryStore:
    """``ports.ObjectStore`` over a dict; refuses writes once ``writes_left`` are used up."""

    objects: dict[str, Stored] = field(default_factory=dict)
    log: list[tuple[str, str]] = field(default_factory=list)
    writes_left: int | None = None
    at_each_change: Callable[[], None] = lambda: None
    before_each_put: Callable[[str], None] = lambda _key: None
    before_each_delete: Callable[[str], None] = lambda _key: None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ping(self) -> None: ...

    def size(self, key: str) -> int | None:
        stored = self.objects.get(key)
        return None if stored is None else len(stored.data)

    def version(self, key: str) -> str | None:
        stored = self.objects.get(key)
        return None if stored is None else hashlib.sha256(stored.data).hexdigest()

    def download(
        self, key: str, target: Path, *, max_bytes: int, progress: ByteProgress | None = None
    ) -> int:
        return target.write_bytes(self.read(key, max_bytes=max_bytes))

    def read(self, key: str, *, max_bytes: int) -> bytes:
        stored = self.objects.get(key)
        if stored is None:
            raise SourceMissing(f"There is no {key}.")
        if len(stored.data) > max_bytes:
            raise LimitExceeded(f"{key} is too large.")
        return stored.data

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
        self._store(key, Stored(source.read_bytes(), content_type, cache_control), over)

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
        self._store(key, Stored(data, content_type, cache_control), over)

    def move(self, source_key: str, target_key: str) -> None:
        raise AssertionError("publishing moves nothing")

    def delete(self, key: str, *, version: str | None = None) -> None:
        self.before_each_delete(key)
        with self._lock:
            if version is not None and self.version(key) not in {None, version}:
                raise ObjectChanged(f"{key} is another's.")
            self.objects.pop(key, None)
            self.log.append(("delete", key))
            self.at_each_change()

    def describe(self) -> str:
        return "memory"

    def _store(self, key: str, stored: Stored, over: Over | None) -> None:
        self.before_each_put(key)
        with self._lock:
            if over is not None and over.version != self.version(key):
                raise ObjectChanged(f"{key} is another's.")
            if self.writes_left == 0:
                raise StoreUnavailable("The store is down.")
            if self.writes_left is not None:
                self.writes_left -= 1
            self.objects[key] = stored
            self.log.append(("put", key))
            self.at_each_change()
