"""What every stage here promises, whatever it is set to and whatever comes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_processor.mastering.parameters import OutOfRange, parameters
from audio_processor.mastering.stage import MasteringStage, StageTally
from audio_processor.mastering.stages.masking_eq import MaskingEqualiser
from audio_processor.mastering.stages.multiband import MultibandCompressor
from audio_processor.mastering.stages.section_lift import SectionLift
from audio_processor.model import Block
from tests.dsp_limiter.signals import cut_at_random
from tests.mastering_dynamics.signals import RATE_HZ, hostile_stereo, run, sine, stereo

STAGES: tuple[MasteringStage, ...] = (
    MultibandCompressor(low_makeup_db=6.0),
    MultibandCompressor.one_knob(10.0),
    MaskingEqualiser(amount_percent=100.0, max_dip_db=6.0),
    SectionLift(lift_db=1.5),
)
NEUTRAL: tuple[MasteringStage, ...] = (
    MultibandCompressor.one_knob(1.0),
    MaskingEqualiser(amount_percent=0.0),
    MaskingEqualiser(max_dip_db=0.0),
    SectionLift(lift_db=0.0),
)
RATES_HZ = st.sampled_from((8_000, 22_050, 44_100, 48_000, 96_000, 192_000))


@settings(max_examples=60, deadline=None)
@given(
    stage=st.sampled_from(STAGES),
    block=hostile_stereo(),
    rate_hz=RATES_HZ,
    seed=st.integers(0, 2**32 - 1),
)
def test_output_is_finite_as_long_as_the_input_and_blind_to_its_cuts(
    stage: MasteringStage, block: Block, rate_hz: int, seed: int
) -> None:
    whole = run(stage, [block], rate_hz)
    assert whole.shape == block.shape
    assert np.isfinite(whole).all()
    np.testing.assert_array_equal(run(stage, cut_at_random(block, seed), rate_hz), whole)


@settings(max_examples=20, deadline=None)
@given(stage=st.sampled_from(STAGES), sizes=st.lists(st.integers(1, 50), min_size=1, max_size=400))
def test_tiny_blocks_give_what_one_block_gives(stage: MasteringStage, sizes: list[int]) -> None:
    rng = np.random.default_rng(len(sizes))
    block = (rng.standard_normal((sum(sizes), 2)) * 0.4).astype(np.float32)
    ends = [0, *np.cumsum(sizes)]
    pieces = [block[start:end] for start, end in pairwise(ends)]
    np.testing.assert_array_equal(run(stage, pieces, 8_000), run(stage, [block], 8_000))


@pytest.mark.parametrize("stage", STAGES, ids=repr)
def test_what_comes_is_not_written_to(stage: MasteringStage) -> None:
    block = sine(440.0, -3.0, 2.0)
    before = block.copy()
    block.flags.writeable = False
    run(stage, [block])
    np.testing.assert_array_equal(block, before)


@pytest.mark.parametrize("stage", NEUTRAL, ids=repr)
def test_a_neutral_stage_hands_the_blocks_on_as_they_came(stage: MasteringStage) -> None:
    blocks: Iterator[Block] = iter([sine(440.0, -3.0, 0.1)])
    assert stage(blocks, RATE_HZ) is blocks


@pytest.mark.parametrize("stage", STAGES, ids=repr)
def test_nothing_comes_of_nothing(stage: MasteringStage) -> None:
    tally = StageTally()
    assert run(stage, [], RATE_HZ, tally).shape == (0, 2)
    assert tally.result() == ()


@pytest.mark.parametrize("stage", STAGES, ids=repr)
def test_silence_stays_silence(stage: MasteringStage) -> None:
    silence = np.zeros((3 * RATE_HZ, 2), dtype=np.float32)
    tally = StageTally()
    np.testing.assert_array_equal(run(stage, [silence], RATE_HZ, tally), silence)
    assert all(band.deepest_db == 0.0 for band in tally.result())


@pytest.mark.parametrize("stage", [MultibandCompressor(mid_ratio=1.5), *STAGES[2:]], ids=repr)
def test_nothing_is_clipped(stage: MasteringStage) -> None:
    """A tone of 40 dB over full scale comes out far above it, and still a tone."""
    made = run(stage, [sine(1_000.0, 40.0, 4.0)])[2 * RATE_HZ :, 0].astype(np.float64)
    assert np.abs(made).max() > 2.0
    spectrum = np.abs(np.fft.rfft(made * np.hanning(made.size)))
    tone = round(1_000.0 / RATE_HZ * made.size)
    beside = np.delete(spectrum, np.arange(tone - 20, tone + 21))
    assert beside.max() < spectrum[tone] * 10.0 ** (-80.0 / 20.0)


@pytest.mark.parametrize("stage", STAGES, ids=repr)
def test_audio_waits_four_seconds_at_most(stage: MasteringStage) -> None:
    """Memory does not grow: what is held back is bounded, wherever the stream stands."""
    noise = (np.random.default_rng(3).standard_normal((20 * RATE_HZ, 2)) * 0.2).astype(np.float32)
    taken = given = longest = 0

    def counted() -> Iterator[Block]:
        nonlocal taken
        for start in range(0, len(noise), 1000):
            taken += len(noise[start : start + 1000])
            yield noise[start : start + 1000]

    for block in stage(counted(), RATE_HZ):
        longest = max(longest, taken - given)
        given += len(block)
    assert given == len(noise)
    assert longest <= 4 * RATE_HZ


@pytest.mark.parametrize("stage", STAGES, ids=repr)
def test_every_sound_stays_at_its_moment(stage: MasteringStage) -> None:
    """Bursts of noise, far apart: the output correlates with them at no shift.

    Of noise that a crossover's all-passes hardly turn: they delay what is low, as they must.
    """
    rng = np.random.default_rng(7)
    spectrum = np.fft.rfft(rng.standard_normal(4_096))
    spectrum[: round(9_000 / RATE_HZ * 4_096)] = 0.0
    burst = np.fft.irfft(spectrum) * np.hanning(4_096)
    signal = np.zeros(6 * RATE_HZ)
    for second in range(6):
        signal[second * RATE_HZ + 9_000 :][: burst.size] = burst * 0.5
    made = run(stage, [stereo(signal)])[:, 0].astype(np.float64)
    size = 2 * signal.size
    correlation = np.fft.irfft(np.fft.rfft(made, size) * np.conj(np.fft.rfft(signal, size)), size)
    assert int(np.argmax(np.abs(correlation))) in {0, 1}


@pytest.mark.parametrize("stage", [each for each in STAGES if each.name != "masking_eq"], ids=repr)
def test_nothing_sounds_before_its_cause(stage: MasteringStage) -> None:
    """The masking equaliser's dips are of zero phase: its own tests bound what is before."""
    block = np.zeros((2 * RATE_HZ, 2), dtype=np.float32)
    block[RATE_HZ:] = 0.1
    made = run(stage, [block])
    np.testing.assert_array_equal(made[:RATE_HZ], 0.0)
    assert np.abs(made[RATE_HZ]).min() > 0.01


@pytest.mark.parametrize("stage", STAGES, ids=repr)
def test_a_parameter_out_of_its_range_is_refused_by_name(stage: MasteringStage) -> None:
    for each, allowed in parameters(stage):
        for value in (allowed.low - 0.01, allowed.high + 0.01, float("nan")):
            with pytest.raises(OutOfRange, match=each.name):
                type(stage)(**{each.name: value})
