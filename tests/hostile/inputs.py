"""What a hostile input is: how to make it, what it deserves, and what it is made with."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from audio_processor.media.binary import FFmpegBinary
from tests.media.material import Pcm, music

SECONDS = 3.0
"""Length of the music that most inputs begin as."""

CORRUPT = "corrupt_media"
UNSUPPORTED = "unsupported_media"
LIMIT = "limit_exceeded"
NAME = "name_rejected"


@dataclass(frozen=True, slots=True)
class Process:
    """It is a track: so long, give or take, and said of it what is to be said."""

    seconds: float = SECONDS
    within_s: float = 0.06
    warns: str = ""
    """A pattern that one of the warnings matches; none may be there where it is empty."""

    def __str__(self) -> str:
        length = f"{self.seconds:.3g} s" if self.seconds >= 0.01 else f"{self.seconds:.2g} s"
        return f"processed, {length}" + (", with a warning" if self.warns else "")


@dataclass(frozen=True, slots=True)
class Reject:
    """It is refused, with this code, in words that match the pattern."""

    code: str
    says: str = ""

    def __str__(self) -> str:
        return f"`{self.code}`"


@dataclass(frozen=True, slots=True)
class Survive:
    """Damaged at random: whole in length, or told of, or refused; never anything else."""

    seconds: float = SECONDS
    codes: tuple[str, ...] = (CORRUPT, UNSUPPORTED, LIMIT)

    def __str__(self) -> str:
        return "whole, or with a warning, or refused"


Verdict = Process | Reject | Survive


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an input may reach for: a file beside it, and a server."""

    canary: Path
    """A tone that nothing may be found of in any output."""
    port: int
    """Where a listener waits on 127.0.0.1."""


@dataclass(slots=True)
class Workshop:
    """Where inputs are made; what is encoded is encoded once."""

    binary: FFmpegBinary
    folder: Path
    surroundings: Surroundings
    _encoded: dict[str, bytes] = field(default_factory=dict)
    _music: dict[tuple[float, int, int], Pcm] = field(default_factory=dict)

    def music(self, rate_hz: int = 44_100, channels: int = 2, seconds: float = SECONDS) -> Pcm:
        """Music without anything near the canary's tone."""
        key = (seconds, rate_hz, channels)
        if key not in self._music:
            self._music[key] = music(seconds, rate_hz, channels)
        return self._music[key]

    def encoded(
        self,
        suffix: str,
        arguments: str = "",
        *,
        pcm: Pcm | None = None,
        rate_hz: int = 44_100,
        channels: int = 2,
        before: Sequence[str] = (),
    ) -> bytes:
        """Return the music, or ``pcm``, as FFmpeg writes it with these output arguments."""
        key = f"{suffix} {arguments} {rate_hz} {channels} {' '.join(before)} {id(pcm)}"
        if pcm is not None or key not in self._encoded:
            samples = self.music(rate_hz, channels) if pcm is None else pcm
            data = self._encode(samples, suffix, arguments.split(), rate_hz, before)
            if pcm is not None:
                return data
            self._encoded[key] = data
        return self._encoded[key]

    def run(self, *arguments: str | Path) -> None:
        """Run FFmpeg in the workshop's folder."""
        line = [self.binary.path, "-v", "error", "-nostdin", "-y", *arguments]
        subprocess.run(line, cwd=self.folder, check=True)

    def _encode(
        self, pcm: Pcm, suffix: str, arguments: list[str], rate_hz: int, before: Sequence[str]
    ) -> bytes:
        target = self.folder / f"encoded.{suffix}"
        layout = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[pcm.shape[1]]
        subprocess.run(
            [
                *(str(self.binary.path), "-v", "error", "-y", "-f", "f32le", "-ar", str(rate_hz)),
                *("-ch_layout", layout, "-i", "pipe:0", *before, *arguments, str(target)),
            ],
            input=np.ascontiguousarray(pcm, np.float32).tobytes(),
            check=True,
        )
        data = target.read_bytes()
        target.unlink()
        return data


Make = Callable[[Workshop], bytes]
Write = Callable[[Workshop, Path], None]


@dataclass(frozen=True, slots=True)
class HostileInput:
    """One input. ``write`` puts it at a path; the same bytes every time."""

    kind: str
    """Its class, for the table."""
    title: str
    """What it is, in words; the kind and the title name it."""
    verdict: Verdict
    write: Write
    extension: str = "mp3"
    file_name: str | None = None
    """As the artist called it, where the name is the point."""

    @property
    def id(self) -> str:
        return f"{self.kind}: {self.title}"


def made(
    kind: str, title: str, verdict: Verdict, make: Make | bytes, extension: str = "mp3"
) -> HostileInput:
    """Return an input that is bytes, or a function that makes them."""

    def write(workshop: Workshop, path: Path) -> None:
        path.write_bytes(make if isinstance(make, bytes) else make(workshop))

    return HostileInput(kind, title, verdict, write, extension)
