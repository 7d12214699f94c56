"""What an earlier attempt left under a track's prefix, told without listing the bucket.

Credentials need no ListBucket here, so the old playlists are read: they are written after
their segments, and name each one. An attempt that died before its first playlist leaves
nothing to read; the segments it wrote are written over by the next one's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Set
from urllib.parse import unquote

from audio_processor.delivery.metadata import METADATA_NAME
from audio_processor.delivery.playlist import PLAYLIST_NAME
from audio_processor.errors import LimitExceeded, SourceMissing
from audio_processor.ports import ObjectStore

_MAX_DOCUMENT_BYTES = 8 * 2**20
_MAX_NAMES = 100_000
_OURS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def leftovers(
    store: ObjectStore, prefix: str, tiers: Iterable[str], *, keep: Set[str]
) -> list[str]:
    """Return the names under ``prefix`` that an earlier attempt wrote and this one will not.

    Each tier's segments come before its playlist: cut short, the deletion can be repeated.
    Raises ``StoreUnavailable``.
    """
    names: list[str] = []
    for tier in sorted({*tiers, *_told_tiers(store, prefix)}):
        playlist = _read(store, f"{prefix}{tier}/{PLAYLIST_NAME}")
        if playlist is None:
            continue
        names += [f"{tier}/{name}" for name in _segment_names(playlist)]
        names.append(f"{tier}/{PLAYLIST_NAME}")
    return [name for name in dict.fromkeys(names[:_MAX_NAMES]) if name not in keep]


def _told_tiers(store: ObjectStore, prefix: str) -> Iterator[str]:
    """Yield the tiers that the old metadata.json and master playlist name."""
    text = _read(store, prefix + METADATA_NAME)
    if text is not None:
        yield from _metadata_tiers(text)
    master = _read(store, prefix + PLAYLIST_NAME)
    for line in _entries(master or ""):
        tier, slash, playlist = line.partition("/")
        if slash and playlist == PLAYLIST_NAME and _plain(unquote(tier)):
            yield unquote(tier)


def _metadata_tiers(text: str) -> Iterator[str]:
    try:
        document = json.loads(text)
    except ValueError:
        return
    renditions = document.get("renditions") if isinstance(document, dict) else None
    for rendition in renditions if isinstance(renditions, list) else []:
        name = rendition.get("name") if isinstance(rendition, dict) else None
        if isinstance(name, str) and _plain(name):
            yield name


def _segment_names(playlist: str) -> Iterator[str]:
    for line in _entries(playlist):
        name = unquote(line)
        if name.startswith("segment_") and name.endswith(".ts") and _plain(name):
            yield name


def _entries(playlist: str) -> Iterator[str]:
    return (line for line in playlist.splitlines() if line and not line.startswith("#"))


def _plain(name: str) -> bool:
    """Whether the name is of the kind that we write: it stays in its folder, whoever wrote it."""
    return _OURS.fullmatch(name) is not None


def _read(store: ObjectStore, key: str) -> str | None:
    try:
        return store.read(key, max_bytes=_MAX_DOCUMENT_BYTES).decode("utf-8", "replace")
    except (SourceMissing, LimitExceeded):
        return None
