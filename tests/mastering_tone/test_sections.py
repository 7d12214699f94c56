"""Sections and their cascade against scipy, and the matched designs against their prototypes."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import signal

from audio_processor.dsp import biquad, matched
from audio_processor.dsp.biquad import Biquad, Cascade
from tests.dsp_limiter.signals import cut_at_random
from tests.mastering_tone.stages import left_right, mid_side

Prototype = tuple[list[float], list[float]]


def sos(sections: list[Biquad]) -> NDArray[np.float64]:
    return np.array([(s.b0, s.b1, s.b2, 1.0, s.a1, s.a2) for s in sections])


def peak_prototype(gain_db: float, q: float) -> Prototype:
    """The cookbook's H(s), highest power first, at 1 rad/s."""
    a = 10.0 ** (gain_db / 40.0)
    return [1.0, a / q, 1.0], [1.0, 1.0 / (a * q), 1.0]


def low_prototype(gain_db: float, q: float) -> Prototype:
    a = 10.0 ** (gain_db / 40.0)
    return [a, a * math.sqrt(a) / q, a * a], [a, math.sqrt(a) / q, 1.0]


def high_prototype(gain_db: float, q: float) -> Prototype:
    a = 10.0 ** (gain_db / 40.0)
    return [a * a, a * math.sqrt(a) / q, a], [1.0, math.sqrt(a) / q, a]


SHAPES: dict[str, Callable[[float, float], Prototype]] = {
    "peaking": peak_prototype,
    "low_shelf": low_prototype,
    "high_shelf": high_prototype,
}


