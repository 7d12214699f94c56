"""What a report says in words: each thing that was judged, its number, and the limit. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from audio_processor.dsp.facts import SILENCE_DBFS
from audio_processor.dsp.spectrum import band_limit_loss_lu
from audio_processor.mastering.plan import RANGE_TOLERANCE_LU
from audio_processor.media.bandwidth import cutoff_hz
from audio_processor.model import LimitedBy, SignalFacts, Tier
from audio_processor.reporting.data import Delivered, DeliveredFile, Programme, ReportData

Outcome = Literal["pass", "attention"]

MAX_DC = 0.001
"""−60 dBFS: heard as a click where a track begins or ends."""
MIN_CORRELATION = 0.0
MAX_OPPOSED_SHARE = 0.10
MAX_LEADING_SILENCE_S, MAX_TRAILING_SILENCE_S = 1.0, 5.0
MAX_BAND_LOSS_LU = 0.5
MAX_LENGTH_ERROR_S = 0.001

REASONS: dict[LimitedBy, str] = {
    "silence": "the track is silent",
    "too_short": "it is shorter than 400 ms, which has no loudness",
    "max_gain": "more gain than is allowed would be needed",
    "max_gain_reduction": "more limiting than is allowed would be needed",
    "peaks": "its peaks reach the ceiling, and limiting is not allowed",
    "codec_peak": "the codec overshoots whatever the ceiling",
    "codec_band": "most of it lies above the treble that the codec keeps",
    "codec_loudness": "the codec did not keep the loudness",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One thing judged."""

    outcome: Outcome
    subject: str
    sentence: str


def verdicts(data: ReportData) -> tuple[Verdict, ...]:
    """Return every verdict that the report's data allow, the delivery's first."""
    found: list[Verdict] = []
    if data.delivered is not None:
        found += [_loudness(data, data.delivered), _true_peak(data, data.delivered)]
        found += _range(data.delivered)
        found += _length(data, data.delivered)
        found += _band_limits(data, data.delivered)
    facts = data.before.facts if data.before else data.delivered.facts if data.delivered else None
    if facts is not None:
        found += _source(facts, data)
    found += _mono(data.before, data.after)
    return tuple(found)


def level(value: float | None, unit: str) -> str:
    """Return a level with its unit; −∞ for none."""
    if value is None:
        return f"−∞ {unit}"
    return f"{signed(value, 2)} {unit}"


def signed(value: float, digits: int, *, plus: bool = False) -> str:
    """Return a number with a true minus sign, and with a plus where asked for."""
    text = f"{abs(value):.{digits}f}"
    if float(text) == 0.0:
        return text
    return ("−" if value < 0 else "+" if plus else "") + text


def _loudness(data: ReportData, told: Delivered) -> Verdict:
    target, tolerance = told.targets.integrated_lufs, data.limits.tolerance_lu
    off = [each for each in told.files if not _on_target(each, target, tolerance)]
    limit = f"{signed(target, 1)} LUFS ± {tolerance:g} LU"
    if not off:
        values = [each.loudness.integrated_lufs or 0.0 for each in told.files]
        low, high = (signed(each, 2) for each in (min(values), max(values)))
        span = low if low == high else f"{low} to {high}"
        return Verdict("pass", "Loudness", f"Every file measures {span} LUFS; asked for: {limit}.")
    return Verdict("attention", "Loudness", f"Off the target of {limit}: {_listed(off)}.")


def _listed(files: list[DeliveredFile]) -> str:
    """Return each file's loudness, those off for one reason together."""
    groups: dict[LimitedBy | None, list[str]] = {}
    for each in files:
        measured = level(each.loudness.integrated_lufs, "LUFS")
        groups.setdefault(each.limited_by, []).append(f"{each.name} {measured}")
    return "; ".join(
        ", ".join(entries) + (f" ({REASONS[reason]})" if reason else "")
        for reason, entries in groups.items()
    )


def _on_target(each: DeliveredFile, target: float, tolerance: float) -> bool:
    measured = each.loudness.integrated_lufs
    return measured is not None and abs(measured - target) <= tolerance + 1e-9


def _because(each: DeliveredFile) -> str:
    return f" ({REASONS[each.limited_by]})" if each.limited_by else ""


