"""What the plan decides, and that the master then measures what it promised."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from audio_processor.mastering.plan import PlanLimits, make_plan, plan_warnings
from audio_processor.model import Plan, Targets
from tests.corpus import corpus_track_or_skip
from tests.dsp_limiter.meters import true_peak_dbtp
from tests.dsp_limiter.music import decoded
from tests.mastering.programmes import (
    RATE_HZ,
    analysed,
    band,
    crescendo,
    levels,
    libebur128,
    mastered,
)

TARGETS = Targets()
WIDE = Targets(range_mode="preserve")


def test_a_target_within_the_peaks_is_reached_by_gain_alone() -> None:
    rng = np.random.default_rng(1)
    audio = (rng.standard_normal((10 * RATE_HZ, 2)) * 0.02).astype(np.float32)
    plan = make_plan(analysed(audio), Targets(integrated_lufs=-23.0))
    assert plan.mode == "static"
    assert plan.rider is None
    assert plan.achieved
    assert plan.predicted_gain_reduction_db == 0.0
    assert plan.predicted_lufs == pytest.approx(-23.0, abs=0.02)
    expected = audio * np.float32(10 ** (plan.gain_db / 20))
    np.testing.assert_array_equal(mastered(audio, plan), expected)


@pytest.mark.parametrize("level_db", [0.0, -15.0])
def test_peaks_that_are_in_the_way_are_limited(level_db: float) -> None:
    audio = band(15.0, level_db)
    plan = make_plan(analysed(audio), TARGETS)
    assert plan.mode == "limited"
    assert plan.achieved
    assert plan.predicted_true_peak_dbtp == pytest.approx(-1.5, abs=0.01)
    master = mastered(audio, plan)
    assert libebur128(master).integrated_lufs == pytest.approx(-14.0, abs=0.1)
    assert true_peak_dbtp(master) <= -1.4


@pytest.mark.parametrize(
    "name",
    [
        "ice_music.ogg",  # loud: brought down by gain alone
        "frantic.ogg",  # loud
        "classic.ogg",  # quiet
        "track1.opus",  # 48 kHz, among the deepest gain reductions of the corpus
        "vengeful.ogg",  # loud and wide
        "into_the_shadows.ogg",  # quiet and wide
    ],
)
def test_real_masters_measure_what_was_promised(name: str) -> None:
    audio, rate_hz = decoded(corpus_track_or_skip(name), 45)
    plan = make_plan(analysed(audio, rate_hz), TARGETS)
    assert plan.achieved
    master = mastered(audio, plan, rate_hz)
    measured = libebur128(master, rate_hz)
    assert measured.integrated_lufs == pytest.approx(-14.0, abs=0.1)
    assert measured.range_lu <= TARGETS.range_lu + 0.5
    assert true_peak_dbtp(master) <= -1.4


def test_silence_is_left_alone() -> None:
    plan = make_plan(analysed(np.zeros((5 * RATE_HZ, 2), np.float32)), TARGETS)
    assert (plan.mode, plan.gain_db, plan.limited_by) == ("none", 0.0, "silence")
    assert not plan.achieved
    assert plan.predicted_lufs is None


def test_a_noise_floor_below_the_absolute_gate_is_silence() -> None:
    rng = np.random.default_rng(1)
    hiss = (rng.standard_normal((5 * RATE_HZ, 2)) * 1e-5).astype(np.float32)
    assert make_plan(analysed(hiss), TARGETS).limited_by == "silence"


@pytest.mark.parametrize("frames", [1, 10, RATE_HZ // 3])
def test_less_than_a_gating_block_is_left_alone(frames: int) -> None:
    plan = make_plan(analysed(np.full((frames, 2), 0.5, np.float32)), TARGETS)
    assert (plan.mode, plan.gain_db, plan.limited_by) == ("none", 0.0, "too_short")


def test_half_a_second_is_enough() -> None:
    assert make_plan(analysed(band(0.5)), TARGETS).mode != "none"


def test_a_bound_on_gain_is_kept_and_named() -> None:
    analysis = analysed(band(10.0, -40.0))
    plan = make_plan(analysis, TARGETS, PlanLimits(max_gain_db=12.0))
    assert plan.gain_db == 12.0
    assert plan.limited_by == "max_gain"
    assert plan.predicted_lufs is not None
    assert plan.predicted_lufs < -15.0


def test_a_bound_on_gain_reduction_is_kept_and_named() -> None:
    audio = band(10.0)
    plan = make_plan(
        analysed(audio), Targets(integrated_lufs=-8.0), PlanLimits(max_gain_reduction_db=3.0)
    )
    assert plan.limited_by == "max_gain_reduction"
    assert plan.predicted_gain_reduction_db == pytest.approx(3.0, abs=0.05)
    assert plan.predicted_lufs is not None
    assert libebur128(mastered(audio, plan)).integrated_lufs == pytest.approx(
        plan.predicted_lufs, abs=0.1
    )


def test_a_bound_on_mean_gain_reduction_is_kept_and_named() -> None:
    analysis = analysed(band(10.0))
    loud = Targets(integrated_lufs=-7.0)
    free = make_plan(analysis, loud, PlanLimits(24.0, 40.0, 40.0))
    held = make_plan(analysis, loud, PlanLimits(24.0, 40.0, 2.0))
    assert held.limited_by == "max_gain_reduction"
    assert held.gain_db < free.gain_db - 1.0


def test_without_leave_to_limit_the_peaks_decide() -> None:
    audio = band(10.0, -20.0)
    plan = make_plan(analysed(audio), TARGETS, PlanLimits(max_gain_reduction_db=0.0))
    assert plan.mode == "static"
    assert plan.limited_by == "peaks"
    assert plan.predicted_true_peak_dbtp == pytest.approx(-1.5, abs=0.05)
    assert true_peak_dbtp(mastered(audio, plan)) <= -1.4


def test_a_wide_programme_is_ridden_only_in_limit_mode() -> None:
    audio = levels([(20.0, -20.0), (20.0, 0.0)] * 2)
    analysis = analysed(audio)
    kept, ridden = make_plan(analysis, WIDE), make_plan(analysis, TARGETS)
    assert kept.mode in {"static", "limited"}
    assert kept.rider is None
    assert kept.predicted_range_lu is not None
    assert kept.predicted_range_lu > 15.0
    assert ridden.mode in {"ridden", "ridden+limited"}
    assert ridden.rider is not None
    for plan in (kept, ridden):
        assert libebur128(mastered(audio, plan)).integrated_lufs == pytest.approx(-14.0, abs=0.1)


def test_a_range_that_the_limiter_narrows_enough_is_not_ridden() -> None:
    audio = levels([(20.0, -11.5), (20.0, 0.0)] * 2)
    analysis = analysed(audio)
    assert analysis.mastered.range_lu is not None
    assert analysis.mastered.range_lu > 11.0
    plan = make_plan(analysis, Targets(integrated_lufs=-11.0))
    assert plan.mode == "limited"
    assert plan.predicted_range_lu is not None
    assert plan.predicted_range_lu <= 11.0


def test_the_plan_is_a_function_of_the_measurement() -> None:
    analysis = analysed(crescendo(30.0, -25.0, 0.0))

    def fields(plan: Plan) -> Plan:
        return replace(plan, rider=None)

    first, second = make_plan(analysis, TARGETS), make_plan(analysis, TARGETS)
    assert fields(first) == fields(second)
    assert first.rider is not None
    assert second.rider is not None
    np.testing.assert_array_equal(first.rider.gain_db, second.rider.gain_db)


def test_a_decoder_spike_decides_nothing() -> None:
    audio = band(10.0, -15.0)
    spiked = audio.copy()
    spiked[5 * RATE_HZ, 0] = 16_000.0
    clean, spiky = (make_plan(analysed(a), TARGETS) for a in (audio, spiked))
    assert spiky.gain_db == pytest.approx(clean.gain_db, abs=0.1)


# ── in words ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (PlanLimits(max_gain_db=3.0), "max_gain_db"),
        (PlanLimits(max_gain_reduction_db=0.0), "no limiting is allowed"),
        (PlanLimits(max_mean_gain_reduction_db=0.5), "on average"),
    ],
)
def test_what_keeps_a_track_from_its_target_is_said(limits: PlanLimits, said: str) -> None:
    targets = Targets(integrated_lufs=-8.0)
    plan = make_plan(analysed(band(10.0, -15.0)), targets, limits)
    (warning,) = plan_warnings(plan, targets)
    assert plan.predicted_lufs is not None
    assert f"{plan.predicted_lufs:.1f} LUFS instead of -8" in warning
    assert said in warning


def test_of_a_target_that_is_reached_nothing_is_said() -> None:
    plan = make_plan(analysed(band(10.0, -15.0)), Targets())
    assert list(plan_warnings(plan, Targets())) == []