def prototype_db(
    shape: str, gain_db: float, q: float, ratio: NDArray[np.float64]
) -> NDArray[np.float64]:
    _, answer = signal.freqs(*SHAPES[shape](gain_db, q), worN=ratio)
    return np.asarray(20.0 * np.log10(np.abs(answer)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("gain_db", [-6.0, 3.0])
def test_the_cookbooks_are_bilinear_transforms(shape: str, gain_db: float) -> None:
    rate_hz, hz, q = 48_000, 3_000.0, 0.9
    section = getattr(biquad, shape)(rate_hz, hz, gain_db, q)
    at_hz = np.linspace(10.0, 23_900.0, 500)
    bent = np.tan(np.pi * at_hz / rate_hz) / math.tan(math.pi * hz / rate_hz)
    np.testing.assert_allclose(
        biquad.response_db([section], at_hz, rate_hz),
        prototype_db(shape, gain_db, q, bent),
        atol=1e-9,
    )


@pytest.mark.parametrize("kind", ["high", "low"])
def test_passes_are_butterworths(kind: Literal["high", "low"]) -> None:
    design = biquad.high_pass if kind == "high" else biquad.low_pass
    section = design(44_100, 400.0)
    want = signal.butter(2, 400.0, kind, fs=44_100, output="sos")
    np.testing.assert_allclose(sos([section]), want, rtol=1e-12, atol=1e-15)


def test_an_all_pass_passes_all() -> None:
    at_hz = np.linspace(1.0, 22_000.0, 300)
    answer = biquad.response([biquad.all_pass(44_100, 900.0, 0.8)], at_hz, 44_100)
    np.testing.assert_allclose(np.abs(answer), 1.0, atol=1e-12)
    turned = biquad.response([biquad.all_pass(44_100, 900.0, 0.8)], 900.0, 44_100)
    assert turned == pytest.approx(-1.0, abs=1e-9)


def worst_error_db(
    designs: ModuleType, shape: str, rate_hz: int, hz: float, gain_db: float, q: float
) -> float:
    at_hz = np.linspace(rate_hz / 4000, rate_hz / 2, 800)
    section = getattr(designs, shape)(rate_hz, hz, gain_db, q)
    error = biquad.response_db([section], at_hz, rate_hz) - prototype_db(
        shape, gain_db, q, at_hz / hz
    )
    return float(np.abs(error).max())


@pytest.mark.parametrize(
    ("shape", "hz", "q", "most_db"),
    [
        ("low_shelf", 250.0, 0.71, 0.001),
        ("peaking", 1_000.0, 1.41, 0.01),
        ("peaking", 4_000.0, 1.0, 0.11),
        ("high_shelf", 8_000.0, 0.71, 0.06),
        ("high_shelf", 12_000.0, 0.71, 0.18),
    ],
)
def test_matched_designs_keep_their_prototypes_response(
    shape: str, hz: float, q: float, most_db: float
) -> None:
    for gain_db in (-6.0, 6.0):
        assert worst_error_db(matched, shape, 44_100, hz, gain_db, q) <= most_db
        bilinear = worst_error_db(biquad, shape, 44_100, hz, gain_db, q)
        assert worst_error_db(matched, shape, 44_100, hz, gain_db, q) < bilinear


@settings(max_examples=150, deadline=None)
@given(
    shape=st.sampled_from(sorted(SHAPES)),
    rate_hz=st.sampled_from((8_000, 11_025, 22_050, 44_100, 96_000, 192_000)),
    hz=st.floats(20.0, 20_000.0),
    gain_db=st.floats(-12.0, 12.0),
    q=st.floats(0.3, 4.0),
)
def test_matched_designs_are_stable_and_their_cut_undoes_their_boost(
    shape: str, rate_hz: int, hz: float, gain_db: float, q: float
) -> None:
    q = q if shape == "peaking" else min(q, 1.0)
    section = getattr(matched, shape)(rate_hz, hz, gain_db, q)
    assert abs(section.a2) < 1.0
    assert abs(section.a1) < 1.0 + section.a2
    back = getattr(matched, shape)(rate_hz, hz, -gain_db, q)
    both = biquad.response_db([section, back], np.linspace(0.0, rate_hz / 2, 50), rate_hz)
    np.testing.assert_allclose(both, 0.0, atol=1e-6)


def test_a_matched_band_at_no_gain_does_nothing() -> None:
    at_hz = np.linspace(1.0, 22_000.0, 100)
    for shape in SHAPES:
        section = getattr(matched, shape)(44_100, 5_000.0, 0.0, 0.7)
        np.testing.assert_allclose(biquad.response_db([section], at_hz, 44_100), 0.0, atol=1e-9)


@pytest.mark.parametrize("hz", [0.0, -5.0, float("nan")])
def test_a_band_needs_a_frequency(hz: float) -> None:
    with pytest.raises(ValueError, match="Hz"):
        biquad.peaking(44_100, hz, 3.0, 1.0)
    with pytest.raises(ValueError, match="Hz"):
        matched.peaking(44_100, hz, 3.0, 1.0)


SECTIONS = [
    biquad.high_pass(44_100, 30.0),
    biquad.low_shelf(44_100, 200.0, 4.0),
    biquad.peaking(44_100, 3_000.0, -5.0, 2.0),
    biquad.high_shelf(44_100, 9_000.0, 3.0),
    biquad.low_pass(44_100, 18_000.0),
]


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
def test_a_cascade_is_scipys(channels: int, count: int) -> None:
    block = np.random.default_rng(1).standard_normal((3_000, channels)).astype(np.float32)
    cascade = Cascade(SECTIONS[:count], channels)
    done = np.concatenate([cascade.process(part) for part in cut_at_random(block, 11)])
    want = block.astype(np.float64)
    if count:
        want = signal.sosfilt(sos(SECTIONS[:count]), want, axis=0)
    np.testing.assert_allclose(done, want, rtol=2e-7, atol=1e-7)


def test_mid_and_side_each_go_their_way() -> None:
    block = np.random.default_rng(2).standard_normal((3_000, 2)).astype(np.float32)
    done = Cascade.mid_side(mid=SECTIONS[:1], side=SECTIONS[1:4]).process(block)
    mid, side = mid_side(block)
    want = left_right(
        np.asarray(signal.sosfilt(sos(SECTIONS[:1]), mid)),
        np.asarray(signal.sosfilt(sos(SECTIONS[1:4]), side)),
    )
    np.testing.assert_allclose(done, want, rtol=2e-7, atol=1e-6)


def test_a_cascade_comes_to_rest_after_the_sound() -> None:
    cascade = Cascade([biquad.high_pass(44_100, 10.0, 1.3)] * 2)
    cascade.process(np.ones((500, 2), np.float32))
    assert not cascade.at_rest
    cascade.process(np.zeros((44_100 * 5, 2), np.float32))
    assert cascade.at_rest


def test_a_cascade_takes_its_own_number_of_channels() -> None:
    with pytest.raises(ValueError, match=r"not \(frames, 2\)"):
        Cascade(SECTIONS).process(np.zeros((10, 1), np.float32))
    with pytest.raises(ValueError, match="one channel"):
        Cascade(SECTIONS, 0)
