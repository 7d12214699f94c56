"""EBU Tech 3342 table 1, cases 1–4, from the standard's text (5 and 6 are recordings)."""

from __future__ import annotations

import pytest

from audio_processor.dsp.loudness import LoudnessMeter
from tests.dsp.signals import stereo, tone


@pytest.mark.parametrize("rate", [44_100, 48_000])
@pytest.mark.parametrize(
    ("case", "levels_dbfs", "expected_lu"),
    [
        (1, [-20.0, -30.0], 10.0),
        (2, [-20.0, -15.0], 5.0),
        (3, [-40.0, -20.0], 20.0),
        (4, [-50.0, -35.0, -20.0, -35.0, -50.0], 15.0),
    ],
)
def test_loudness_range_of_tones_of_20_s(
    rate: int, case: int, levels_dbfs: list[float], expected_lu: float
) -> None:
    meter = LoudnessMeter(rate, 2)
    meter.push(stereo(tone(rate, *[(level, 20.0) for level in levels_dbfs])))
    assert meter.result().range_lu == pytest.approx(expected_lu, abs=1.0), case
