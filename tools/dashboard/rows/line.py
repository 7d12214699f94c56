"""The line: where a track's time and CPU go."""

from __future__ import annotations

from tools.dashboard.panels import Builder, Query, lines, shares, spread
from tools.dashboard.selectors import COMPLETED, average, quantile, rate

TITLE = "Line"


def panels() -> list[Builder]:
    """Return the row's panels."""
    return [
        spread(
            "A track, from claim to end",
            "Wall time of completed tracks.",
            "s",
            Query(rate("track_seconds_bucket", "le", COMPLETED), "{{le}}"),
        ),
        lines(
            "Stages, p95",
            "Wall time of each stage of which one track in twenty takes longer.",
            "s",
            Query(quantile(0.95, "stage_seconds", "stage"), "{{stage}}"),
        ),
        shares(
            "Where a track's time goes",
            "Mean wall time of each stage over the time looked at.",
            "s",
            Query(average("stage_seconds", "stage", over="$__range"), "{{stage}}"),
        ),
        lines(
            "CPU by stage",
            "CPU cores at work, ours and FFmpeg's, by stage.",
            "cores",
            Query(rate("stage_cpu_seconds_total", "stage"), "{{stage}}"),
            stacked=True,
        ),
        lines(
            "Realtime factor",
            "Seconds of audio a second of one track's wall time: half of the tracks and one in "
            "ten are slower than this.",
            "x",
            Query(quantile(0.5, "realtime_factor"), "median"),
            Query(quantile(0.1, "realtime_factor"), "slowest tenth"),
            Query(average("realtime_factor", "job"), "mean, {{job}}"),
        ),
        lines(
            "Audio taken in, and what it costs",
            "Hours of audio an hour, and CPU seconds for each second of audio.",
            "none",
            Query(rate("audio_seconds_total", ""), "hours of audio an hour"),
            Query(
                f"1000 * {rate('stage_cpu_seconds_total', '')} "
                f"/ ({rate('audio_seconds_total', '')} > 0)",
                "CPU ms a second of audio",
            ),
        ),
    ]
