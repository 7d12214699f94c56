"""The multiband compressor measured from outside, against its curve and its times."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from audio_processor.mastering.parameters import OutOfRange
from audio_processor.mastering.stage import StageTally
from audio_processor.mastering.stages.multiband import MultibandCompressor
from tests.corpus import corpus_track_or_skip
from tests.dsp_limiter.music import decoded
from tests.mastering_dynamics.signals import RATE_HZ, energy_db, run, sine, stereo, time_s

WITHIN_DB = 0.1
BANDS = ("low", "mid", "high")


def band_gains(frequency_hz: float, stage: MultibandCompressor) -> tuple[float, float, float]:
    """What the ideal crossover gives each band of a tone; all are in phase."""

    def high_side(split_hz: float) -> float:
        ratio = math.tan(math.pi * frequency_hz / RATE_HZ) / math.tan(math.pi * split_hz / RATE_HZ)
        return ratio**4 / (1.0 + ratio**4)

    above_low, above_high = high_side(stage.low_split_hz), high_side(stage.high_split_hz)
    return 1.0 - above_low, above_low * (1.0 - above_high), above_low * above_high


def curve_db(level_db: float, threshold_db: float, ratio: float, knee_db: float) -> float:
    """Giannoulis, Massberg, Reiss (2012), eq. 4: the output level."""
    over_db = level_db - threshold_db
    if 2.0 * over_db < -knee_db:
        return level_db
    if 2.0 * abs(over_db) <= knee_db and knee_db > 0.0:
        return level_db + (1.0 / ratio - 1.0) * (over_db + knee_db / 2.0) ** 2 / (2.0 * knee_db)
    return threshold_db + over_db / ratio


def theory_db(stage: MultibandCompressor, frequency_hz: float, level_db: float) -> float:
    total = 0.0
    for share, band in zip(band_gains(frequency_hz, stage), stage.bands, strict=True):
        band_db = level_db + 20.0 * math.log10(share)
        made_db = curve_db(band_db, band.threshold_db, band.ratio, band.knee_db) + band.makeup_db
        total += 10.0 ** (made_db / 20.0)
    return 20.0 * math.log10(total)


def steady_db(stage: MultibandCompressor, frequency_hz: float, level_db: float) -> float:
    """The level of a tone behind the stage, as the peak of a sine of that energy, in dBFS."""
    made = run(stage, [sine(frequency_hz, level_db, 4.0)])
    return energy_db(made[2 * RATE_HZ :]) + 10.0 * math.log10(2.0)


@pytest.mark.parametrize("frequency_hz", [40.0, 100.0, 1_000.0, 1_234.5, 6_000.0, 10_007.0])
@pytest.mark.parametrize("level_db", [-45.0, -26.0, -24.0, -19.0, -14.0, -6.0, 0.0])
def test_static_curve_of_the_defaults(frequency_hz: float, level_db: float) -> None:
    stage = MultibandCompressor()
    expected_db = theory_db(stage, frequency_hz, level_db)
    assert steady_db(stage, frequency_hz, level_db) == pytest.approx(expected_db, abs=WITHIN_DB)


@settings(max_examples=15, deadline=None)
@given(
    level_db=st.floats(-50.0, 6.0),
    threshold_db=st.floats(-40.0, 0.0),
    ratio=st.floats(1.0, 10.0),
    knee_db=st.floats(0.0, 24.0),
    makeup_db=st.floats(-12.0, 24.0),
)
def test_static_curve_of_any_setting(
    level_db: float, threshold_db: float, ratio: float, knee_db: float, makeup_db: float
) -> None:
    stage = MultibandCompressor(
        mid_threshold_db=threshold_db,
        mid_ratio=ratio,
        mid_knee_db=knee_db,
        mid_makeup_db=makeup_db,
    )
    expected_db = theory_db(stage, 1_000.0, level_db)
    assert steady_db(stage, 1_000.0, level_db) == pytest.approx(expected_db, abs=WITHIN_DB)


@pytest.mark.parametrize("makeup_db", [-3.0, 0.0, 6.0])
def test_below_the_threshold_the_gain_is_the_make_up(makeup_db: float) -> None:
    makeups = {f"{band}_makeup_db": makeup_db for band in BANDS}
    noise = np.random.default_rng(4).standard_normal((3 * RATE_HZ, 2)) * 0.001
    block = noise.astype(np.float32)
    made = run(MultibandCompressor(**makeups), [block])
    assert energy_db(made) - energy_db(block) == pytest.approx(makeup_db, abs=0.001)


PERIOD_FRAMES = 44
PERIOD_MS = PERIOD_FRAMES / RATE_HZ * 1000.0
PERIODS = 2_500
SETTLED = 5
"""Periods after which the crossover has forgotten a jump."""


def reductions_db(stage: MultibandCompressor, *levels_db: float) -> NDArray[np.float64]:
    """A 1 kHz tone jumps from level to level; how far down it comes out, period by period."""
    levels = np.repeat([10.0 ** (level / 20.0) for level in levels_db], PERIODS * PERIOD_FRAMES)
    block = stereo(levels * np.sin(2.0 * np.pi * np.arange(levels.size) / PERIOD_FRAMES))
    made, before = (
        np.square(each[:, 0].astype(float)).reshape(-1, PERIOD_FRAMES).mean(axis=1)
        for each in (run(stage, [block]), block)
    )
    return np.asarray(10.0 * np.log10(before / made))


def mid_only(attack_ms: float, release_ms: float) -> MultibandCompressor:
    return MultibandCompressor(
        low_ratio=1.0,
        high_ratio=1.0,
        mid_threshold_db=-12.0,
        mid_ratio=10.0,
        mid_knee_db=0.0,
        mid_attack_ms=attack_ms,
        mid_release_ms=release_ms,
    )


@pytest.mark.parametrize("attack_ms", [10.0, 50.0, 150.0])
def test_attack_time(attack_ms: float) -> None:
    """63 % of the reduction, in decibels, is there after the attack time."""
    course = reductions_db(mid_only(attack_ms, 10.0), -20.0, 0.0)[PERIODS:]
    reached = SETTLED + int(np.argmax(course[SETTLED:] > (1.0 - math.exp(-1.0)) * course[-1]))
    assert reached * PERIOD_MS == pytest.approx(attack_ms, rel=0.03, abs=1.5)


@pytest.mark.parametrize(("attack_ms", "release_ms"), [(1.0, 100.0), (20.0, 150.0), (50.0, 400.0)])
def test_release_time(attack_ms: float, release_ms: float) -> None:
    """The way up is that of both time constants in a row."""
    course = reductions_db(mid_only(attack_ms, release_ms), 0.0, -20.0)
    steady_db, course = course[PERIODS - 1], course[PERIODS:]
    time_ms = np.arange(PERIODS) * PERIOD_MS
    expected = (
        release_ms * np.exp(-time_ms / release_ms) - attack_ms * np.exp(-time_ms / attack_ms)
    ) / (release_ms - attack_ms)
    reached = SETTLED + int(np.argmax(course[SETTLED:] < steady_db * math.exp(-1.0)))
    due = int(np.argmax(expected < math.exp(-1.0)))
    hold_ms = 4.0  # half a period of 250 Hz, in four parts of whole cells, and one more
    assert due * PERIOD_MS <= reached * PERIOD_MS + 1.0
    assert reached * PERIOD_MS == pytest.approx(due * PERIOD_MS, rel=0.02, abs=hold_ms + 1.0)


def test_channels_share_one_gain() -> None:
    time = time_s(4.0)
    block = np.stack(
        [0.9 * np.sin(2 * np.pi * 1_000 * time), 0.01 * np.sin(2 * np.pi * 1_000 * time)], axis=1
    ).astype(np.float32)
    made = run(MultibandCompressor(), [block])[2 * RATE_HZ :]
    before = block[2 * RATE_HZ :]
    left_db, right_db = (energy_db(made[:, c]) - energy_db(before[:, c]) for c in (0, 1))
    assert left_db < -6.0
    assert right_db == pytest.approx(left_db, abs=0.001)


def test_a_steady_tone_is_not_bent() -> None:
    """Deep reduction of a 50 Hz tone: its harmonics stay 80 dB below."""
    made = run(MultibandCompressor(), [sine(50.0, 0.0, 6.0)])[-2 * RATE_HZ :, 0].astype(float)
    spectrum = np.abs(np.fft.rfft(made * np.hanning(made.size)))
    tone = 100  # 50 Hz in bins of half a hertz
    beside = np.delete(spectrum, np.arange(tone - 8, tone + 9))
    assert 20.0 * np.log10(beside.max() / spectrum[tone]) < -80.0


def test_the_tally_tells_each_band_apart() -> None:
    tally = StageTally()
    tone = sine(1_000.0, 0.0, 2.0) * np.minimum(time_s(2.0) / 0.01, 1.0)[:, None]
    run(MultibandCompressor(), [tone.astype(np.float32)], RATE_HZ, tally)
    low, mid, high = tally.result()
    assert [band.band for band in (low, mid, high)] == list(BANDS)
    assert mid.deepest_db == pytest.approx(20.0 * (1.0 - 1.0 / 3.0), abs=0.3)
    assert mid.active_fraction > 0.99
    assert low.deepest_db == high.deepest_db == 0.0


def test_one_knob() -> None:
    assert MultibandCompressor.one_knob(1.0).is_neutral
    default, four = MultibandCompressor().bands, MultibandCompressor.one_knob(4.0).bands
    assert [band.ratio for band in four] == [band.ratio for band in default]
    deepest = MultibandCompressor.one_knob(10.0).bands
    assert [band.ratio for band in deepest] == [10.0, 7.0, 10.0]
    for value in (0.99, 10.01, float("nan")):
        with pytest.raises(OutOfRange, match="compression_ratio"):
            MultibandCompressor.one_knob(value)


def test_one_knob_turned_up_narrows_music_and_keeps_its_balance() -> None:
    block, rate_hz = decoded(corpus_track_or_skip("love_theme.ogg"), 30.0)
    crest_db, tilt_db = [], []
    for knob in (1.0, 2.0, 4.0, 8.0):
        made = run(MultibandCompressor.one_knob(knob), [block], rate_hz)
        peak_db = 20.0 * math.log10(float(np.abs(made).max()))
        crest_db.append(peak_db - energy_db(made))
        power = np.square(np.abs(np.fft.rfft(made.sum(axis=1).astype(np.float64))))
        hertz = np.arange(power.size) * rate_hz / len(made)
        low, mid = power[hertz < 250].sum(), power[(hertz > 250) & (hertz < 4_000)].sum()
        tilt_db.append(10.0 * math.log10(low / mid))
    assert crest_db == sorted(crest_db, reverse=True)
    assert crest_db[0] - crest_db[-1] > 2.0
    assert max(abs(each - tilt_db[0]) for each in tilt_db) < 6.0
