"""The gate between what was encoded and what may be published."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from audio_processor.delivery.candidates import Tolerance
from audio_processor.delivery.verify import verify
from audio_processor.errors import VerificationFailed
from audio_processor.model import (
    Candidate,
    CandidateResult,
    EncodedTier,
    Ladder,
    LimitedBy,
    Loudness,
    Rendition,
    Tier,
)

TIER = Tier("high", 128_000, 44_100)
TOLERANCE = Tolerance(loudness_lufs=-14.0)
FRAMES = 44_100


def _measured(lufs: float | None, dbtp: float | None) -> Loudness:
    return Loudness(lufs, 5.0, dbtp, dbtp, -10.0, -12.0)


def _rendition(
    lufs: float | None = -14.0,
    dbtp: float | None = -1.5,
    limited_by: LimitedBy | None = None,
    earlier: tuple[Loudness, ...] = (),
) -> Rendition:
    measured = _measured(lufs, dbtp)
    candidate = Candidate(-2.5)
    aac_frames = -(-(1024 + FRAMES) // 1024)
    return Rendition(
        encoded=EncodedTier(TIER, candidate, Path("high.aac"), FRAMES, 1024, aac_frames),
        measured=measured,
        programme=measured,
        decoded_frames=aac_frames * 1024,
        tried=tuple(
            CandidateResult(candidate, one, TOLERANCE.fits(one)) for one in (*earlier, measured)
        ),
        limited_by=limited_by,
    )


def _verify(rendition: Rendition) -> tuple[str, ...]:
    return verify(Ladder((rendition,)), (TIER,), TOLERANCE).warnings


def test_what_is_as_promised_passes_without_a_word() -> None:
    assert _verify(_rendition()) == ()


def test_an_overshooting_codec_passes_below_full_scale_and_says_so() -> None:
    [warning] = _verify(_rendition(-14.0, -0.2, "codec_peak"))
    assert "overshoots" in warning and "-0.20 dBTP" in warning


def test_a_tier_without_its_treble_passes_and_says_so() -> None:
    [warning] = _verify(_rendition(-56.0, -40.0, "codec_band"))
    assert "treble" in warning


@pytest.mark.parametrize(
    ("rendition", "says"),
    [
        (_rendition(dbtp=0.1, limited_by="codec_peak"), "peaks at"),
        (_rendition(lufs=-15.0), "nothing said"),
        (_rendition(dbtp=-0.5), "nothing said"),
        (_rendition(lufs=-15.0, limited_by="max_gain"), "nothing said"),
        (_rendition(lufs=None, dbtp=None), "nothing said"),
        (_rendition(lufs=-13.0, dbtp=-0.5, limited_by="codec_peak"), "louder"),
        (_rendition(lufs=-13.0, limited_by="codec_loudness"), "louder"),
        (_rendition(lufs=-40.0, limited_by="codec_peak"), "not the programme"),
        (_rendition(lufs=-15.0, limited_by="codec_peak"), "never there"),
        (replace(_rendition(), decoded_frames=FRAMES), "were encoded"),
        (replace(_rendition(), decoded_frames=1024 * 60), "AAC frames decode to"),
    ],
)
def test_what_is_not_as_promised_is_not_published(rendition: Rendition, says: str) -> None:
    with pytest.raises(VerificationFailed, match=says):
        _verify(rendition)


def test_a_missing_tier_is_noticed() -> None:
    with pytest.raises(VerificationFailed, match="instead of"):
        verify(Ladder(()), (TIER,), TOLERANCE)
