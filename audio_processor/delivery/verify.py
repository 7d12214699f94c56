"""Verify: the one gate between what was encoded and what may be published.

Judges the measurements of the decoded renditions; the only maker of ``Verified``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from audio_processor.delivery.candidates import FULL_SCALE_DBTP, Tolerance, true_peak_dbtp
from audio_processor.errors import VerificationFailed
from audio_processor.model import Ladder, LimitedBy, Rendition, Tier, Verified

AAC_FRAME = 1024
MAX_SHORTFALL_LU = 12.0
"""However much a codec's peaks ask for, a rendition further below its promise is a fault."""
CODEC_REASONS: Mapping[LimitedBy | None, str] = {
    "codec_peak": "the codec overshoots whatever the ceiling",
    "codec_band": "most of the programme lies above the treble that this tier keeps",
    "codec_loudness": "the codec did not keep the loudness",
}


def verify(ladder: Ladder, tiers: tuple[Tier, ...], tolerance: Tolerance) -> Verified:
    """Return the ladder as publishable, or raise ``VerificationFailed`` saying every reason."""
    faults = [*_missing(ladder, tiers)]
    for rendition in ladder.renditions:
        faults.extend(_faults(rendition, tolerance))
    if faults:
        raise VerificationFailed(
            "The encoded ladder is not as promised: " + "; ".join(faults) + "."
        )
    return Verified(ladder, tuple(_warnings(ladder)))


def _missing(ladder: Ladder, tiers: tuple[Tier, ...]) -> Iterator[str]:
    have = tuple(rendition.encoded.tier for rendition in ladder.renditions)
    if have != tiers:
        yield f"tiers {[t.name for t in have]} instead of {[t.name for t in tiers]}"


def _faults(rendition: Rendition, tolerance: Tolerance) -> Iterator[str]:
    encoded, measured = rendition.encoded, rendition.measured
    name = encoded.tier.name
    needed = encoded.lead_frames + encoded.source_frames
    if rendition.decoded_frames < needed:
        yield f"{name} decodes to {rendition.decoded_frames} frames, {needed} were encoded"
    if rendition.decoded_frames != encoded.aac_frames * AAC_FRAME:
        yield f"{name}'s {encoded.aac_frames} AAC frames decode to {rendition.decoded_frames}"
    if rendition.decoded_frames - needed >= 2 * AAC_FRAME:
        yield f"{name} decodes to {rendition.decoded_frames} frames, {needed} were encoded"
    if true_peak_dbtp(measured) > FULL_SCALE_DBTP:
        yield f"{name} peaks at {true_peak_dbtp(measured):+.2f} dBTP"
    yield from _loudness_faults(rendition, tolerance)


def _loudness_faults(rendition: Rendition, tolerance: Tolerance) -> Iterator[str]:
    measured, name = rendition.measured, rendition.encoded.tier.name
    if tolerance.fits(measured):
        return
    error_lu = tolerance.loudness_error_lu(measured)
    what = (
        f"{name} measures {_level(measured.integrated_lufs)} LUFS and "
        f"{_level(measured.true_peak_dbtp)} dBTP"
    )
    if rendition.limited_by not in CODEC_REASONS:
        yield f"{what} with nothing said to limit it"
    elif error_lu > tolerance.loudness_lu:
        yield f"{what}, which is louder than promised"
    elif error_lu < -MAX_SHORTFALL_LU and rendition.limited_by != "codec_band":
        yield f"{what}, which is not the programme"
    elif rendition.limited_by == "codec_peak" and not _has_overshot(rendition, tolerance):
        yield f"{what}, for peaks that were never there"


def _has_overshot(rendition: Rendition, tolerance: Tolerance) -> bool:
    return any(not tolerance.true_peak_fits(result.measured) for result in rendition.tried)


def _warnings(ladder: Ladder) -> Iterator[str]:
    for rendition in ladder.renditions:
        if rendition.limited_by in CODEC_REASONS:
            measured = rendition.measured
            yield (
                f"{rendition.encoded.tier.name}: {CODEC_REASONS[rendition.limited_by]}; "
                f"delivered at {_level(measured.integrated_lufs)} LUFS, "
                f"{_level(measured.true_peak_dbtp)} dBTP."
            )


def _level(value: float | None) -> str:
    return "−∞" if value is None else f"{value:+.2f}"
