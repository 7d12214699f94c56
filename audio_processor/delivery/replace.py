"""What lies under a track's prefix that its master does not lead to, told without a listing.

Credentials need no ListBucket here. What an attempt is about to write it first writes down in
``leftovers.json``; once its master is live it deletes what is in there from attempts before it.
The ladder that it has replaced stays for as long as it is the last one: players and caches that
hold the old master still find everything. The next attempt deletes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from audio_processor.delivery.generation import is_written_once
from audio_processor.delivery.metadata import METADATA_NAME
from audio_processor.delivery.playlist import PLAYLIST_NAME
from audio_processor.errors import LimitExceeded, ObjectChanged, SourceMissing
from audio_processor.ports import ObjectStore

LEFTOVERS_NAME = "leftovers.json"
_MAX_DOCUMENT_BYTES = 8 * 2**20
_MAX_NAMES = 100_000


@dataclass(frozen=True, slots=True)
class Former:
    """What earlier attempts left under the prefix; names relative to it."""

    live: tuple[str, ...]
    """What the master that is there leads to, where one is."""
    dead: tuple[str, ...]
    """What nothing leads to any more."""

    @property
    def any(self) -> bool:
        """Whether an earlier attempt got as far as publishing."""
        return bool(self.live or self.dead)

    @property
    def tiers(self) -> frozenset[str]:
        """The tiers of the ladder that is there."""
        return frozenset(name.partition("/")[0] for name in self.live)


def former(store: ObjectStore, prefix: str) -> Former:
    """Return what is there. What others wrote is data: it cannot name an object outside.

    Raises ``StoreUnavailable``.
    """
    live = tuple(dict.fromkeys(_reachable(store, prefix)))
    dead = [name for name in _written_down(store, prefix) if name not in set(live)]
    return Former(live, tuple(dict.fromkeys(dead)))


def withdraw(
    store: ObjectStore, prefix: str, upload_id: str, *, insist: Callable[[], None]
) -> bool:
    """Take away the upload's master, if it has one: no listener is led to its ladder any more.

    Another upload's, which metadata.json tells, is left alone. ``insist`` raises where the row
    is no longer the caller's to fail. It is asked after the master was looked at, and only that
    master is deleted: whoever gets the row later publishes another. Raises ``StoreUnavailable``.
    """
    version = store.version(prefix + PLAYLIST_NAME)
    if version is None:
        return False
    try:
        told = json.loads(_read(store, prefix + METADATA_NAME) or "{}")
    except (ValueError, RecursionError):
        return False
    if not isinstance(told, dict) or told.get("upload_id") != upload_id:
        return False
    insist()
    try:
        store.delete(prefix + PLAYLIST_NAME, version=version)
    except ObjectChanged:  # published since, by an attempt after this one
        return False
    return True


def document(names: Iterable[str]) -> str:
    """Return ``leftovers.json``."""
    return json.dumps({"leftovers": sorted(set(names))[:_MAX_NAMES]}, indent=0) + "\n"


def _written_down(store: ObjectStore, prefix: str) -> Iterator[str]:
    try:
        told = json.loads(_read(store, prefix + LEFTOVERS_NAME) or "{}")
    except (ValueError, RecursionError):
        return
    names = told.get("leftovers") if isinstance(told, dict) else None
    for name in names[:_MAX_NAMES] if isinstance(names, list) else []:
        if isinstance(name, str) and is_written_once(name):
            yield name


def _reachable(store: ObjectStore, prefix: str) -> Iterator[str]:
    """Yield the names of our kind that the master leads to; a tier's own playlist is none."""
    for playlist in _entries(_read(store, prefix + PLAYLIST_NAME)):
        tier, slash, _ = playlist.partition("/")
        if not slash or not is_written_once(f"{tier}/segment_0.ts"):
            continue
        for uri in _entries(_read(store, prefix + playlist)):
            if is_written_once(f"{tier}/{uri}"):
                yield f"{tier}/{uri}"
        if is_written_once(playlist):
            yield playlist


def _entries(playlist: str | None) -> Iterator[str]:
    lines = (playlist or "").splitlines()
    return (unquote(line) for line in lines if line and not line.startswith("#"))


def _read(store: ObjectStore, key: str) -> str | None:
    try:
        return store.read(key, max_bytes=_MAX_DOCUMENT_BYTES).decode("utf-8", "replace")
    except (SourceMissing, LimitExceeded):
        return None
