"""How long a fresh process takes to its first block of audio, and what that costs.

``python -m bench.start`` starts one process that finds its kernels compiled and one that has to
compile them, in turn, each on the demo track; the clock is the process's own, from its ``exec``.
``python bench/start.py --here`` is one such process, and runs wherever the program is installed:
``tests/image`` measures the built image with it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

STAGES = ("analyse", "render")
"""Whose first block is waited for: the meters' kernels, then the limiters'."""
DEMO_S = 30.0


class FirstBlocks:
    """Notes when a stage has passed its first block."""

    def __init__(self) -> None:
        self.at: dict[str, tuple[float, float]] = {}
        self._stage = ""

    def stage(self, track_id: str, stage: str) -> None:
        """Remember which stage the next block belongs to."""
        del track_id
        self._stage = stage

    def advance(self, track_id: str, fraction: float) -> None:
        """Note wall and CPU seconds of the first one."""
        del track_id, fraction
        if self._stage in STAGES and self._stage not in self.at:
            self.at[self._stage] = (since_exec_s(), time.process_time())

    def finished(self, track_id: str) -> None:
        """Nothing to note."""


def since_exec_s() -> float:
    """Return how long ago this process was started, by the kernel's own note of it."""
    started_ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    uptime_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    return uptime_s - started_ticks / os.sysconf("SC_CLK_TCK")


def here() -> dict[str, float]:
    """Process the demo once in this process; return seconds to each stage's first block."""
    from audio_processor import AudioProcessor, load_settings
    from audio_processor.demo import render_demo

    rendered_from = time.process_time(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        source = render_demo(Path(folder, "demo.wav"), duration_s=DEMO_S)
        # a worker downloads its track; rendering this one is not its start
        rendering = (
            time.monotonic() - rendered_from[1],
            time.process_time() - rendered_from[0],
        )
        first = FirstBlocks()
        settings = load_settings(
            overrides={
                "database.path": f"{folder}/queue.db",
                "storage.folder": f"{folder}/store",
                "scratch.folder": f"{folder}/scratch",
                "worker.concurrency": 1,
            }
        )
        with AudioProcessor(None, None, settings=settings, progress=first) as processor:
            processor.enqueue(source)
            if not processor.process_audio(source.name):
                sys.exit("the demo was not completed")
        done_s = since_exec_s() - rendering[0]
    figures = {"done_wall_s": done_s}
    for stage, (wall_s, cpu_s) in first.at.items():
        figures[f"{stage}_wall_s"] = wall_s - rendering[0]
        figures[f"{stage}_cpu_s"] = cpu_s - rendering[1]
    from audio_processor.dsp.jit import KERNELS

    figures["kernels_compiled"] = sum(sum(one.stats.cache_misses.values()) for one in KERNELS)
    figures["kernels_loaded"] = sum(sum(one.stats.cache_hits.values()) for one in KERNELS)
    return figures


def _in_a_process(cache: str) -> dict[str, float]:
    answer = subprocess.run(
        [sys.executable, os.fspath(Path(__file__).absolute()), "--here"],
        env={**os.environ, "NUMBA_CACHE_DIR": cache, "PYTHONPATH": os.fspath(Path.cwd())},
        stdout=subprocess.PIPE,
        check=True,
    )
    figures: dict[str, float] = json.loads(answer.stdout)
    return figures


def main() -> None:
    """Print the medians, hot beside cold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--here", action="store_true", help="one process: this one, as it is")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if given.here:
        print(json.dumps(here()))
        return
    with tempfile.TemporaryDirectory() as warm:
        _in_a_process(warm)
        rounds: dict[str, list[dict[str, float]]] = {"hot": [], "cold": []}
        for _ in range(given.rounds):
            rounds["hot"].append(_in_a_process(warm))
            with tempfile.TemporaryDirectory() as empty:
                rounds["cold"].append(_in_a_process(empty))
    for name, runs in rounds.items():
        print(name, {key: round(median(run[key] for run in runs), 2) for key in runs[0]})


if __name__ == "__main__":
    main()
