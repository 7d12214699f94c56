"""Real music from the corpus, decoded by FFmpeg alone."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from audio_processor.model import Block


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
