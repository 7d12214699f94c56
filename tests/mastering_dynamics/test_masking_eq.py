"""The masking equaliser: where it dips, where it must not, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from audio_processor.mastering.masking import Bands
from audio_processor.mastering.stage import StageTally
from audio_processor.mastering.stages.masking_eq import (
    MaskingEqualiser,
    leave_cuts,
    take_off,
    window_mid,
)
from audio_processor.model import Block
from tests.corpus import corpus_tracks_or_skip
from tests.dsp_limiter.music import decoded
from tests.mastering_dynamics.signals import (
    RATE_HZ,
    energy_db,
    hostile_stereo,
    run,
    sine,
    stereo,
    time_s,
)

FULL = MaskingEqualiser(amount_percent=100.0, max_dip_db=6.0)


def noise_bed(seconds: float, dbfs: float, seed: int = 11) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return np.asarray(rng.standard_normal(round(seconds * RATE_HZ)) * 10.0 ** (dbfs / 20.0))


def bursts(frequency_hz: float, level: float, seconds: float) -> NDArray[np.float64]:
    """A tone of 250 ms out of each second, with ramps of 20 ms."""
    time = time_s(seconds)
    into = np.clip(np.minimum(time % 1.0 - 0.75, 1.0 - time % 1.0) / 0.02, 0.0, 1.0)
    envelope = np.sin(np.pi / 2.0 * into) ** 2
    return np.asarray(level * np.sin(2.0 * np.pi * frequency_hz * time) * envelope)


def third_octave_db(block: Block) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centres and levels of the mid channel's third octaves, 100 Hz to 16 kHz."""
    mid = block.sum(axis=1).astype(np.float64)
    power = np.square(np.abs(np.fft.rfft(mid)))
    hertz = np.arange(power.size) * RATE_HZ / mid.size
    centres = 1_000.0 * 2.0 ** (np.arange(-10, 13) / 3.0)
    edges = 2.0 ** (1.0 / 6.0)
    sums = [power[(hertz >= c / edges) & (hertz < c * edges)].sum() for c in centres]
    return centres, 10.0 * np.log10(np.array(sums) + 1e-20)


