"""The forecast against the limited audio itself, as another meter reads it."""

from __future__ import annotations

import numpy as np
import pytest

from audio_processor.dsp.limiter import Limiter
from audio_processor.dsp.reduction import GainReduction
from audio_processor.mastering.governor import Forecast, forecast, reach
from audio_processor.model import Block
from tests.corpus import corpus_track_or_skip
from tests.dsp_limiter.music import decoded
from tests.mastering.programmes import (
    RATE_HZ,
    analysed,
    band,
    blocks,
    crescendo,
    levels,
    libebur128,
)

CEILING_DBTP = -1.5
TRACKS = ("airship_2.ogg", "track1.opus", "track11.opus", "elvish-theme.ogg", "chipdisko.ogg")
EXCERPT_S = 40


def compare(audio: Block, rate_hz: int, gain_db: float) -> tuple[Forecast, float, GainReduction]:
    """The forecast, what libebur128 reads of the limited audio, and what the limiter did."""
    seen: list[GainReduction] = []
    limiter = Limiter(CEILING_DBTP, gain_db, observer=seen.append)
    limited = np.concatenate(list(limiter(blocks(audio), rate_hz)))
    foreseen = forecast(analysed(audio, rate_hz).envelope, gain_db, CEILING_DBTP)
    return foreseen, libebur128(limited, rate_hz).integrated_lufs, seen[0]


@pytest.mark.parametrize("gain_db", [-6.0, 3.0, 6.0, 10.0])
@pytest.mark.parametrize("rate_hz", [24_000, 44_100, 48_000])
def test_forecast_of_a_synthetic_band(rate_hz: int, gain_db: float) -> None:
    foreseen, measured, did = compare(band(12.0, rate_hz=rate_hz), rate_hz, gain_db)
    assert foreseen.integrated_lufs == pytest.approx(measured, abs=0.1)
    assert foreseen.reduction.deepest_db == pytest.approx(did.deepest_db, abs=0.3)
    assert foreseen.reduction.mean_db == pytest.approx(did.mean_db, abs=0.5)


@pytest.mark.parametrize("name", TRACKS)
@pytest.mark.parametrize("over_db", [0.0, 4.0])
def test_forecast_of_real_music(name: str, over_db: float) -> None:
    audio, rate_hz = decoded(corpus_track_or_skip(name), EXCERPT_S)
    gain_db = -14.0 - libebur128(audio, rate_hz).integrated_lufs + over_db
    foreseen, measured, did = compare(audio, rate_hz, gain_db)
    assert foreseen.integrated_lufs == pytest.approx(measured, abs=0.05)
    assert foreseen.reduction.deepest_db == pytest.approx(did.deepest_db, abs=0.2)


def test_below_the_ceiling_the_forecast_is_the_sum() -> None:
    analysis = analysed(band(6.0, level_db=-20.0))
    measured = analysis.mastered
    foreseen = forecast(analysis.envelope, 5.0, CEILING_DBTP)
    assert measured.integrated_lufs is not None
    assert measured.true_peak_dbtp is not None
    assert foreseen.integrated_lufs == pytest.approx(measured.integrated_lufs + 5.0, abs=0.01)
    assert foreseen.true_peak_dbtp == pytest.approx(measured.true_peak_dbtp + 5.0, abs=0.01)
    assert foreseen.range_lu == pytest.approx(measured.range_lu, abs=1e-6)
    assert foreseen.reduction.deepest_db == 0.0


def test_reach_finds_the_gain_that_limiting_asks_for() -> None:
    envelope = analysed(crescendo(20.0, -20.0, 0.0)).envelope
    reached = reach(envelope, -14.0, CEILING_DBTP, max_gain_db=30.0)
    assert reached.integrated_lufs == pytest.approx(-14.0, abs=0.02)
    assert reached.reduction.deepest_db > 1.0


def test_reach_stays_within_its_gain() -> None:
    envelope = analysed(band(6.0, level_db=-30.0)).envelope
    reached = reach(envelope, -14.0, CEILING_DBTP, max_gain_db=5.0)
    assert reached.gain_db == 5.0
    assert reached.integrated_lufs is not None
    assert reached.integrated_lufs < -20.0


def test_an_unreachable_loudness_ends_at_the_largest_gain() -> None:
    """No limiter makes −1 LUFS of this; the search must end there, not wander."""
    envelope = analysed(band(6.0)).envelope
    reached = reach(envelope, -1.0, CEILING_DBTP, max_gain_db=12.0)
    assert reached.gain_db == 12.0


def test_silence_has_no_gain_that_reaches_anything() -> None:
    envelope = analysed(np.zeros((RATE_HZ, 2), np.float32)).envelope
    with pytest.raises(ValueError, match="without loudness"):
        reach(envelope, -14.0, CEILING_DBTP, max_gain_db=20.0)


def test_a_long_programme_is_foreseen_like_its_parts() -> None:
    """Chunks of the envelope hide no seam: the same music twice is as loud as once."""
    once, twice = levels([(25.0, 0.0)]), levels([(50.0, 0.0)])
    a, b = (forecast(analysed(audio).envelope, 8.0, CEILING_DBTP) for audio in (once, twice))
    assert a.integrated_lufs == pytest.approx(b.integrated_lufs, abs=0.02)
