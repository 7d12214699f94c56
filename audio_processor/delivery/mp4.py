"""MP4 boxes (ISO/IEC 14496-12): finding them, reading the few that gapless playback rests on.

Reads only the headers of boxes it is not asked for, so a file's length costs nothing.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

_HEADER_BYTES = 8
_MAX_TABLE_BYTES = 64 * 2**20
_MAX_SAMPLES = _MAX_TABLE_BYTES // 4
_COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Box:
    """Where one box lies in the file."""

    kind: str
    start: int
    body: int
    """Where its content begins."""
    end: int


@dataclass(frozen=True, slots=True)
class Edit:
    """An edit list of one entry, in the track's own frames."""

    media_time: int
    """The first frame that is played: the priming before it is not."""
    duration: int


@dataclass(frozen=True, slots=True)
class Track:
    """An audio file's only track, as far as its playback length rests on it."""

    timescale: int
    movie_timescale: int
    duration: int
    """Frames in the media, priming and remainder included."""
    edit: Edit | None
    sample_sizes: Sequence[int]
    chunk_offsets: Sequence[int]


def boxes(file: BinaryIO, start: int, end: int) -> Iterator[Box]:
    """Yield the boxes between two offsets. Raises ``ValueError`` where they do not fit there."""
    while start < end:
        file.seek(start)
        header = file.read(_HEADER_BYTES)
        if len(header) < _HEADER_BYTES:
            raise ValueError(f"an MP4 box is cut short at byte {start}")
        size, kind = struct.unpack(">I4s", header)
        body = start + _HEADER_BYTES
        if size == 1:
            large = file.read(8)
            size, body = int.from_bytes(large, "big"), body + 8
        elif size == 0:
            size = end - start
        if size < body - start or start + size > end:
            raise ValueError(f"an MP4 box of {size} bytes does not fit at byte {start}")
        yield Box(kind.decode("latin-1"), start, body, start + size)
        start += size


def top_level(file: BinaryIO) -> list[Box]:
    """Return the file's own boxes in order."""
    return list(boxes(file, 0, file.seek(0, 2)))


def find(file: BinaryIO, path: str) -> Box:
    """Return the first box at a path such as ``moov/trak/mdia/mdhd``.

    Raises ``ValueError`` where there is none.
    """
    box = Box("", 0, 0, file.seek(0, 2))
    for kind in path.split("/"):
        inner = next((b for b in boxes(file, box.body, box.end) if b.kind == kind), None)
        if inner is None:
            raise ValueError(f"the file has no {path} box")
        box = inner
    return box


def read_track(file: BinaryIO) -> Track:
    """Return the first track. Raises ``ValueError`` where a box is missing or damaged."""
    movie_timescale, _ = _clock(_content(file, "moov/mvhd"))
    timescale, duration = _clock(_content(file, "moov/trak/mdia/mdhd"))
    return Track(
        timescale=timescale,
        movie_timescale=movie_timescale,
        duration=duration,
        edit=_edit(file, timescale, movie_timescale),
        sample_sizes=_sample_sizes(_content(file, "moov/trak/mdia/minf/stbl/stsz")),
        chunk_offsets=_chunk_offsets(file),
    )


def set_edit(file: BinaryIO, edit: Edit) -> None:
    """Write the edit into the list that is there, and its length where players look for it.

    The movie's timescale must be the track's own. Raises ``ValueError`` where it is not,
    or where there is no list of one entry.
    """
    track = read_track(file)
    if track.movie_timescale != track.timescale:
        raise ValueError(f"the movie's timescale is {track.movie_timescale}")
    _put_duration(file, find(file, "moov/mvhd"), edit.duration, v0_at=16, v1_at=24)
    _put_duration(file, find(file, "moov/trak/tkhd"), edit.duration, v0_at=20, v1_at=28)
    elst = find(file, "moov/trak/edts/elst")
    version, entries = struct.unpack(">B3xI", _read(file, elst)[:8])
    if entries != 1:
        raise ValueError(f"an edit list of {entries} entries")
    file.seek(elst.body + 8)
    file.write(struct.pack(">Qq" if version else ">Ii", edit.duration, edit.media_time))


def _put_duration(file: BinaryIO, box: Box, duration: int, *, v0_at: int, v1_at: int) -> None:
    file.seek(box.body)
    version = file.read(1)[0]
    file.seek(box.body + (v1_at if version else v0_at))
    file.write(struct.pack(">Q" if version else ">I", duration))


