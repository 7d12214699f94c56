"""Containers written by hand, so that they can say what no encoder would."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence

PCM, FLOAT, ADPCM, EXTENSIBLE = 1, 3, 2, 0xFFFE
_SUBFORMAT_TAIL = bytes.fromhex("000000001000800000aa00389b71")


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    """A RIFF chunk; ``size`` is what it claims."""
    padding = b"\0" if len(body) % 2 else b""
    return name + struct.pack("<I", len(body) if size is None else size) + body + padding


def fmt(
    *,
    code: int = PCM,
    channels: int = 2,
    rate_hz: int = 44_100,
    bits: int = 16,
    block_align: int | None = None,
    extra: bytes = b"",
) -> bytes:
    """A WAV's ``fmt`` chunk."""
    align = channels * bits // 8 if block_align is None else block_align
    byte_rate = min(rate_hz * align, 0xFFFFFFFF)
    header = struct.pack("<HHIIHH", code, channels, rate_hz, byte_rate, align & 0xFFFF, bits)
    return chunk(b"fmt ", header + extra)


def extensible(
    *,
    channels: int = 2,
    rate_hz: int = 44_100,
    bits: int = 16,
    valid_bits: int = 16,
    mask: int = 3,
    subformat: int = PCM,
) -> bytes:
    """A WAVE_FORMAT_EXTENSIBLE ``fmt`` chunk."""
    extra = struct.pack("<HHIH", 22, valid_bits, mask, subformat) + _SUBFORMAT_TAIL
    return fmt(code=EXTENSIBLE, channels=channels, rate_hz=rate_hz, bits=bits, extra=extra)


def riff(*chunks: bytes, size: int | None = None, form: bytes = b"RIFF") -> bytes:
    """A RIFF WAVE file of these chunks."""
    body = b"WAVE" + b"".join(chunks)
    return form + struct.pack("<I", len(body) if size is None else size) + body


def wav(frames: bytes, *, channels: int = 2, rate_hz: int = 44_100, bits: int = 16) -> bytes:
    """A plain WAV file around these frames."""
    return riff(fmt(channels=channels, rate_hz=rate_hz, bits=bits), chunk(b"data", frames))


def float_wav(samples: object, rate_hz: int = 44_100, channels: int = 2) -> bytes:
    """A float WAV of an array of float32 samples."""
    import numpy as np

    data = np.ascontiguousarray(samples, "<f4").tobytes()
    return riff(fmt(code=FLOAT, channels=channels, rate_hz=rate_hz, bits=32), chunk(b"data", data))


# ── ID3 and MPEG audio ───────────────────────────────────────────────────────────────────


def syncsafe(value: int) -> bytes:
    """A number in four bytes of seven bits."""
    return bytes(value >> shift & 0x7F for shift in (21, 14, 7, 0))


def id3_frame(name: bytes, body: bytes, flags: int = 0) -> bytes:
    """An ID3v2.4 frame."""
    return name + syncsafe(len(body)) + struct.pack(">H", flags) + body


def id3(frames: Iterable[bytes] = (), size: int | None = None) -> bytes:
    """An ID3v2.4 tag; ``size`` is what it claims."""
    body = b"".join(frames)
    return b"ID3\x04\0\0" + syncsafe(len(body) if size is None else size) + body


def txxx(name: str, value: str) -> bytes:
    """A text tag of any name."""
    return id3_frame(b"TXXX", b"\x03" + name.encode() + b"\0" + value.encode())


def zlib_txxx(value_bytes: int) -> bytes:
    """A compressed text tag that swells to so many bytes."""
    body = b"\x03BOMB\0" + b"A" * value_bytes
    packed = zlib.compress(body, 9)
    return id3_frame(b"TXXX", syncsafe(len(body)) + packed, flags=0x0009)


def apic(picture: bytes, mime: bytes = b"image/png") -> bytes:
    """An attached picture."""
    return id3_frame(b"APIC", b"\0" + mime + b"\0\x03\0" + picture)


SILENT_MP3_FRAME = b"\xff\xfb\x90\x64" + bytes(413)
"""MPEG-1 Layer III, 128 kbit/s, 44.1 kHz, 417 bytes: 1152 samples of silence."""


