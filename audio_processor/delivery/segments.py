"""Segments: where a ladder is cut, and cutting one tier there.

The plan is pure; ``cut`` runs FFmpeg's HLS muxer over the ADTS stream, copying, and proves
that the segments hold exactly the bytes that verification measured.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from audio_processor.delivery.adts import FRAME_SAMPLES, frame_count
from audio_processor.delivery.transport_stream import CLOCK_HZ, read_audio
from audio_processor.errors import VerificationFailed
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.model import EncodedTier, Segment

GRID_TOLERANCE = Fraction(1, 10)
"""How far from the asked duration the common grid may lie and still be used."""
RUNT = Fraction(1, 10)
"""A last segment shorter than this part of a segment is merged into the one before."""
_MICRO = 1_000_000
_MUX_TIMEOUT_S = 600.0
_PES_DURATION_S = 0.7
"""Audio in one PES packet: enough to bring the stream's overhead down to 4–6 %, and less
than a player's start-up buffer."""
_PES_BYTES = 16_000


@dataclass(frozen=True, slots=True)
class TierLength:
    """What the plan needs to know of a tier."""

    sample_rate_hz: int
    aac_frames: int


@dataclass(frozen=True, slots=True)
class CutPlan:
    """How one tier is cut."""

    sample_rate_hz: int
    cut_every_us: int
    """What the muxer is told: it cuts at the first frame at or after each multiple of this."""
    segment_frames: tuple[int, ...]
    """AAC frames in each segment, the runt merged."""

    @property
    def durations_s(self) -> tuple[float, ...]:
        """Each segment's real duration."""
        return tuple(n * FRAME_SAMPLES / self.sample_rate_hz for n in self.segment_frames)


def plan_cuts(tiers: Sequence[TierLength], segment_duration_s: float) -> tuple[CutPlan, ...]:
    """Decide where each tier is cut; all tiers get the same number of segments.

    Where a multiple of the tiers' common frame grid lies within ``GRID_TOLERANCE`` of the
    asked duration, the cuts fall on it, at equal times on all tiers. Elsewhere each tier is
    cut at its first frame at or after each multiple of the asked duration.
    """
    asked = Fraction(segment_duration_s).limit_denominator(_MICRO)
    every = _on_grid([tier.sample_rate_hz for tier in tiers], asked)
    cut_every_us = _muxer_step_us(tiers, every)
    cuts = [_cuts(tier, cut_every_us) for tier in tiers]
    kept = min(
        sum(1 for at in tier_cuts if _remaining(tier, at) >= every * RUNT)
        for tier, tier_cuts in zip(tiers, cuts, strict=True)
    )
    return tuple(
        CutPlan(tier.sample_rate_hz, cut_every_us, _lengths(tier_cuts[:kept], tier.aac_frames))
        for tier, tier_cuts in zip(tiers, cuts, strict=True)
    )


def common_grid_s(sample_rates_hz: Sequence[int]) -> Fraction:
    """Return the shortest time that is a whole number of AAC frames at every rate.

    24, 32 and 44.1 kHz: 10.24 s (240, 320 and 441 frames).
    """
    frames = [Fraction(FRAME_SAMPLES, rate) for rate in sample_rates_hz]
    return Fraction(
        math.lcm(*(f.numerator for f in frames)), math.gcd(*(f.denominator for f in frames))
    )


def _on_grid(sample_rates_hz: Sequence[int], asked: Fraction) -> Fraction:
    grid = common_grid_s(sample_rates_hz)
    nearest = grid * max(1, round(asked / grid))
    return nearest if abs(nearest - asked) <= asked * GRID_TOLERANCE else asked


def _muxer_step_us(tiers: Sequence[TierLength], every: Fraction) -> int:
    """Return the whole microseconds at which the muxer cuts where ``every`` says.

    The muxer compares 90 kHz stamps, rounded, with multiples of whole microseconds: a few
    microseconds less keeps a frame that stands exactly on a cut on its right side.
    """
    exact = math.floor(every * _MICRO)
    for step_us in (exact, exact - 1, exact - 6):
        if all(_cuts(tier, step_us) == _exact_cuts(tier, every) for tier in tiers):
            return step_us
    return exact


def _exact_cuts(tier: TierLength, every: Fraction) -> list[int]:
    per_segment = every * tier.sample_rate_hz / FRAME_SAMPLES
    count = math.ceil(tier.aac_frames / per_segment) - 1
    return [math.ceil(per_segment * i) for i in range(1, count + 1)]


def _cuts(tier: TierLength, step_us: int) -> list[int]:
    """Return the frames before which FFmpeg's HLS muxer cuts, told ``-hls_time step_us``."""
    cuts = []
    for number in range(1, tier.aac_frames + 1):
        at_us = number * step_us
        frame = at_us * tier.sample_rate_hz // (FRAME_SAMPLES * _MICRO)
        while _stamp(frame, tier.sample_rate_hz) * _MICRO < at_us * CLOCK_HZ:
            frame += 1
        if frame >= tier.aac_frames:
            break
        cuts.append(frame)
    return cuts


