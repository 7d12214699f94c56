"""One CPU for each FFmpeg: its threads hand every frame on, and do that best at home.

FFmpeg decodes, filters, encodes and writes in threads of their own; across cores each
hand-over costs more than the work it hands over. Only where the CPUs are all ours: on a node
that is shared under a quota the scheduler must stay free to move us.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from contextlib import suppress

ENCODER = 1.0
READER = 0.25
"""What a decoder or muxer is, beside an encoder: it waits for the encoders most of the time."""


class Placement:
    """Gives each process the CPU that has the least to do; thread-safe.

    In turn would not do: the short processes in between shift the turns, and two tracks' encoders
    end up on one CPU while the other waits for them.
    """

    def __init__(self, cpus: tuple[int, ...]) -> None:
        self._lock = threading.Lock()
        # of several that are free the first is taken: not the same one in every worker
        self._loads = dict.fromkeys(random.sample(cpus, len(cpus)), 0.0)

    @property
    def loads(self) -> dict[int, float]:
        """What runs on each CPU now."""
        with self._lock:
            return dict(self._loads)

    def place(self, pid: int, load: float = ENCODER) -> Callable[[], None]:
        """Keep the process on one CPU; where that is not to be had, anywhere.

        Call what is returned once the process has ended: its CPU is free for others then.
        """
        if not self._loads:
            return _nothing
        with self._lock:
            cpu = min(self._loads, key=self._loads.__getitem__)
            self._loads[cpu] += load
        with suppress(OSError):
            os.sched_setaffinity(pid, {cpu})

        def leave() -> None:
            with self._lock:
                self._loads[cpu] -= load

        return leave


def placement(granted_cpus: int) -> Placement:
    """Return one over our CPUs, if ``granted_cpus`` says that no quota makes them fewer."""
    cpus = tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()
    return Placement(cpus if len(cpus) <= granted_cpus else ())


def _nothing() -> None:
    return


ANYWHERE = Placement(())
