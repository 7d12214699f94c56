"""How many CPUs this process was granted, which in a container is not how many there are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def granted_cpus(root: Path = Path("/")) -> int:
    """Return the whole CPUs that affinity and every enclosing cgroup leave us, at least 1."""
    grants = [float(_affinity()), *_quotas(root)]
    return max(1, int(min(grants)))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[float]:
    mount = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        hierarchy, controllers, path = line.split(":", 2)
        if hierarchy == "0":
            for folder in _upwards(mount, path):
                yield from _quota(*_text(folder / "cpu.max").split())
        elif "cpu" in controllers.split(","):
            for folder in _upwards(mount / "cpu", path):
                quota = _text(folder / "cpu.cfs_quota_us").strip()
                yield from _quota(quota, _text(folder / "cpu.cfs_period_us").strip())


def _upwards(mount: Path, path: str) -> Iterator[Path]:
    """Yield the cgroup's folder and all above it: a limit anywhere holds.

    Without a cgroup namespace the path is the host's, and only its end, the mount itself,
    exists in the container.
    """
    folder = mount / path.lstrip("/")
    yield folder
    while folder != mount and mount in folder.parents:
        folder = folder.parent
        yield folder


def _quota(quota: str = "", period: str = "") -> Iterator[float]:
    """Yield quota ÷ period; nothing for ``max``, −1 or a file that is not there."""
    if quota.isdigit() and period.isdigit() and int(period) > 0:
        yield int(quota) / int(period)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""
