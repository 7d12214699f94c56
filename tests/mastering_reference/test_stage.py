"""The stage on sound: nearer to the reference by half and more, as loud, in place in time."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_processor.dsp.bands import BANDS, CENTRES_HZ
from audio_processor.dsp.loudness import LoudnessMeter
from audio_processor.errors import MasteringRejected
from audio_processor.mastering.chain import Chain, ChainWatch
from audio_processor.mastering.match import FLAT, MatchCurve, distance_db
from audio_processor.mastering.parameters import OutOfRange
from audio_processor.mastering.stages.reference_match import ReferenceMatch
from audio_processor.model import Block
from tests.mastering_reference.signals import (
    RATE_HZ,
    THIRDS_HZ,
    Shape,
    cut,
    humps,
    low_passed,
    noise,
    profile_of,
    thirds_db,
    tilted,
)

LUFS_PER_PASS = 0.1


def through(stage: ReferenceMatch, audio: Block, rate_hz: int = RATE_HZ) -> Block:
    return np.concatenate(list(stage(iter([audio]), rate_hz)))


def lufs(audio: Block, rate_hz: int = RATE_HZ) -> float:
    meter = LoudnessMeter(rate_hz, 2)
    meter.push(audio)
    level = meter.result().integrated_lufs
    assert level is not None
    return level


def bent() -> ReferenceMatch:
    """A curve with something in it."""
    mid, side = humps((60.0, 5.0), (2000.0, -4.0)), humps((400.0, 4.0))
    return ReferenceMatch(curve=MatchCurve(CENTRES_HZ, mid(CENTRES_HZ), side(CENTRES_HZ)))


PAIRS: dict[str, tuple[Shape, Shape]] = {
    "dull → open": (tilted(-2.0), tilted(-1.2)),
    "boomy → lean": (humps((90.0, 5.0)), tilted(0.0)),
    "harsh → soft": (humps((3000.0, 4.0)), tilted(-0.5)),
    "hollow → full": (humps((400.0, -5.0), (2500.0, 3.0)), humps((200.0, 1.0))),
    "thin → warm": (humps((60.0, -4.0), (5000.0, 2.0)), humps((250.0, 1.5))),
    "codec → whole": (low_passed(15_000.0), humps((120.0, 4.0), (1200.0, -4.0))),
}


@pytest.mark.parametrize("name", PAIRS)
def test_the_distance_shrinks_by_half_and_the_loudness_stays(name: str) -> None:
    """By a spectrum that is not the product's, over bands that both programmes have."""
    source_shape, reference_shape = PAIRS[name]
    source = noise(source_shape, tilted(1.0), seconds=20.0)
    reference = noise(reference_shape, tilted(-1.0), seconds=20.0, rms_db=-20.0, seed=2)
    stage = ReferenceMatch().toward(profile_of(source), profile_of(reference))
    result = through(stage, source)
    both = thirds_db(source) > thirds_db(source).max() - 60.0
    before, after = (
        np.abs((thirds_db(one) - lufs(one)) - (thirds_db(reference) - lufs(reference)))[both].mean()
        for one in (source, result)
    )
    assert after <= 0.5 * before
    assert abs(lufs(result) - lufs(source)) < LUFS_PER_PASS


@pytest.mark.parametrize("quiet_db", [-34.0, -35.0, -36.0])
def test_that_a_passage_comes_through_the_gate_is_foreseen(quiet_db: float) -> None:
    """Twenty seconds of bass that did not count, and do once the treble has been tamed."""
    bright = noise(humps((3000.0, 6.0)), seconds=10.0, rms_db=-20.0)
    dark = noise(humps((100.0, 9.0)), seconds=20.0, rms_db=quiet_db, seed=2)
    reference = profile_of(noise(humps((100.0, 8.0), (3000.0, -6.0)), seed=3))
    source = np.concatenate((bright, dark))
    known = profile_of(source)
    foreseen_lu, unforeseen_lu = (
        abs(lufs(through(ReferenceMatch().toward(one, reference), source)) - lufs(source))
        for one in (known, replace(known, passages=None))
    )
    assert unforeseen_lu > 1.0
    assert foreseen_lu < 0.5 * unforeseen_lu


def test_it_says_itself_how_near_it_came() -> None:
    source, reference = noise(humps((90.0, 5.0))), noise(tilted(-0.5), seed=2)
    goal = profile_of(reference)
    before = distance_db(profile_of(source), goal)
    stage = ReferenceMatch().toward(profile_of(source), goal)
    after = distance_db(profile_of(through(stage, source)), goal)
    assert before is not None
    assert after is not None
    assert after <= 0.5 * before


