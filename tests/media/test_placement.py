"""Which CPU an FFmpeg runs on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_processor.media.binary import find_ffmpeg
from audio_processor.media.ffmpeg import FFmpegFailed, ProcessLimits, Supervisor
from audio_processor.media.placement import ANYWHERE, ENCODER, READER, Placement, placement

NOBODY = 2**22
"""A process id that no Linux gives."""


def _mask_after(where: Placement) -> set[int]:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        where.place(child.pid)
        return os.sched_getaffinity(child.pid)
    finally:
        child.communicate(b"\n")


def test_as_many_processes_as_there_are_cpus_have_one_each() -> None:
    ours = os.sched_getaffinity(0)
    where = placement(len(ours))
    masks = [_mask_after(where) for _ in ours]
    assert all(len(mask) == 1 for mask in masks)
    assert set().union(*masks) == ours


def test_encoders_are_spread_whatever_comes_in_between() -> None:
    cpus = tuple(sorted(os.sched_getaffinity(0)))
    where = Placement(cpus)
    for number in range(3 * len(cpus)):
        where.place(NOBODY, READER)()  # begun and ended, as muxers are
        where.place(NOBODY, ENCODER)
        if number % len(cpus) == 0:
            where.place(NOBODY, READER)()
    assert sorted(where.loads.values()) == [3 * ENCODER] * len(cpus)


@given(
    n=st.integers(1, 8),
    # a load of a new process, or the number of a running one that ends
    events=st.lists(st.one_of(st.sampled_from([ENCODER, READER]), st.integers(0, 50)), max_size=80),
)
def test_loads_are_even_and_all_given_back(n: int, events: list[float | int]) -> None:
    # CPUs that this machine does not have: the process stays where it is, the books are kept
    where = Placement(tuple(range(4000, 4000 + n)))
    running: list[tuple[float, Callable[[], None]]] = []
    for event in events:
        if isinstance(event, int):
            if running:
                running.pop(event % len(running))[1]()
            continue
        least = min(where.loads.values())
        before = dict(where.loads)
        running.append((event, where.place(NOBODY, event)))
        (changed,) = [cpu for cpu, load in where.loads.items() if load != before[cpu]]
        assert before[changed] == least
    assert sum(where.loads.values()) == sum(load for load, _ in running)
    for _, leave in running:
        leave()
    assert set(where.loads.values()) == {0.0}


def test_a_supervisor_gives_the_cpus_back(tmp_path: Path) -> None:
    where = Placement(tuple(os.sched_getaffinity(0)))
    supervisor = Supervisor(find_ffmpeg(), tmp_path, ProcessLimits(), where)
    silence = ["-f", "lavfi", "-t", "0.1", "-i", "anullsrc", "-f", "null", "-"]
    with supervisor.open(silence, what="be silent", stall_timeout_s=10, timeout_s=10) as process:
        assert max(where.loads.values()) == READER
        process.finish()
    assert set(where.loads.values()) == {0.0}
    with pytest.raises(FFmpegFailed):
        supervisor.run(["-i", "nothing-there"], what="fail", timeout_s=10)
    assert set(where.loads.values()) == {0.0}


def test_under_a_quota_nothing_is_pinned() -> None:
    ours = os.sched_getaffinity(0)
    assert _mask_after(Placement(())) == ours
    assert _mask_after(ANYWHERE) == ours
    assert _mask_after(placement(len(ours) - 1)) == ours


def test_a_cpu_or_a_process_that_is_gone_is_no_error() -> None:
    ours = os.sched_getaffinity(0)
    assert _mask_after(Placement((4095,))) == ours
    Placement((0,)).place(NOBODY)
