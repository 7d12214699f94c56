"""Other ways to the same four files, as argv of one FFmpeg: what the line is measured against."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from audio_processor.model import Tier

LOUDNORM = "loudnorm=I=-14:TP=-1.5:LRA=11"
_QUIET = ("-hide_banner", "-nostdin", "-nostats", "-y")
_HLS = ("hls_time=10", "hls_playlist_type=vod")


def floor(ffmpeg: Path, track: Path, folder: Path, tiers: Sequence[Tier]) -> None:
    """One FFmpeg, one decode, an encode per tier, the best one to m4a and HLS; nothing else."""
    best = max(tiers, key=lambda tier: tier.bit_rate)
    outputs: list[str] = []
    for tier in tiers:
        outputs += ["-map", "0:a:0", "-vn", "-map_metadata", "-1", *_aac(tier)]
        if tier is best:
            hls = f"[f=hls:{':'.join(_HLS)}]{_playlist(folder, tier)}"
            outputs += ["-f", "tee", f"[f=ipod]{folder / 'track.m4a'}|{hls}"]
        else:
            outputs += [*_hls_options(), str(_playlist(folder, tier))]
    _run(ffmpeg, "-i", str(track), *outputs)


def usual(ffmpeg: Path, track: Path, folder: Path, tiers: Sequence[Tier]) -> None:
    """The way of most scripts: loudnorm twice, a wav on disk, a run of FFmpeg per output."""
    best = max(tiers, key=lambda tier: tier.bit_rate)
    source = ("-i", str(track), "-map", "0:a:0", "-vn")
    log = _run(ffmpeg, *source, "-af", f"{LOUDNORM}:print_format=json", "-f", "null", "-")
    wav = folder / "normalised.wav"
    second = _second_pass(log)
    _run(ffmpeg, *source, "-af", second, "-ar", str(best.sample_rate_hz), "-ac", "2", str(wav))
    _run(ffmpeg, "-i", str(wav), *_aac(best), "-movflags", "+faststart", str(folder / "track.m4a"))
    for tier in tiers:
        playlist = _playlist(folder, tier)
        _run(ffmpeg, "-i", str(wav), *_aac(tier), *_hls_options(), str(playlist))


def excerpt(ffmpeg: Path, track: Path, target: Path, *, seconds: float) -> Path:
    """Cut the beginning of the track out into a wav."""
    _run(ffmpeg, "-t", f"{seconds:g}", "-i", str(track), "-map", "0:a:0", str(target))
    return target


def _aac(tier: Tier) -> list[str]:
    rates = ["-b:a", str(tier.bit_rate), "-ar", str(tier.sample_rate_hz), "-ac", "2"]
    return ["-c:a", "aac", *rates]


def _playlist(folder: Path, tier: Tier) -> Path:
    path = folder / tier.name / "playlist.m3u8"
    path.parent.mkdir(exist_ok=True)
    return path


def _hls_options() -> list[str]:
    options = [part for option in _HLS for part in option.split("=")]
    named = [f"-{part}" if i % 2 == 0 else part for i, part in enumerate(options)]
    return ["-f", "hls", *named]


def _second_pass(log: str) -> str:
    """Return loudnorm's second pass from what its first has printed."""
    found = re.search(r"\{[^{}]*\"input_i\"[^{}]*\}", log)
    assert found, "loudnorm printed no measurement"
    first = json.loads(found[0])
    measured = {
        "measured_I": "input_i",
        "measured_TP": "input_tp",
        "measured_LRA": "input_lra",
        "measured_thresh": "input_thresh",
        "offset": "target_offset",
    }
    stated = ":".join(f"{option}={first[key]}" for option, key in measured.items())
    return f"{LOUDNORM}:{stated}:linear=true"


def _run(ffmpeg: Path, *arguments: str) -> str:
    """Run FFmpeg and return its log."""
    argv = [os.fspath(ffmpeg), *_QUIET, *arguments]
    done = subprocess.run(argv, capture_output=True, check=False)
    log = done.stderr.decode("utf-8", "replace")
    if done.returncode != 0:
        raise RuntimeError(f"FFmpeg failed: {' '.join(argv)}\n{log[-2000:]}")
    return log
