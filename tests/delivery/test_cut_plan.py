"""Where a ladder is cut, as a pure plan."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_processor.delivery.segments import (
    RUNT,
    CutPlan,
    TierLength,
    common_grid_s,
    plan_cuts,
    segment_pattern,
)

DEFAULT_RATES = (24_000, 32_000, 44_100)


def ladder(seconds: float, rates: tuple[int, ...] = DEFAULT_RATES) -> list[TierLength]:
    """Tiers as an encoder leaves them: the last frame filled up."""
    return [TierLength(rate, -(-round((seconds + 0.0427) * rate) // 1024)) for rate in rates]


def starts_s(plan: CutPlan) -> list[Fraction]:
    frames = accumulate(plan.segment_frames[:-1], initial=0)
    return [Fraction(at * 1024, plan.sample_rate_hz) for at in frames]


def test_the_default_ladders_frames_meet_every_10_24_s() -> None:
    assert common_grid_s(DEFAULT_RATES) == Fraction(1024, 100)


def test_default_cuts_are_at_equal_times_on_all_tiers() -> None:
    low, med, high = plan_cuts(ladder(557.0), 10)
    assert set(low.segment_frames[:-1]) == {240}
    assert set(med.segment_frames[:-1]) == {320}
    assert set(high.segment_frames[:-1]) == {441}
    assert starts_s(low) == starts_s(med) == starts_s(high)


@pytest.mark.parametrize(
    ("asked_s", "cut_s"),
    [
        (10, 10.24),
        (20, 20.48),
        (30, 30.72),
        (9.31, 10.24),  # within a tenth
        (9.3, 9.3),  # farther away
        (6, 6),
        (4, 4),
    ],
)
def test_grid_is_used_where_it_is_near(asked_s: float, cut_s: float) -> None:
    for plan in plan_cuts(ladder(200), asked_s):
        assert plan.cut_every_us == round(cut_s * 1e6)


@given(seconds=st.floats(0.05, 1000), asked_s=st.floats(2, 60))
def test_every_plan_keeps_its_promises(seconds: float, asked_s: float) -> None:
    tiers = ladder(seconds)
    plans = plan_cuts(tiers, asked_s)
    assert len({len(plan.segment_frames) for plan in plans}) == 1
    for tier, plan in zip(tiers, plans, strict=True):
        assert sum(plan.segment_frames) == tier.aac_frames
        every_s = plan.cut_every_us / 1e6
        frame_s = 1024 / tier.sample_rate_hz
        assert abs(every_s - asked_s) <= asked_s / 10 + 1e-5
        for number, at in enumerate(starts_s(plan)):
            # never early, and never a frame late: cuts do not drift
            assert -2e-5 * (number + 1) <= float(at) - number * every_s < frame_s + 2e-5
        if len(plan.segment_frames) > 1:
            assert plan.durations_s[-1] >= float(RUNT) * every_s - frame_s
        assert plan.durations_s[-1] < (1 + float(RUNT)) * every_s + 2 * frame_s


def test_a_runt_is_merged_on_all_tiers_alike() -> None:
    # two whole segments and a frame more on the highest tier alone
    tiers = [TierLength(24_000, 480), TierLength(32_000, 640), TierLength(44_100, 883)]
    low, med, high = plan_cuts(tiers, 10)
    assert low.segment_frames == (240, 240)
    assert med.segment_frames == (320, 320)
    assert high.segment_frames == (441, 442)


def test_shorter_than_a_segment_is_one_segment() -> None:
    assert [plan.segment_frames for plan in plan_cuts([TierLength(24_000, 1)], 10)] == [(1,)]


@pytest.mark.parametrize("rates", [(44_100,), (22_050, 44_100), (24_000, 48_000), (44_100, 48_000)])
def test_other_ladders_cut_on_their_own_grid(rates: tuple[int, ...]) -> None:
    first, *others = plan_cuts(ladder(1200, rates), 10)
    for plan in others:
        assert starts_s(plan) == starts_s(first)
    assert len(set(first.segment_frames[:-1])) == 1


def test_names_have_the_digits_that_three_hours_need() -> None:
    assert segment_pattern(1) % 0 == "segment_000.ts"
    assert segment_pattern(1000) % 999 == "segment_999.ts"
    three_hours = len(plan_cuts(ladder(3 * 3600), 10)[0].segment_frames)
    assert segment_pattern(three_hours) % 0 == "segment_0000.ts"
