"""Publish: a package into the store, so that a reader sees a whole ladder or none.

What only this attempt writes (segments and the playlists of the tiers), then what has the same
name at every attempt (the tiers' fixed playlists, the m4a, the documents), and last the master
playlist, which is what readers are given. A ladder that is there already (a retry, a
re-processing) stays whole until that moment, and for the players that hold its master after it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TypedDict, TypeVar

from audio_processor.delivery.generation import named, playlist_name
from audio_processor.delivery.metadata import METADATA_NAME
from audio_processor.delivery.playlist import PLAYLIST_NAME
from audio_processor.delivery.replace import LEFTOVERS_NAME, Former, document, former
from audio_processor.delivery.waveform import WAVEFORM_NAME
from audio_processor.errors import AudioProcessorError, ObjectChanged, StoreUnavailable
from audio_processor.model import Package, Receipt
from audio_processor.ports import ByteProgress, ObjectStore, Over
from audio_processor.telemetry import carried, get_logger

PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
SEGMENT_TYPE = "video/mp2t"
M4A_TYPE = "audio/mp4"
JSON_TYPE = "application/json"
_MAX_TRIES = 4

Item = TypeVar("Item")
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CacheControl:
    """The ``Cache-Control`` of each kind of object; an empty one is not sent."""

    playlist: str = "public, max-age=300"
    segment: str = "public, max-age=31536000, immutable"
    m4a: str = "public, max-age=86400"
    metadata: str = "public, max-age=300"


class _How(TypedDict):
    """How an object is stored."""

    content_type: str
    cache_control: str | None
    over: Over | None
    progress: ByteProgress


@dataclass(frozen=True, slots=True)
class _Object:
    """One object to be: a file's content or bytes, and what is said of it."""

    name: str
    content: Path | bytes
    content_type: str
    cache_control: str
    size_bytes: int


def publish(
    package: Package,
    store: ObjectStore,
    *,
    output_prefix: str,
    generation: str,
    cache_control: CacheControl,
    renew: Callable[[], None],
    check: Callable[[], None] = lambda: None,
    advance: Callable[[float], None] = lambda _fraction: None,
    parallel_uploads: int = 4,
) -> Receipt:
    """Write the package under ``output_prefix`` (``…/<track_id>/``) and return the proof.

    ``generation`` is this attempt's own. ``renew`` renews the lease, ``check`` is asked before
    every request, from several threads; each raises where the job may not go on. Raises
    ``StoreUnavailable``, with the master playlist as it was.
    """
    package = named(package, generation)
    once = list(_written_once(package, generation, cache_control))
    fixed = list(_documents(package, cache_control))
    master = _bytes(PLAYLIST_NAME, package.master_playlist, PLAYLIST_TYPE, cache_control.playlist)
    everything = [*once, *fixed, master]
    folder = _Folder(store, output_prefix, check, renew)
    told = _Told(sum(each.size_bytes for each in everything), advance)
    before = former(store, output_prefix)

    def put(each: _Object) -> None:
        folder.put(each)
        told.add(each.size_bytes)

    renew()
    folder.leave([*before.live, *before.dead, *(each.name for each in once)])
    _in_parallel(put, once, parallel_uploads)
    for each in fixed:
        folder.replace(each, look_first=before.any)
        told.add(each.size_bytes)
    renew()
    folder.replace(master, look_first=before.any)
    told.add(master.size_bytes)
    _tidy(folder, before, {r.tier.name for r in package.renditions}, parallel_uploads)
    return Receipt(
        track_id=package.track_id,
        output_prefix=output_prefix,
        objects=len(everything),
        bytes=sum(each.size_bytes for each in everything),
        summary=package.summary,
    )