def _true_peak(data: ReportData, told: Delivered) -> Verdict:
    limit = data.limits.delivered_true_peak_dbtp
    peaks = [
        (each.loudness.true_peak_dbtp, each)
        for each in told.files
        if each.loudness.true_peak_dbtp is not None
    ]
    if not peaks:
        return Verdict("pass", "True peak", f"Silence has none; allowed: {signed(limit, 1)} dBTP.")
    highest, worst = max(peaks, key=lambda pair: pair[0])
    over = [each for peak, each in peaks if peak > limit + 0.005]
    what = f"The highest is {level(highest, 'dBTP')} ({worst.name})"
    if not over:
        return Verdict("pass", "True peak", f"{what}; allowed: {signed(limit, 1)} dBTP.")
    names = ", ".join(f"{each.name}{_because(each)}" for each in over)
    return Verdict(
        "attention", "True peak", f"{what}; over the {signed(limit, 1)} dBTP allowed: {names}."
    )


def _range(told: Delivered) -> Iterator[Verdict]:
    target = told.targets
    after, before = told.files[-1].loudness.range_lu, told.source_loudness.range_lu
    if after is None:
        yield Verdict("pass", "Loudness range", "Too short or too quiet to have one.")
        return
    came = "" if before is None else f", {before:.1f} LU before"
    if target.range_mode == "preserve":
        yield Verdict("pass", "Loudness range", f"{after:.1f} LU{came}; left as it is, as set.")
    elif after <= target.range_lu + RANGE_TOLERANCE_LU:
        yield Verdict(
            "pass", "Loudness range", f"{after:.1f} LU{came}; allowed: {target.range_lu:g} LU."
        )
    else:
        yield Verdict(
            "attention",
            "Loudness range",
            f"{after:.1f} LU{came}: above the {target.range_lu:g} LU asked for; "
            "the level changes faster than it may be ridden.",
        )


def _length(data: ReportData, told: Delivered) -> Iterator[Verdict]:
    if data.after is None:
        return
    off_s = data.after.duration_s - told.source_duration_s
    what = (
        f"The download plays {data.after.duration_s:.3f} s, the source {told.source_duration_s:.3f}"
    )
    if abs(off_s) <= MAX_LENGTH_ERROR_S:
        yield Verdict("pass", "Length", f"{what} s: gapless, to the millisecond.")
    else:
        yield Verdict("attention", "Length", f"{what} s: {1000 * off_s:+.0f} ms; allowed: ±1 ms.")


def _band_limits(data: ReportData, told: Delivered) -> Iterator[Verdict]:
    if data.before is None or data.before.loudness.integrated_lufs is None:
        return
    spectrum = data.before.spectrum.as_spectrum()
    losses = [
        (each, cutoff, band_limit_loss_lu(spectrum, cutoff))
        for each in told.files[:-1]
        for tier in (Tier(each.name, each.nominal_bit_rate, each.sample_rate_hz),)
        for cutoff in (cutoff_hz(each.encoder, tier),)
    ]
    if not losses:
        return
    listed = ", ".join(f"{each.name} {cutoff / 1000:.1f} kHz" for each, cutoff, _ in losses)
    worst, _, loss = max(losses, key=lambda entry: entry[2])
    outcome: Outcome = "pass" if loss <= MAX_BAND_LOSS_LU else "attention"
    yield Verdict(
        outcome,
        "Treble",
        f"The codec keeps it up to: {listed}. What lies above is worth {loss:.2f} LU of this "
        f"track at most ({worst.name}); worth a look from {MAX_BAND_LOSS_LU:g} LU.",
    )


def _source(facts: SignalFacts, data: ReportData) -> Iterator[Verdict]:
    loudness = data.before.loudness if data.before else None
    loudness = loudness or (data.delivered.source_loudness if data.delivered else None)
    peak = loudness.true_peak_dbtp if loudness else None
    silent = loudness is not None and (peak is None or peak < SILENCE_DBFS)
    if silent:
        yield Verdict(
            "attention",
            "Silence",
            f"The source peaks at {level(peak, 'dBTP')}; what is below {signed(SILENCE_DBFS, 0)} "
            "dBFS counts as silence.",
        )
    yield _clipping(facts)
    if facts.decoder_spikes:
        yield Verdict(
            "attention",
            "Spikes",
            f"{facts.decoder_spikes} isolated samples far above full scale were repaired; none "
            "belong in a sound file.",
        )
    yield _dc(facts, data.after)
    if not silent:
        yield _edges(facts)


