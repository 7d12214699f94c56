"""How long a container says it is, where FFmpeg would tell us what it found instead.

For WAV, Wave64, AU, CAF and ASF FFmpeg goes by the file's size once the header disagrees with
it, so a file cut in half looks whole; of MP3 it takes the count of frames and lets the count of
bytes be. Their headers are read here, a few bytes of them, and anything odd in there means "not
said".
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from audio_processor.media.frames import FRAME_BYTES

_MAX_CHUNKS = 256
_LARGEST_FILE_BYTES = 2**40
_UNKNOWN_32 = 0xFFFFFFFF
_WAVE_FIXED_SIZE = (0x0001, 0x0003, 0xFFFE)
"""PCM, IEEE float and extensible: every frame has ``block_align`` bytes."""
_W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")
_AU_SAMPLE_BYTES = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_ASF_BROADCAST = 1
_ID3_FOOTER = 0x10
_MPEG_HEADER_BYTES = 4
_XING_PLACES = (9, 17, 32)
"""Behind the first frame's header and its side information, which has one of three lengths."""
_VBRI_PLACE = 32
_XING_FRAMES, _XING_BYTES = 1, 2


@dataclass(frozen=True, slots=True)
class Declared:
    """What a header promises; None is "not said", as in a stream's header."""

    duration_s: float | None = None
    audio_end: int | None = None
    """The byte behind the last one that is audio."""


def read_declared(path: Path, container: str) -> Declared:
    """Return what the header of a WAV, RF64, Wave64, AU, CAF or ASF file declares.

    Of MP3 where its audio ends; nothing for every other container.
    """
    reader = _READERS.get(container)
    if reader is None:
        return Declared()
    try:
        with path.open("rb") as file:
            seconds, end = reader(file, path.stat().st_size)
            if seconds is not None and seconds < 0:
                return Declared()
            return Declared(None if seconds is None else float(seconds), end)
    except (struct.error, ValueError, OverflowError, ZeroDivisionError):
        return Declared()


_Promise = tuple[Fraction | None, int | None]