def _content(file: BinaryIO, path: str) -> bytes:
    return _read(file, find(file, path))


def _read(file: BinaryIO, box: Box) -> bytes:
    if box.end - box.body > _MAX_TABLE_BYTES:
        raise ValueError(f"the {box.kind} box is larger than {_MAX_TABLE_BYTES} bytes")
    file.seek(box.body)
    content = file.read(box.end - box.body)
    if len(content) < 8:
        raise ValueError(f"the {box.kind} box is cut short")
    return content


def _clock(header: bytes) -> tuple[int, int]:
    """Return timescale and duration of an mvhd or mdhd box."""
    layout, at = (">IQ", 20) if header[0] else (">II", 12)
    if len(header) < at + struct.calcsize(layout):
        raise ValueError("a header box is cut short")
    timescale, duration = struct.unpack_from(layout, header, at)
    if not timescale:
        raise ValueError("a timescale of 0")
    return timescale, duration


def _edit(file: BinaryIO, timescale: int, movie_timescale: int) -> Edit | None:
    try:
        content = _content(file, "moov/trak/edts/elst")
    except ValueError:
        return None
    layout = ">Qq" if content[0] else ">Ii"
    entries = int.from_bytes(content[4:8], "big")
    if entries != 1 or len(content) < 8 + struct.calcsize(layout):
        raise ValueError(f"an edit list of {entries} entries is not read here")
    duration, media_time = struct.unpack_from(layout, content, 8)
    return Edit(media_time, round(duration * timescale / movie_timescale))


def _sample_sizes(content: bytes) -> Sequence[int]:
    if len(content) < 12:
        raise ValueError("the stsz box is cut short")
    uniform: int
    count: int
    uniform, count = struct.unpack_from(">II", content, 4)
    if uniform:  # silence: every frame is as short as the next
        if count > _MAX_SAMPLES:
            raise ValueError(f"{count} samples are not read here")
        return array("I", (uniform,)) * count
    return _table(content, 12, count, "I")


def _chunk_offsets(file: BinaryIO) -> Sequence[int]:
    try:
        content, layout = _content(file, "moov/trak/mdia/minf/stbl/stco"), "I"
    except ValueError:
        content, layout = _content(file, "moov/trak/mdia/minf/stbl/co64"), "Q"
    return _table(content, 8, int.from_bytes(content[4:8], "big"), layout)


def _table(content: bytes, at: int, count: int, kind: str) -> Sequence[int]:
    """Read big-endian integers as an array: hours have half a million, too many for objects."""
    table = array(kind)
    end = at + count * table.itemsize
    if len(content) < end:
        raise ValueError("a sample table is cut short")
    table.frombytes(content[at:end])
    if sys.byteorder == "little":
        table.byteswap()
    return table


def put_index_first(source: BinaryIO, target: BinaryIO) -> None:
    """Copy a file whose ``moov`` stands last so that it stands before ``mdat``.

    What players call fast start. Raises ``ValueError`` where the file is not ftyp, mdat and
    moov with 32-bit chunk offsets.
    """
    order = {box.kind: box for box in top_level(source)}
    if not order.keys() >= {"ftyp", "mdat", "moov"} or order["moov"].start < order["mdat"].start:
        raise ValueError(f"its boxes stand in the order {list(order)}")
    ftyp, moov, mdat = order["ftyp"], order["moov"], order["mdat"]
    index = bytearray(_whole(source, moov))
    table = find(source, "moov/trak/mdia/minf/stbl/stco")
    at = table.body - moov.start + 8
    count = (table.end - table.body - 8) // 4
    shift = ftyp.end - ftyp.start + len(index) - mdat.start
    offsets = struct.unpack_from(f">{count}I", index, at)
    if offsets and max(offsets) + shift >= 1 << 32:
        raise ValueError("chunk offsets of more than 32 bits")
    struct.pack_into(f">{count}I", index, at, *(offset + shift for offset in offsets))
    target.write(_whole(source, ftyp))
    target.write(index)
    source.seek(mdat.start)
    target.writelines(source.read(size) for size in _pieces(mdat.end - mdat.start))


def _whole(file: BinaryIO, box: Box) -> bytes:
    if box.end - box.start > _MAX_TABLE_BYTES:
        raise ValueError(f"the {box.kind} box is larger than {_MAX_TABLE_BYTES} bytes")
    file.seek(box.start)
    return file.read(box.end - box.start)


def _pieces(total: int) -> Iterator[int]:
    while total:
        size = min(total, _COPY_BYTES)
        yield size
        total -= size
