"""Real music, measured by us, by libebur128 and by FFmpeg's ebur128 filter."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pyebur128
import pytest

from audio_processor.dsp import gating
from audio_processor.dsp.loudness import LoudnessMeter
from audio_processor.dsp.measure import LevelMeter
from audio_processor.model import Block, Loudness
from tests.corpus import corpus_track_or_skip

# sparse and dense, loud and quiet, 44.1 and 48 kHz, Vorbis and Opus
TRACKS = (
    "battle-epic.ogg",
    "love_theme.ogg",
    "elvish-theme.ogg",
    "heroes_rite.ogg",
    "into_the_shadows.ogg",
    "track3_enhanced.opus",
    "track1.opus",
    "darkforestkeep.ogg",
    "chipdisko.ogg",
    "ghostforest.ogg",
)
# wide or short, so that which windows are taken tells in the loudness range
STEPPED_TRACKS = ("revelation.ogg", "sad.ogg")
EXCERPT_S = "150"

INTEGRATED_LU = 0.02
RANGE_LU = 0.2
TRUE_PEAK_DB = 0.15


@dataclass(frozen=True)
class Track:
    rate_hz: int
    block: Block
    ffmpeg: Loudness
    """As FFmpeg's ebur128 filter reads it."""


def load(name: str) -> Track:
    return decode(corpus_track_or_skip(name))


def decode(path: Path) -> Track:
    """Decode once, to us and to FFmpeg's meter alike."""
    graph = (
        "[0:a:0]aformat=channel_layouts=stereo:sample_fmts=flt,asplit[pcm][meter];"
        "[meter]ebur128=peak=true:metadata=1:framelog=quiet,"
        "ametadata=mode=print:file=pipe\\\\:2[measured]"
    )
    run = subprocess.run(
        [
            imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostats",
            "-t", EXCERPT_S, "-i", path, "-filter_complex", graph,
            "-map", "[pcm]", "-f", "f32le", "pipe:1", "-map", "[measured]", "-f", "null", "-",
        ],
        capture_output=True,
        check=True,
    )  # fmt: skip
    log = run.stderr.decode(errors="replace")
    rate = re.search(r"Audio: .*?(\d+) Hz", log)
    assert rate
    block = np.frombuffer(run.stdout, np.float32).reshape(-1, 2)
    return Track(int(rate[1]), block, ffmpeg_loudness(log))


def ffmpeg_loudness(log: str) -> Loudness:
    def values(key: str) -> list[float]:
        return [float(v) for v in re.findall(rf"lavfi\.r128\.{key}=(\S+)", log)]

    peaks = values("true_peaks_ch0") + values("true_peaks_ch1")
    return Loudness(
        integrated_lufs=values("I")[-1],
        range_lu=values("LRA")[-1],
        true_peak_dbtp=20.0 * np.log10(max(peaks)),
        sample_peak_dbfs=None,
        momentary_max_lufs=None,
        short_term_max_lufs=None,
    )


def libebur128_loudness(track: Track) -> Loudness:
    mode = pyebur128.MeasurementMode
    state = pyebur128.R128State(
        2, track.rate_hz, mode.MODE_I | mode.MODE_LRA | mode.MODE_TRUE_PEAK | mode.MODE_SAMPLE_PEAK
    )
    state.add_frames(track.block.reshape(-1), len(track.block))
    true_peak = max(pyebur128.get_true_peak(state, channel) for channel in (0, 1))
    sample_peak = max(pyebur128.get_sample_peak(state, channel) for channel in (0, 1))
    return Loudness(
        integrated_lufs=pyebur128.get_loudness_global(state),
        range_lu=pyebur128.get_loudness_range(state),
        true_peak_dbtp=20.0 * np.log10(true_peak),
        sample_peak_dbfs=20.0 * np.log10(sample_peak),
        momentary_max_lufs=None,
        short_term_max_lufs=None,
    )


def our_loudness(track: Track) -> Loudness:
    meter = LevelMeter(track.rate_hz, 2)
    meter.push(track.block)
    return meter.result()


def range_at_one_window_a_second(track: Track) -> float | None:
    """What we read when, like libebur128, only one short-term window a second is taken."""
    meter = LoudnessMeter(track.rate_hz, 2)
    meter.push(track.block)
    series = np.nan_to_num(meter.short_term_series(), nan=-np.inf)
    return gating.range_of_windows_lu(10.0 ** ((series[::10] - gating.LUFS_OFFSET_DB) / 10.0))


@pytest.mark.parametrize("name", TRACKS)
def test_all_three_meters_agree(name: str) -> None:
    track = load(name)
    ours, lib = our_loudness(track), libebur128_loudness(track)
    assert ours.sample_peak_dbfs == pytest.approx(lib.sample_peak_dbfs, abs=1e-6)
    for theirs in (lib, track.ffmpeg):
        assert ours.integrated_lufs == pytest.approx(theirs.integrated_lufs, abs=INTEGRATED_LU)
        assert ours.range_lu == pytest.approx(theirs.range_lu, abs=RANGE_LU)
        assert ours.true_peak_dbtp == pytest.approx(theirs.true_peak_dbtp, abs=TRUE_PEAK_DB)


@pytest.mark.parametrize("name", STEPPED_TRACKS)
def test_libebur128_s_range_differs_by_its_coarser_step_alone(name: str) -> None:
    track = load(name)
    ours, lib = our_loudness(track), libebur128_loudness(track)
    assert ours.range_lu == pytest.approx(track.ffmpeg.range_lu, abs=RANGE_LU)
    assert range_at_one_window_a_second(track) == pytest.approx(lib.range_lu, abs=0.01)
    assert ours.range_lu != pytest.approx(lib.range_lu, abs=RANGE_LU)
