"""The gain reduction that is shown is the one that the limiter makes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from audio_processor.dsp.limiter import Limiter
from audio_processor.dsp.measure import Measurer
from audio_processor.mastering.plan import PlanLimits
from audio_processor.model import StageFigures
from audio_processor.reporting.gather import Gathered
from audio_processor.reporting.reduction import reduction_db, replayed, told_stages
from tests.reporting.material import RATE_HZ, band

GAIN_DB, CEILING_DBTP = 9.0, -1.5


def test_it_is_what_the_limiter_does_to_the_samples() -> None:
    audio = band(6.0)
    meter = Measurer(RATE_HZ, 2)
    meter.push(audio)
    foreseen = reduction_db(meter.result().envelope, GAIN_DB, CEILING_DBTP)
    limiter = Limiter(ceiling_dbtp=CEILING_DBTP, gain_db=GAIN_DB)
    limited = np.concatenate(list(limiter(iter([audio]), RATE_HZ)))
    loud = np.abs(audio) > 0.02
    gains_db = np.where(loud, 20 * np.log10(np.abs(limited / np.where(loud, audio, 1.0))), GAIN_DB)
    applied = (GAIN_DB - gains_db.min(axis=1)).reshape(-1, RATE_HZ // 10).max(axis=1)
    assert applied.max() > 3.0
    # a beat on the border of two tenths may count in either: the look-ahead is 5 ms
    around = sliding_window_view(np.pad(foreseen, 1, mode="edge"), 3)
    assert (applied <= around.max(axis=1) + 0.4).all()
    assert (applied >= around.min(axis=1) - 0.4).all()
    assert foreseen.max() == pytest.approx(applied.max(), abs=0.2)


def test_nothing_is_taken_off_below_the_ceiling() -> None:
    meter = Measurer(RATE_HZ, 2)
    meter.push(band(1.0))
    assert not reduction_db(meter.result().envelope, -20.0, CEILING_DBTP).any()


def test_a_delivery_is_planned_again_to_the_same_end(song: Gathered) -> None:
    told, first = song.data.delivered, song.data.gain
    assert told and first and song.before
    with song.before.open() as blocks:
        again = replayed(blocks, song.before.sample_rate_hz, told, PlanLimits())
    assert again is not None
    assert again.reduction_db == pytest.approx(first.reduction_db, abs=0.02)


def test_what_was_done_otherwise_is_not_shown(song: Gathered) -> None:
    told = song.data.delivered
    assert told and song.before
    otherwise = replace(told, plan=replace(told.plan, gain_db=told.plan.gain_db + 0.1))
    with song.before.open() as blocks:
        assert replayed(blocks, song.before.sample_rate_hz, otherwise, PlanLimits()) is None


@pytest.mark.parametrize(
    ("stage", "parameters"),
    [
        ("reference_match", {"strength_percent": 100.0}),
        ("no_such_stage", {}),
        ("high_pass", {"cutoff_hz": 1e9, "order": 2.0}),
        ("high_pass", {"cutoff_hz": 20.0}),
    ],
)
def test_a_chain_that_is_not_all_told_is_not_made(stage: str, parameters: dict[str, float]) -> None:
    assert told_stages([StageFigures(stage, parameters, None)]) is None


def test_the_songs_own_chain_is_made_again(song: Gathered) -> None:
    told = song.data.delivered
    assert told and told.mastering
    stages = told_stages(told.mastering.stages)
    assert stages is not None
    assert [stage.name for stage in stages] == [each.stage for each in told.mastering.stages]
