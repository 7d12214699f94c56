"""What telling costs: CPU of a track that nobody watches, against one that is watched in full.

``python -m bench.telemetry`` takes one track down the line again and again in one process, in
turn without anybody listening, with metrics and JSON logs, and with traces to a collector on
this machine as well, and compares medians. As a track's own CPU varies by more than telemetry
costs, the calls of one track are also made by themselves, a hundred times over.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from audio_processor import wiring
from audio_processor.demo import render_demo
from audio_processor.ending import Ended
from audio_processor.job import Job
from audio_processor.model import Claim, Loudness, RenditionSummary, TrackSummary
from audio_processor.observed import Observed
from audio_processor.outcome import Completed
from audio_processor.pipeline import Line
from audio_processor.telemetry import Metrics, NullProgress, RunProgress, charger, configure_logging
from audio_processor.telemetry.job_log import JobLog
from audio_processor.telemetry.metrics import STAGES
from audio_processor.telemetry.run import Listener
from bench.line import settings_below, spent
from database_manager import DatabaseManager

CHARGES = 40
"""Threads and processes of a track: three encoders, decoders, segmenters, publishers …"""
OBSERVATIONS = 60
"""Requests and statements of a track of three minutes."""
LEVELS = Loudness(-14.0, 7.0, -1.5, -1.6, -10.0, -12.0)


class Bench:
    """A line, and tracks for it."""

    def __init__(self, folder: Path, track: Path) -> None:
        self._settings = settings_below(folder)
        self._track = track
        self._queue: DatabaseManager = wiring.open_queue(self._settings, None, "sqlite")
        self._store = wiring.open_store(self._settings)
        self._line: Line = wiring.build_line(self._settings, self._store, self._queue)
        self._count = 0

    def unwatched(self) -> float:
        """Return the CPU seconds of a track that nobody listens to."""
        job = self._next()
        before = spent()
        self._line.run(job, NullProgress())
        return (spent() - before).cpu_s

    def watched(self, observed: Observed) -> float:
        """Return the CPU seconds of a track that these listen to."""
        job = self._next()
        before = spent()
        with observed.job(job.claim) as tell:
            receipt = self._line.run(job, RunProgress())
            tell(Ended(job.claim, Completed(receipt.summary)))
        return (spent() - before).cpu_s

    def _next(self) -> Job:
        self._count += 1
        name = f"track-{self._count}"
        key = f"{self._settings.storage.raw_prefix}{name}.wav"
        self._store.upload(self._track, key, content_type="audio/wav")
        self._queue.insert(name, f"{name}.wav")
        claim = self._queue.claim("bench", upload_id=name)
        assert claim is not None
        return Job(claim, self._queue.renew, lease_s=3600.0)


def telling_s(observed: Observed, metrics: Metrics) -> float:
    """Return the CPU seconds of all that one track tells, without the track."""
    claim = Claim("upload", "track.wav", 1, "token", "bench")
    delivered = tuple(
        RenditionSummary(name, -14.0, -1.5, 7.0, 180.0, 128_000, 1, None)
        for name in ("low", "med", "high", "m4a")
    )
    summary = TrackSummary("track", 180.0, LEVELS, "limited", 3.0, None, delivered)
    before = time.process_time()
    with observed.job(claim) as tell:
        progress = RunProgress()
        for stage in STAGES:
            progress.stage("track", stage)
            for _ in range(CHARGES // len(STAGES)):
                charger()(0.01)
        progress.finished("track")
        for _ in range(OBSERVATIONS):
            metrics.request("put", 0.01, None)
        tell(Ended(claim, Completed(summary)))
    return time.process_time() - before


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the medians and what lies between them."""
    parser = argparse.ArgumentParser(prog="bench.telemetry", description=__doc__)
    parser.add_argument("--track", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(arguments)
    with open(os.devnull, "w") as nowhere, tempfile.TemporaryDirectory() as scratch:  # noqa: PTH123  # a stream
        configure_logging("json", stream=nowhere)
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        folder = Path(scratch)
        track = given.track or render_demo(folder / "demo.wav", duration_s=60.0)
        metrics = Metrics()
        plain = Observed(metrics, [JobLog()])
        traced = Observed(metrics, [_traces(), JobLog()])
        bench = Bench(folder, track)
        bench.unwatched()  # kernels compiled
        ways: dict[str, Callable[[], float]] = {
            "nobody listens": bench.unwatched,
            "metrics, logs": lambda: bench.watched(plain),
            "metrics, logs, traces": lambda: bench.watched(traced),
        }
        rounds = {name: [] for name in ways}  # type: dict[str, list[float]]
        for _ in range(given.rounds):
            for name, way in ways.items():
                rounds[name].append(way())
        usual_s = median(rounds["nobody listens"])
        for name, values in rounds.items():
            print(f"{name:24} {median(values):7.3f} s  {median(values) / usual_s:6.3f}  "
                  f"({min(values):.3f} … {max(values):.3f})")  # fmt: skip
        for name, observed in (("metrics, logs", plain), ("and traces", traced)):
            alone_s = median(telling_s(observed, metrics) for _ in range(100))
            print(f"telling alone, {name:15} {alone_s * 1000:6.2f} ms, {alone_s / usual_s:.3%}")
        began = time.process_time()
        for _ in range(100):
            metrics.exposition()
        print(f"a scrape                 {(time.process_time() - began) * 10:6.2f} ms")
        traced.close()


def _traces() -> Listener:
    from audio_processor.telemetry.traces import Traces

    return Traces(mask=lambda text: text)


if __name__ == "__main__":
    main()
