"""One stream of blocks to several consumers at once, each in a thread of its own.

The render decodes once and feeds every tier's encoder. Queues are short, so memory stays
bounded by the slowest consumer; the first failure stops them all.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from audio_processor.model import Block, Blocks
from audio_processor.telemetry import carried

Result = TypeVar("Result")

_QUEUED_BLOCKS = 6
_RECHECK_S = 0.2


class FanoutStopped(Exception):
    """Raised inside a consumer whose stream ends because another part failed."""


class _Feed:
    """A bounded queue that can be abandoned from either end without a deadlock."""

    def __init__(self, stopped: threading.Event) -> None:
        self.ended = False
        """Whether the consumer has seen the end of the stream."""
        self._queue: queue.Queue[Block | None] = queue.Queue(_QUEUED_BLOCKS)
        self._stopped = stopped

    def put(self, block: Block | None) -> None:
        while not self._stopped.is_set():
            try:
                return self._queue.put(block, timeout=_RECHECK_S)
            except queue.Full:
                continue
        return None

    def blocks(self) -> Blocks:
        while True:
            try:
                block = self._queue.get(timeout=_RECHECK_S)
            except queue.Empty:
                if self._stopped.is_set():
                    raise FanoutStopped from None
                continue
            if block is None:
                self.ended = True
                return
            yield block


class _Consumer(threading.Thread, Generic[Result]):
    def __init__(self, work: Callable[[Blocks], Result], stopped: threading.Event) -> None:
        super().__init__(daemon=True)
        self.feed = _Feed(stopped)
        self.error: BaseException | None = None
        self._work = carried(work)
        self._stopped = stopped
        self._results: list[Result] = []

    def run(self) -> None:
        try:
            self._results.append(self._work(self.feed.blocks()))
            if not (self.feed.ended or self._stopped.is_set()):
                # nobody takes its blocks any more: its queue would fill and stop the stream
                raise RuntimeError("A consumer returned before the end of the stream.")
        except BaseException as error:
            self.error = error
            self._stopped.set()

    def result(self) -> Result:
        return self._results[0]


def broadcast(blocks: Blocks, work: Sequence[Callable[[Blocks], Result]]) -> list[Result]:
    """Give every block to every consumer; return their results in order.

    Consumers share the arrays: they must not write into them. A consumer that returns
    before the stream's end is a failure (``RuntimeError``). Raises the first error of the
    source or of a consumer, after all consumers have ended.
    """
    stopped = threading.Event()
    consumers = [_Consumer(one, stopped) for one in work]
    try:
        for consumer in consumers:
            consumer.start()
        for block in blocks:
            if stopped.is_set():
                break
            for consumer in consumers:
                consumer.feed.put(block)
        for consumer in consumers:
            consumer.feed.put(None)
    except BaseException:
        stopped.set()
        raise
    finally:
        for consumer in consumers:
            if consumer.is_alive():  # one that never started cannot be joined
                consumer.join()
    # a consumer stopped by another's failure is a consequence: raise the cause
    for error in sorted(
        (c.error for c in consumers if c.error is not None),
        key=lambda e: isinstance(e, FanoutStopped),
    ):
        raise error
    return [consumer.result() for consumer in consumers]
