"""Which CPU an FFmpeg runs on."""

from __future__ import annotations

import os
import subprocess
import sys

from audio_processor.media.placement import ANYWHERE, Placement, placement


def _mask_after(where: Placement) -> set[int]:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        where.place(child.pid)
        return os.sched_getaffinity(child.pid)
    finally:
        child.communicate(b"\n")


def test_each_process_has_one_cpu_in_turn() -> None:
    ours = os.sched_getaffinity(0)
    where = placement(len(ours))
    masks = [_mask_after(where) for _ in range(2 * len(ours))]
    assert all(len(mask) == 1 for mask in masks)
    assert set().union(*masks) == ours


def test_under_a_quota_nothing_is_pinned() -> None:
    ours = os.sched_getaffinity(0)
    assert _mask_after(Placement(())) == ours
    assert _mask_after(ANYWHERE) == ours
    assert _mask_after(placement(len(ours) - 1)) == ours


def test_a_cpu_or_a_process_that_is_gone_is_no_error() -> None:
    ours = os.sched_getaffinity(0)
    assert _mask_after(Placement((4095,))) == ours
    Placement((0,)).place(2**22)
