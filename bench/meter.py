"""What FFmpeg itself says of a file or a playlist: none of our own meters is involved."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from math import log10
from pathlib import Path

_FILTER = "ebur128=peak=true:metadata=1:framelog=quiet,ametadata=mode=print:file=-"
_PROGRESS = re.compile(r"^\s*\w+=.*\n?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Heard:
    """FFmpeg's ``ebur128=peak=true`` and the length of what it decoded.

    FFmpeg reads −70 LUFS where there is nothing to measure.
    """

    integrated_lufs: float
    range_lu: float
    true_peak_dbtp: float
    duration_s: float


def listen(ffmpeg: Path, source: Path) -> Heard:
    """Decode the first audio stream of a file or a playlist and measure it.

    Raises ``RuntimeError`` where FFmpeg cannot, or complains of anything it decodes.
    """
    argv = [str(ffmpeg), "-hide_banner", "-nostdin", "-v", "error", "-nostats"]
    argv += ["-i", str(source), "-map", "0:a:0", "-af", _FILTER, "-progress", "pipe:2"]
    done = subprocess.run([*argv, "-f", "null", "-"], capture_output=True, text=True, check=False)
    complaints = _PROGRESS.sub("", done.stderr).strip()
    if done.returncode != 0 or complaints:
        raise RuntimeError(f"FFmpeg on {source.name}: {complaints[-500:]}")
    printed = done.stdout
    peak = max(_last(printed, rf"lavfi\.r128\.true_peaks_ch{channel}") for channel in (0, 1))
    return Heard(
        integrated_lufs=_last(printed, r"lavfi\.r128\.I"),
        range_lu=_last(printed, r"lavfi\.r128\.LRA"),
        true_peak_dbtp=20.0 * log10(peak) if peak > 0.0 else float("-inf"),
        duration_s=_last(done.stderr, "out_time_us") / 1e6,
    )


def _last(text: str, key: str) -> float:
    values = re.findall(rf"^{key}=(\S+)", text, re.MULTILINE)
    if not values:
        raise RuntimeError(f"FFmpeg printed no {key}")
    return float(values[-1])
