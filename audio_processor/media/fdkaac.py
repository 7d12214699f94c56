"""The Fraunhofer AAC encoder, in a process of its own: ``fdkaac``, where the operator has put it.

It is fed as FFmpeg is and bounded as FFmpeg is, and what it leaves behind is brought to the
same lead as FFmpeg's, so that the rest of the line knows no difference:

- libfdk-aac works on 16-bit integers. ``fdkaac`` would cut our floats to them without dither,
  so that is done here, with it.
- Before and after its input ``fdkaac`` makes up a frame by linear prediction, for gapless files
  of its own. A ladder's listener would hear it. A frame of silence at each end leaves it
  nothing to predict from, and the frames that hold only this are dropped again: each AAC-LC
  frame stands for itself but for its overlap with the one before, which here is silence.
- It is late by two frames (``fdkaac_binary`` has measured it), FFmpeg's encoder by one.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from audio_processor.dsp.dither import Dither
from audio_processor.errors import DiskFull
from audio_processor.media.adts import (
    DECODER_DELAY_FRAMES,
    FRAME_SAMPLES,
    copy_frames,
    count_frames,
)
from audio_processor.media.bandwidth import fdk_cutoff_hz
from audio_processor.media.encode import STALL_TIMEOUT_S, TIMEOUT_S, frames_needed, not_whole
from audio_processor.media.fdkaac_binary import DELAY_FRAMES, FDKAAC, FdkaacBinary
from audio_processor.media.ffmpeg import Process, Program, Supervisor
from audio_processor.model import Blocks, Candidate, EncodedTier, EncoderName, Tier

_BYTES = 2 * 2
"""Of a stereo sample of 16 bits."""
_FULL_SCALE = 2**15
_SILENCE_FRAMES = FRAME_SAMPLES
"""Before the input: all that ``fdkaac`` looks at when it predicts backwards."""
_FIRST_KEPT = (DELAY_FRAMES + _SILENCE_FRAMES - DECODER_DELAY_FRAMES) // FRAME_SAMPLES
_SPARE_FRAMES = 1
"""AAC frames at the end that one version writes and another does not."""


def arguments(tier: Tier, target: Path) -> list[str]:
    """Return the command line: AAC-LC at a constant rate, 16-bit stereo from stdin, into ADTS."""
    return [
        *("--silent", "--profile", "2", "--afterburner", "1"),
        *("--bitrate-mode", "0", "--bitrate", str(tier.bit_rate)),
        *("--bandwidth", str(fdk_cutoff_hz(tier)), "--transport-format", "2"),
        *("--raw", "--raw-channels", "2", "--raw-rate", str(tier.sample_rate_hz)),
        *("--raw-format", "S16L", "-o", str(target.absolute()), "-"),
    ]


@dataclass(frozen=True, slots=True)
class Fdkaac:
    """``fdkaac`` as an ``Encoder``. A candidate's ``coder`` and ``tns`` mean nothing to it."""

    binary: FdkaacBinary

    @property
    def name(self) -> EncoderName:
        """Return ``fdkaac``."""
        return "fdkaac"

    @property
    def versions(self) -> Mapping[str, str]:
        """Return those of the program and of the library in it."""
        return MappingProxyType(
            {"fdkaac": self.binary.version, "libfdk-aac": self.binary.libfdk_aac}
        )

    def cutoff_hz(self, tier: Tier) -> int:
        """Return the bandwidth that it is told to keep."""
        return fdk_cutoff_hz(tier)

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
        """Encode as ``Encoder.encode`` says."""
        whole = target.with_name(f"{target.name}.whole")
        with supervisor.open(
            arguments(tier, whole),
            what=f"encode {tier.name}",
            stdin=True,
            stall_timeout_s=stall_timeout_s,
            timeout_s=timeout_s,
            program=Program(FDKAAC, self.binary.path),
        ) as process:
            source_frames = _feed(process, blocks, tier, padding_frames)
            process.finish()
        aac_frames = frames_needed(padding_frames + source_frames)
        _keep(whole, target, tier, aac_frames)
        return EncodedTier(
            tier=tier,
            candidate=candidate,
            path=target,
            source_frames=source_frames,
            lead_frames=DECODER_DELAY_FRAMES + padding_frames,
            aac_frames=aac_frames,
            encoder=self.name,
        )


def _feed(process: Process, blocks: Blocks, tier: Tier, padding_frames: int) -> int:
    """Write silence, padding, the programme and silence again; return the programme's frames."""
    process.write(bytes((_SILENCE_FRAMES + padding_frames) * _BYTES))
    source_frames = 0
    for block in Dither(16)(blocks, tier.sample_rate_hz):
        assert block.ndim == 2 and block.shape[1] == 2, block.shape
        source_frames += len(block)
        process.write((block * _FULL_SCALE).astype("<i2").data)
    process.write(bytes(_closing_silence(padding_frames + source_frames) * _BYTES))
    return source_frames


def _closing_silence(frames: int) -> int:
    """Return how much silence makes the input whole AAC frames, the last of them silent."""
    return -frames % FRAME_SAMPLES + FRAME_SAMPLES


def _keep(whole: Path, target: Path, tier: Tier, wanted: int) -> None:
    """Keep the AAC frames that FFmpeg's encoder would have written; the rest is silence.

    Raises ``VerificationFailed`` where they are not all there, ``DiskFull``.
    """
    fed = _SILENCE_FRAMES // FRAME_SAMPLES + wanted
    expected = fed + DELAY_FRAMES // FRAME_SAMPLES
    try:
        count = count_frames(whole, tier.sample_rate_hz)
        if not expected <= count <= expected + _SPARE_FRAMES:
            raise not_whole(tier, f"fdkaac wrote {count} AAC frames where {expected} were expected")
        copy_frames(whole, target, tier.sample_rate_hz, first=_FIRST_KEPT, count=wanted)
    except FileNotFoundError as error:
        raise not_whole(tier, "fdkaac left no file") from error
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise DiskFull(
            f"no room left in the scratch folder trying to encode {tier.name}"
        ) from error
    except ValueError as error:
        raise not_whole(tier, error) from error
    whole.unlink()
