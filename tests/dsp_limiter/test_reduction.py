"""The gain computer: never too little, never late, and over when it is over."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from audio_processor.dsp.reduction import GainComputer, ReductionTally, ReductionTimes

CELL_S = 8 / 44_100
SEEDS = st.integers(0, 2**32 - 1)


def needs(seed: int, cells: int, density: float) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(cells) < density, rng.random(cells), 0.0).astype(np.float32)


def course(computer: GainComputer, required: NDArray[np.float32]) -> NDArray[np.float32]:
    """The reduction for each cell, latency taken off."""
    padded = np.concatenate([required, np.zeros(computer.lookahead_cells, np.float32)])
    reduction = np.empty_like(padded)
    computer.advance(padded, reduction)
    return reduction[computer.lookahead_cells :]


@settings(max_examples=100, deadline=None)
@given(
    seed=SEEDS,
    cells=st.integers(1, 3000),
    density=st.sampled_from((0.002, 0.05, 0.9)),
    lookahead_ms=st.floats(0.2, 20.0),
)
def test_every_cell_gets_what_it_needs_and_no_cell_more_than_any_needs(
    seed: int, cells: int, density: float, lookahead_ms: float
) -> None:
    required = needs(seed, cells, density)
    reduction = course(GainComputer(ReductionTimes(lookahead_ms), CELL_S), required)
    assert np.all(reduction >= required - 1e-6)
    assert reduction.max() <= required.max() + 1e-6


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, cuts=st.lists(st.integers(0, 3000), max_size=6))
def test_the_course_does_not_depend_on_the_cuts(seed: int, cuts: list[int]) -> None:
    required = needs(seed, 3000, 0.01)
    expected = np.empty_like(required)
    GainComputer(ReductionTimes(), CELL_S).advance(required, expected)
    pieces = np.split(required, sorted(cuts))
    computer = GainComputer(ReductionTimes(), CELL_S)
    reduction = [np.empty_like(piece) for piece in pieces]
    for piece, out in zip(pieces, reduction, strict=True):
        computer.advance(piece, out)
    np.testing.assert_array_equal(np.concatenate(reduction), expected)


def test_nothing_moves_before_the_look_ahead_or_jumps() -> None:
    computer = GainComputer(ReductionTimes(), CELL_S)
    required = np.zeros(2000, np.float32)
    required[1000] = 0.5
    reduction = course(computer, required)
    window = computer.lookahead_cells + 1
    assert not reduction[: 1000 - computer.lookahead_cells].any()
    # two moving averages of half the window each: their slope is at most a half-window's
    assert np.abs(np.diff(reduction)).max() <= 0.5 / (window // 2)


def test_a_short_peak_is_let_go_sooner_than_a_long_one() -> None:
    def left_after_300_ms(cells: int) -> float:
        required = np.zeros(20_000, np.float32)
        required[:cells] = 0.5
        reduction = course(GainComputer(ReductionTimes(), CELL_S), required)
        return float(reduction[cells + round(0.3 / CELL_S)])

    assert left_after_300_ms(5) < 0.1
    assert left_after_300_ms(10_000) > 0.25


def test_release_ends_at_exactly_nothing() -> None:
    required = np.zeros(round(12.0 / CELL_S), np.float32)
    required[:10_000] = 0.9
    reduction = course(GainComputer(ReductionTimes(), CELL_S), required)
    assert reduction[-1] == 0.0
    falling = np.diff(reduction[10_000:])
    assert falling.max() <= 1e-7


def test_the_tally_is_that_of_the_decibels() -> None:
    reduction = np.array([0.0, 0.5, 0.25, 0.005, 1.0 - 10 ** (-0.05)], np.float32)
    tally = ReductionTally()
    tally.add(reduction[:2])
    tally.add(reduction[2:])
    result = tally.result(reduction.size)
    counted = reduction[[1, 2, 4]].astype(np.float64)
    in_db = -20.0 * np.log10(1.0 - counted)
    np.testing.assert_allclose(result.deepest_db, in_db.max(), rtol=1e-6)
    np.testing.assert_allclose(result.mean_db, in_db.mean(), rtol=1e-6)
    assert result.active_fraction == 3 / 5
