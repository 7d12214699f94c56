"""Which ``fdkaac`` to run, and whether it does what is counted on.

The program comes from the operator: libfdk-aac's licence is not a free one, and nothing of it is
shipped here. So it is tried before any track depends on it: a noise is encoded and decoded
again, and found where it has to be.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio_processor.errors import ConfigError
from audio_processor.media.binary import ENVIRONMENT, FFmpegBinary

FDKAAC = "fdkaac"
DELAY_FRAMES = 2048
"""Samples that a decoder yields before the first one that went into ``fdkaac``, for AAC-LC."""
OLDEST = (1, 0, 0)
"""The oldest version that the tests have met."""

_TIMEOUT_S = 20.0
_VERSION = re.compile(rb"^fdkaac (\d+)\.(\d+)\.(\d+)", re.MULTILINE)
_LIBRARY = re.compile(rb"libfdk-aac (\d+\.\d+\.\d+)")
_RATE_HZ = 44_100
_SILENCE = 2048
_NOISE = 8192


@dataclass(frozen=True, slots=True)
class FdkaacBinary:
    """An ``fdkaac`` that has encoded something, and was late by ``DELAY_FRAMES``."""

    path: Path
    version: str
    libfdk_aac: str
    """Of its encoder, as it writes it into files: the releases 2.0.2 and 2.0.3 say 4.0.1."""


def find_fdkaac(configured: Path | None, ffmpeg: FFmpegBinary) -> FdkaacBinary:
    """Return the configured ``fdkaac``, else the one on PATH, once it has been tried.

    Raises ``ConfigError`` naming ``encoder.path`` or ``encoder.name``.
    """
    path = configured or _on_path()
    where = f"encoder.path = {str(path)!r}" if configured else f"the fdkaac on PATH ({path})"
    path = path.absolute()
    version = _version(path, where)
    _hold_to_delay(path, ffmpeg, where)
    return FdkaacBinary(path, version, _library(path, where))


def _on_path() -> Path:
    found = shutil.which(FDKAAC)
    if found is None:
        raise ConfigError(
            'encoder.name = "fdkaac": no fdkaac was found on PATH; install it (Debian has it in '
            'contrib, its library in non-free), set encoder.path to it, or set encoder.name = "aac"'
        )
    return Path(found)


def _version(path: Path, where: str) -> str:
    answer = _run(path, ["--help"], where)  # which exits 1, with the usage on stdout
    version = _VERSION.search(answer.stdout)
    if version is None:
        raise ConfigError(
            f"encoder.path: {where} does not answer `--help` as fdkaac does"
            f"{_said(answer)}; set encoder.path to an fdkaac"
        )
    if tuple(map(int, version.groups())) < OLDEST:
        raise ConfigError(
            f"encoder.path: {where} is {version[0].decode()}, older than "
            f"{'.'.join(map(str, OLDEST))}; install a newer one"
        )
    return version[0].decode().removeprefix("fdkaac ")


def _hold_to_delay(path: Path, ffmpeg: FFmpegBinary, where: str) -> None:
    """Encode a noise, decode it, and see where it is: the ladder's timeline hangs on that."""
    noise = np.random.default_rng(0).integers(-8192, 8192, (_NOISE, 2), np.int16)
    pcm = np.concatenate([np.zeros((_SILENCE, 2), np.int16), noise])
    arguments = ["-p", "2", "-b", "256000", "-f", "2", "-o", "-", "-"]
    encoded = _encode(path, arguments, pcm.astype("<i2").tobytes(), where)
    decoded = _run(
        ffmpeg.path,
        [
            *("-nostdin", "-v", "error", "-protocol_whitelist", "pipe"),
            *("-f", "aac", "-i", "pipe:0", "-f", "f32le", "-ac", "2", "pipe:1"),
        ],
        where,
        stdin=encoded.stdout,
    )
    heard = np.frombuffer(decoded.stdout[: len(decoded.stdout) // 8 * 8], "<f4").reshape(-1, 2)
    delay = _delay_frames(noise[:, 0].astype(np.float64), heard[:, 0].astype(np.float64))
    if delay != _SILENCE + DELAY_FRAMES:
        said = "nothing of it was heard" if delay is None else f"it came {delay - _SILENCE} late"
        raise ConfigError(
            f"encoder.path: {where} does not encode as it should: a noise must come "
            f"{DELAY_FRAMES} samples late out of a decoder, and {said}{_said(encoded)}; set "
            'encoder.name = "aac", or install another fdkaac'
        )


def _delay_frames(sent: np.ndarray, heard: np.ndarray) -> int | None:
    """Return where ``sent`` begins in ``heard``; None where it is not in it."""
    if len(heard) < len(sent):
        return None
    size = 1 << (len(sent) + len(heard)).bit_length()
    product = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sent, size))
    correlation = np.fft.irfft(product)[: len(heard)]
    at = int(np.argmax(correlation))
    likeness = correlation[at] / (np.linalg.norm(sent) * np.linalg.norm(heard) + 1e-9)
    return at if likeness > 0.5 else None


def _library(path: Path, where: str) -> str:
    """Return the library's version: ``fdkaac`` tells it in an m4a alone, and needs to seek."""
    file = os.memfd_create("fdkaac")
    try:
        target = f"/proc/self/fd/{file}"
        arguments = ["-p", "2", "-b", "64000", "-o", target, "-"]
        _encode(path, arguments, bytes(4 * 4096), where, pass_fds=(file,))
        found = _LIBRARY.search(os.pread(file, 1 << 20, 0))
    finally:
        os.close(file)
    return found[1].decode() if found else "unknown"


def _encode(
    path: Path, arguments: Sequence[str], pcm: bytes, where: str, pass_fds: Sequence[int] = ()
) -> subprocess.CompletedProcess[bytes]:
    """Run it on 16-bit stereo. Raises ``ConfigError`` where it does not end well."""
    raw = ["-S", "-R", "--raw-channels", "2", "--raw-rate", str(_RATE_HZ), "--raw-format", "S16L"]
    answer = _run(path, [*raw, *arguments], where, stdin=pcm, pass_fds=pass_fds)
    if answer.returncode != 0:
        raise ConfigError(
            f"encoder.path: {where} failed to encode (exit code {answer.returncode})"
            f'{_said(answer)}; set encoder.name = "aac", or install another fdkaac'
        )
    return answer


def _run(
    path: Path,
    arguments: Sequence[str],
    where: str,
    *,
    stdin: bytes = b"",
    pass_fds: Sequence[int] = (),
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            [os.fspath(path), *arguments],
            input=stdin,
            capture_output=True,
            env=ENVIRONMENT,
            timeout=_TIMEOUT_S,
            check=False,
            pass_fds=pass_fds,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = error.strerror if isinstance(error, OSError) else "it did not answer"
        raise ConfigError(
            f"encoder.path: {where} cannot be run ({reason}); set encoder.path to an fdkaac, or "
            'encoder.name = "aac"'
        ) from error


def _said(answer: subprocess.CompletedProcess[bytes]) -> str:
    """Return the last line of what it said on stderr, to be put behind a sentence."""
    lines = answer.stderr.decode("utf-8", "replace").strip().splitlines()
    return f": {lines[-1][:200]}" if lines else ""
