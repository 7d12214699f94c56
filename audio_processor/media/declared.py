"""How long a container says it is, where FFmpeg would tell us what it found instead.

For WAV, CAF and ASF FFmpeg goes by the file's size once the header disagrees with it, so a
file cut in half looks whole. Their headers are read here, a few bytes of them, and anything
odd in there means "not said".
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

_MAX_CHUNKS = 256
_LARGEST_FILE_BYTES = 2**40
_UNKNOWN_32 = 0xFFFFFFFF
_WAVE_FIXED_SIZE = (0x0001, 0x0003, 0xFFFE)
"""PCM, IEEE float and extensible: every frame has ``block_align`` bytes."""
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_BROADCAST = 1


def declared_duration_s(path: Path, container: str) -> float | None:
    """Return the seconds that the header of a WAV, RF64, CAF or ASF file declares.

    None where it declares none (a stream's header) and for every other container.
    """
    reader = _READERS.get(container)
    if reader is None:
        return None
    try:
        with path.open("rb") as file:
            declared = reader(file)
    except (struct.error, ValueError, OverflowError, ZeroDivisionError):
        return None
    return None if declared is None else float(declared)


def _wav(file: BinaryIO) -> Fraction | None:
    """RIFF WAVE and RF64 (EBU Tech 3306): ``data`` bytes over ``block_align`` over rate."""
    form, _, wave = struct.unpack("<4sI4s", file.read(12))
    if form not in (b"RIFF", b"RF64", b"BW64") or wave != b"WAVE":
        return None
    frame_bytes = rate = long_size = 0
    for _ in range(_MAX_CHUNKS):
        name, size = struct.unpack("<4sI", file.read(8))
        if name == b"data":
            if size == _UNKNOWN_32:
                size = long_size
            return Fraction(size, frame_bytes * rate) if size else None
        start = file.tell()
        if name == b"ds64":
            long_size = struct.unpack("<8xQ", file.read(16))[0]
        elif name == b"fmt ":
            code, _, rate, _, frame_bytes = struct.unpack("<HHIIH", file.read(14))
            if code not in _WAVE_FIXED_SIZE:
                return None
        _seek(file, start + size + (size & 1))
    return None


def _caf(file: BinaryIO) -> Fraction | None:
    """Apple CAF: ``data`` bytes over bytes per packet, or the packet table's valid frames."""
    if file.read(4) != b"caff":
        return None
    file.seek(8)
    rate: Fraction | None = None
    data_frames: Fraction | None = None
    packet_bytes = packet_frames = 0
    for _ in range(_MAX_CHUNKS):
        header = file.read(12)
        if len(header) < 12:
            break
        name, size = struct.unpack(">4sq", header)
        start = file.tell()
        if name == b"desc":
            hertz, packet_bytes, packet_frames = struct.unpack(">d8xII", file.read(24))
            rate = Fraction(hertz)
        elif name == b"pakt" and rate is not None:
            valid_frames: int = struct.unpack(">8xq", file.read(16))[0]
            return valid_frames / rate
        elif name == b"data" and rate is not None:
            if size < 0:
                return None
            if packet_bytes:
                data_frames = Fraction((size - 4) * packet_frames, packet_bytes)
        if size < 0:
            break
        _seek(file, start + size)
    return data_frames / rate if data_frames is not None and rate is not None else None


def _asf(file: BinaryIO) -> Fraction | None:
    """ASF §3.2: play duration in units of 100 ns, which includes the preroll in ms."""
    if file.read(16) != _ASF_HEADER:
        return None
    file.seek(30)
    for _ in range(_MAX_CHUNKS):
        start = file.tell()
        name, size = struct.unpack("<16sQ", file.read(24))
        if name == _ASF_FILE_PROPERTIES:
            play, _, preroll_ms, flags = struct.unpack("<QQQI", file.read(68)[40:68])
            played = Fraction(play, 10_000_000) - Fraction(preroll_ms, 1000)
            return None if flags & _ASF_BROADCAST or played <= 0 else played
        if size < 24:
            return None
        _seek(file, start + size)
    return None


def _seek(file: BinaryIO, to: int) -> None:
    """Go to where a header points. Raises ``ValueError`` where no file could have that place."""
    if to >= _LARGEST_FILE_BYTES:
        raise ValueError(f"a chunk that ends at byte {to}")
    file.seek(to)


_READERS: dict[str, Callable[[BinaryIO], Fraction | None]] = {
    "wav": _wav,
    "caf": _caf,
    "asf": _asf,
}
