"""One FFmpeg and one supervisor for the tests of media."""

from __future__ import annotations

from pathlib import Path

import pytest

from audio_processor.media.binary import FFmpegBinary, find_ffmpeg
from audio_processor.media.ffmpeg import ProcessLimits, Supervisor


@pytest.fixture(scope="session")
def binary() -> FFmpegBinary:
    return find_ffmpeg()


@pytest.fixture
def supervisor(binary: FFmpegBinary, tmp_path: Path) -> Supervisor:
    """A job of its own: a test may cancel it."""
    job = tmp_path / "job"
    job.mkdir()
    return Supervisor(binary, job, ProcessLimits())
