"""Publish: a package into the store, so that a reader sees a whole ladder or none.

Segments of all tiers, then the tiers' playlists, the m4a, the documents, and last the master
playlist, which is what readers are given. A ladder that is there already (a retry, a
re-processing) loses its master first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TypeVar

from audio_processor.delivery.metadata import METADATA_NAME
from audio_processor.delivery.playlist import PLAYLIST_NAME
from audio_processor.delivery.replace import leftovers
from audio_processor.delivery.waveform import WAVEFORM_NAME
from audio_processor.model import Package, Receipt
from audio_processor.ports import ObjectStore

PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
SEGMENT_TYPE = "video/mp2t"
M4A_TYPE = "audio/mp4"
JSON_TYPE = "application/json"

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class CacheControl:
    """The ``Cache-Control`` of each kind of object; an empty one is not sent."""

    playlist: str = "public, max-age=300"
    segment: str = "public, max-age=86400"
    m4a: str = "public, max-age=86400"
    metadata: str = "public, max-age=300"


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
    cache_control: CacheControl,
    before_first_write: Callable[[], None],
    before_last_write: Callable[[], None],
    check: Callable[[], None] = lambda: None,
    advance: Callable[[float], None] = lambda _fraction: None,
    parallel_uploads: int = 4,
) -> Receipt:
    """Write the package under ``output_prefix`` (``…/<track_id>/``) and return the proof.

    ``before_first_write`` and ``before_last_write`` renew the lease, and raise where it is
    lost; ``check`` is asked before every object, from several threads, and raises where the
    job was cancelled. Raises ``StoreUnavailable``, with the master playlist not written.
    """
    segments = list(_segments(package, cache_control))
    rest = list(_documents(package, cache_control))
    master = _bytes(PLAYLIST_NAME, package.master_playlist, PLAYLIST_TYPE, cache_control.playlist)
    everything = [*segments, *rest, master]
    told = _Told(sum(each.size_bytes for each in everything), advance)

    def put(each: _Object) -> None:
        check()
        _put(store, output_prefix, each)
        told.add(each.size_bytes)

    tiers = [rendition.tier.name for rendition in package.renditions]
    old = leftovers(store, output_prefix, tiers, keep={each.name for each in everything})
    before_first_write()
    store.delete(output_prefix + PLAYLIST_NAME)
    _in_parallel(lambda name: store.delete(output_prefix + name), old, parallel_uploads)
    _in_parallel(put, segments, parallel_uploads)
    for each in rest:
        put(each)
    before_last_write()
    put(master)
    return Receipt(
        track_id=package.track_id,
        output_prefix=output_prefix,
        objects=len(everything),
        bytes=sum(each.size_bytes for each in everything),
        summary=package.summary,
    )


def _segments(package: Package, cache_control: CacheControl) -> Iterator[_Object]:
    for rendition in package.renditions:
        for segment in rendition.segments:
            yield _Object(
                f"{rendition.tier.name}/{segment.name}",
                segment.path,
                SEGMENT_TYPE,
                cache_control.segment,
                segment.size_bytes,
            )


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


def _put(store: ObjectStore, prefix: str, each: _Object) -> None:
    key, cache_control = prefix + each.name, each.cache_control or None
    if isinstance(each.content, bytes):
        store.write(each.content, key, content_type=each.content_type, cache_control=cache_control)
    else:
        store.upload(each.content, key, content_type=each.content_type, cache_control=cache_control)


def _in_parallel(work: Callable[[Item], None], items: Sequence[Item], threads: int) -> None:
    """Do the work on every item; the first failure stops what has not begun and is raised."""
    with ThreadPoolExecutor(threads, thread_name_prefix="publish") as pool:
        futures = [pool.submit(work, item) for item in items]
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
