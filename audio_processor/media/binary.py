"""Which FFmpeg to run: the configured one, the one on PATH, or the imageio-ffmpeg wheel's.

ffprobe is never looked for: the wheel has none.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from audio_processor.errors import ConfigError

ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}
"""What an FFmpeg is told of us: our own environment may hold passwords."""
_VERSION_TIMEOUT_S = 20.0
_VERSION = re.compile(r"^ffmpeg version (\S+)", re.MULTILINE)
_LIBAVCODEC = re.compile(r"^libavcodec\s+(\d+)\.\s*(\d+)\.\s*(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class FFmpegBinary:
    """An FFmpeg that has answered ``-version``."""

    path: Path
    version: str
    """As it calls itself: ``n7.1``, ``5.1.6-0+deb12u1`` …"""
    libavcodec: str
    """``major.minor.micro`` of the codec library, which decides the bytes of an encode."""


def find_ffmpeg(configured: Path | None = None) -> FFmpegBinary:
    """Return the first FFmpeg there is: configured path, then PATH, then imageio-ffmpeg's.

    A configured path that does not work is an error, never a reason to take another one.
    Raises ``ConfigError`` naming ``ffmpeg.path``.
    """
    if configured is not None:
        return _ask(configured, f"ffmpeg.path = {str(configured)!r}")
    on_path = shutil.which("ffmpeg")
    if on_path is not None:
        return _ask(Path(on_path), f"the ffmpeg on PATH ({on_path})")
    bundled = _bundled()
    if bundled is not None:
        return _ask(bundled, "the ffmpeg of the imageio-ffmpeg package")
    raise ConfigError(
        "ffmpeg.path: no FFmpeg was found; install ffmpeg, or `pip install imageio-ffmpeg`, "
        "or set ffmpeg.path to the binary"
    )


def _bundled() -> Path | None:
    try:
        import imageio_ffmpeg
    except ImportError:
        return None
    # get_ffmpeg_exe() would run it once, with our whole environment, and fall back to the PATH's
    folder = Path(imageio_ffmpeg.__file__).with_name("binaries")
    return next((path for path in folder.glob("ffmpeg-*") if os.access(path, os.X_OK)), None)


def _ask(path: Path, where: str) -> FFmpegBinary:
    """Run ``-version``; a file that is not FFmpeg, or cannot run here, is a ``ConfigError``."""
    try:
        answer = subprocess.run(
            [os.fspath(path.absolute()), "-hide_banner", "-version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=ENVIRONMENT,
            timeout=_VERSION_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = error.strerror if isinstance(error, OSError) else "it did not answer"
        raise ConfigError(
            f"ffmpeg.path: {where} cannot be run ({reason}); set ffmpeg.path to an FFmpeg binary"
        ) from error
    text = answer.stdout.decode("utf-8", "replace")
    version, libavcodec = _VERSION.search(text), _LIBAVCODEC.search(text)
    if answer.returncode != 0 or version is None or libavcodec is None:
        raise ConfigError(
            f"ffmpeg.path: {where} does not answer `-version` as FFmpeg does; "
            "set ffmpeg.path to an FFmpeg binary"
        )
    return FFmpegBinary(path.absolute(), version[1], ".".join(libavcodec.groups()))
