"""Mastering local files: what is written measures as promised, whole or not at all."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

import numpy as np
import pyebur128
import pytest

from audio_processor.demo import render_demo
from audio_processor.errors import ConfigError, CorruptMedia, MasteringRejected
from audio_processor.export import (
    LOCAL_REFERENCE,
    ExportForm,
    Mastered,
    container_of,
    local_wish,
    master_file,
    names_of,
)
from audio_processor.mastering.match import distance_db
from audio_processor.mastering.profile import Profile
from audio_processor.media.binary import find_ffmpeg
from audio_processor.media.decode import decode
from audio_processor.media.ffmpeg import ProcessLimits, Supervisor
from audio_processor.media.lossless import PcmForm, write_pcm
from audio_processor.media.probe import probe
from audio_processor.model import Block, Probe
from audio_processor.profiles import profile_of
from audio_processor.settings import Settings, with_overrides
from audio_processor.telemetry import NullProgress
from audio_processor.wiring import open_studio, with_targets
from bench.regress.programmes import synthetic

RATE_HZ = 44_100


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render_demo(tmp_path_factory.mktemp("demo") / "demo.wav", duration_s=14.0)


def master(
    file: Path,
    target: Path,
    wish: str | None = None,
    form: ExportForm | None = None,
    *,
    settings: Settings | None = None,
    references: dict[str, Profile] | None = None,
) -> Mastered:
    chosen = settings or Settings()
    studio = open_studio(chosen, references)
    return master_file(
        file, target, chosen, studio, wish=wish, form=form or ExportForm(), progress=NullProgress()
    )


def read(file: Path, folder: Path) -> tuple[Probe, Block]:
    supervisor = Supervisor(find_ffmpeg(), folder, ProcessLimits())
    probed = probe(supervisor, file, file.name)
    with decode(supervisor, file, probed, file_name=file.name) as decoder:
        return probed, np.concatenate(list(decoder))


def write(audio: Block, file: Path, tags: dict[str, str] | None = None) -> Path:
    supervisor = Supervisor(find_ffmpeg(), file.parent, ProcessLimits())
    write_pcm(supervisor, iter([audio]), file, PcmForm("wav", 24, RATE_HZ), tags=tags or {})
    return file


def another_meter(audio: Block, rate_hz: int) -> tuple[float, float]:
    """LUFS and dBTP by libebur128."""
    mode = pyebur128.MeasurementMode
    state = pyebur128.R128State(2, rate_hz, mode.MODE_I | mode.MODE_TRUE_PEAK)
    state.add_frames(np.ascontiguousarray(audio, np.float32).ravel(), len(audio))
    peak = max(pyebur128.get_true_peak(state, channel) for channel in (0, 1))
    return pyebur128.get_loudness_global(state), 20.0 * np.log10(peak)


@pytest.mark.parametrize(
    ("name", "bits", "rate_hz"),
    [("a.wav", 24, None), ("a.flac", 16, None), ("a.wav", 32, 48_000), ("a.FLAC", 24, 22_050)],
)
def test_it_measures_as_promised(
    demo: Path, tmp_path: Path, name: str, bits: Literal[16, 24, 32], rate_hz: int | None
) -> None:
    target = tmp_path / name
    mastered = master(demo, target, "hi-fi-streaming", ExportForm(bits, rate_hz))
    probed, audio = read(target, tmp_path)
    lufs, dbtp = another_meter(audio, probed.sample_rate_hz)
    assert probed.sample_rate_hz == (rate_hz or RATE_HZ)
    assert len(audio) == round(14.0 * probed.sample_rate_hz)
    assert lufs == pytest.approx(-14.0, abs=0.1)
    assert dbtp <= -1.4
    assert mastered.delivered.integrated_lufs == pytest.approx(lufs, abs=0.02)
    assert mastered.delivered.true_peak_dbtp == pytest.approx(dbtp, abs=0.1)
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("name", ["drums", "voice"])
def test_what_the_governor_did_not_foresee_is_made_good(tmp_path: Path, name: str) -> None:
    source = write(synthetic(name).audio, tmp_path / "in.wav")
    mastered = master(source, tmp_path / "out.wav")
    lufs, dbtp = another_meter(read(tmp_path / "out.wav", tmp_path)[1], RATE_HZ)
    assert lufs == pytest.approx(-14.0, abs=0.12)
    assert dbtp <= -1.4
    assert mastered.plan.limited_by is None


def test_integers_are_on_their_grid_and_dithered(demo: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.flac"
    master(demo, target, form=ExportForm(16))
    _, audio = read(target, tmp_path)
    scaled = audio * 2.0**15
    np.testing.assert_array_equal(scaled, np.round(scaled))
    floats = tmp_path / "b.wav"
    master(demo, floats, form=ExportForm(32))
    error = scaled - read(floats, tmp_path)[1] * 2.0**15
    assert np.sqrt(np.mean(error**2)) == pytest.approx(0.5, abs=0.03)  # TPDF: 1/12 + 2/12 LSB²


def test_an_m4a_is_the_ladders_best_tier(demo: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.m4a"
    mastered = master(demo, target)
    probed, audio = read(target, tmp_path)
    lufs, dbtp = another_meter(audio, probed.sample_rate_hz)
    assert (probed.codec, mastered.sample_rate_hz) == ("aac", RATE_HZ)
    assert lufs == pytest.approx(-14.0, abs=0.3)
    assert dbtp <= -0.9
    assert list(tmp_path.iterdir()) == [target]


def test_tags_go_along(demo: Path, tmp_path: Path) -> None:
    tagged = write(read(demo, tmp_path)[1], tmp_path / "in.wav", {"title": "Ålpha = Ω"})
    master(tagged, tmp_path / "out.flac")
    assert read(tmp_path / "out.flac", tmp_path)[0].tags["title"] == "Ålpha = Ω"


def test_targets_may_be_others(demo: Path, tmp_path: Path) -> None:
    settings = with_targets(Settings(), integrated_lufs=-18.0, true_peak_dbtp=-3.0)
    master(demo, tmp_path / "a.wav", settings=settings)
    lufs, dbtp = another_meter(read(tmp_path / "a.wav", tmp_path)[1], RATE_HZ)
    assert lufs == pytest.approx(-18.0, abs=0.1)
    assert dbtp <= -2.9


def test_it_says_where_it_backs_off(demo: Path, tmp_path: Path) -> None:
    settings = with_overrides(
        with_targets(Settings(), integrated_lufs=-8.0, true_peak_dbtp=None),
        {"loudness.max_mean_gain_reduction_db": 0.5},
    )
    mastered = master(demo, tmp_path / "a.wav", settings=settings)
    assert mastered.plan.limited_by == "max_gain_reduction"
    said = f"delivered at {mastered.plan.predicted_lufs:.1f} LUFS instead of -8"
    assert any(said in warning for warning in mastered.warnings)


def test_a_reference_is_come_nearer_to(demo: Path, tmp_path: Path) -> None:
    dull = tmp_path / "dull.wav"
    spectrum = np.fft.rfft(read(demo, tmp_path)[1], axis=0)
    hz = np.fft.rfftfreq(round(14.0 * RATE_HZ), 1 / RATE_HZ)[:, np.newaxis]
    tilt = np.maximum(hz, 100.0) / 1000.0
    write(np.asarray(np.fft.irfft(spectrum * tilt**-0.2, axis=0) * 0.5, np.float32), dull)
    reference = profile_of(demo, Settings())
    wish = local_wish(None, None, matched=True, strength_percent=None)
    mastered = master(dull, tmp_path / "out.wav", wish, references={LOCAL_REFERENCE: reference})
    before = distance_db(profile_of(dull, Settings()), reference)
    after = distance_db(profile_of(tmp_path / "out.wav", Settings()), reference)
    assert before is not None and after is not None
    assert after < before / 2
    assert mastered.mastering.stages[-1].stage == "reference_match"


def test_references_are_told_by_their_names_alone(tmp_path: Path) -> None:
    assert names_of([tmp_path / "A song.flac", Path("house.toml")]) == "A song.flac, house.toml"


@pytest.mark.parametrize("seconds", [0.0001, 0.2, 3.0])
def test_silence_and_hardly_anything_come_out_as_they_are(tmp_path: Path, seconds: float) -> None:
    audio = np.zeros((max(1, round(seconds * RATE_HZ)), 2), np.float32)
    source = write(audio, tmp_path / "in.wav")
    mastered = master(source, tmp_path / "out.wav", form=ExportForm(32))
    assert len(read(tmp_path / "out.wav", tmp_path)[1]) == len(audio)
    assert mastered.plan.mode == "none"


@pytest.mark.parametrize(
    ("name", "form", "message"),
    [
        ("a.mp3", ExportForm(), "name a .wav, .flac or .m4a"),
        ("a", ExportForm(), "ends in 'nothing'"),
        ("a.flac", ExportForm(32), "--bit-depth 24"),
        ("a.m4a", ExportForm(24, 48_000), "the rate of the ladder's best tier"),
        ("not/there/a.wav", ExportForm(), "not a folder"),
        ("/proc/a.wav", ExportForm(), "/proc/a.wav cannot be written: .*elsewhere"),
    ],
)
def test_targets_that_cannot_be(
    demo: Path, tmp_path: Path, name: str, form: ExportForm, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        master(demo, tmp_path / name, form=form)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_target(demo: Path, tmp_path: Path) -> None:
    (tmp_path / "a.wav").mkdir()
    with pytest.raises(ConfigError, match="is a folder"):
        master(demo, tmp_path / "a.wav")


def test_what_is_too_short_to_be_levelled_is_under_the_ceiling_too(tmp_path: Path) -> None:
    seconds = np.arange(round(0.2 * RATE_HZ)) / RATE_HZ
    square = np.sign(np.sin(2 * np.pi * 80.0 * seconds))
    audio = np.asarray(np.stack((square, square), axis=1) * 0.99, np.float32)
    source = write(audio, tmp_path / "in.wav")
    mastered = master(source, tmp_path / "out.wav", "bass-boost")
    assert (mastered.plan.mode, mastered.plan.limited_by) == ("none", "too_short")
    assert mastered.delivered.true_peak_dbtp is not None
    assert mastered.delivered.true_peak_dbtp <= -1.4


def test_what_fails_leaves_nothing_and_keeps_what_was_there(demo: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.wav"
    half.write_bytes(demo.read_bytes()[:400_000])
    target = tmp_path / "out.wav"
    target.write_bytes(b"mine")
    with pytest.raises(CorruptMedia):
        master(half, target)
    with pytest.raises(MasteringRejected, match="no such preset"):
        master(demo, target, "no-such")
    assert target.read_bytes() == b"mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["half.wav", "out.wav"]


def test_two_ways_to_say_it_are_one_too_many() -> None:
    with pytest.raises(ConfigError, match="stands for itself"):
        local_wish("warm", "{}", matched=False, strength_percent=None)
    assert local_wish(None, None, matched=False, strength_percent=None) is None
    assert container_of(Path("x.WAV"), ExportForm()) == "wav"


def command(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "audio_processor", *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_interrupted_leaves_nothing(
    demo: Path, tmp_path: Path, number: signal.Signals
) -> None:
    argv = [sys.executable, "-m", "audio_processor", "master", str(demo), "out.wav", "-p", "edm"]
    with subprocess.Popen(argv, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        while not any(tmp_path.glob(".audio-processor-*")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        process.communicate()
    assert process.returncode == 130
    assert list(tmp_path.iterdir()) == []


def test_the_commands(demo: Path, tmp_path: Path) -> None:
    built = command("profile", "build", demo, f"{demo}=2", "-o", "house.toml", cwd=tmp_path)
    assert built.returncode == 0, built.stderr
    assert "house.toml" in command("profile", "show", "house.toml", cwd=tmp_path).stdout
    arguments = ("master", demo, "out.flac", "--preset", "warm", "--reference", "house.toml")
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "reference_match" in done.stdout and "-14.0" in done.stdout
    assert "Matched to house.toml" in done.stdout
    again = command(*arguments, cwd=tmp_path)
    assert (again.returncode, "--force" in again.stderr) == (2, True)
    itself = command("master", "out.flac", "out.flac", "--force", cwd=tmp_path)
    assert (itself.returncode, "source itself" in itself.stderr) == (2, True)
    wrong = command("master", demo, "x.wav", "--mastering", '{"stereoWidth": 900}', cwd=tmp_path)
    assert (wrong.returncode, "stereoWidth" in wrong.stderr) == (1, True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["house.toml", "out.flac"]


def test_a_profile_that_cannot_be_read_is_told_by_its_key(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('[mastering]\nprofiles = { house = "missing.toml" }\n')
    checked = command("check-config", "--config", config, cwd=tmp_path)
    assert checked.returncode == 2
    assert "mastering.profiles.house" in checked.stderr and "missing.toml" in checked.stderr


def test_a_weight_that_cannot_be_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    refused = command("profile", "build", "nothing.wav=-1", "-o", "x.toml", cwd=tmp_path)
    assert (refused.returncode, "positive" in refused.stderr) == (2, True)
