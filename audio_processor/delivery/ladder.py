"""Render: one decode to every tier's encoder, each encode decoded again and measured.

``decode → chain → gain → per tier: resample → limiter → dips → encoder``, all tiers at once; then
each ADTS file is decoded and measured, and the tiers out of tolerance go round again with
their next candidate. PCM never touches the disk.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from audio_processor.delivery.candidates import (
    FULL_SCALE_DBTP,
    ForeseenTrim,
    Tolerance,
    best,
    last_resort,
    next_candidate,
    true_peak_dbtp,
    what_limited,
)
from audio_processor.delivery.dips import dip_curve, overshoots
from audio_processor.delivery.fanout import broadcast
from audio_processor.delivery.timeline import alignment_padding
from audio_processor.dsp.gain import Gain
from audio_processor.dsp.limiter import Limiter
from audio_processor.dsp.measure import LevelMeter
from audio_processor.dsp.resample import Resample
from audio_processor.dsp.stage import Advance, watched
from audio_processor.dsp.true_peak import TruePeakMeter
from audio_processor.errors import VerificationFailed
from audio_processor.mastering.chain import Chain
from audio_processor.mastering.render import levelled
from audio_processor.media.decode import decode_adts
from audio_processor.media.encode import Encoder
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.model import (
    Blocks,
    Candidate,
    CandidateResult,
    Dip,
    EncodedTier,
    Ladder,
    Loudness,
    Plan,
    Rendition,
    Tier,
)

MAX_LAST_RESORTS = 6
"""Re-encodes at lower gain after the last candidate; each lowers by more than the one before."""

OpenBlocks = Callable[[], AbstractContextManager[Blocks]]
"""Decodes the source from its start, at ``sample_rate_hz``, stereo."""


@dataclass(frozen=True, slots=True)
class Programme:
    """The source as a stream that can be started over."""

    open: OpenBlocks
    sample_rate_hz: int
    frames: int
    has_spikes: bool = False
    """Whether the analysis found decoder spikes; it left them out, so the render must too."""


@dataclass(frozen=True, slots=True)
class TierSpec:
    """One tier, and where its search for an encode begins."""

    tier: Tier
    first_ceiling_dbtp: float
    foreseen_trim_db: ForeseenTrim
    band_loss_lu: float = 0.0
    """What the tier's cut takes of the programme's loudness."""


@dataclass(frozen=True, slots=True)
class LadderSpec:
    """What to encode and what each encode must measure."""

    tiers: tuple[TierSpec, ...]
    max_candidates: int
    tolerance: Tolerance
    folder: Path
    encoder: Encoder
    stall_timeout_s: float = 60.0

    @property
    def best(self) -> Tier:
        """The tier that the m4a is muxed from."""
        return max((each.tier for each in self.tiers), key=lambda tier: tier.bit_rate)


@dataclass(frozen=True, slots=True)
class _Attempt:
    encoded: EncodedTier
    decoded_frames: int
    programme: Loudness | None
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
    attempts: dict[str, list[_Attempt]] = {each.tier.name: [] for each in spec.tiers}
    while wanted := tuple(_wanted(attempts, spec)):
        for attempt in _encode_round(supervisor, programme, chain, plan, spec, wanted, advance):
            attempts[attempt.encoded.tier.name].append(attempt)
    return Ladder(
        tuple(_rendition(attempts[each.tier.name], each, spec, plan) for each in spec.tiers)
    )


@dataclass(frozen=True, slots=True)
class _Wanted:
    tier: Tier
    candidate: Candidate
    number: int
    """Of the try, from 1; names the file."""


def _wanted(attempts: Mapping[str, list[_Attempt]], spec: LadderSpec) -> Iterator[_Wanted]:
    """Yield what to encode next, for each tier that does not have what it needs yet."""
    for each in spec.tiers:
        results = [attempt.result for attempt in attempts[each.tier.name]]
        candidate = _next(each, results, spec)
        if candidate is not None:
            yield _Wanted(each.tier, candidate, len(results) + 1)


def _next(each: TierSpec, results: list[CandidateResult], spec: LadderSpec) -> Candidate | None:
    tolerance, most = spec.tolerance, spec.max_candidates
    candidate = next_candidate(
        each.first_ceiling_dbtp, most, results, tolerance, each.foreseen_trim_db
    )
    if candidate is not None or results[-1].accepted:
        return candidate
    lowered = last_resort(results, tolerance, most)
    if lowered is None or len(results) < most + MAX_LAST_RESORTS:
        return lowered
    peak_dbtp = true_peak_dbtp(best(results, tolerance).measured)
    if peak_dbtp <= FULL_SCALE_DBTP:
        return None
    raise VerificationFailed(
        f"Tier {each.tier.name} decodes to {peak_dbtp:+.1f} dBTP after {len(results)} encodes; "
        "it was not published."
    )


def _encode_round(
    supervisor: Supervisor,
    programme: Programme,
    chain: Chain,
    plan: Plan,
    spec: LadderSpec,
    wanted: tuple[_Wanted, ...],
    advance: Advance,
) -> list[_Attempt]:
    padding = alignment_padding([each.tier.sample_rate_hz for each in spec.tiers])
    rate = programme.sample_rate_hz
    # one after the other: hours of a meter's figures for every tier at once are memory's peak
    measuring = threading.Lock()

    def attempt(want: _Wanted, blocks: Blocks) -> _Attempt:
        tier, candidate = want.tier, want.candidate
        limiter = Limiter(ceiling_dbtp=candidate.ceiling_dbtp, gain_db=candidate.trim_db)
        resampled = Resample(tier.sample_rate_hz)(blocks, rate)
        limited = limiter(resampled, tier.sample_rate_hz)
        if candidate.dips:
            dips = dip_curve(candidate.dips, programme.frames / rate)
            limited = Gain(0.0, dips)(limited, tier.sample_rate_hz)
        encoded = spec.encoder.encode(
            supervisor,
            limited,
            tier=tier,
            candidate=candidate,
            target=spec.folder / f"{tier.name}.{want.number}.aac",
            padding_frames=padding[tier.sample_rate_hz],
            stall_timeout_s=spec.stall_timeout_s,
        )
        with measuring:
            return _measure(supervisor, encoded, spec)

    with programme.open() as source:
        blocks = levelled(source, rate, chain, plan, has_spikes=programme.has_spikes)
        counted = watched(blocks, programme.frames, advance)
        return broadcast(counted, [partial(attempt, want) for want in wanted])


def _measure(supervisor: Supervisor, encoded: EncodedTier, spec: LadderSpec) -> _Attempt:
    """Decode the encode and measure it: the figures that will be published."""
    rate = encoded.tier.sample_rate_hz
    whole = LevelMeter(rate, 2)
    # the best tier is the m4a too, which is played without lead and tail
    programme = LevelMeter(rate, 2) if encoded.tier == spec.best else None
    lead, decoded_frames = encoded.lead_frames, 0
    with _decoded(supervisor, encoded, spec) as blocks:
        for block in blocks:
            whole.push(block)
            if programme is not None:
                start = max(0, lead - decoded_frames)
                programme.push(block[start : max(0, lead + encoded.source_frames - decoded_frames)])
            decoded_frames += len(block)
    measured = whole.result()
    fits = spec.tolerance.true_peak_fits(measured)
    result = CandidateResult(
        encoded.candidate,
        measured,
        accepted=spec.tolerance.fits(measured),
        overshoots=() if fits else _locate(supervisor, encoded, spec),
    )
    return _Attempt(encoded, decoded_frames, programme.result() if programme else None, result)


def _locate(supervisor: Supervisor, encoded: EncodedTier, spec: LadderSpec) -> tuple[Dip, ...]:
    """Decode once more to see where the peaks are too high: rarer and cheaper than an encode."""
    rate = encoded.tier.sample_rate_hz
    meter = TruePeakMeter(rate, 2)
    with _decoded(supervisor, encoded, spec) as blocks:
        for block in blocks:
            meter.push(block)
    return overshoots(
        meter.envelope(),
        hop_s=meter.hop_frames / rate,
        lead_s=encoded.lead_frames / rate,
        limit_dbtp=spec.tolerance.true_peak_dbtp,
    )


def _decoded(
    supervisor: Supervisor, encoded: EncodedTier, spec: LadderSpec
) -> AbstractContextManager[Blocks]:
    return decode_adts(
        supervisor,
        encoded.path,
        sample_rate_hz=encoded.tier.sample_rate_hz,
        stall_timeout_s=spec.stall_timeout_s,
    )


def _rendition(attempts: list[_Attempt], each: TierSpec, spec: LadderSpec, plan: Plan) -> Rendition:
    """Keep the best attempt, drop the other files, and say what stood in the way if anything."""
    results = tuple(attempt.result for attempt in attempts)
    kept_result = best(results, spec.tolerance)
    kept = next(attempt for attempt in attempts if attempt.result is kept_result)
    for attempt in attempts:
        if attempt is not kept:
            attempt.encoded.path.unlink(missing_ok=True)
    codec = what_limited(kept_result, results, spec.tolerance, each.band_loss_lu)
    return Rendition(
        encoded=kept.encoded,
        measured=kept_result.measured,
        programme=kept.programme or kept_result.measured,
        decoded_frames=kept.decoded_frames,
        tried=results,
        limited_by=codec or plan.limited_by,
    )
