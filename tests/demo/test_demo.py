"""The demo track is music enough to show what the line does, and always the same music."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from audio_processor.demo import PEAK_DBFS, render_demo
from audio_processor.dsp.measure import LevelMeter
from audio_processor.model import Loudness

RATE_HZ = 44100


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render_demo(tmp_path_factory.mktemp("demo") / "demo.wav")


@pytest.fixture(scope="module")
def audio(demo: Path) -> NDArray[np.float32]:
    """Shape ``(frames, 2)``."""
    return samples(demo)


@pytest.fixture(scope="module")
def loudness(audio: NDArray[np.float32]) -> Loudness:
    meter = LevelMeter(RATE_HZ, 2)
    meter.push(audio)
    return meter.result()


def samples(path: Path) -> NDArray[np.float32]:
    with wave.open(str(path), "rb") as file:
        packed = np.frombuffer(file.readframes(file.getnframes()), np.uint8).reshape(-1, 3)
    high = np.zeros((len(packed), 4), np.uint8)
    high[:, 1:] = packed
    whole = high.view("<i4").reshape(-1, 2) >> 8
    return (whole / 2**23).astype(np.float32)


def band_share(audio: NDArray[np.float32], low_hz: float, high_hz: float) -> float:
    """Share of the long-term power between two frequencies."""
    blocks = audio.mean(axis=1)[: len(audio) // 8192 * 8192].reshape(-1, 8192)
    power = np.mean(np.abs(np.fft.rfft(blocks * np.hanning(8192))) ** 2, axis=0)
    frequency_hz = np.fft.rfftfreq(8192, 1 / RATE_HZ)
    inside = (frequency_hz >= low_hz) & (frequency_hz < high_hz)
    return float(power[inside].sum() / power.sum())


def test_it_is_24_bit_stereo_of_the_length_asked_for(demo: Path) -> None:
    with wave.open(str(demo), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 3, RATE_HZ)
        assert file.getnframes() == 30 * RATE_HZ


@pytest.mark.parametrize(("duration_s", "sample_rate_hz"), [(12.0, 8000), (12.34, 48000)])
def test_length_and_rate_are_the_caller_s(
    tmp_path: Path, duration_s: float, sample_rate_hz: int
) -> None:
    path = render_demo(tmp_path / "x.wav", duration_s=duration_s, sample_rate_hz=sample_rate_hz)
    with wave.open(str(path), "rb") as file:
        assert file.getframerate() == sample_rate_hz
        assert file.getnframes() == round(duration_s * sample_rate_hz)
    assert np.abs(samples(path)).max() > 0.5


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not(tmp_path: Path) -> None:
    def rendered(name: str, seed: int) -> bytes:
        return render_demo(tmp_path / name, duration_s=13.0, seed=seed).read_bytes()

    assert rendered("a.wav", 20) == rendered("b.wav", 20)
    assert rendered("c.wav", 21) != rendered("d.wav", 20)


def test_its_peak_is_where_it_is_said_to_be_and_nothing_clips(
    audio: NDArray[np.float32], loudness: Loudness
) -> None:
    assert loudness.sample_peak_dbfs == pytest.approx(PEAK_DBFS, abs=0.01)
    assert loudness.true_peak_dbtp is not None and loudness.true_peak_dbtp < 0.0
    assert np.isfinite(audio).all()


def test_it_has_dynamics(audio: NDArray[np.float32], loudness: Loudness) -> None:
    assert loudness.range_lu is not None and loudness.range_lu > 4.0
    rms_dbfs = 20.0 * np.log10(np.sqrt(np.mean(audio.astype(np.float64) ** 2)))
    assert loudness.sample_peak_dbfs is not None
    assert loudness.sample_peak_dbfs - rms_dbfs > 12.0, "drums stand out of the mix"


def test_its_spectrum_is_a_band_s_and_not_a_tone_s(audio: NDArray[np.float32]) -> None:
    assert 0.15 < band_share(audio, 20, 200) < 0.9, "kick and bass"
    assert band_share(audio, 200, 2000) > 0.05, "chords and lead"
    assert band_share(audio, 2000, 6000) > 0.001, "snare"
    assert band_share(audio, 6000, 16000) > 0.0005, "hats"


def test_it_is_stereo_that_survives_a_mono_speaker(audio: NDArray[np.float32]) -> None:
    left, right = audio.astype(np.float64).T
    correlation = np.sum(left * right) / np.sqrt(np.sum(left**2) * np.sum(right**2))
    assert 0.3 < correlation < 0.98


def test_it_ends_in_silence_and_not_in_a_click(audio: NDArray[np.float32]) -> None:
    assert np.abs(audio[-RATE_HZ // 1000 :]).max() < 1e-3


@pytest.mark.parametrize("duration_s", [0.0, 11.9, 601.0, float("nan")])
def test_a_length_it_cannot_fill_is_refused(tmp_path: Path, duration_s: float) -> None:
    with pytest.raises(ValueError, match="duration_s"):
        render_demo(tmp_path / "x.wav", duration_s=duration_s)
    assert not (tmp_path / "x.wav").exists()


@pytest.mark.parametrize("sample_rate_hz", [0, 7999, 192001])
def test_a_rate_that_nobody_plays_is_refused(tmp_path: Path, sample_rate_hz: int) -> None:
    with pytest.raises(ValueError, match="sample_rate_hz"):
        render_demo(tmp_path / "x.wav", sample_rate_hz=sample_rate_hz)
