from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_processor.dsp import gating
from audio_processor.model import Envelope


@given(st.integers(8_000, 384_000))
def test_a_tenth_is_whole_hops_and_as_good_as_100_ms(rate: int) -> None:
    layout = gating.hop_layout(rate)
    assert layout.tenth_frames == layout.hop_frames * layout.hops_per_tenth
    assert layout.tenth_frames == pytest.approx(rate / 10, rel=0.003)
    assert 0.003 < layout.hop_frames / rate < 0.007


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000])
def test_at_common_rates_a_tenth_is_100_ms_exactly(rate: int) -> None:
    assert gating.hop_layout(rate).tenth_frames * 10 == rate


@given(st.floats(-100.0, 30.0))
def test_lufs_and_mean_square_are_inverse(level: float) -> None:
    assert gating.lufs(gating.mean_square(level)) == pytest.approx(level)


def test_there_is_no_loudness_of_nothing() -> None:
    silence = np.zeros(100)
    assert gating.lufs(0.0) is None
    assert gating.integrated_lufs(silence) is None
    assert gating.loudness_range_lu(silence) is None


def test_below_the_absolute_gate_there_is_no_loudness() -> None:
    tenths = np.full(100, gating.mean_square(-70.01))
    assert gating.integrated_lufs(tenths) is None
    assert gating.loudness_range_lu(tenths) is None


@pytest.mark.parametrize(
    ("count", "integrated", "ranged"), [(3, False, False), (4, True, False), (30, True, True)]
)
def test_each_figure_needs_a_whole_window(count: int, integrated: bool, ranged: bool) -> None:
    tenths = np.full(count, gating.mean_square(-20.0))
    assert (gating.integrated_lufs(tenths) is not None) == integrated
    assert (gating.loudness_range_lu(tenths) is not None) == ranged


def test_the_range_is_from_the_10th_to_the_95th_percentile_above_the_gate() -> None:
    # every short-term window within its own plateau: some 370 windows a level, in 1 LU steps
    levels = np.repeat(np.arange(-40.0, -19.0), 400)
    tenths = 10.0 ** ((levels - gating.LUFS_OFFSET_DB) / 10.0)
    measured = gating.loudness_range_lu(tenths)
    ranked = np.sort(10.0 * np.log10(gating.short_term_mean_squares(tenths)))
    assert measured == pytest.approx(
        ranked[round(0.95 * (ranked.size - 1))] - ranked[round(0.10 * (ranked.size - 1))]
    )


def test_an_envelope_tells_the_same_tenths_as_the_meter_saw() -> None:
    layout = gating.hop_layout(44_100)
    hops = 10 * layout.hops_per_tenth + 3
    energy = np.linspace(0.0, 1.0, hops, dtype=np.float32)
    frames = (hops - 1) * layout.hop_frames + 17
    envelope = Envelope(layout.hop_frames, 44_100, frames, np.zeros_like(energy), energy)
    tenths = gating.envelope_tenths(envelope)
    assert tenths.size == 10
    assert tenths[0] == pytest.approx(energy[: layout.hops_per_tenth].mean())
    assert tenths[-1] == pytest.approx(energy[9 * 21 : 10 * 21].mean())


def test_an_envelope_of_other_hops_is_refused() -> None:
    other = Envelope(512, 44_100, 512, np.zeros(1, np.float32), np.zeros(1, np.float32))
    with pytest.raises(ValueError, match="512"):
        gating.envelope_tenths(other)
