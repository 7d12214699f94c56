"""Kernels compiled ahead: found on another CPU, read and never written, missed aloud."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import llvmlite.binding  # type: ignore[import-untyped]  # publishes none
import pytest

from audio_processor.dsp.prebuilt import ENVIRONMENT, LEVELS, best_level
from tests.requirements import missing

X86 = [level for level in LEVELS if level.machine == "x86_64"]
ONE_KERNEL = """
import json, sys
import numba.core.config
import numpy as np
from audio_processor.dsp.spikes import repair_spikes
samples = np.zeros((2, 200), np.{kind})
samples[:, 100] = 50.0
repaired = repair_spikes(samples, 40, 160)
from audio_processor.dsp.jit import KERNELS
(stats,) = [one.stats for one in KERNELS if one.py_func.__name__ == "_repair"]
print(json.dumps({{
    "repaired": repaired,
    "loaded": sum(stats.cache_hits.values()),
    "compiled": sum(stats.cache_misses.values()),
    "cpu": numba.core.config.CPU_NAME,
}}))
"""


def has(*levels: str) -> dict[str, bool]:
    """A CPU with what these levels ask for."""
    wanted = frozenset[str]().union(*(level.features for level in LEVELS if level.name in levels))
    return dict.fromkeys(wanted, True) | {"sse4a": False}


@pytest.mark.parametrize("number", range(len(X86)))
def test_a_cpu_gets_the_best_level_that_it_has(number: int) -> None:
    names = [level.name for level in X86]
    assert best_level("x86_64", has(names[number]), names) == X86[number]


@pytest.mark.parametrize("number", range(len(X86)))
def test_each_level_asks_for_all_that_the_one_below_asks_for(number: int) -> None:
    better = X86[:number]
    assert all(level.features > X86[number].features for level in better)


def test_a_level_that_was_not_built_is_passed_over() -> None:
    best, *others = X86
    below = best_level("x86_64", has(best.name), [level.name for level in others])
    assert below == others[0]


def test_a_feature_that_is_switched_off_is_not_had() -> None:
    v3 = next(level for level in X86 if level.name == "x86-64-v3")
    features = has("x86-64-v3") | {"avx2": False}
    below = best_level("x86_64", features, [level.name for level in LEVELS])
    assert below is not None
    assert below.features < v3.features


def test_another_machines_levels_are_not_taken() -> None:
    assert best_level("aarch64", has("x86-64-v3"), [level.name for level in X86]) is None
    assert best_level("x86_64", {}, [level.name for level in LEVELS]) is None


def in_a_process(
    environment: dict[str, str], kind: str = "float32"
) -> tuple[dict[str, object], str]:
    ended = subprocess.run(
        [sys.executable, "-c", ONE_KERNEL.format(kind=kind)],
        env={"PATH": os.defpath, "PYTHONPATH": os.fspath(Path(__file__).parents[2]), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, object] = json.loads(ended.stdout)
    return answer, ended.stderr


@pytest.fixture(scope="module")
def level() -> str:
    """The lowest level of this machine: its code is not what numba would make for this CPU."""
    mine = [one.name for one in LEVELS if one.machine == platform.machine()]
    found = best_level(platform.machine(), llvmlite.binding.get_host_cpu_features(), mine[-1:])
    if found is None:
        missing(f"no kernels can be compiled ahead for a CPU of {platform.machine()}")
    return found.name


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory, level: str) -> Path:
    """A folder with one kernel, made as ``image/warm.py`` makes it."""
    folder = tmp_path_factory.mktemp("kernels")
    told = {"NUMBA_CPU_NAME": level, "NUMBA_CPU_FEATURES": ""}
    made, _ = in_a_process({**told, "NUMBA_CACHE_DIR": os.fspath(folder / level)})
    assert (made["compiled"], made["loaded"]) == (1, 0)
    return folder


def contents(folder: Path) -> dict[Path, tuple[int, int]]:
    return {
        path: (path.stat().st_mtime_ns, path.stat().st_size)
        for path in folder.rglob("*")
    }  # fmt: skip


def test_what_was_compiled_for_a_level_is_loaded_and_not_compiled(
    kernels: Path, level: str
) -> None:
    before = contents(kernels)
    found, said = in_a_process({ENVIRONMENT: os.fspath(kernels)})
    assert found == {"repaired": 2, "loaded": 1, "compiled": 0, "cpu": level}
    assert said == ""
    assert contents(kernels) == before


def test_what_is_missing_is_compiled_said_and_not_written(kernels: Path, level: str) -> None:
    before = contents(kernels)
    found, said = in_a_process({ENVIRONMENT: os.fspath(kernels)}, kind="float64")
    assert found == {"repaired": 2, "loaded": 0, "compiled": 1, "cpu": level}
    assert "_repair" in said
    assert "not among the prebuilt" in said
    assert contents(kernels) == before


def test_a_folder_without_a_level_for_this_cpu_is_said_and_done_without(tmp_path: Path) -> None:
    (tmp_path / "kernels").mkdir()
    found, said = in_a_process(
        {ENVIRONMENT: os.fspath(tmp_path / "kernels"), "HOME": os.fspath(tmp_path)}
    )
    assert found["repaired"] == 2
    assert found["cpu"] is None
    assert "no kernels for this CPU" in said


def test_who_sets_numba_otherwise_has_decided(kernels: Path, tmp_path: Path) -> None:
    told = {ENVIRONMENT: os.fspath(kernels), "NUMBA_CACHE_DIR": os.fspath(tmp_path)}
    found, said = in_a_process(told)
    assert (found["compiled"], found["cpu"], said) == (1, None, "")
    assert contents(tmp_path)
