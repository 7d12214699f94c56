"""Render: one decode to every tier's encoder, each encode decoded again and measured.

``decode → chain → gain → per tier: resample → limiter → encoder``, all tiers at once; then
each ADTS file is decoded and measured, and the tiers out of tolerance go round again with
their next candidate. PCM never touches the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from audio_processor.delivery.candidates import (
    FULL_SCALE_DBTP,
    ForeseenTrim,
    Tolerance,
    back_off,
    best,
    next_candidate,
    true_peak_dbtp,
)
from audio_processor.delivery.fanout import broadcast
from audio_processor.delivery.timeline import alignment_padding
from audio_processor.dsp.gain import Gain
from audio_processor.dsp.limiter import Limiter
from audio_processor.dsp.measure import LevelMeter
from audio_processor.dsp.repair import RepairSpikes
from audio_processor.dsp.resample import Resample
from audio_processor.errors import VerificationFailed
from audio_processor.mastering.chain import Chain
from audio_processor.media.decode import decode_adts
from audio_processor.media.encode import encode_aac
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.model import (
    Block,
    Blocks,
    Candidate,
    CandidateResult,
    EncodedTier,
    Ladder,
    LimitedBy,
    Plan,
    Rendition,
    Tier,
)

MAX_BACK_OFFS = 4
"""Re-encodes at lower gain after the last candidate; each lowers the peak by what was measured."""

OpenBlocks = Callable[[], AbstractContextManager[Blocks]]
"""Decodes the source from its start, at ``sample_rate_hz``, stereo."""
Advance = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Programme:
    """The source as a stream that can be started over."""

    open: OpenBlocks
    sample_rate_hz: int
    frames: int
    has_spikes: bool = False
    """Whether the analysis found decoder spikes; it left them out, so the render must too."""


@dataclass(frozen=True, slots=True)
class LadderSpec:
    """What to encode and what each encode must measure."""

    tiers: tuple[Tier, ...]
    candidates: Mapping[str, tuple[Candidate, ...]]
    """By tier name, best first."""
    foreseen_trim_db: Mapping[str, ForeseenTrim]
    """By tier name."""
    tolerance: Tolerance
    folder: Path


@dataclass(frozen=True, slots=True)
class _Attempt:
    encoded: EncodedTier
    decoded_frames: int
    result: CandidateResult


def render_ladder(
    supervisor: Supervisor,
    programme: Programme,
    chain: Chain,
    plan: Plan,
    spec: LadderSpec,
    advance: Advance = lambda _: None,
) -> Ladder:
    """Encode and measure every tier until each is within tolerance or says why it is not.

    Raises ``VerificationFailed`` when a tier stays above full scale whatever is tried,
    and whatever decode and encode raise.
    """
    attempts: dict[str, list[_Attempt]] = {tier.name: [] for tier in spec.tiers}
    while True:
        wanted = {
            tier: candidate
            for tier in spec.tiers
            if (candidate := _wanted(attempts[tier.name], spec, tier)) is not None
        }
        if not wanted:
            break
        for attempt in _encode_round(supervisor, programme, chain, plan, spec, wanted, advance):
            attempts[attempt.encoded.tier.name].append(attempt)
    return Ladder(
        tuple(_rendition(attempts[tier.name], spec.tolerance, plan) for tier in spec.tiers)
    )


def _wanted(attempts: list[_Attempt], spec: LadderSpec, tier: Tier) -> Candidate | None:
    """Return what to encode this tier with next, or None when it has what it needs."""
    listed = spec.candidates[tier.name]
    results = [attempt.result for attempt in attempts]
    foreseen = spec.foreseen_trim_db[tier.name]
    candidate = next_candidate(listed, results, spec.tolerance, foreseen)
    if candidate is not None or results[-1].accepted:
        return candidate
    closest = best(results, spec.tolerance)
    if true_peak_dbtp(closest.measured) <= FULL_SCALE_DBTP:
        return None
    if len(results) >= len(listed) + MAX_BACK_OFFS:
        raise VerificationFailed(
            f"Tier {tier.name} decodes to {true_peak_dbtp(closest.measured):+.1f} dBTP "
            f"after {len(results)} encodes; it was not published."
        )
    return back_off(closest)


def _encode_round(
    supervisor: Supervisor,
    programme: Programme,
    chain: Chain,
    plan: Plan,
    spec: LadderSpec,
    wanted: Mapping[Tier, Candidate],
    advance: Advance,
) -> list[_Attempt]:
    padding = alignment_padding([tier.sample_rate_hz for tier in spec.tiers])

    def attempt(tier: Tier, candidate: Candidate, blocks: Blocks) -> _Attempt:
        rate = programme.sample_rate_hz
        resampled = Resample(tier.sample_rate_hz)(blocks, rate)
        limiter = Limiter(ceiling_dbtp=candidate.ceiling_dbtp, gain_db=candidate.trim_db)
        encoded = encode_aac(
            supervisor,
            limiter(resampled, tier.sample_rate_hz),
            tier=tier,
            candidate=candidate,
            target=spec.folder / f"{tier.name}.{_fingerprint(candidate)}.aac",
            padding_frames=padding[tier.sample_rate_hz],
        )
        return _measure(supervisor, encoded, spec.tolerance)

    with programme.open() as source:
        rate = programme.sample_rate_hz
        repaired = RepairSpikes()(source, rate) if programme.has_spikes else source
        mastered = chain(repaired, rate)
        levelled = Gain(plan.gain_db, plan.rider)(mastered, rate)
        counted = _told(levelled, programme.frames, advance)
        return broadcast(
            counted, [partial(attempt, tier, candidate) for tier, candidate in wanted.items()]
        )


def _measure(supervisor: Supervisor, encoded: EncodedTier, tolerance: Tolerance) -> _Attempt:
    """Decode the encode and measure it: the figures that will be published."""
    rate = encoded.tier.sample_rate_hz
    meter = LevelMeter(rate, 2)
    decoded_frames = 0
    with decode_adts(supervisor, encoded.path, sample_rate_hz=rate) as blocks:
        for block in blocks:
            meter.push(block)
            decoded_frames += len(block)
    measured = meter.result()
    result = CandidateResult(encoded.candidate, measured, accepted=tolerance.fits(measured))
    return _Attempt(encoded, decoded_frames, result)


def _rendition(attempts: list[_Attempt], tolerance: Tolerance, plan: Plan) -> Rendition:
    """Keep the best attempt, drop the other files, and say what stood in the way if anything."""
    results = tuple(attempt.result for attempt in attempts)
    kept_result = best(results, tolerance)
    kept = next(attempt for attempt in attempts if attempt.result is kept_result)
    for attempt in attempts:
        if attempt is not kept:
            attempt.encoded.path.unlink(missing_ok=True)
    limited_by: LimitedBy | None = plan.limited_by
    if not kept_result.accepted:
        limited_by = "codec_peak"
    return Rendition(
        encoded=kept.encoded,
        measured=kept_result.measured,
        decoded_frames=kept.decoded_frames,
        tried=results,
        limited_by=limited_by,
    )


def _told(blocks: Blocks, frames: int, advance: Advance) -> Iterator[Block]:
    done = 0
    for block in blocks:
        yield block
        done += len(block)
        advance(min(1.0, done / max(1, frames)))


def _fingerprint(candidate: Candidate) -> str:
    """Name a candidate's file so that two of one tier never share one."""
    tns = "tns" if candidate.tns else "no-tns"
    return f"{candidate.ceiling_dbtp:+.2f}.{candidate.coder}.{tns}.{candidate.trim_db:+.3f}"
