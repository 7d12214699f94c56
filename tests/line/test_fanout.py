"""One stream to several consumers: order, results, failures, and no deadlock."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from audio_processor.delivery.fanout import broadcast
from audio_processor.model import Block, Blocks


def _numbered(count: int) -> Iterator[Block]:
    for i in range(count):
        yield np.full((4, 2), i, np.float32)


def _collect(blocks: Blocks) -> list[float]:
    return [float(block[0, 0]) for block in blocks]


def test_every_consumer_sees_every_block_in_order() -> None:
    expected = [float(i) for i in range(200)]
    assert broadcast(_numbered(200), [_collect] * 3) == [expected] * 3


def test_an_empty_stream_still_gives_results() -> None:
    assert broadcast(iter(()), [_collect]) == [[]]


def test_a_failing_consumer_stops_the_source_and_its_error_is_the_one_raised() -> None:
    def fails(blocks: Blocks) -> list[float]:
        next(iter(blocks))
        raise ValueError("encoder died")

    taken = 0

    def endless() -> Iterator[Block]:
        nonlocal taken
        while True:
            taken += 1
            yield np.zeros((1, 2), np.float32)

    with pytest.raises(ValueError, match="encoder died"):
        broadcast(endless(), [_collect, fails])
    assert taken < 10_000


def test_a_failing_source_ends_the_consumers() -> None:
    ended = threading.Event()

    def source() -> Iterator[Block]:
        yield np.zeros((1, 2), np.float32)
        raise OSError("decoder died")

    def waits(blocks: Blocks) -> list[float]:
        try:
            return _collect(blocks)
        finally:
            ended.set()

    with pytest.raises(OSError, match="decoder died"):
        broadcast(source(), [waits])
    assert ended.is_set()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("count", [0, 3, 100])
def test_a_consumer_that_returns_before_the_end_is_a_failure(count: int) -> None:
    def gives_up(_: Blocks) -> list[float]:
        return []

    with pytest.raises(RuntimeError, match="before the end"):
        broadcast(_numbered(count), [_collect, gives_up])


def test_a_failed_start_leaves_no_consumer_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    def waits(blocks: Blocks) -> list[float]:
        try:
            return _collect(blocks)
        finally:
            ended.append(threading.current_thread().name)

    start = threading.Thread.start
    started: list[str] = []

    def only_two(thread: threading.Thread) -> None:
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        start(thread)
        started.append(thread.name)

    monkeypatch.setattr(threading.Thread, "start", only_two)
    with pytest.raises(RuntimeError, match="can't start"):
        broadcast(_numbered(3), [waits] * 3)
    assert sorted(ended) == sorted(started)


def test_a_slow_consumer_bounds_how_far_the_source_runs_ahead() -> None:
    gate = threading.Event()
    produced = 0
    ahead: list[int] = []

    def source() -> Iterator[Block]:
        nonlocal produced
        for block in _numbered(50):
            produced += 1
            if produced > 20:
                gate.set()
            yield block

    def slow(blocks: Blocks) -> list[float]:
        seen = []
        for block in blocks:
            gate.wait(0.05)
            seen.append(float(block[0, 0]))
            ahead.append(produced - len(seen))
        return seen

    broadcast(source(), [slow])
    assert max(ahead) <= 8
