"""Whether a file ends where its container says that it must.

FFmpeg plays what there is of a file and exits 0. What was cut off shows in the file itself: a
chunk that goes on behind its end, a last frame that is shorter than its own header says, an
Ogg stream without its last page. Only a file's own words count: what is not said is not held
against it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from audio_processor.media.declared import read_declared
from audio_processor.media.frames import FRAME_BYTES, ends_inside_a_frame, without_trailing_tags

_TAIL_BYTES = 2**17
"""More than the longest Ogg page, and dozens of the longest frames."""
_MAX_BOXES = 200_000
_MAX_CHUNKS = 1000
_OGG_ENDS = 4
_PS_END, _PS_PACK = 0xB9, 0xBA
_FLV_TAGS = (8, 9, 18)


@dataclass(frozen=True, slots=True)
class Cut:
    """A file that ends too early."""

    missing_bytes: int | None
    """None where the container does not say how many there should be."""
    present_bytes: int


def find_cut(path: Path, container: str) -> Cut | None:
    """Return how the file falls short of what its container promises; None where it does not.

    ``container`` is the first of FFmpeg's names for the demuxer. A container that promises
    nothing, or that is not read here, does not.
    """
    present = path.stat().st_size
    end = read_declared(path, container).audio_end
    with path.open("rb") as file:
        if container in _ENDS:
            try:
                end = _ENDS[container](file, present)
            except (struct.error, ValueError, OverflowError):
                end = None
        if end is not None and end > present:
            return Cut(end - present, present)
        if container not in _TAILS:
            return None
        tail = _tail(file, present)
    # nothing but zeros: room that a download reserved and never filled
    if _TAILS[container](tail) or (len(tail) == _TAIL_BYTES and not any(tail)):
        return Cut(None, present)
    return None


def _tail(file: BinaryIO, present: int) -> bytes:
    file.seek(max(0, present - _TAIL_BYTES))
    return file.read(_TAIL_BYTES)


# ── chunks ───────────────────────────────────────────────────────────────────────────────


def _aiff(file: BinaryIO, present: int) -> int | None:
    """Return where SSND ends."""
    at = 12
    for _ in range(_MAX_CHUNKS):
        if at + 8 > present:
            break
        file.seek(at)
        name = file.read(4)
        size = int.from_bytes(file.read(4), "big")
        if name == b"SSND":
            return at + 8 + size
        at += 8 + size + (size & 1)
    return None


def _avi(file: BinaryIO, present: int) -> int | None:
    """Return where the last ``movi`` list ends; OpenDML files have one in each RIFF."""
    at, end = 0, None
    for _ in range(_MAX_CHUNKS):
        if at + 12 > present:
            break
        file.seek(at)
        name, size, kind = struct.unpack("<4sI4s", file.read(12))
        if name == b"RIFF":
            at += 12
            continue
        if name == b"LIST" and kind == b"movi":
            end = at + 8 + size
        at += 8 + size + (size & 1)
    return end


def _mp4(file: BinaryIO, present: int) -> int | None:
    """Return where the last box of media, or of a fragment, ends (ISO/IEC 14496-12 §4.2)."""
    at, end = 0, None
    for _ in range(_MAX_BOXES):
        if at + 8 > present:
            break
        file.seek(at)
        header = file.read(16)
        size, kind = struct.unpack(">I4s", header[:8])
        if size == 1:
            size = struct.unpack(">Q", header[8:16])[0]
        if size < 8:  # 0 is "to the end of the file"
            break
        at += size
        if kind in (b"mdat", b"moof"):
            end = at
    return end


# ── the last page, the last frame ────────────────────────────────────────────────────────


def _ogg(tail: bytes) -> bool:
    """Whether the last page is cut short, or is not marked as its stream's last.

    RFC 3533 §6: the flag is set on the last page of a logical bitstream.
    """
    at = len(tail)
    while (at := tail.rfind(b"OggS", 0, at)) >= 0:
        header = tail[at : at + 27]
        if len(header) < 27:
            return True
        if header[4] or header[5] > 7:
            continue  # a page's data, by chance
        lacing = tail[at + 27 : at + 27 + header[26]]
        end = at + 27 + header[26] + sum(lacing)
        return end > len(tail) or not header[5] & _OGG_ENDS
    return False


def _mpeg_ps(tail: bytes) -> bool:
    """Whether the last packet of a program stream goes on behind its end.

    ISO/IEC 13818-1 §2.5: packs, and in them packets that say how long they are.
    """
    at = tail.find(b"\0\0\1\xba")
    while 0 <= at <= len(tail) - 4:
        code = tail[at + 3]
        if tail[at : at + 3] != b"\0\0\1" or code < _PS_END:
            at = tail.find(b"\0\0\1\xba", at + 1)
            continue
        if code == _PS_END:
            return False
        header = tail[at : at + 14].ljust(14, b"\0")
        if code == _PS_PACK:
            at += 14 + (header[13] & 7) if header[4] >> 6 == 1 else 12
        else:
            at += 6 + int.from_bytes(header[4:6], "big")
    return 0 <= at != len(tail)


def _flv(tail: bytes) -> bool:
    """Whether the file does not end with a tag and that tag's length (Adobe FLV 10.1, E.3)."""
    size = int.from_bytes(tail[-4:], "big")
    at = len(tail) - 4 - size
    if at < 0:
        return True
    data_bytes = int.from_bytes(tail[at + 1 : at + 4], "big")
    return tail[at] not in _FLV_TAGS or data_bytes + 11 != size


def _framed(container: str) -> Callable[[bytes], bool]:
    def ends_early(tail: bytes) -> bool:
        return ends_inside_a_frame(without_trailing_tags(tail), FRAME_BYTES[container])

    return ends_early


_ENDS: dict[str, Callable[[BinaryIO, int], int | None]] = {"aiff": _aiff, "avi": _avi, "mov": _mp4}
_TAILS: dict[str, Callable[[bytes], bool]] = {
    "ogg": _ogg,
    "mpeg": _mpeg_ps,
    "flv": _flv,
    **{container: _framed(container) for container in FRAME_BYTES},
}
