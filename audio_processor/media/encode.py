"""PCM blocks in, an ADTS file out, whole and counted.

FFmpeg's native encoder is everywhere. Another one, run as a process of its own, would be a
second ``Encoder``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from audio_processor.errors import VerificationFailed
from audio_processor.media import argv
from audio_processor.media.adts import DECODER_DELAY_FRAMES, FRAME_SAMPLES, count_frames
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.model import Blocks, Candidate, EncodedTier, Tier

STALL_TIMEOUT_S = 60.0
TIMEOUT_S = 4 * 3600.0


class Encoder(Protocol):
    """Encodes one tier. Deterministic: the same blocks give the same bytes, however cut."""

    def __call__(
        self,
        supervisor: Supervisor,
        blocks: Blocks,
        *,
        tier: Tier,
        candidate: Candidate,
        target: Path,
        padding_frames: int,
    ) -> EncodedTier:
        """Write ``padding_frames`` of silence and the blocks to ``target`` as ADTS."""


def encode_aac(
    supervisor: Supervisor,
    blocks: Blocks,
    *,
    tier: Tier,
    candidate: Candidate,
    target: Path,
    padding_frames: int,
    stall_timeout_s: float = STALL_TIMEOUT_S,
    timeout_s: float = TIMEOUT_S,
) -> EncodedTier:
    """Encode ``(frames, 2)`` blocks at the tier's rate with FFmpeg's native AAC-LC encoder.

    Raises ``FFmpegFailed``, ``EncoderTimeout``, and ``VerificationFailed`` where the file is
    not the stream of whole frames that was asked for.
    """
    source_frames = 0
    with supervisor.open(
        argv.encode_aac(target, tier, candidate),
        what=f"encode {tier.name}",
        stdin=True,
        stall_timeout_s=stall_timeout_s,
        timeout_s=timeout_s,
    ) as process:
        process.write(bytes(padding_frames * 2 * 4))
        for block in blocks:
            assert block.ndim == 2 and block.shape[1] == 2, block.shape
            source_frames += len(block)
            process.write(np.ascontiguousarray(block, np.float32).data)
        process.finish()
    return EncodedTier(
        tier=tier,
        candidate=candidate,
        path=target,
        source_frames=source_frames,
        lead_frames=DECODER_DELAY_FRAMES + padding_frames,
        aac_frames=_whole_frames(target, tier, padding_frames + source_frames),
    )


def _whole_frames(target: Path, tier: Tier, encoded_frames: int) -> int:
    """Count the AAC frames: as many as the input needs, decoder delay included, or one more."""
    try:
        count = count_frames(target, tier.sample_rate_hz)
    except ValueError as error:
        raise VerificationFailed(f"Tier {tier.name} is not whole: {error}.") from error
    needed = -(-(encoded_frames + DECODER_DELAY_FRAMES) // FRAME_SAMPLES)
    if not needed <= count <= needed + 1:
        raise VerificationFailed(
            f"Tier {tier.name} holds {count} AAC frames where {needed} were expected."
        )
    return count


_native: Encoder = encode_aac