# ── FLAC ─────────────────────────────────────────────────────────────────────────────────


def _crc(data: bytes, polynomial: int, bits: int) -> int:
    top, mask, value = 1 << (bits - 1), (1 << bits) - 1, 0
    for byte in data:
        value ^= byte << (bits - 8)
        for _ in range(8):
            value = (value << 1 ^ polynomial) & mask if value & top else value << 1 & mask
    return value


def _coded_number(value: int) -> bytes:
    """UTF-8's way of writing a number, which FLAC extends to 36 bits."""
    if value < 0x80:
        return bytes([value])
    count = 2
    while value >= 1 << (5 * count + 1):
        count += 1
    shifts = range(6 * (count - 1), -1, -6)
    first, *rest = (value >> shift for shift in shifts)
    lead = (0xFF << (8 - count)) & 0xFF
    return bytes([lead | first, *(0x80 | part & 0x3F for part in rest)])


def streaminfo(rate_hz: int, channels: int, total_frames: int, block: int = 65_535) -> bytes:
    """``fLaC`` and its one obligatory block, which is the last."""
    packed = rate_hz << 44 | (channels - 1) << 41 | 15 << 36 | total_frames
    body = struct.pack(">HH", block, block) + bytes(6) + packed.to_bytes(8, "big") + bytes(16)
    return b"fLaC\x80" + len(body).to_bytes(3, "big") + body


def silent_flac(hours: float, *, rate_hz: int = 44_100, declared: bool) -> bytes:
    """Hours of mono silence, 14 bytes for every 65,535 frames."""
    block = 65_535
    blocks = round(hours * 3600 * rate_hz / block)
    parts = [streaminfo(rate_hz, 1, blocks * block if declared else 0)]
    for number in range(blocks):
        # fixed block size; 16-bit size field, the rate from STREAMINFO; mono, 16 bit
        header = b"\xff\xf8\x70\x08" + _coded_number(number) + struct.pack(">H", block - 1)
        frame = header + bytes([_crc(header, 0x07, 8)]) + b"\0\0\0"  # one constant: 0
        parts.append(frame + struct.pack(">H", _crc(frame, 0x8005, 16)))
    return b"".join(parts)


# ── Ogg ──────────────────────────────────────────────────────────────────────────────────

_OGG_CRC = [0] * 256
for _byte in range(256):
    _value = _byte << 24
    for _ in range(8):
        _value = (_value << 1 ^ 0x04C11DB7) & 0xFFFFFFFF if _value & 1 << 31 else _value << 1
    _OGG_CRC[_byte] = _value


def ogg_page(
    packets: Sequence[bytes], *, serial: int, number: int, granule: int, flags: int = 0
) -> bytes:
    """One page of whole packets, each shorter than 255 bytes. Flags: 2 begins, 4 ends."""
    header = struct.pack("<4sBBqIII", b"OggS", 0, flags, granule, serial, number, 0)
    page = bytearray(header + bytes([len(packets), *map(len, packets)]) + b"".join(packets))
    crc = 0
    for byte in page:
        crc = (crc << 8 & 0xFFFFFFFF) ^ _OGG_CRC[crc >> 24 ^ byte]
    page[22:26] = struct.pack("<I", crc)
    return bytes(page)


