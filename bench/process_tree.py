"""What a process and all that it started take, and what else the machine did meanwhile.

Linux's ``/proc`` alone. CPU time is the kernel's own count, not a sum of samples: what an ended
child used is in its parent's figures once the parent has collected it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Machine:
    """CPU seconds of all cores together since it was started."""

    busy_s: float
    """Somebody's, on this machine; guests of a hypervisor below us count as ours."""
    steal_s: float
    """Given to another guest of the hypervisor while something here was ready to run."""

    def __sub__(self, earlier: Machine) -> Machine:
        return Machine(self.busy_s - earlier.busy_s, self.steal_s - earlier.steal_s)


def machine() -> Machine:
    """Read ``/proc/stat``: user, nice, system, irq and softirq are busy (proc(5))."""
    with Path("/proc/stat").open(encoding="ascii") as lines:
        user, nice, system, _idle, _wait, irq, softirq, steal = (
            int(ticks) * TICK_S for ticks in next(lines).split()[1:9]
        )
    return Machine(user + nice + system + irq + softirq, steal)


@dataclass(frozen=True, slots=True)
class Usage:
    """One look at a process and its children."""

    cpu_s: float
    """User and system time of all of them, ended ones included."""
    own_cpu_s: float
    """Of the process itself, without any child."""
    rss_mib: float
    """Resident sets added up: pages that processes share count more than once."""
    processes: int


def usage(pid: int) -> Usage:
    """Look at the process ``pid`` and its children; zeros where it has ended."""
    started = list(descendants(pid))
    # children first: one that ends in between is then counted twice, for one look, never lost
    running_s = sum(_ticks(child).all_s for child in started)
    root = _ticks(pid)
    pids = with_programs(pid)
    rss_mib = sum(kib_of(one, "status", "VmRSS") for one in pids) / 1024
    return Usage(root.all_s + running_s, root.own_s, rss_mib, len(pids))


@dataclass(frozen=True, slots=True)
class _Ticks:
    own_s: float = 0.0
    all_s: float = 0.0


def _ticks(pid: int) -> _Ticks:
    """User, system time of a process, and of those children that it has collected."""
    with suppress(OSError):
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        # the second field is a name in brackets, which may hold brackets and blanks
        fields = stat.rpartition(")")[2].split()
        user, system, children_user, children_system = (int(one) * TICK_S for one in fields[11:15])
        own_s = user + system
        return _Ticks(own_s, own_s + children_user + children_system)
    return _Ticks()


def with_programs(pid: int) -> list[int]:
    """Return it and those of its children that have begun a program of their own.

    Between vfork and exec a child is its parent's memory once more: that is no memory of its.
    """
    found = [pid]
    with suppress(OSError):
        own = Path(f"/proc/{pid}/exe").readlink()
        for child in descendants(pid):
            with suppress(OSError):
                if Path(f"/proc/{child}/exe").readlink() != own:
                    found.append(child)
    return found


def descendants(pid: int) -> Iterator[int]:
    """Yield the process's children, theirs, and so on."""
    with suppress(OSError):  # it has ended
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                children = (thread / "children").read_text(encoding="ascii")
                for child in map(int, children.split()):
                    yield child
                    yield from descendants(child)


def kib_of(pid: int, file: str, key: str) -> int:
    """Return a figure of a process; 0 where it has just ended."""
    with suppress(OSError), Path(f"/proc/{pid}/{file}").open() as lines:
        for line in lines:
            if line.startswith(f"{key}:"):
                return int(line.split()[1])
    return 0


def bytes_below(folder: Path) -> int:
    """Return the sizes of all files below the folder, added up; what is just going may be left out.

    Not by ``rglob``, which raises where a folder goes while it is listed.
    """
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += Path(where, name).stat().st_size
    return total
