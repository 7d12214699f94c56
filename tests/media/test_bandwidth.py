"""How much treble a tier keeps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_processor.media.bandwidth import aac_cutoff_hz
from audio_processor.model import Tier


@pytest.mark.parametrize(
    ("bit_rate", "rate_hz", "cutoff_hz"),
    [(48_000, 24_000, 8_600), (64_000, 32_000, 12_000), (128_000, 44_100, 17_200)],
)
def test_the_default_tiers(bit_rate: int, rate_hz: int, cutoff_hz: int) -> None:
    assert aac_cutoff_hz(Tier("t", bit_rate, rate_hz)) == cutoff_hz


@given(st.integers(8_000, 512_000), st.integers(8_000, 500_000))
def test_more_bits_never_mean_less_treble(bit_rate: int, more: int) -> None:
    low, high = Tier("t", bit_rate, 48_000), Tier("t", bit_rate + more, 48_000)
    assert 0 < aac_cutoff_hz(low) <= aac_cutoff_hz(high) <= 24_000