@dataclass(frozen=True, slots=True)
class _Folder:
    """The track's folder in the store, as one attempt may write to it."""

    store: ObjectStore
    prefix: str
    check: Callable[[], None]
    renew: Callable[[], None]

    def put(self, each: _Object, over: Over | None = None) -> None:
        """Store it, if the job may go on."""
        self.check()
        key, cache_control = self.prefix + each.name, each.cache_control or None
        how: _How = {
            "content_type": each.content_type,
            "cache_control": cache_control,
            "over": over,
            "progress": lambda _bytes: self.check(),
        }
        if isinstance(each.content, bytes):
            self.store.write(each.content, key, **how)
        else:
            self.store.upload(each.content, key, **how)

    def replace(self, each: _Object, *, look_first: bool) -> None:
        """Store it under a name that other attempts use too, over what is there at this moment.

        The version is read before the lease is renewed: whoever gets the row after us writes
        later than that, so that our object, however late it arrives, is refused.
        """
        version = None
        for attempt in range(_MAX_TRIES):
            if attempt or look_first:
                version = self.store.version(self.prefix + each.name)
                self.renew()
            try:
                return self.put(each, Over(version))
            except ObjectChanged:  # a late one's, or our own whose answer was lost
                continue
        raise StoreUnavailable(f"{each.name} of {self.prefix} is written to by others as well.")

    def leave(self, names: Sequence[str]) -> None:
        """Write down what the next attempt is to delete."""
        if names:
            self.put(_bytes(LEFTOVERS_NAME, document(names), JSON_TYPE, ""))
        else:
            self.store.delete(self.prefix + LEFTOVERS_NAME)

    def delete(self, name: str) -> None:
        """Delete an object that no attempt is going to write again."""
        self.store.delete(self.prefix + name)


def _tidy(folder: _Folder, before: Former, tiers: Set[str], threads: int) -> None:
    """Delete what attempts before the one that was replaced have left, and tiers that are gone.

    The track is published: what goes wrong now is for the next attempt to clear up.
    """
    try:
        gone = [f"{tier}/{PLAYLIST_NAME}" for tier in sorted(before.tiers - tiers)]
        _in_parallel(folder.delete, [*before.dead, *gone], threads)
        folder.leave(before.live)
    except AudioProcessorError as error:
        log.info("leftovers not cleared up", prefix=folder.prefix, error=str(error))


def _written_once(
    package: Package, generation: str, cache_control: CacheControl
) -> Iterator[_Object]:
    for rendition in package.renditions:
        tier = rendition.tier.name
        for segment in rendition.segments:
            yield _Object(
                f"{tier}/{segment.name}",
                segment.path,
                SEGMENT_TYPE,
                cache_control.segment,
                segment.size_bytes,
            )
        name = f"{tier}/{playlist_name(generation)}"
        yield _bytes(name, rendition.playlist, PLAYLIST_TYPE, cache_control.segment)


def _documents(package: Package, cache_control: CacheControl) -> Iterator[_Object]:
    for rendition in package.renditions:
        name = f"{rendition.tier.name}/{PLAYLIST_NAME}"
        yield _bytes(name, rendition.playlist, PLAYLIST_TYPE, cache_control.playlist)
    m4a = package.m4a
    yield _Object(f"{package.track_id}.m4a", m4a.path, M4A_TYPE, cache_control.m4a, m4a.size_bytes)
    yield _bytes(WAVEFORM_NAME, package.waveform_json, JSON_TYPE, cache_control.metadata)
    metadata = json.dumps(package.metadata, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    yield _bytes(METADATA_NAME, metadata, JSON_TYPE, cache_control.metadata)


def _bytes(name: str, text: str, content_type: str, cache_control: str) -> _Object:
    data = text.encode()
    return _Object(name, data, content_type, cache_control, len(data))


def _in_parallel(work: Callable[[Item], None], items: Sequence[Item], threads: int) -> None:
    """Do the work on every item; the first failure stops what has not begun and is raised."""
    with ThreadPoolExecutor(threads, thread_name_prefix="publish") as pool:
        futures = [pool.submit(carried(work), item) for item in items]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


class _Told:
    """Adds up what is stored, from any thread, and tells the fraction."""

    def __init__(self, total: int, advance: Callable[[float], None]) -> None:
        self._total = max(1, total)
        self._advance = advance
        self._done = 0
        self._lock = Lock()

    def add(self, size_bytes: int) -> None:
        with self._lock:
            self._done += size_bytes
            self._advance(self._done / self._total)
