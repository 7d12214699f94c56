"""Hours in kilobytes, and files that are mostly holes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.hostile import writers
from tests.hostile.inputs import CORRUPT, LIMIT, HostileInput, Process, Reject, Workshop, Write

HOURS = 12


@cache
def _opus() -> bytes:
    return writers.silent_opus(HOURS)


def _write_flac(declared: bool) -> Write:
    def write(_: Workshop, path: Path) -> None:
        path.write_bytes(writers.silent_flac(HOURS, declared=declared))

    return write


def _write_opus(_: Workshop, path: Path) -> None:
    path.write_bytes(_opus())


def _write_mp3(_: Workshop, path: Path) -> None:
    """64 kB and a hole of 256 MB: what a download leaves that reserved its room first."""
    with path.open("wb") as file:
        file.write(writers.SILENT_MP3_FRAME * 157)
        file.truncate(256 * 2**20)


def _write_wav(_: Workshop, path: Path) -> None:
    """3.9 GB that take no room: 6 hours of silence, and the header says so."""
    size = 3_900_000_000
    with path.open("wb") as file:
        file.write(
            writers.riff(writers.fmt(), b"data" + size.to_bytes(4, "little"), size=size + 36)
        )
        file.truncate(44 + size)


def _write_stream(_: Workshop, path: Path) -> None:
    """The same, and the header does not say so."""
    with path.open("wb") as file:
        file.write(writers.riff(writers.fmt(), b"data\xff\xff\xff\xff", size=0xFFFFFFFF))
        file.truncate(3_900_000_000)


def _write_zeros(_: Workshop, path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2 * 2**30)


def _write_padded(_: Workshop, path: Path) -> None:
    """A box of 1 GB of nothing between the index and the music."""
    padding = 2**30
    music = writers.m4a(padding=padding)
    at = music.index(b"mdat") - 4
    with path.open("wb") as file:
        file.write(music[:at])
        file.write(padding.to_bytes(4, "big") + b"free")
        file.seek(at + padding)
        file.write(music[at:])


def inputs() -> Iterator[HostileInput]:
    """Each of them small on disk."""
    too_long = Reject(LIMIT, "lasts|too long")
    for title, write, suffix in (
        (f"{HOURS} hours of silence in a flac that says so", _write_flac(True), "flac"),
        (f"{HOURS} hours of silence in a flac that does not", _write_flac(False), "flac"),
        (f"{HOURS} hours of silence in an opus file", _write_opus, "opus"),
        ("6 hours of silence in a hole, in a wav that says so", _write_wav, "wav"),
        ("6 hours of silence in a hole, in a wav that does not", _write_stream, "wav"),
    ):
        yield HostileInput("bomb", title, too_long, write, suffix)
    yield HostileInput("bomb", "2 GB of nothing", Reject("unsupported_media"), _write_zeros)
    yield HostileInput(
        "bomb", "an mp3 and 256 MB of nothing", Reject(CORRUPT, "cut short"), _write_mp3
    )
    yield HostileInput("bomb", "1 GB of padding in an m4a", Process(1.0), _write_padded, "m4a")
