"""Names that are one attempt's own, so that two attempts at a track never write one object.

Everything that a master playlist leads to carries its attempt's *generation* in its name and is
written once; the names that the contract fixes (the m4a, metadata.json, each tier's
``playlist.m3u8`` beside the one that the master names) are written over. So the master is the
one pointer that switches from one whole ladder to the next. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from audio_processor.delivery.playlist import (
    PLAYLIST_NAME,
    Variant,
    master_playlist,
    media_playlist,
    uri,
)
from audio_processor.model import HlsRendition, Package

_GENERATION = re.compile(r"[0-9a-z]{1,32}")
_OURS = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}/(segment_[A-Za-z0-9_]{1,64}\.ts|playlist_[0-9a-z]{1,32}\.m3u8)"
)


def segment_name(name: str, generation: str) -> str:
    """Return ``segment_<generation>_000.ts`` for ``segment_000.ts``."""
    return name.replace("segment_", f"segment_{generation}_", 1)


def playlist_name(generation: str) -> str:
    """Return the name of the tier playlists that this generation's master leads to."""
    return PLAYLIST_NAME.replace(".", f"_{generation}.")


def named(package: Package, generation: str) -> Package:
    """Return the package with the generation in its segments' names, playlists and metadata."""
    if not _GENERATION.fullmatch(generation):
        raise ValueError(f"{generation!r} cannot be part of a name")
    renditions = tuple(_renamed(rendition, generation) for rendition in package.renditions)
    variants = [Variant(r.tier.name, r.bandwidth, r.average_bandwidth) for r in renditions]
    return replace(
        package,
        renditions=renditions,
        master_playlist=master_playlist(variants, playlist=playlist_name(generation)),
        metadata={
            **package.metadata,
            "generation": generation,
            "renditions": [
                {**told, "playlist": f"{uri(told['name'])}/{playlist_name(generation)}"}
                for told in package.metadata["renditions"]
            ],
        },
    )


def written_once(package: Package, generation: str) -> Iterator[str]:
    """Yield the names, relative to the track's folder, that only this generation has."""
    for rendition in package.renditions:
        for segment in rendition.segments:
            yield f"{rendition.tier.name}/{segment.name}"
        yield f"{rendition.tier.name}/{playlist_name(generation)}"


def is_written_once(name: str) -> bool:
    """Whether it is the name of a segment or a generation's playlist, whoever wrote it down."""
    return _OURS.fullmatch(name) is not None


def _renamed(rendition: HlsRendition, generation: str) -> HlsRendition:
    segments = tuple(
        replace(segment, name=segment_name(segment.name, generation))
        for segment in rendition.segments
    )
    return replace(rendition, segments=segments, playlist=media_playlist(segments))