def silent_opus(hours: float) -> bytes:
    """Hours of silence: two bytes for every 60 ms, nearly all of it nothing."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 48_000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 1) + b"x" + struct.pack("<I", 0)
    pages = [
        ogg_page([head], serial=1, number=0, granule=0, flags=2),
        ogg_page([tags], serial=1, number=1, granule=0),
    ]
    packets = round(hours * 3600 / 0.06)
    per_page = 255
    for first in range(0, packets, per_page):
        count = min(per_page, packets - first)
        last = first + count == packets
        # SILK wide band, 60 ms, mono, one frame of one byte: as good as nothing
        page = [b"\x58\0"] * count
        granule = (first + count) * 2880
        pages.append(
            ogg_page(page, serial=1, number=len(pages), granule=granule, flags=4 if last else 0)
        )
    return b"".join(pages)


# ── MP4 ──────────────────────────────────────────────────────────────────────────────────


def box(kind: bytes, *parts: bytes, size: int | None = None) -> bytes:
    """An MP4 box; ``size`` is what it claims."""
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body) if size is None else size, kind) + body


def full_box(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    """An MP4 box with version and flags."""
    return box(kind, bytes([version]), flags.to_bytes(3, "big"), *parts)


def m4a(
    *,
    entry: bytes | None = None,
    sizes: tuple[int, int] = (4, 44_100),
    dref: bytes | None = None,
    edits: Sequence[tuple[int, int]] = (),
    media: bytes | None = None,
    rate_hz: int = 44_100,
    padding: int = 0,
) -> bytes:
    """PCM in MP4, one chunk; ``sizes`` are the bytes of a sample and how many are claimed.

    ``padding`` is how much is to come between ``moov`` and ``mdat``.
    """
    sample_bytes, count = sizes
    data = bytes(sample_bytes * min(count, rate_hz)) if media is None else media
    sowt = box(b"sowt", bytes(6), struct.pack(">HHHIHHHHI", 1, 0, 0, 0, 2, 16, 0, 0, rate_hz << 16))
    reference = full_box(b"url ", flags=1) if dref is None else dref
    ftyp = box(b"ftyp", b"M4A \0\0\2\0isomiso2")

    def moov(offset: int) -> bytes:
        stbl = box(
            b"stbl",
            full_box(b"stsd", struct.pack(">I", 1), entry or sowt),
            full_box(b"stts", struct.pack(">III", 1, count, 1)),
            full_box(b"stsc", struct.pack(">IIII", 1, 1, count, 1)),
            full_box(b"stsz", struct.pack(">II", sample_bytes, count)),
            full_box(b"stco", struct.pack(">II", 1, offset)),
        )
        dinf = box(b"dinf", full_box(b"dref", struct.pack(">I", 1), reference))
        clock = struct.pack(">IIII", 0, 0, rate_hz, min(count, 0xFFFFFFFF))
        mdia = box(
            b"mdia",
            full_box(b"mdhd", clock, bytes(4)),
            full_box(b"hdlr", bytes(4), b"soun", bytes(13)),
            box(b"minf", full_box(b"smhd", bytes(4)), dinf, stbl),
        )
        listed = b"".join(struct.pack(">Iihh", length, start, 1, 0) for length, start in edits)
        edts = (
            [box(b"edts", full_box(b"elst", struct.pack(">I", len(edits)), listed))]
            if edits
            else []
        )
        tkhd = full_box(b"tkhd", struct.pack(">IIIII", 0, 0, 1, 0, count), bytes(60), flags=7)
        mvhd = full_box(b"mvhd", clock, struct.pack(">IH", 0x10000, 0x100), bytes(70), b"\0\0\0\2")
        return box(b"moov", mvhd, box(b"trak", tkhd, *edts, mdia))

    offset = len(ftyp) + len(moov(0)) + 8 + padding
    return ftyp + moov(offset) + box(b"mdat", data)


# ── others ───────────────────────────────────────────────────────────────────────────────


def au(frames: bytes, *, size: int | None = None, rate_hz: int = 44_100) -> bytes:
    """A Sun AU file, 16 bit stereo."""
    claimed = len(frames) if size is None else size
    return struct.pack(">4sIIIII", b".snd", 24, claimed, 3, rate_hz, 2) + frames


def aiff(
    frames: bytes, *, claimed_frames: int | None = None, ssnd_size: int | None = None
) -> bytes:
    """An AIFF file, 16 bit stereo, 44.1 kHz."""
    count = len(frames) // 4 if claimed_frames is None else claimed_frames
    comm = struct.pack(">HIH", 2, count, 16) + bytes.fromhex("400eac44000000000000")
    ssnd_body = bytes(8) + frames
    ssnd = b"SSND" + struct.pack(">I", len(ssnd_body) if ssnd_size is None else ssnd_size)
    body = b"AIFF" + b"COMM" + struct.pack(">I", 18) + comm + ssnd + ssnd_body
    return b"FORM" + struct.pack(">I", len(body)) + body


def element(identity: str, body: bytes, size: bytes | None = None) -> bytes:
    """An EBML element; ``size`` is its length field as it stands in the file."""
    coded = size if size is not None else (len(body) | 1 << 56).to_bytes(8, "big")
    return bytes.fromhex(identity) + coded + body
