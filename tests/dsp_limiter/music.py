"""Real music from the corpus, decoded by FFmpeg alone."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from audio_processor.model import Block
from tests.requirements import missing


def track(name: str) -> Path:
    """The corpus file of this name, or the test is skipped (a failure in CI)."""
    folder = os.environ.get("AUDIO_PROCESSOR_CORPUS")
    corpus = Path(folder) if folder else Path(__file__).parents[2] / "bench" / "corpus"
    found = sorted(corpus.rglob(name))
    if not found:
        missing(f"{name} is not in the corpus ({corpus}); `make corpus` brings it")
    return found[0]


def decoded(path: Path, seconds: float | None = None) -> tuple[Block, int]:
    """Stereo float32 and its rate."""
    length = [] if seconds is None else ["-t", str(seconds)]
    run = subprocess.run(
        [
            imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostats", *length, "-i", path,
            "-map", "0:a:0", "-ac", "2", "-f", "f32le", "pipe:1",
        ],
        capture_output=True,
        check=True,
    )  # fmt: skip
    rate = re.search(rb"Audio: .*?(\d+) Hz", run.stderr)
    assert rate
    return np.frombuffer(run.stdout, np.float32).reshape(-1, 2), int(rate[1])