def _stamp(frame: int, sample_rate_hz: int) -> int:
    """Return the frame's 90 kHz time stamp, rounded to the nearest."""
    return (2 * frame * FRAME_SAMPLES * CLOCK_HZ + sample_rate_hz) // (2 * sample_rate_hz)


def _remaining(tier: TierLength, cut: int) -> Fraction:
    return Fraction((tier.aac_frames - cut) * FRAME_SAMPLES, tier.sample_rate_hz)


def _lengths(cuts: Sequence[int], total: int) -> tuple[int, ...]:
    edges = [0, *cuts, total]
    return tuple(end - start for start, end in itertools.pairwise(edges))


def segment_pattern(count: int) -> str:
    """Return the segments' names as a printf pattern: three digits, or as many as are needed."""
    return f"segment_%0{max(3, len(str(count - 1)))}d.ts"


def cut(
    supervisor: Supervisor, encoded: EncodedTier, plan: CutPlan, folder: Path
) -> tuple[Segment, ...]:
    """Cut the tier into ``folder`` as planned.

    Raises ``VerificationFailed`` where the segments do not hold the encode's very bytes,
    cut where the plan says.
    """
    folder.mkdir(parents=True)
    pattern = segment_pattern(len(plan.segment_frames))
    supervisor.run(
        # relative to where FFmpeg runs: a % in the scratch folder's name is no pattern
        hls_arguments(encoded.path, plan, os.path.relpath(folder, supervisor.job_dir), pattern),
        what=f"cut {encoded.tier.name}",
        timeout_s=_MUX_TIMEOUT_S,
    )
    paths = [folder / (pattern % number) for number in range(len(plan.segment_frames))]
    _merge_runt(paths[-1], folder, pattern, len(paths))
    with encoded.path.open("rb") as adts:
        segments = tuple(_proven(encoded, plan, paths, adts))
        if adts.read(1):
            raise VerificationFailed(f"{encoded.tier.name}: the segments end before the encode.")
    return segments


def hls_arguments(source: Path, plan: CutPlan, folder: str, pattern: str) -> list[str]:
    """Return FFmpeg's arguments: one transport stream, cut and copied.

    The muxer packs as much audio into a PES packet as half its ``muxdelay`` holds; left at
    0 it writes a packet per AAC frame, and the stream grows by 40 %.
    """
    whole_s, rest_us = divmod(plan.cut_every_us, _MICRO)
    return [
        *("-hide_banner", "-nostdin", "-loglevel", "error"),
        *("-f", "aac", "-i", str(source), "-map", "0:a:0", "-c", "copy"),
        *("-map_metadata", "-1", "-fflags", "+bitexact"),
        *("-muxdelay", str(2 * _PES_DURATION_S), "-muxpreload", "0"),
        *("-f", "hls", "-hls_time", f"{whole_s}.{rest_us:06d}", "-hls_list_size", "0"),
        *("-hls_segment_options", f"pes_payload_size={_PES_BYTES}"),
        *("-hls_segment_filename", f"{folder}/{pattern}"),
        f"{folder}/muxer.m3u8",
    ]


def _merge_runt(last: Path, folder: Path, pattern: str, number: int) -> None:
    """Append what the muxer cut beyond the plan: its continuity counters run on, so it may."""
    while (runt := folder / (pattern % number)).exists():
        with last.open("ab") as file:
            file.write(runt.read_bytes())
        runt.unlink()
        number += 1


def _proven(
    encoded: EncodedTier, plan: CutPlan, paths: Sequence[Path], adts: BinaryIO
) -> Iterator[Segment]:
    """Demux each segment again and hold it against the encode and the plan."""
    counter: int | None = None
    for path, frames, duration_s in zip(paths, plan.segment_frames, plan.durations_s, strict=True):
        data = path.read_bytes() if path.exists() else b""
        try:
            stream = read_audio(data)
            held = frame_count(stream.payload)
        except ValueError as error:
            raise VerificationFailed(f"{encoded.tier.name}/{path.name}: {error}.") from error
        fault = ""
        if stream.payload != adts.read(len(stream.payload)):
            fault = "does not hold the bytes that were measured"
        elif held != frames:
            fault = f"holds {held} AAC frames, {frames} were planned"
        elif stream.counter_breaks or counter not in {None, (stream.first_counter - 1) % 16}:
            fault = "has a break in its continuity counters"
        if fault:
            raise VerificationFailed(f"{encoded.tier.name}/{path.name} {fault}.")
        counter = stream.last_counter
        yield Segment(path, path.name, duration_s, len(data))
