"""PCM blocks in, an ADTS file out, whole and counted.

FFmpeg's native encoder is everywhere; ``fdkaac`` is a second ``Encoder``. What either leaves
behind has the same lead, so that nothing after it asks which one it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import numpy as np

from audio_processor.errors import VerificationFailed
from audio_processor.media import argv
from audio_processor.media.adts import DECODER_DELAY_FRAMES, FRAME_SAMPLES, count_frames
from audio_processor.media.bandwidth import aac_cutoff_hz
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.model import Blocks, Candidate, EncodedTier, EncoderName, Tier

STALL_TIMEOUT_S = 60.0
TIMEOUT_S = 4 * 3600.0


class Encoder(Protocol):
    """Encodes tiers. Deterministic: the same blocks give the same bytes, however cut."""

    @property
    def name(self) -> EncoderName:
        """What the settings and ``metadata.json`` call it."""

    @property
    def versions(self) -> Mapping[str, str]:
        """Of what decides its bytes, FFmpeg aside, by name."""

    def cutoff_hz(self, tier: Tier) -> int:
        """Return where it cuts the tier's treble off."""

    def encode(
        self,
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
        """Write ``padding_frames`` of silence and the ``(frames, 2)`` blocks to ``target``, ADTS.

        A decoder yields them ``DECODER_DELAY_FRAMES`` late. Raises ``ProcessFailed``,
        ``EncoderTimeout``, ``EncoderKilled``, ``DiskFull``, and ``VerificationFailed`` where
        the file is not the stream of whole frames that was asked for.
        """


def named(encoder: Encoder) -> str:
    """Return its name and, where it is a program of its own, that program's version."""
    version = encoder.versions.get(encoder.name)
    return encoder.name if version is None else f"{encoder.name} {version}"


@dataclass(frozen=True, slots=True)
class NativeAac:
    """FFmpeg's own AAC-LC encoder."""

    @property
    def name(self) -> EncoderName:
        """Return ``aac``, as FFmpeg calls it."""
        return "aac"

    @property
    def versions(self) -> Mapping[str, str]:
        """Return nothing: FFmpeg's version is told anyway."""
        return MappingProxyType({})

    def cutoff_hz(self, tier: Tier) -> int:
        """Return the bandwidth that it is told to keep."""
        return aac_cutoff_hz(tier)

    def encode(
        self,
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
        """Encode as ``Encoder.encode`` says. Raises ``FFmpegFailed``, and what it says."""
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
            encoder=self.name,
        )


def frames_needed(encoded_frames: int) -> int:
    """Return the AAC frames that hold the input, the decoder's delay included."""
    return -(-(encoded_frames + DECODER_DELAY_FRAMES) // FRAME_SAMPLES)


def not_whole(tier: Tier, why: object) -> VerificationFailed:
    """Return the error of an encode that is not what was asked for."""
    return VerificationFailed(f"Tier {tier.name} is not whole: {why}.")


def _whole_frames(target: Path, tier: Tier, encoded_frames: int) -> int:
    """Count the AAC frames: as many as the input needs, or one more."""
    try:
        count = count_frames(target, tier.sample_rate_hz)
    except ValueError as error:
        raise not_whole(tier, error) from error
    needed = frames_needed(encoded_frames)
    if not needed <= count <= needed + 1:
        raise VerificationFailed(
            f"Tier {tier.name} holds {count} AAC frames where {needed} were expected."
        )
    return count
