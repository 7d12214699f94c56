"""Whether a file goes on behind the end that its container states.

Two files in one, or a header that was written too early and never mended: players stop at the
stated end, and what comes after it would be lost without a word. Chunks that a container may
have behind its audio are walked over; tags that others append, and padding, are let be.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from audio_processor.media.declared import read_declared

_LEAST_BYTES = 4096
"""Less than this is somebody's trailing tag or a block's padding."""
_MAX_PARTS = 10_000
_APPENDED_TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN")
_W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_SECOND = frozenset({b"data", b"RIFF", b"RF64", b"BW64"})


def find_surplus(path: Path, container: str) -> int | None:
    """Return how many bytes there are behind the container's end; None where it is its end.

    ``container`` is the first of FFmpeg's names for the demuxer.
    """
    walk = _WALKS.get(container)
    if walk is None:
        return None
    present = path.stat().st_size
    audio_end = read_declared(path, container).audio_end
    if audio_end is not None and audio_end > present:
        return None
    with path.open("rb") as file:
        try:
            end = walk(file, present, audio_end)
        except (struct.error, ValueError, OverflowError):
            return None
        if end is None or present - end < _LEAST_BYTES:
            return None
        file.seek(end)
        rest = file.read(_LEAST_BYTES)
    if rest.startswith(_APPENDED_TAGS) or not any(rest):
        return None
    return present - end


def _wav(file: BinaryIO, present: int, audio_end: int | None) -> int | None:
    """Return where a second ``data`` begins, or what is no chunk any more."""
    if audio_end is None:
        return None
    at = audio_end
    for _ in range(_MAX_PARTS):
        file.seek(at)
        header = file.read(9)
        # a chunk of odd length is followed by a byte of padding, which some leave out
        pad = next((pad for pad in (at & 1, 0, 1) if _is_name(header[pad : pad + 4])), None)
        if pad is None or header[pad : pad + 4] in _SECOND:
            return at
        file.seek(at + pad + 4)
        size = struct.unpack("<I", file.read(4))[0]
        at += pad + 8 + size
        if at >= present:
            return present
    return None


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and name.isascii() and name.decode().isprintable()


def _w64(file: BinaryIO, present: int, audio_end: int | None) -> int | None:
    at = present if audio_end is None else audio_end
    for _ in range(_MAX_PARTS):
        if at + 24 > present:
            break
        at = (at + 7) // 8 * 8
        file.seek(at)
        name, size = struct.unpack("<16sQ", file.read(24))
        if name[4:] != _W64_TAIL or name[:4] == b"data" or size < 24:
            return at
        at += size
    return at


def _aiff(file: BinaryIO, present: int, _: int | None) -> int | None:
    """Return where the FORM ends: there is nothing behind it."""
    file.seek(4)
    return min(8 + int.from_bytes(file.read(4), "big"), present)


def _caf(file: BinaryIO, present: int, _: int | None) -> int | None:
    at = 8
    for _part in range(_MAX_PARTS):
        if at + 12 > present:
            break
        file.seek(at)
        name, size = struct.unpack(">4sq", file.read(12))
        if size < 0:  # to the end of the file
            return None
        if not _is_name(name) or name == b"caff":
            return at
        at += 12 + size
    return at


def _mp4(file: BinaryIO, present: int, _: int | None) -> int | None:
    """Return where a second ``ftyp`` or ``moov`` begins: another file."""
    at, seen = 0, set()
    for _part in range(_MAX_PARTS):
        if at + 8 > present:
            break
        file.seek(at)
        size, kind = struct.unpack(">I4s", file.read(8))
        if size == 1:
            size = struct.unpack(">Q", file.read(8))[0]
        if kind in seen:
            return at
        if kind in (b"ftyp", b"moov"):
            seen.add(kind)
        if size < 8:
            break
        at += size
    return None


def _asf(file: BinaryIO, present: int, audio_end: int | None) -> int | None:
    """Return where a second header begins behind the data and its indexes."""
    at = present if audio_end is None else audio_end
    for _ in range(_MAX_PARTS):
        if at + 24 > present:
            break
        file.seek(at)
        name, size = struct.unpack("<16sQ", file.read(24))
        if name == _ASF_HEADER or size < 24:
            return at
        at += size
    return at


_WALKS: dict[str, Callable[[BinaryIO, int, int | None], int | None]] = {
    "wav": _wav,
    "w64": _w64,
    "aiff": _aiff,
    "caf": _caf,
    "mov": _mp4,
    "asf": _asf,
}
