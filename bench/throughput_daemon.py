"""A batch of tracks through a daemon of its own, watched from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from audio_processor import AudioProcessor
from audio_processor.media.binary import find_ffmpeg
from audio_processor.settings import granted_cpus, load_settings
from bench.back_ends import BackEnd
from bench.corpus import listed
from bench.process_tree import bytes_below, kib_of, machine, usage, with_programs
from bench.throughput_run import Moment, Run, Watched
from bench.ways import excerpt

WARM_UP_S = 5.0
LOOK_EVERY_S = 0.25
COUNT_EVERY_S = 0.5


class Daemon:
    """``audio-processor run`` on a back end, and the queue and store as a client sees them."""

    def __init__(self, back_end: BackEnd, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._scratch = back_end.folder / "data/scratch"
        self._processor = AudioProcessor.from_settings(load_settings(environ=_plain(back_end)))
        self._inserted = 0

    def close(self) -> None:
        """Let go of the queue."""
        self._processor.close()

    def upload(self, tracks: Sequence[Path]) -> None:
        """Put the files where uploads lie, without a row yet."""
        for track in tracks:
            key = self._processor.settings.storage.raw_prefix + track.name
            self._processor.store.upload(track, key, content_type="application/octet-stream")

    def insert(self, tracks: Sequence[Path]) -> None:
        """Insert their rows, to be claimed in this order."""
        for track in tracks:
            self._inserted += 1
            self._processor.queue.insert(f"{self._inserted:06d}", track.name)

    def watch(self, concurrency: int, ended: Callable[[int], None]) -> Watched:
        """Look until every inserted track has ended. Raises ``RuntimeError`` if one failed."""
        seen, counted_at, pid = Watched(), 0.0, self.process.pid
        counts = self._processor.queue.counts()
        while True:
            now = usage(pid)
            if time.monotonic() - counted_at >= COUNT_EVERY_S:
                counted_at = time.monotonic()
                counts = self._processor.queue.counts()
                seen.scratch_bytes = max(seen.scratch_bytes, bytes_below(self._scratch))
                seen.tree_pss_mib = max(seen.tree_pss_mib, _pss_mib(pid))
                ended(counts.completed + counts.failed)
            free = counts.pending == 0 or counts.processing < concurrency
            seen.moments.append(Moment(time.monotonic(), now, machine(), free))
            seen.tree_rss_mib = max(seen.tree_rss_mib, now.rss_mib)
            seen.processes = max(seen.processes, now.processes)
            seen.python_rss_mib = max(seen.python_rss_mib, kib_of(pid, "status", "VmHWM") / 1024)
            if counts.failed:
                raise RuntimeError("a track of the batch failed; `audio-processor status` says why")
            if counts.completed == self._inserted:
                return seen
            if self.process.poll() is not None:
                raise RuntimeError(f"the daemon ended with {self.process.returncode}")
            time.sleep(LOOK_EVERY_S)


def _pss_mib(pid: int) -> float:
    return sum(kib_of(one, "smaps_rollup", "Pss") for one in with_programs(pid)) / 1024


def _plain(back_end: BackEnd) -> dict[str, str]:
    """Return the back end's environment with the keys to the store among our own settings."""
    aws = {"ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "REGION"}
    ours = {
        f"AUDIO_PROCESSOR__STORAGE__{name}": back_end.environment[f"AWS_{name}"]
        for name in aws
        if f"AWS_{name}" in back_end.environment
    }
    below = back_end.folder / "data"
    where = {"DATABASE__PATH": below / "audio-processor.db", "STORAGE__FOLDER": below / "store"}
    return {
        **{f"AUDIO_PROCESSOR__{name}": str(path) for name, path in where.items()},
        **back_end.environment,
        **ours,
    }


@contextmanager
def running_daemon(back_end: BackEnd, concurrency: int, pins: bool) -> Iterator[Daemon]:
    """Start the daemon on the back end; end it as Kubernetes would."""
    back_end.run("migrate")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AUDIO_PROC", "AWS_"))}
    stated = {
        "WORKER__CONCURRENCY": str(concurrency),
        "WORKER__POLL_INTERVAL_S": "0.2",
        "WORKER__MAX_ATTEMPTS": "1",  # a fault of the batch is told at once, not tried again
        "WORKER__HEALTH_PORT": "0",
        "FFMPEG__PIN_CPUS": str(pins).lower(),
        "LOGGING__LEVEL": "ERROR",
    }
    environment = {
        **inherited,
        **back_end.environment,
        **{f"AUDIO_PROCESSOR__{name}": value for name, value in stated.items()},
    }
    argv = [sys.executable, "-m", "audio_processor", "run"]
    with subprocess.Popen(argv, cwd=back_end.folder, env=environment) as process:
        daemon = Daemon(back_end, process)
        try:
            yield daemon
        finally:
            daemon.close()
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGTERM)  # twice: give up what a failed run left
            process.wait()


def measure(
    back_end: BackEnd,
    tracks: Sequence[Path],
    concurrency: int,
    *,
    pins: bool = True,
    ended: Callable[[int], None] = lambda _count: None,
) -> Run:
    """Run the batch through a daemon of its own. Raises ``RuntimeError`` where a track fails."""
    ffmpeg = find_ffmpeg().path
    with running_daemon(back_end, concurrency, pins) as daemon:
        warm_ups = [
            excerpt(ffmpeg, tracks[0], back_end.folder / f"warm-up-{n}.wav", seconds=WARM_UP_S)
            for n in range(concurrency)
        ]
        daemon.upload([*warm_ups, *tracks])
        daemon.insert(warm_ups)
        daemon.watch(concurrency, lambda _count: None)
        daemon.insert(tracks)
        seen = daemon.watch(concurrency, lambda count: ended(count - len(warm_ups)))
    cores = granted_cpus()
    return Run(
        concurrency=concurrency,
        pinned=pins,
        tracks=len(tracks),
        audio_s=sum(map(duration_s, tracks)),
        batch=seen.stretch(cores, busy=False),
        busy=seen.stretch(cores, busy=True),
        tree_rss_mib=seen.tree_rss_mib,
        tree_pss_mib=seen.tree_pss_mib,
        python_rss_mib=seen.python_rss_mib,
        processes=seen.processes,
        scratch_bytes=seen.scratch_bytes,
        delivered_bytes=_delivered(back_end, tracks),
        load_average=os.getloadavg(),
    )


def _delivered(back_end: BackEnd, tracks: Sequence[Path]) -> int:
    published = back_end.folder / "data/store/mwonya_audio_tracks"
    return sum(bytes_below(published / track.stem) for track in tracks)


def duration_s(track: Path) -> float:
    """Return the length that the corpus's list has of the track."""
    return next(one.duration_s for one in listed() if one.name == track.name)