@pytest.mark.parametrize("rate_hz", [22_050, 48_000, 96_000])
def test_target_and_reference_may_differ_in_rate(rate_hz: int) -> None:
    bent_shape, audible = humps((90.0, 5.0), (1500.0, -4.0)), low_passed(20_000.0)
    source = noise(lambda hz: bent_shape(hz) + audible(hz), audible, rate_hz=rate_hz, seconds=15.0)
    reference = noise(seconds=15.0, seed=2)
    stage = ReferenceMatch().toward(profile_of(source, rate_hz), profile_of(reference))
    result = through(stage, source, rate_hz)
    assert result.shape == source.shape
    assert abs(lufs(result, rate_hz) - lufs(source, rate_hz)) < LUFS_PER_PASS
    heard = np.less(THIRDS_HZ, 0.4 * rate_hz)
    before, after = (
        np.std(thirds_db(one, rate_hz)[heard][2:] - thirds_db(reference)[heard][2:])
        for one in (source, result)
    )
    assert after <= 0.5 * before


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**16), st.floats(-12.0, 12.0), st.floats(-12.0, 12.0))
def test_the_filter_itself_stays_within_the_rails(seed: int, low_db: float, high_db: float) -> None:
    """Whatever is asked for: the response of what is applied, not the curve's."""
    source = noise(seconds=2.0, seed=seed)
    reference = noise(humps((80.0, low_db), (9000.0, high_db)), tilted(high_db / 4), seconds=2.0)
    stage = ReferenceMatch().toward(profile_of(source), profile_of(reference))
    hit = np.zeros((1 << 15, 2), np.float32)
    for sign, name in ((1.0, "mid"), (-1.0, "side")):
        hit[1 << 14] = (1.0, sign)
        heard = through(stage, hit)[:, 0]
        hz = np.fft.rfftfreq(heard.size, 1 / RATE_HZ)
        response_db = 20.0 * np.log10(np.abs(np.fft.rfft(heard))[1:])
        treble = response_db[hz[1:] >= 8000.0]
        assert np.abs(response_db).max() < 6.0 + 0.3, name
        assert -1.2 - 0.05 < treble.min() <= treble.max() < 2.8 + 0.05, name


def test_nothing_moves_in_time() -> None:
    """The response to a hit is its own mirror image about the hit."""
    hit = np.zeros((30_000, 2), np.float32)
    hit[15_000] = 1.0
    heard = through(bent(), hit)[:, 0]
    assert int(np.argmax(np.abs(heard))) == 15_000
    before, after = heard[15_000:0:-1], heard[15_000:]
    np.testing.assert_allclose(before[:10_000], after[:10_000], atol=1e-6)


def test_it_hardly_rings_before_a_hit() -> None:
    hit = np.zeros((30_000, 2), np.float32)
    hit[15_000] = 1.0
    heard = np.abs(through(bent(), hit)[:, 0])
    for ms, below_db in ((10.0, 30.0), (50.0, 50.0), (186.0, 120.0)):
        early = heard[: 15_000 - round(ms / 1000 * RATE_HZ)].max()
        assert early < heard.max() * 10 ** (-below_db / 20), ms


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 100_000), max_size=5))
def test_the_cutting_does_not_matter(borders: list[int]) -> None:
    audio = noise(seconds=100_000 / RATE_HZ)
    whole = through(bent(), audio)
    assert np.array_equal(np.concatenate(list(bent()(cut(audio, borders), RATE_HZ))), whole)
    assert whole.shape == audio.shape


@pytest.mark.parametrize("frames", [0, 1, 8191, 8192, 8193, 40_960, 49_152, 49_153, 90_000])
def test_as_many_frames_come_out_as_went_in(frames: int) -> None:
    audio = noise(seconds=2.1)[:frames]
    assert sum(map(len, bent()(iter([audio]), RATE_HZ))) == frames


def test_a_flat_curve_is_not_there() -> None:
    blocks: Iterator[Block] = iter([noise(seconds=0.1)])
    assert ReferenceMatch()(blocks, RATE_HZ) is blocks
    assert ReferenceMatch(curve=FLAT)(blocks, RATE_HZ) is blocks


def test_without_strength_or_without_sound_nothing_is_done() -> None:
    reference = profile_of(noise(tilted(2.0)))
    silent = profile_of(np.zeros((RATE_HZ, 2), np.float32))
    blip = profile_of(noise(seconds=0.3))
    assert ReferenceMatch(0.0).toward(profile_of(noise()), reference).curve.is_flat
    assert ReferenceMatch().toward(silent, reference).curve.is_flat
    assert ReferenceMatch().toward(blip, reference).curve.is_flat


def test_a_silent_reference_is_refused() -> None:
    with pytest.raises(MasteringRejected, match="silent"):
        ReferenceMatch().toward(profile_of(noise()), profile_of(np.zeros((99, 2), np.float32)))


@pytest.mark.parametrize("strength_percent", [-1.0, 100.1, float("nan")])
def test_a_strength_that_cannot_be_is_refused(strength_percent: float) -> None:
    with pytest.raises(OutOfRange, match=r"strength_percent .* 0 to 100"):
        ReferenceMatch(strength_percent)


def test_a_mono_programme_stays_mono() -> None:
    mono = noise(side=None, seconds=2.0)
    result = through(bent(), mono)
    assert np.array_equal(result[:, 0], result[:, 1])


def test_it_tells_its_strength_and_energy_in_a_chain() -> None:
    watch = ChainWatch()
    stage = ReferenceMatch(80.0, MatchCurve(CENTRES_HZ, np.full(BANDS, 2.0), np.full(BANDS, 2.0)))
    for _ in Chain((stage,))(iter([noise(seconds=2.0)]), RATE_HZ, watch):
        pass
    (figures,) = watch.result()
    assert (figures.stage, dict(figures.parameters)) == (
        "reference_match",
        {"strength_percent": 80.0},
    )
    assert figures.energy_added_db == pytest.approx(2.0, abs=0.05)


def test_an_hour_takes_no_more_memory_than_a_minute() -> None:
    rate_hz = 8_000
    minute = noise(rate_hz=rate_hz, seconds=60.0)
    stream = bent()(iter([minute] * 60), rate_hz)
    frames = len(next(stream))
    tracemalloc.start()
    frames += sum(map(len, stream))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert frames == 60 * len(minute)
    assert peak < 1 << 20