def _wav(file: BinaryIO, file_bytes: int) -> _Promise:
    """RIFF WAVE and RF64 (EBU Tech 3306): ``data`` bytes over ``block_align`` over rate."""
    form, _, wave = struct.unpack("<4sI4s", file.read(12))
    if form not in (b"RIFF", b"RF64", b"BW64") or wave != b"WAVE":
        return None, None
    frame_bytes = rate = long_size = 0
    for name, size, start in _chunks(file, "<4sI"):
        if name == b"data":
            data_bytes = long_size if size == _UNKNOWN_32 else size
            # some recorders count their own header in, or the file's but for "RIFF" and size
            if not data_bytes or data_bytes in (file_bytes, file_bytes - 8):
                return None, None
            return _seconds(data_bytes, frame_bytes, rate), start + data_bytes
        if name == b"ds64":
            long_size = struct.unpack("<8xQ", file.read(16))[0]
        elif name == b"fmt ":
            code, channels, rate, _, frame_bytes, bits = struct.unpack("<HHIIHH", file.read(16))
            if code not in _WAVE_FIXED_SIZE or frame_bytes != channels * ((bits + 7) // 8):
                frame_bytes = 0
        _seek(file, start + size + (size & 1))
    return None, None


def _w64(file: BinaryIO, _: int) -> _Promise:
    """Sony Wave64: GUIDs for names, sizes of 64 bits that count their header."""
    file.seek(40)
    frame_bytes = rate = 0
    for name, size, start in _chunks(file, "<16sQ"):
        if size < 24:
            return None, None
        end = start + size - 24
        if name == b"fmt " + _W64_TAIL:
            _, _, rate, _, frame_bytes = struct.unpack("<HHIIH", file.read(14))
        elif name == b"data" + _W64_TAIL:
            return _seconds(size - 24, frame_bytes, rate), end
        _seek(file, (end + 7) // 8 * 8)
    return None, None


def _au(file: BinaryIO, _: int) -> _Promise:
    """Sun AU: 32-bit offset, size, encoding, rate, channels."""
    name, offset, size, encoding, rate, channels = struct.unpack(">4sIIIII", file.read(24))
    if name != b".snd" or size in (0, _UNKNOWN_32):
        return None, None
    return _seconds(size, _AU_SAMPLE_BYTES.get(encoding, 0) * channels, rate), offset + size


def _caf(file: BinaryIO, _: int) -> _Promise:
    """Apple CAF: ``data`` bytes over bytes per packet, or the packet table's valid frames."""
    if file.read(4) != b"caff":
        return None, None
    file.seek(8)
    rate = seconds = end = None
    packet_bytes = packet_frames = 0
    for name, size, start in _chunks(file, ">4sq"):
        if name == b"desc":
            hertz, packet_bytes, packet_frames = struct.unpack(">d8xII", file.read(24))
            rate = Fraction(hertz)
        elif name == b"pakt" and rate is not None:
            seconds = struct.unpack(">8xq", file.read(16))[0] / rate
        elif name == b"data" and size >= 0:
            end = start + size
            if packet_bytes and rate is not None and seconds is None:
                seconds = Fraction((size - 4) * packet_frames, packet_bytes) / rate
        if size < 0:
            break
        _seek(file, start + size)
    return seconds, end


def _asf(file: BinaryIO, _: int) -> _Promise:
    """ASF §3.2: play duration in units of 100 ns, which includes the preroll in ms."""
    if file.read(16) != _ASF_HEADER:
        return None, None
    file.seek(30)
    seconds: Fraction | None = None
    for name, size, start in _chunks(file, "<16sQ"):
        if name == _ASF_FILE_PROPERTIES:
            play, _, preroll_ms, flags = struct.unpack("<QQQI", file.read(68)[40:68])
            played = Fraction(play, 10_000_000) - Fraction(preroll_ms, 1000)
            if flags & _ASF_BROADCAST or played <= 0:
                return None, None
            seconds = played
        elif name == _ASF_DATA:
            return seconds, start - 24 + size if size >= 24 else None
        if size < 24:
            break
        _seek(file, start - 24 + size)
    return seconds, None


def _mp3(file: BinaryIO, file_bytes: int) -> _Promise:
    """Xing, Info or VBRI in the first frame: how many bytes there are from that frame on."""
    at = _behind_id3(file)
    file.seek(at)
    head = file.read(_MPEG_HEADER_BYTES + max(_XING_PLACES) + 18)
    if FRAME_BYTES["mp3"](head, 0) is None:
        return None, None
    stated = _stated_bytes(head[_MPEG_HEADER_BYTES:])
    # some encoders count the ID3 tag before it in
    if not stated or stated == file_bytes:
        return None, None
    return None, at + stated


def _behind_id3(file: BinaryIO) -> int:
    """Return where the tags at a file's beginning end (ID3v2.4 §3.1)."""
    at = 0
    for _ in range(_MAX_CHUNKS):
        file.seek(at)
        header = file.read(10)
        if len(header) < 10 or header[:3] != b"ID3":
            break
        size = sum(byte << shift for byte, shift in zip(header[6:], (21, 14, 7, 0), strict=True))
        at += 10 + size + (10 if header[5] & _ID3_FOOTER else 0)
    return at


def _stated_bytes(frame: bytes) -> int | None:
    """Return the count of bytes in a frame without its header, where the frame holds one."""
    for place in _XING_PLACES:
        if frame[place : place + 4] in (b"Xing", b"Info"):
            flags, first, second = struct.unpack_from(">III", frame, place + 4)
            if flags & _XING_BYTES:
                return int(second if flags & _XING_FRAMES else first)
    if frame[_VBRI_PLACE : _VBRI_PLACE + 4] == b"VBRI":
        return int(struct.unpack_from(">I", frame, _VBRI_PLACE + 10)[0])
    return None


def _chunks(file: BinaryIO, layout: str) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, size and place of what follows each header, until the headers end."""
    length = struct.calcsize(layout)
    for _ in range(_MAX_CHUNKS):
        header = file.read(length)
        if len(header) < length:
            return
        name, size = struct.unpack(layout, header)
        yield name, size, file.tell()


def _seconds(size: int, frame_bytes: int, rate: int) -> Fraction | None:
    return Fraction(size, frame_bytes * rate) if frame_bytes and rate else None


def _seek(file: BinaryIO, to: int) -> None:
    """Go to where a header points. Raises ``ValueError`` where no file could have that place."""
    if to >= _LARGEST_FILE_BYTES:
        raise ValueError(f"a chunk that ends at byte {to}")
    file.seek(to)


_READERS: dict[str, Callable[[BinaryIO, int], _Promise]] = {
    "wav": _wav,
    "w64": _w64,
    "au": _au,
    "caf": _caf,
    "asf": _asf,
    "mp3": _mp3,
}
