"""PCM blocks in, a WAV or FLAC file out: what a mastered file is exported as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from audio_processor.media import argv
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.model import Blocks

Container = Literal["wav", "flac"]
STALL_TIMEOUT_S = 60.0
TIMEOUT_S = 4 * 3600.0
INTEGER_DEPTHS = (16, 24)
MAX_FLAC_RATE_HZ = 655_350
"""RFC 9639 §8.2: twenty bits, and what FFmpeg's encoder takes."""


@dataclass(frozen=True, slots=True)
class PcmForm:
    """How samples are stored."""

    container: Container
    bit_depth: Literal[16, 24, 32]
    """16 and 24: integers; 32: floats, which only a WAV can hold."""
    sample_rate_hz: int

    def __post_init__(self) -> None:
        if self.container == "flac" and self.bit_depth not in INTEGER_DEPTHS:
            raise ValueError("FLAC holds integers of 16 or 24 bits, no floats")

    @property
    def codec(self) -> str:
        """FFmpeg's name for it."""
        if self.container == "flac":
            return "flac"
        return {16: "pcm_s16le", 24: "pcm_s24le", 32: "pcm_f32le"}[self.bit_depth]


def write_pcm(
    supervisor: Supervisor,
    blocks: Blocks,
    target: Path,
    form: PcmForm,
    *,
    tags: Mapping[str, str],
    stall_timeout_s: float = STALL_TIMEOUT_S,
    timeout_s: float = TIMEOUT_S,
) -> int:
    """Write ``(frames, 2)`` blocks and return the number of frames.

    Integers hold what is on their grid exactly (``dsp.dither`` puts it there). A WAV over
    4 GiB becomes an RF64 (EBU Tech 3306). Raises ``FFmpegFailed``, ``EncoderTimeout``,
    ``DiskFull``.
    """
    frames = 0
    with supervisor.open(
        argv.encode_pcm(target, form.container, form.codec, form.bit_depth, form.sample_rate_hz,
                        tags),
        what=f"write {form.container}",
        stdin=True,
        stall_timeout_s=stall_timeout_s,
        timeout_s=timeout_s,
    ) as process:  # fmt: skip
        for block in blocks:
            assert block.ndim == 2 and block.shape[1] == 2, block.shape
            frames += len(block)
            process.write(np.ascontiguousarray(block, np.float32).data)
        process.finish()
    return frames
