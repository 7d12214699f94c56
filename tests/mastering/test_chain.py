"""The mastering chain: off costs nothing; on is one stage after another, and it can be watched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from audio_processor.mastering.chain import Chain, ChainWatch
from audio_processor.mastering.parameters import OutOfRange, hold_ranges, parameter
from audio_processor.mastering.stage import StageTally
from audio_processor.model import Block


@dataclass(frozen=True, slots=True)
class Attenuate:
    """A stage that takes gain off and says so."""

    name: ClassVar[str] = "attenuate"
    gain_db: float = parameter(0.0, -60.0, 0.0, "Static gain.")

    def __post_init__(self) -> None:
        hold_ranges(self)

    def __call__(
        self, blocks: Iterator[Block], sample_rate_hz: int, tally: StageTally | None = None
    ) -> Iterator[Block]:
        factor = np.float32(10.0 ** (self.gain_db / 20.0))
        for block in blocks:
            if tally is not None:
                tally.take("all", np.full(len(block), 1.0 - factor, np.float32))
            yield block * factor


def test_an_empty_chain_is_not_there() -> None:
    blocks = iter([np.zeros((10, 2), np.float32)])
    assert Chain()(blocks, 44_100) is blocks


def test_stages_follow_each_other() -> None:
    block: Block = np.full((1000, 2), 0.1, np.float32)
    (through,) = Chain((Attenuate(-6.0), Attenuate(-2.0)))(iter([block]), 44_100)
    np.testing.assert_allclose(through, block * 10 ** (-8 / 20), rtol=1e-6)


def test_a_watch_tells_what_each_stage_was_set_to_and_did() -> None:
    blocks: list[Block] = [np.full((1000, 2), 0.1, np.float32)] * 3
    watch = ChainWatch()
    for _ in Chain((Attenuate(-6.0), Attenuate(-2.0)))(iter(blocks), 44_100, watch):
        pass
    first, second = watch.result()
    assert (first.stage, dict(first.parameters)) == ("attenuate", {"gain_db": -6.0})
    assert first.energy_added_db == pytest.approx(-6.0, abs=1e-3)
    assert second.energy_added_db == pytest.approx(-2.0, abs=1e-3)
    (band,) = first.reductions
    assert (band.band, band.active_fraction) == ("all", 1.0)
    assert band.deepest_db == pytest.approx(6.0, abs=1e-3)
    assert band.mean_db == pytest.approx(6.0, abs=1e-3)


def test_of_silence_no_energy_is_told() -> None:
    watch = ChainWatch()
    for _ in Chain((Attenuate(-6.0),))(iter([np.zeros((10, 2), np.float32)]), 44_100, watch):
        pass
    assert watch.result()[0].energy_added_db is None


@pytest.mark.parametrize("value", [1.0, -60.5, float("nan"), True, "-6"])
def test_a_parameter_out_of_its_range_names_key_value_and_range(value: float) -> None:
    with pytest.raises(OutOfRange, match=r"gain_db is .*; it must be -60 to 0"):
        Attenuate(value)


@pytest.mark.parametrize("digits", [400, 10_000])
def test_an_integer_that_no_float_holds_is_out_of_range_too(digits: int) -> None:
    """Of 10,000 digits Python makes no text either."""
    value = -(10**digits)
    with pytest.raises(OutOfRange, match=r"gain_db is a number of many digits; it must be -60"):
        Attenuate(value)
