"""One CPU for each FFmpeg, in turn: its threads hand every frame on, and do that best at home.

FFmpeg decodes, filters, encodes and writes in threads of their own; across cores each
hand-over costs more than the work it hands over. Only where the CPUs are all ours: on a node
that is shared under a quota the scheduler must stay free to move us.
"""

from __future__ import annotations

import itertools
import os
import random
from contextlib import suppress


class Placement:
    """Deals out CPUs round robin, from a random first one; thread-safe."""

    def __init__(self, cpus: tuple[int, ...]) -> None:
        self._cpus = cpus
        self._turns = itertools.count(random.randrange(max(1, len(cpus))))

    def place(self, pid: int) -> None:
        """Keep the process on the next CPU; where that is not to be had, anywhere."""
        if self._cpus:
            with suppress(OSError):
                os.sched_setaffinity(pid, {self._cpus[next(self._turns) % len(self._cpus)]})


def placement(granted_cpus: int) -> Placement:
    """Return one over our CPUs, if ``granted_cpus`` says that no quota makes them fewer."""
    cpus = tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()
    return Placement(cpus if len(cpus) <= granted_cpus else ())


ANYWHERE = Placement(())
