"""The equaliser: each band where it says, by how much it says, at any rate."""

from __future__ import annotations

from collections import deque
from itertools import islice, repeat

import numpy as np
import pytest
from numpy.typing import NDArray

from audio_processor.dsp.biquad import response_db
from audio_processor.mastering.stages.equaliser import Equaliser
from tests.dsp_limiter.signals import RATES_HZ, run, whole
from tests.mastering_tone.stages import ALL_BANDS, decibels, response
from tests.mastering_tone.test_sections import prototype_db

BANDS = {
    "low shelf": Equaliser(low_shelf_db=6.0),
    "low shelf, cut, steep": Equaliser(low_shelf_db=-6.0, low_shelf_hz=100.0, low_shelf_q=1.0),
    "mid": Equaliser(mid_cut_db=-6.0),
    "mid, moved": Equaliser(mid_cut_db=-3.0, mid_hz=400.0, mid_q=3.0),
    "presence": Equaliser(presence_db=6.0),
    "presence, cut, moved": Equaliser(presence_db=-6.0, presence_hz=2_500.0, presence_q=0.7),
    "high shelf": Equaliser(high_shelf_db=6.0),
    "high shelf, cut, moved": Equaliser(high_shelf_db=-4.0, high_shelf_hz=12_000.0),
    "all": ALL_BANDS,
}


def analogue_db(eq: Equaliser, at_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """The four prototypes together, by scipy."""
    bands = (
        ("low_shelf", eq.low_shelf_db, eq.low_shelf_q, eq.low_shelf_hz),
        ("peaking", eq.mid_cut_db, eq.mid_q, eq.mid_hz),
        ("peaking", eq.presence_db, eq.presence_q, eq.presence_hz),
        ("high_shelf", eq.high_shelf_db, eq.high_shelf_q, eq.high_shelf_hz),
    )
    return np.asarray(sum(prototype_db(kind, db, q, at_hz / hz) for kind, db, q, hz in bands))


@pytest.mark.parametrize("equaliser", BANDS.values(), ids=BANDS.keys())
def test_the_signal_gets_the_analogue_response_all_the_way_up(equaliser: Equaliser) -> None:
    at_hz = np.geomspace(20.0, 22_000.0, 60)
    got = decibels(response(equaliser, 44_100, at_hz))
    np.testing.assert_allclose(got, analogue_db(equaliser, at_hz), atol=0.2)
    drawn = response_db(equaliser.sections(44_100), at_hz, 44_100)
    np.testing.assert_allclose(got, drawn, atol=1e-3)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("equaliser", BANDS.values(), ids=BANDS.keys())
def test_a_band_near_or_above_half_the_rate_does_below_it_what_it_should(
    equaliser: Equaliser, rate_hz: int
) -> None:
    at_hz = np.geomspace(20.0, 0.49 * rate_hz, 100)
    got = response_db(equaliser.sections(rate_hz), at_hz, rate_hz)
    np.testing.assert_allclose(got, analogue_db(equaliser, at_hz), atol=0.7)


def test_every_setting_is_within_a_db_of_its_prototype_at_44100() -> None:
    """The corners of every range: 0.5 dB is what the docstring says."""
    at_hz = np.geomspace(20.0, 22_050.0, 300)
    corners = [
        *(
            Equaliser(low_shelf_db=db, low_shelf_hz=hz, low_shelf_q=q)
            for db in (-6.0, 6.0) for hz in (40.0, 1_000.0) for q in (0.4, 1.0)
        ),
        *(
            Equaliser(mid_cut_db=-6.0, mid_hz=hz, mid_q=q)
            for hz in (200.0, 4_000.0) for q in (0.4, 1.0, 4.0)
        ),
        *(
            Equaliser(presence_db=db, presence_hz=hz, presence_q=q)
            for db in (-6.0, 6.0) for hz in (1_500.0, 10_000.0) for q in (0.4, 0.7, 1.4, 4.0)
        ),
        *(
            Equaliser(high_shelf_db=db, high_shelf_hz=hz, high_shelf_q=q)
            for db in (-6.0, 6.0) for hz in (2_000.0, 16_000.0) for q in (0.4, 0.7, 1.0)
        ),
    ]  # fmt: skip
    worst = [
        float(
            np.abs(response_db(eq.sections(44_100), at_hz, 44_100) - analogue_db(eq, at_hz)).max()
        )
        for eq in corners
    ]
    assert max(worst) <= 0.5


def test_bands_at_no_gain_are_not_run() -> None:
    assert Equaliser(low_shelf_hz=99.0, presence_q=3.0).sections(44_100) == ()
    assert len(Equaliser(presence_db=0.5).sections(44_100)) == 1


def test_left_and_right_are_treated_alike_and_apart() -> None:
    rng = np.random.default_rng(1)
    block = rng.standard_normal((5_000, 2)).astype(np.float32)
    swapped = np.ascontiguousarray(block[:, ::-1])
    np.testing.assert_array_equal(
        run(ALL_BANDS, whole(swapped), 44_100), run(ALL_BANDS, whole(block), 44_100)[:, ::-1]
    )
    block[:, 1] = 0.0
    assert not run(ALL_BANDS, whole(block), 44_100)[:, 1].any()


def test_an_impulse_stays_where_it_is() -> None:
    impulse = np.zeros((2_000, 2), np.float32)
    impulse[1_000] = 1.0
    out = run(ALL_BANDS, whole(impulse), 44_100)
    assert not out[:1_000].any()
    assert np.abs(out[:, 0]).argmax() == 1_000


def test_an_hour_ends_as_it_began() -> None:
    second = (np.random.default_rng(2).standard_normal((44_100, 2)) * 0.5).astype(np.float32)
    seconds = ALL_BANDS(repeat(second, 3600), 44_100)
    early = next(islice(seconds, 10, None))
    (late,) = deque(seconds, maxlen=1)
    np.testing.assert_allclose(late, early, atol=1e-6)
