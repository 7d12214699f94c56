"""Attack and sustain: bounded, smooth, the same at every level, and nothing to a steady tone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from audio_processor.mastering.stage import StageTally
from audio_processor.mastering.stages.transient import MAX_GAIN_DB, TransientSculpt
from audio_processor.model import Block
from tests.dsp_limiter.signals import hostile, run, whole
from tests.mastering_colour.stages import both, decibels, rms

RATE_HZ = 44_100
BEAT = RATE_HZ // 4
PERCENTS = st.floats(-100.0, 100.0)


def hits(level: float = 0.5) -> Block:
    """Two seconds of noise that is struck four times a second and dies away."""
    at_s = np.arange(2 * RATE_HZ) % BEAT / RATE_HZ
    noise = np.random.default_rng(1).uniform(0.5, 1.0, (2 * RATE_HZ, 2))
    return np.asarray(level * noise * np.exp(-at_s / 0.05)[:, None]).astype(np.float32)


def gain_db(stage: TransientSculpt, block: Block) -> NDArray[np.float64]:
    heard = run(stage, whole(block), RATE_HZ).astype(np.float64)
    return np.asarray(20 * np.log10(heard / block))


def within_a_beat(course: NDArray[np.float64], from_ms: float, to_ms: float) -> float:
    """Mean gain in this part of the beats after the first second."""
    beats = course[RATE_HZ:].reshape(-1, BEAT, 2)
    return float(beats[:, int(from_ms * 44.1) : int(to_ms * 44.1)].mean())


@pytest.mark.parametrize("rate_hz", [22_050, 44_100, 96_000])
@pytest.mark.parametrize(
    "stage", [TransientSculpt(100.0, 100.0), TransientSculpt(-100.0, 100.0)], ids=str
)
def test_a_steady_tone_passes_unchanged(stage: TransientSculpt, rate_hz: int) -> None:
    """Within 0.05 dB, from 20 Hz to 0.45 of the rate; cells and tones that beat included."""
    beating = [rate_hz / 128 + 0.3, rate_hz / 64 + 1.0, rate_hz / 4 + 0.5, rate_hz / 3 + 0.1]
    for hz in [*np.geomspace(20.0, 0.45 * rate_hz, 16), *beating]:
        tone = both(0.5 * np.sin(2 * np.pi * hz / rate_hz * np.arange(2 * rate_hz)))
        steady = slice(rate_hz, 2 * rate_hz - rate_hz // 10)
        apart = (run(stage, whole(tone), rate_hz) - tone)[steady]
        assert decibels(1.0 + np.abs(apart).max() / 0.5) < 0.05, hz


def test_attack_is_gain_where_notes_begin_and_only_there() -> None:
    harder = gain_db(TransientSculpt(attack_percent=100.0), hits())
    assert within_a_beat(harder, 0, 20) > 4.0
    assert abs(within_a_beat(harder, 80, 200)) < 0.1
    softer = gain_db(TransientSculpt(attack_percent=-100.0), hits())
    np.testing.assert_allclose(softer, -harder, atol=1.0)


def test_sustain_is_gain_where_notes_end_and_only_there() -> None:
    longer = gain_db(TransientSculpt(sustain_percent=100.0), hits())
    assert abs(within_a_beat(longer, 4, 20)) < 0.2
    assert within_a_beat(longer, 100, 240) > 3.0
    drier = gain_db(TransientSculpt(sustain_percent=-100.0), hits())
    np.testing.assert_allclose(drier, -longer, atol=1.0)


def test_half_is_half_in_decibels() -> None:
    full, half = (gain_db(TransientSculpt(each), hits()) for each in (100.0, 50.0))
    np.testing.assert_allclose(half, full / 2, atol=0.2)


@pytest.mark.parametrize("level", [1.0, 0.005])
def test_the_level_does_not_matter(level: float) -> None:
    stage = TransientSculpt(70.0, -40.0)
    np.testing.assert_allclose(gain_db(stage, hits(level)), gain_db(stage, hits()), atol=0.02)


@settings(max_examples=30, deadline=None)
@given(
    block=hostile(max_frames=30_000), attack=PERCENTS, sustain=PERCENTS,
    rate_hz=st.sampled_from([22_050, 44_100, 96_000]),
)  # fmt: skip
def test_whatever_comes_the_gain_is_bounded_and_one_for_both_channels(
    block: Block, attack: float, sustain: float, rate_hz: int
) -> None:
    stereo = np.stack([block[:, 0], 0.25 * block[:, 0]], axis=1)
    heard = run(TransientSculpt(attack, sustain), whole(stereo), rate_hz)
    np.testing.assert_array_equal(heard[:, 1], heard[:, 0] * np.float32(0.25))
    sounding = np.abs(stereo[:, 0]) > 1e-3
    gains_db = 20 * np.log10(np.abs(heard[sounding, 0].astype(float) / stereo[sounding, 0]))
    largest_db = max(abs(attack), abs(sustain)) / 100.0 * MAX_GAIN_DB
    if (attack > 0.0) == (sustain > 0.0):
        largest_db = min(2.0 * largest_db, MAX_GAIN_DB)
    assert np.abs(gains_db).max(initial=0.0) <= largest_db + 1e-3


def test_the_gain_moves_without_a_jump() -> None:
    """From a whisper to full scale: 12 dB of gain in no less than 2 ms, in straight lines."""
    block = np.full((RATE_HZ, 2), 0.001, np.float32)
    block[RATE_HZ // 2 :] = 1.0
    course = gain_db(TransientSculpt(100.0, -100.0), block)[:, 0]
    assert course.max() > 5.0
    assert np.abs(np.diff(course)).max() < 6.0 / (0.001 * RATE_HZ)
    assert np.abs(np.diff(course, n=2)).max() < 0.1


def test_only_what_is_taken_off_is_counted() -> None:
    counts = {}
    for percent in (100.0, -100.0):
        tally = StageTally()
        for _ in TransientSculpt(percent)(whole(hits()), RATE_HZ, tally):
            pass
        (counts[percent],) = tally.result()
    assert counts[100.0].deepest_db == 0.0
    assert 4.0 < counts[-100.0].deepest_db <= MAX_GAIN_DB
    assert 0.1 < counts[-100.0].active_fraction < 0.4


def test_crest_rises_with_attack_and_falls_without() -> None:
    def crest_db(stage: TransientSculpt | None) -> float:
        heard = hits() if stage is None else run(stage, whole(hits()), RATE_HZ)
        return decibels(float(np.abs(heard).max())) - decibels(rms(heard))

    assert crest_db(TransientSculpt(100.0)) > crest_db(None) + 0.5
    assert crest_db(TransientSculpt(-100.0)) < crest_db(None) - 0.5