def _clipping(facts: SignalFacts) -> Verdict:
    runs = facts.clipped_runs
    if not runs:
        return Verdict(
            "pass", "Clipping", "No run of three or more samples at full scale in the source."
        )
    return Verdict(
        "attention",
        "Clipping",
        f"{runs} run{'s' if runs > 1 else ''} of three or more samples at full scale in the "
        "source; clean sources have 0. Distortion that came in cannot be taken out.",
    )


def _dc(facts: SignalFacts, after: Programme | None) -> Verdict:
    largest = _largest_dc(facts)
    dbfs = "none" if largest < 1e-7 else f"{signed(20 * math.log10(largest), 0)} dBFS"
    outcome: Outcome = "pass" if largest <= MAX_DC else "attention"
    left = f" {_largest_dc(after.facts):.5f} is left in the m4a." if after is not None else ""
    sentence = f"{largest:.5f} of full scale in the source ({dbfs}); allowed: {MAX_DC:g}.{left}"
    return Verdict(outcome, "DC offset", sentence)


def _largest_dc(facts: SignalFacts) -> float:
    return max((abs(offset) for offset in facts.dc_offset), default=0.0)


def _edges(facts: SignalFacts) -> Verdict:
    lead, trail = facts.leading_silence_s, facts.trailing_silence_s
    fine = lead <= MAX_LEADING_SILENCE_S and trail <= MAX_TRAILING_SILENCE_S
    return Verdict(
        "pass" if fine else "attention",
        "Silent ends",
        f"{lead:.2f} s below −60 dBFS at the beginning, {trail:.2f} s at the end; usual: at most "
        f"{MAX_LEADING_SILENCE_S:g} and {MAX_TRAILING_SILENCE_S:g} s.",
    )


def _mono(before: Programme | None, after: Programme | None) -> Iterator[Verdict]:
    """Judge what is delivered, where there is a download to judge; else the source."""
    judged = after or before
    if judged is None:
        return
    outcome: Outcome = "pass" if _sums_well(judged) else "attention"
    summed = _summed(judged, "source" if after is None else "download")
    yield Verdict(outcome, "Mono", summed + _since(before, after))


def _sums_well(programme: Programme) -> bool:
    """Whether little is lost in mono; so it is where there is nothing that could cancel."""
    correlation = programme.facts.correlation
    if correlation is None:
        return True
    return correlation >= MIN_CORRELATION and opposed_share(programme) <= MAX_OPPOSED_SHARE


def _summed(programme: Programme, name: str) -> str:
    correlation = programme.facts.correlation
    if correlation is None:
        silent = programme.loudness.integrated_lufs is None
        if silent:
            return f"There is nothing to sum in the {name}."
        return f"One side is silent in the {name}: nothing can cancel."
    if correlation > 0.9995:
        return f"Both sides of the {name} are the same: it is mono (correlation +1.00)."
    return (
        f"Correlation {signed(correlation, 2, plus=True)} in the {name}, below 0 for "
        f"{100 * opposed_share(programme):.0f} % of the time; summed to mono it loses "
        f"{mono_loss_db(programme):.1f} dB. Safe from {MIN_CORRELATION:g} on, and below 0 for at "
        f"most {100 * MAX_OPPOSED_SHARE:.0f} %."
    )


def _since(before: Programme | None, after: Programme | None) -> str:
    """Return what the source has to do with it, where one of the two is not safe."""
    if before is None or after is None or (_sums_well(before) and _sums_well(after)):
        return ""
    came = before.facts.correlation
    was = "" if came is None else f" ({signed(came, 2, plus=True)})"
    if _sums_well(after):
        return f" The source was not{was}."
    if _sums_well(before):
        return f" The source was{was}: it is the mastering that made it so."
    return f" The source was so already{was}."


def opposed_share(programme: Programme) -> float:
    """Return for which share of the audible time the channels are more opposed than alike."""
    values = programme.levels.correlation
    known = values[np.isfinite(values)]
    return float((known < 0.0).mean()) if known.size else 0.0


def mono_loss_db(programme: Programme) -> float:
    """Return what (L+R)/2 has less of energy than the mean of L and R, in dB, 0 or more."""
    image = programme.image
    whole = image.mid_energy + image.side_energy
    if whole <= 0.0 or image.mid_energy <= 0.0:
        return 0.0 if whole <= 0.0 else 120.0
    return -10.0 * math.log10(image.mid_energy / whole)
