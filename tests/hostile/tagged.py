"""Tags, pictures and attachments that are too many, too large or not what they say."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.hostile import writers
from tests.hostile.inputs import (
    CORRUPT,
    LIMIT,
    HostileInput,
    Process,
    Reject,
    Survive,
    Workshop,
    made,
)

FRAMES = writers.SILENT_MP3_FRAME * 115
_PNG = b"\x89PNG\r\n\x1a\n"

TEXTS = {
    "shell": "$(touch /tmp/pwned) `id` ; rm -rf / | cat && true > x",
    "sql": "'); DROP TABLE Uploads; --",
    "html": "<script>alert(document.cookie)</script>",
    "escape sequences": "\x1b[2J\x1b]0;owned\x07",
    "right to left": "\u202egnp.exe\u202c",
    "path": "../../../../etc/passwd",
    "percent": "%s%n%x%p %0d%0a",
    "template": "{0} {title} ${jndi:ldap://127.0.0.1/x} {{7*7}}",
    "newlines": "a\r\nSet-Cookie: b\r\n\r\nStream #0:0: Audio: aac",
    "ffmpeg's own words": "[mp3 @ 0x1] Error submitting packet to decoder: partial file",
    "a megabyte": "x" * 1_000_000,
}


def _titled(value: bytes, encoding: bytes) -> bytes:
    return writers.id3([writers.id3_frame(b"TIT2", encoding + value)]) + FRAMES


def _vorbis_comments(workshop: Workshop) -> bytes:
    """A second block of comments behind STREAMINFO."""
    data = workshop.encoded("flac")
    comments = [f"tag{number}=value".encode() for number in range(10_000)]
    body = struct.pack("<I", 0) + struct.pack("<I", len(comments))
    body += b"".join(struct.pack("<I", len(text)) + text for text in comments)
    return data[:42] + b"\x04" + len(body).to_bytes(3, "big") + body + data[42:]


def _huge_cover(workshop: Workshop, path: Path) -> None:
    with path.open("wb") as file:
        size = 50 * 2**20
        frame = b"APIC" + writers.syncsafe(size) + b"\0\0" + b"\0image/png\0\3\0" + _PNG
        file.write(writers.id3([], size=10 + size) + frame)
        file.seek(10 + 10 + size)  # a hole: it is the length that counts
        file.write(FRAMES)


def _attached(workshop: Workshop) -> bytes:
    font = workshop.folder / "font.ttf"
    font.write_bytes(np.random.default_rng(3).bytes(2_000_000))
    music = workshop.folder / "plain.mka"
    music.write_bytes(workshop.encoded("mka", "-c:a flac"))
    target = workshop.folder / "attached.mka"
    workshop.run(
        *("-i", music, "-c", "copy", "-attach", font),
        *("-metadata:s:1", "mimetype=application/x-truetype-font"),
        *("-metadata:s:1", "filename=../../../../tmp/pwned.ttf", target),
    )
    return target.read_bytes()


def _tagged_m4a(workshop: Workshop) -> bytes:
    words = [word for name in range(3000) for word in ("-metadata", f"tag{name}=value {name}")]
    source, target = workshop.folder / "plain.m4a", workshop.folder / "tagged.m4a"
    source.write_bytes(workshop.encoded("m4a", "-c:a aac"))
    workshop.run("-i", source, "-c", "copy", "-movflags", "use_metadata_tags", *words, target)
    return target.read_bytes()


def inputs() -> Iterator[HostileInput]:
    """Every tag."""
    whole = Process(3.0)
    for title, text in TEXTS.items():
        data = _titled(text.encode(), b"\3")
        yield made("tags", title, whole, data)
    yield made("tags", "not UTF-8", whole, _titled(b"\xff\xfe\xc3\x28\x80\x81", b"\3"))
    yield made("tags", "UTF-16 of an odd length", whole, _titled(b"\xff\xfea\0b", b"\1"))
    yield made("tags", "lone surrogates", whole, _titled(b"\xff\xfe\x00\xd8\x00\xdc", b"\1"))
    yield made("tags", "unknown encoding", whole, _titled(b"hello", b"\x77"))
    yield made(
        "tags",
        "20 kB of noise",
        Survive(3.0),
        (writers.id3([], size=20_000) + np.random.default_rng(6).bytes(20_000) + FRAMES),
    )
    thousands = writers.id3(writers.txxx(f"name {n}", f"value {n}") for n in range(5000))
    yield made("tags", "5000 in an mp3", whole, thousands + FRAMES)
    wide = writers.id3(writers.txxx(f"name {n}", "v" * 5000) for n in range(1000))
    yield made("tags", "5 MB in an mp3", Reject(LIMIT, "tags"), wide + FRAMES)
    tiny = writers.id3(writers.txxx(str(n), "v") for n in range(60_000))
    yield made("tags", "60,000 in an mp3", Reject(LIMIT, "tags"), tiny + FRAMES)
    yield made("tags", "10,000 in a flac", whole, _vorbis_comments, "flac")
    yield made("tags", "3000 in an m4a", whole, _tagged_m4a, "m4a")
    yield made("tags", "1000 tags one after the other", whole, writers.id3() * 1000 + FRAMES)
    lied = writers.id3([writers.txxx("a", "b")], size=2**28 - 1)
    yield made("tags", "a tag of 256 MB that is not there", Reject(CORRUPT), lied + FRAMES)
    for megabytes, verdict in ((2, whole), (12, Reject(LIMIT, "tags")), (200, whole)):
        bomb = writers.id3([writers.zlib_txxx(megabytes * 2**20)])
        yield made("tags", f"a tag that swells to {megabytes} MB", verdict, bomb + FRAMES)
    bombs = writers.id3([writers.zlib_txxx(12 * 2**20)] * 40)
    yield made("tags", "40 tags that swell to 12 MB", Reject(LIMIT, "memory|tags"), bombs + FRAMES)
    script = writers.id3([writers.apic(b"<script>alert(1)</script>" * 99)])
    cover = Process(3.0, warns="cover art")
    yield made("cover", "a script", cover, script + FRAMES)
    yield made("cover", "nothing", Survive(3.0), writers.id3([writers.apic(b"")]) + FRAMES)
    svg = writers.id3([writers.apic(b"<svg/>", b"image/svg+xml")])
    yield made("cover", "svg", Survive(3.0), svg + FRAMES)
    size = _PNG + struct.pack(">I4sIIBBBBB", 13, b"IHDR", 65_535, 65_535, 16, 6, 0, 0, 0)
    bomb = writers.id3([writers.apic(size + bytes(1000))])
    yield made("cover", "png of 65535 × 65535 pixels", Survive(3.0), bomb + FRAMES)
    hundred = writers.id3([writers.apic(_PNG + bytes(100))] * 60)
    yield made("cover", "60 of them", Survive(3.0), hundred + FRAMES)
    too_many = writers.id3([writers.apic(_PNG + bytes(100))] * 300)
    yield made("cover", "300 of them", Survive(3.0), too_many + FRAMES)
    yield HostileInput(
        "cover", "50 MB", Process(3.0, warns="cover art is over 10 MiB"), _huge_cover
    )
    yield made("tags", "attachment with a path for a name", Process(), _attached, "mka")