def test_a_burst_that_buries_its_neighbours_is_dipped() -> None:
    block = stereo(noise_bed(8.0, -40.0) + bursts(1_000.0, 0.2, 8.0))
    made = run(FULL, [block])
    centres, before = third_octave_db(block)
    _, after = third_octave_db(made)
    dip = after - before
    assert dip[np.argmin(np.abs(centres - 1_000.0))] < -1.5
    # an octave and more away nothing has happened
    far = (centres <= 500.0) | (centres >= 2_000.0)
    assert np.abs(dip[far]).max() < 0.05
    # nor between the bursts, once a dip has gone
    quiet = slice(RATE_HZ * 6 // 10 + RATE_HZ, RATE_HZ * 7 // 10 + RATE_HZ)
    assert energy_db(made[quiet] - block[quiet]) < energy_db(block[quiet]) - 40.0


def test_the_dip_grows_with_the_amount() -> None:
    block = stereo(noise_bed(6.0, -40.0) + bursts(1_000.0, 0.2, 6.0))
    depths = []
    for amount in (25.0, 50.0, 75.0, 100.0):
        tally = StageTally()
        run(MaskingEqualiser(amount, 6.0), [block], RATE_HZ, tally)
        depths.append({band.band: band.deepest_db for band in tally.result()}["mid"])
    assert depths == sorted(depths)
    assert depths[0] > 0.5
    assert depths[-1] <= 6.0


@pytest.mark.parametrize(
    "block",
    [
        stereo(np.minimum(time_s(4.0) / 0.05, 1.0) * sine(440.0, -6.0, 4.0)[:, 0]),
        stereo(bursts(1_000.0, 0.5, 6.0)),
        np.zeros((RATE_HZ, 2), dtype=np.float32),
    ],
    ids=["steady tone", "tones with nothing beside them", "silence"],
)
def test_what_masks_nothing_passes_untouched(block: Block) -> None:
    change = run(FULL, [block]) - block
    # an end cut off, and the ramps of bursts, have a little splatter
    np.testing.assert_array_equal(change[2 * RATE_HZ :][: RATE_HZ // 2], 0.0)
    assert energy_db(change) <= max(energy_db(block) - 40.0, -300.0)


def test_what_is_only_in_the_side_passes_untouched() -> None:
    wave = noise_bed(4.0, -40.0) + bursts(1_000.0, 0.2, 4.0)
    block = np.stack([wave, -wave], axis=1).astype(np.float32)
    np.testing.assert_array_equal(run(FULL, [block]), block)


@settings(max_examples=30, deadline=None)
@given(block=hostile_stereo(), depth_db=st.floats(0.5, 6.0))
def test_the_side_is_what_it_was(block: Block, depth_db: float) -> None:
    made = run(MaskingEqualiser(100.0, depth_db), [block])
    side, before = (each[:, 0].astype(float) - each[:, 1] for each in (made, block))
    loudest = float(np.abs(block).max())
    assert np.abs(side - before).max() <= 1e-6 * loudest  # -120 dB, by float32's rounding


@settings(max_examples=30, deadline=None)
@given(block=hostile_stereo(), depth_db=st.floats(0.5, 6.0))
def test_no_region_reports_more_than_the_depth(block: Block, depth_db: float) -> None:
    tally = StageTally()
    run(MaskingEqualiser(100.0, depth_db), [block], RATE_HZ, tally)
    assert [band.band for band in tally.result()] == ["low", "mid", "high"]
    assert all(band.deepest_db <= depth_db + 1e-3 for band in tally.result())


def test_no_band_of_real_music_is_changed_by_more_than_the_depth() -> None:
    for path in corpus_tracks_or_skip(4):
        block, _ = decoded(path, 25.0)
        _, before = third_octave_db(block)
        _, after = third_octave_db(run(FULL, [block]))
        heard = before > before.max() - 50.0
        change = (after - before)[heard]
        assert -6.05 <= change.min() < -0.1  # it does something
        assert change.max() <= 0.05


def test_a_dip_of_every_band_is_a_gain_and_nothing_else() -> None:
    """The frames fit together: half taken off everywhere leaves half, sample by sample."""
    bands = Bands(RATE_HZ)
    hop, rows = bands.hop_frames, 40
    spectrum = np.fft.rfft(noise_bed(hop * (rows + 1) / RATE_HZ, -10.0)[: hop * (rows + 1)])
    hertz = np.fft.rfftfreq(hop * (rows + 1), 1.0 / RATE_HZ)
    spectrum[(hertz < 400.0) | (hertz > 8_000.0)] = 0.0
    block = stereo(np.fft.irfft(spectrum))
    frames = np.empty((rows, 2 * hop), dtype=np.float32)
    window_mid(block, bands.window, frames)
    spectra = np.fft.rfft(frames, axis=1).astype(np.complex64)
    cuts = np.full((rows, bands.count), 0.5, dtype=np.float32)
    leave_cuts(spectra, cuts, bands.first_bin, bands.places)
    removed = np.fft.irfft(spectra, 2 * hop, axis=1).astype(np.float32)
    made = block[: rows * hop].copy()
    take_off(removed, bands.window, np.zeros(hop, dtype=np.float32), made)
    inner = slice(hop, rows * hop)
    assert energy_db(made[inner] - 0.5 * block[inner]) < energy_db(block[inner]) - 60.0


@pytest.mark.parametrize("frequency_hz", [200.0, 500.0, 2_000.0, 8_000.0])
def test_pre_echo_is_bounded(frequency_hz: float) -> None:
    """A dip of zero phase reaches back before an onset: by 5 ms at −50 dB, by 10 ms at −70 dB."""
    onset = 3 * RATE_HZ + 700
    wave = 0.5 * np.sin(2.0 * np.pi * frequency_hz * time_s(4.0))
    wave[:onset] = 0.0
    block = stereo(noise_bed(4.0, -45.0) + wave)
    change = run(FULL, [block])[:, 0].astype(float) - block[:, 0]
    burst_db = energy_db(wave[onset:])
    assert energy_db(change[onset : onset + 4_410]) > burst_db - 20.0  # there is a dip
    for before_ms, below_db in ((5, 50.0), (10, 70.0)):
        end = onset - round(before_ms / 1000.0 * RATE_HZ)
        assert energy_db(change[end - 200 : end]) < burst_db - below_db


def test_stationary_noise_keeps_its_spectrum() -> None:
    block = stereo(noise_bed(20.0, -20.0))
    _, before = third_octave_db(block)
    _, after = third_octave_db(run(FULL, [block]))
    assert np.abs(after - before).max() < 0.3
