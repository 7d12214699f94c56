"""Every series that a worker can show, from the program itself: not from a list of names."""

from __future__ import annotations

from functools import cache

from prometheus_client.parser import text_string_to_metric_families

from audio_processor.model import Claim, Loudness, RenditionSummary, TrackSummary
from audio_processor.telemetry import Metrics
from audio_processor.telemetry.promise import Promise
from audio_processor.telemetry.run import End, Run
from audio_processor.telemetry.worker_gauges import WorkerGauges

_UNHEARD = Loudness(None, None, None, None, None, None)
_CLAIM = Claim("upload", "track.wav", 1, "token", "worker")
Labels = dict[str, set[str]]


class _Worker:
    last_loop_at = 0.0
    hindrance = None


class _Room:
    def used_bytes(self) -> int:
        return 1

    def free_bytes(self) -> int:
        return 1


@cache
def shown(target_lufs: float = -14.0) -> dict[str, Labels]:
    """Return each series' labels and the values seen of them, after a little of everything."""
    metrics = Metrics(Promise(target_lufs, tiers=("low",)))
    delivered = RenditionSummary("low", -14.0, -1.5, 8.0, 60.0, 54_000, 1, None)
    summary = TrackSummary("track", 60.0, _UNHEARD, "static", 0.0, None, (delivered,))
    run = Run(_CLAIM, "track")
    metrics.begun(run)
    metrics.ended(run, End("completed", summary=summary, seconds=4.0))
    metrics.ended(run, End("failed", "corrupt_media", seconds=1.0))
    metrics.ended(run, End("retry_later", "disk_full", seconds=1.0))
    metrics.queue_was(1, 1.0)
    metrics.has_slots(1)
    metrics.request("get", 0.1, "store_unavailable")
    metrics.statement("claim", 0.1, "database_unavailable")
    metrics.built_of(version="1", ffmpeg="1", encoder="aac", python="1")
    with metrics.also(WorkerGauges(_Worker(), _Room())):
        page, _ = metrics.exposition()
    series: dict[str, Labels] = {}
    for family in text_string_to_metric_families(page.decode()):
        for sample in family.samples:
            labels = series.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    return series
