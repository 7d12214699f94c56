"""Whether a file's audio is encrypted: FFmpeg decodes it all the same, to errors or to noise.

Read here because FFmpeg does not say: for MP4 it shows the codec that was encrypted, for
Matroska it drops the track.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_LOCKED_ENTRIES = frozenset({b"enca", b"drms", b"aavd"})
"""Sample entries: Common Encryption (ISO/IEC 23001-7), FairPlay, Audible."""
_PARENTS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl"})
_STSD_HEADER_BYTES = 8
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_ENCRYPTION = frozenset(
    bytes.fromhex(guid)
    for guid in (
        "fbb3112223bdd211b4b700a0c955fc6e",  # Content Encryption
        "14e68a29 2226 174c b935 dae07ee9289c".replace(" ", ""),  # Extended Content Encryption
    )
)
_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT, _TRACKS, _CLUSTER = 0x18538067, 0x1654AE6B, 0x1F43B675
_TO_ENCRYPTION = frozenset({_SEGMENT, _TRACKS, 0xAE, 0x6D80, 0x6240})
"""Segment, Tracks, TrackEntry, ContentEncodings, ContentEncoding (RFC 9559 §5.1.4)."""
_CONTENT_ENCRYPTION = 0x5035
_MAX_PARTS = 10_000


def is_locked(path: Path) -> bool:
    """Whether the file is MP4, ASF or Matroska with encrypted sound in it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        beginning = file.read(16)
        try:
            if beginning[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"):
                return _mp4(file, size)
            if beginning == _ASF_HEADER:
                return _asf(file, size)
            if beginning.startswith(_EBML):
                return _matroska(file, size)
        except (struct.error, ValueError, OverflowError):
            return False
    return False


def _mp4(file: BinaryIO, file_bytes: int) -> bool:
    """Look for the type of each sample entry, however many tracks there are."""
    waiting = [(0, file_bytes)]
    parts = 0
    while waiting:
        at, end = waiting.pop()
        while at + 8 <= end and (parts := parts + 1) <= _MAX_PARTS:
            file.seek(at)
            size, kind = struct.unpack(">I4s", file.read(8))
            body = at + 8
            if size == 1:
                size, body = struct.unpack(">Q", file.read(8))[0], at + 16
            elif size == 0:
                size = end - at
            if size < body - at:
                break
            if kind == b"stsd":
                waiting.append((body + _STSD_HEADER_BYTES, min(at + size, end)))
            elif kind in _LOCKED_ENTRIES:
                return True
            elif kind in _PARENTS:
                waiting.append((body, min(at + size, end)))
            at += size
    return False


def _asf(file: BinaryIO, file_bytes: int) -> bool:
    file.seek(24)
    count = struct.unpack("<I", file.read(4))[0]
    at = 30
    for _ in range(min(count, _MAX_PARTS)):
        file.seek(at)
        name, size = struct.unpack("<16sQ", file.read(24))
        if name in _ASF_ENCRYPTION:
            return True
        at += size
        if size < 24 or at >= file_bytes:
            break
    return False


def _matroska(file: BinaryIO, file_bytes: int) -> bool:
    waiting = [(0, file_bytes)]
    parts = 0
    while waiting:
        start, end = waiting.pop()
        for identity, body, after in _elements(file, start, end):
            parts += 1
            if identity == _CONTENT_ENCRYPTION:
                return True
            if identity == _CLUSTER or parts > _MAX_PARTS:
                break
            if identity in _TO_ENCRYPTION:
                waiting.append((body, after))
    return False


def _elements(file: BinaryIO, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the identity of each EBML element, and where its body begins and ends."""
    while at < end:
        file.seek(at)
        header = file.read(12)
        identity, used = _number(header, 0, keep_marker=True)
        size, body = _number(header, used, keep_marker=False)
        unknown = size == (1 << 7 * (body - used)) - 1
        after = end if unknown else min(at + body + size, end)
        yield identity, at + body, after
        at = after


def _number(header: bytes, at: int, *, keep_marker: bool) -> tuple[int, int]:
    """Return an EBML number and the offset behind it. Raises ``ValueError`` where it is none."""
    if at >= len(header) or not header[at]:
        raise ValueError("no EBML number")
    length = 9 - header[at].bit_length()
    if at + length > len(header):
        raise ValueError("an EBML number is cut short")
    value = int.from_bytes(header[at : at + length], "big")
    return (value if keep_marker else value & (1 << 7 * length) - 1), at + length
