"""What the cgroup grants, read from a tree made for the purpose."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from audio_processor.settings import granted_cpus

HERE = len(os.sched_getaffinity(0))


def put(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    return root


@pytest.mark.parametrize(
    ("files", "granted"),
    [
        ({}, HERE),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "max 100000"}, HERE),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "100000 100000"}, 1),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "25000 100000"}, 1),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "99900000 100000"}, HERE),
        # the host's path, of which only the mount exists in the container
        ({"proc/self/cgroup": "0::/pods/a", "sys/fs/cgroup/cpu.max": "150000 100000"}, 1),
        # the narrowest of all enclosing groups
        (
            {
                "proc/self/cgroup": "0::/a/b",
                "sys/fs/cgroup/a/cpu.max": "100000 100000",
                "sys/fs/cgroup/a/b/cpu.max": "max 100000",
            },
            1,
        ),
        # version 1
        (
            {
                "proc/self/cgroup": "4:memory:/x\n3:cpu,cpuacct:/x",
                "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "100000",
                "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000",
            },
            1,
        ),
        (
            {
                "proc/self/cgroup": "3:cpu:/",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            HERE,
        ),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "nonsense"}, HERE),
    ],
)
def test_the_smaller_of_affinity_and_quota_counts(
    tmp_path: Path, files: dict[str, str], granted: int
) -> None:
    assert granted_cpus(put(tmp_path, files)) == granted


def test_a_quota_between_one_and_all_cpus_is_what_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(16)))
    files = {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "350000 100000"}
    assert granted_cpus(put(tmp_path, files)) == 3
