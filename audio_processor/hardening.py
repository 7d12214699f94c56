"""What the process gives up at its start, because it will hold credentials."""

from __future__ import annotations

import ctypes
import resource
import sys

_PR_SET_DUMPABLE = 4  # prctl(2)


def harden() -> None:
    """Keep this process's memory out of core dumps and from other programs of the same user.

    A core dump, a debugger and ``/proc/<pid>/environ`` hold every password that we know; and what
    an FFmpeg that an upload had broken into would reach for first is its parent, which runs as
    the same user. For whoever owns a process: the command line calls it, a library must not.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # a core_pattern that is a pipe is not bound by the limit; and only this closes /proc.
        # Where a sandbox forbids it the limit stands alone.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
