"""Headers that lie: sizes, counts and formats that cannot be."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial

import numpy as np

from tests.hostile import writers
from tests.hostile.encodings import ENCODINGS, Encoding
from tests.hostile.inputs import (
    CORRUPT,
    LIMIT,
    UNSUPPORTED,
    HostileInput,
    Process,
    Reject,
    Survive,
    Verdict,
    Workshop,
    made,
)

STOPS_AT_ITS_END = {"wav", "w64", "aiff", "m4a", "mov", "3gp", "caf", "wma"}
LOSES_THE_SECOND = {"wv", "tta", "flv"}
"""Where nothing but a search through the whole file would tell."""
RATE = 44_100
SECOND = np.full((RATE, 2), 1000, "<i2").tobytes()
ONE = Process(1.0)
HUGE = 0xFFFFFFF0
LIST = writers.chunk(b"LIST", b"INFO" + bytes(10_000))


def _ds64(data_bytes: int) -> bytes:
    return writers.chunk(b"ds64", struct.pack("<QQQI", 2**40, data_bytes, data_bytes // 4, 0))


def _data(size: int | None = None) -> bytes:
    return writers.chunk(b"data", SECOND, size)


def _wav() -> Iterator[tuple[str, Verdict, bytes]]:
    fmt, riff, chunk = writers.fmt, writers.riff, writers.chunk
    lost, damaged = Reject(CORRUPT, "missing|cut short"), Reject(CORRUPT)
    yield "riff size 0", ONE, riff(fmt(), _data(), size=0)
    yield "riff size of 4 GiB", ONE, riff(fmt(), _data(), size=0xFFFFFFFF)
    yield "data of 4 GiB", Reject(LIMIT), riff(fmt(), _data(HUGE))
    yield "data twice as long as the file", lost, riff(fmt(), _data(2 * len(SECOND)))
    hidden = Reject(CORRUPT, "goes on behind the end")
    yield "data said to be half", hidden, riff(fmt(), _data(len(SECOND) // 2))
    odd = chunk(b"data", SECOND[: RATE - 1])[:-1]
    yield "data of odd length, not padded", ONE, riff(fmt(channels=1, bits=8), odd, LIST)
    yield "200 kB of chunks after data", ONE, riff(fmt(), _data(), *[LIST] * 20)
    yield "20 kB of padding after data", ONE, riff(fmt(), _data()) + bytes(20_000)
    yield (
        "an ID3 tag after data",
        ONE,
        riff(fmt(), _data()) + writers.id3(size=50_000) + SECOND[:50_000],
    )
    yield "data size 0, a stream's", ONE, riff(fmt(), _data(0))
    yield "data size unknown, a stream's", ONE, riff(fmt(), _data(0xFFFFFFFF))
    yield "data that counts its own header in", ONE, riff(fmt(), _data(len(SECOND) + 36))
    yield "data 10 frames over the end", lost, riff(fmt(), _data(len(SECOND) + 40))
    yield "data before fmt", ONE, riff(_data(), fmt())
    yield "no fmt", damaged, riff(_data())
    yield "no data", damaged, riff(fmt())
    yield "fmt of 2 bytes", damaged, riff(chunk(b"fmt ", b"\1\0"), _data())
    yield "fmt of 4 GiB", damaged, riff(fmt()[:4] + b"\xf0\xff\xff\xff" + fmt()[8:], _data())
    yield "two fmts", ONE, riff(fmt(), fmt(), _data())
    yield "two datas", hidden, riff(fmt(), _data(), _data())
    yield (
        "a LIST of 4 GiB before data",
        damaged,
        riff(fmt(), chunk(b"LIST", b"INFO", HUGE), _data()),
    )
    yield "a LIST of 4 GiB after data", ONE, riff(fmt(), _data(), chunk(b"LIST", b"INFO", HUGE))
    yield "3000 chunks of nothing", ONE, riff(fmt(), *[chunk(b"JUNK", b"")] * 3000, _data())
    yield "RF64 without ds64", Survive(1.0), riff(fmt(), _data(), form=b"RF64")
    yield (
        "RF64 of 2^62 bytes",
        Reject(LIMIT),
        riff(_ds64(2**62), fmt(), _data(0xFFFFFFFF), form=b"RF64"),
    )
    yield (
        "RF64 of 2^63 bytes",
        Survive(1.0),
        riff(_ds64(2**63), fmt(), _data(0xFFFFFFFF), form=b"RF64"),
    )
    yield "0 channels", damaged, riff(fmt(channels=0, block_align=4), _data())
    yield "0 Hz", damaged, riff(fmt(rate_hz=0), _data())
    yield "0 bits", Survive(1.0), riff(fmt(bits=0, block_align=4), _data())
    yield "255 bits", Survive(1.0), riff(fmt(bits=255, block_align=4), _data())
    yield "block align 0", ONE, riff(fmt(block_align=0), _data())
    yield "block align 65535", Survive(1.0), riff(fmt(block_align=65_535), _data())
    yield "block align 1", ONE, riff(fmt(block_align=1), _data())
    yield "unknown codec", Reject(UNSUPPORTED), riff(fmt(code=0x1234), _data())
    yield "mp3's code around PCM", Survive(1.0), riff(fmt(code=0x55), _data())
    yield "opus's code around PCM", Survive(1.0), riff(fmt(code=0x704F), _data())
    for title, form in {
        "7.1 mask on stereo": {"mask": 0x63F},
        "empty mask": {"mask": 0},
        "mask of all ones": {"mask": 0xFFFFFFFF},
        "mask of two LFEs": {"mask": 0x8 | 0x200000},
        "more valid bits than bits": {"valid_bits": 64},
        "no valid bits": {"valid_bits": 0},
    }.items():
        verdict = Survive(1.0)
        yield f"extensible: {title}", verdict, riff(writers.extensible(**form), _data())
    yield (
        "extensible: unknown subformat",
        Reject(UNSUPPORTED),
        riff(writers.extensible(subformat=0x4321), _data()),
    )
    short = fmt(code=writers.EXTENSIBLE, extra=struct.pack("<HH", 22, 16))
    yield "extensible: cut short", Survive(1.0), riff(short, _data())


def _others() -> Iterator[tuple[str, str, Verdict, bytes]]:
    m4a, box, full_box = writers.m4a, writers.box, writers.full_box
    damaged = Reject(CORRUPT)
    refused = Reject(CORRUPT, "")
    yield "m4a", "written by hand", ONE, m4a()
    for count in (80_000_000, 0x7FFFFFFF, 0xFFFFFFFF):
        # the index is the container's word; a count of -1 is read as no more than one sample
        said = Survive(0.0 if count == 0xFFFFFFFF else count / RATE)
        yield "m4a", f"{count} samples said to be there", said, m4a(sizes=(4, count))
        yield "m4a", f"{count} samples of a byte", said, m4a(sizes=(1, count))
    yield "m4a", "samples of 2 GiB", Survive(0.0), m4a(sizes=(0x7FFFFFFF, 2), media=SECOND)
    many = [(441, 441 * n) for n in range(100)]
    yield "m4a", "100 edits", Survive(1.0), m4a(edits=many)
    yield "m4a", "100,000 edits of the same second", Survive(1.0), m4a(edits=[(RATE, 0)] * 100_000)
    yield "m4a", "an edit that begins behind the end", Survive(1.0), m4a(edits=[(RATE, 2**31 - 9)])
    yield "m4a", "an edit of nothing", Survive(1.0), m4a(edits=[(0, 0)])
    ftyp = box(b"ftyp", b"M4A \0\0\2\0isomiso2")
    nested = b""
    for _ in range(5000):
        nested = box(b"moov", nested) if len(nested) < 60_000 else nested
    yield "m4a", "5000 boxes in one another", damaged, ftyp + nested
    yield "m4a", "a box of 0 bytes", refused, ftyp + box(b"moov", bytes(8), size=0)
    yield "m4a", "a box of 7 bytes", refused, ftyp + box(b"moov", bytes(8), size=7)
    yield "m4a", "a box of 4 GiB", refused, ftyp + box(b"moov", bytes(8), size=HUGE)
    yield "m4a", "a box of 2^63 bytes", refused, ftyp + b"\0\0\0\1moov\x7f" + b"\xff" * 7
    yield "m4a", "ftyp and nothing", damaged, ftyp
    yield "m4a", "no samples", damaged, m4a(sizes=(4, 0))
    huge_table = full_box(b"stsz", struct.pack(">II", 0, 0x3FFFFFFF))
    table = m4a().replace(full_box(b"stsz", struct.pack(">II", 4, RATE)), huge_table)
    yield "m4a", "a table of 2^30 entries in 20 bytes", Survive(1.0), table
    yield "aiff", "4 G frames", damaged, writers.aiff(SECOND, claimed_frames=0xFFFFFFFF)
    yield "aiff", "SSND of 4 GiB", Survive(1.0), writers.aiff(SECOND, ssnd_size=0x7FFFFFF0)
    swapped = np.frombuffer(SECOND, "<i2").astype(">i2").tobytes()
    yield "au", "written by hand", ONE, writers.au(swapped)
    yield "au", "size unknown, a stream's", ONE, writers.au(swapped, size=0xFFFFFFFF)
    yield "au", "size of 2 GiB", Survive(1.0, (CORRUPT, LIMIT)), writers.au(swapped, size=2**31)
    yield "au", "0 Hz", damaged, writers.au(swapped, rate_hz=0)
    flac = writers.streaminfo
    yield "flac", "header and nothing", Reject(CORRUPT), flac(RATE, 2, 3 * RATE)
    yield "flac", "2^36 frames", Reject(LIMIT), flac(RATE, 2, 2**36 - 1)
    yield "flac", "0 Hz", damaged, flac(0, 2, RATE)
    yield "flac", "a block of 16 MB that is not there", damaged, b"fLaC\x04\xff\xff\xff" + bytes(99)
    mac = b"MAC \x96\x0f\0\0" + struct.pack("<IIIIII", 52, 24, 0, 44, 0, 0)
    ape = mac + bytes(20) + struct.pack("<HHIIIHHI", 2000, 0, 73728, 1, 10_000_000, 16, 2, RATE)
    yield "ape", "ten million frames", Survive(1e7 * 73_728 / RATE), ape + bytes(100)
    tta = b"TTA1" + struct.pack("<HHHIII", 1, 2, 16, RATE, 0xFFFFFFF0, 0)
    yield "tta", "4 G samples", Survive(0xFFFFFFF0 / RATE), tta + bytes(1000)
    tta_1hz = b"TTA1" + struct.pack("<HHHIII", 1, 2, 16, 1, 0x7FFFFFFF, 0)
    yield "tta", "a frame for every sample", Survive(0x7FFFFFFF), tta_1hz + bytes(1000)
    asf = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
    yield "wma", "a header of 2^62 bytes", damaged, asf + struct.pack("<QIH", 2**62, 5, 0x201)
    yield "wv", "a block of 4 GiB", damaged, b"wvpk" + struct.pack("<IH", HUGE, 0x410) + bytes(99)
    pakt = b"caff\0\1\0\0desc" + struct.pack(">q", 32)
    pakt += struct.pack(">d4sIIIII", 44_100, b"alac", 0, 0, 4096, 2, 16)
    pakt += b"pakt" + struct.pack(">q", 24) + struct.pack(">qqii", 2**40, 2**50, 0, 0)
    yield "caf", "2^40 packets", damaged, pakt + b"data" + struct.pack(">q", -1) + bytes(999)
    ebml = writers.element
    head = ebml("1a45dfa3", ebml("4282", b"matroska"))
    yield (
        "mka",
        "a segment and nothing",
        damaged,
        head + ebml("18538067", b"", b"\x01" + b"\xff" * 7),
    )
    deep = b""
    for _ in range(300):
        deep = ebml("1654ae6b", deep)
    yield "mka", "300 elements in one another", damaged, head + ebml("18538067", deep)
    yield "mka", "an element of 2^55 bytes", damaged, head + b"\x18\x53\x80\x67\x01\x7f" + bytes(60)
    amf = b"\x03" * 4000
    body = b"\x02\x00\x0aonMetaData" + amf
    tag = b"\x12" + len(body).to_bytes(3, "big") + bytes(7) + body
    yield "flv", "4000 objects in one another", damaged, b"FLV\1\4\0\0\0\x09" + bytes(4) + tag
    beginning = [
        writers.ogg_page([b"\x01vorbis" + bytes(23)], serial=n, number=0, granule=0, flags=2)
        for n in range(2000)
    ]
    yield "ogg", "2000 streams that begin", damaged, b"".join(beginning)
    yield (
        "adts",
        "frames of the smallest size",
        Survive(5000 * 1024 / RATE),
        b"\xff\xf1\x50\x80\x00\xff\xfc" * 5000,
    )


def _many_streams(workshop: Workshop) -> bytes:
    target = workshop.folder / "many.mka"
    wav = workshop.folder / "one.wav"
    wav.write_bytes(writers.wav(SECOND))
    workshop.run("-i", wav, *["-map", "0:a"] * 70, "-c:a", "libopus", "-ar", "48000", target)
    return target.read_bytes()


def _xing(frames: int, workshop: Workshop) -> bytes:
    data = bytearray(workshop.encoded("mp3", "-b:a 128k"))
    at = data.index(b"Info") if b"Info" in data[:2000] else data.index(b"Xing")
    data[at + 8 : at + 12] = struct.pack(">I", frames)
    return bytes(data)


def _twice() -> Iterator[HostileInput]:
    """Two files in one: what plays on is whole, what stops at the first one's end is refused."""
    for name, encoding in ENCODINGS.items():
        verdict: Verdict = Survive(5.0)
        if encoding.suffix in STOPS_AT_ITS_END:
            verdict = Reject(CORRUPT, "goes on behind the end")
        elif encoding.suffix in LOSES_THE_SECOND:
            verdict = Survive(2.5)
        yield made(
            *("twice", f"{name}, one after the other", verdict),
            partial(_doubled, encoding),
            encoding.suffix,
        )


def _doubled(encoding: Encoding, workshop: Workshop) -> bytes:
    return encoding.data(workshop) * 2


def inputs() -> Iterator[HostileInput]:
    """Every lie."""
    yield from _twice()
    for title, verdict, data in _wav():
        yield made("header", f"wav: {title}", verdict, data, "wav")
    for suffix, title, verdict, data in _others():
        yield made("header", f"{suffix}: {title}", verdict, data, suffix)
    yield made("header", "mka: 70 audio streams", Reject(LIMIT, "streams"), _many_streams, "mka")
    for frames, verdict in ((10, Process()), (2**31 - 1, Reject(LIMIT)), (400, Reject(CORRUPT))):
        yield made(
            *("header", f"mp3: Xing of {frames} frames", verdict),
            partial(_xing, frames),
        )
