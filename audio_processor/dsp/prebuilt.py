"""Kernels that were compiled ahead: for a level of CPU, in a folder that is only ever read.

numba keys its cache by the very CPU that compiled, and gives it up where it cannot write. An
image is built on one CPU, runs on others, and its root is read-only. So a build compiles every
kernel for one or more of the levels below (``image/warm.py``), and where the environment names
the folder that holds them, the process takes the best level that its CPU has. A kernel that is
missing there is compiled as ever, and said aloud: it will be in every process.
"""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import llvmlite.binding  # type: ignore[import-untyped]  # publishes none
import numba.core
from numba.core.caching import CompileResultCacheImpl, FunctionCache, UserProvidedCacheLocator

ENVIRONMENT = "AUDIO_PROCESSOR_KERNELS"
"""The folder; in it one per level, which numba wrote as its ``NUMBA_CACHE_DIR``."""
NUMBA_OWN = (
    "NUMBA_CPU_NAME",
    "NUMBA_CPU_FEATURES",
    "NUMBA_CACHE_DIR",
    "NUMBA_CACHE_LOCATOR_CLASSES",
)
"""Where one of these is set, somebody has decided otherwise."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Level:
    """What a kernel may ask of a CPU."""

    name: str
    """LLVM's name of the CPU to compile for; the folder's name too."""
    machine: str
    """As ``platform.machine`` has it."""
    features: frozenset[str]
    """LLVM's names of what a CPU must have, the operating system allowing."""


_V2 = frozenset({"cx16", "popcnt", "sahf", "sse3", "sse4.1", "sse4.2", "ssse3"})
_V3 = _V2 | {"avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave"}
_V4 = _V3 | {"avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"}

LEVELS = (
    Level("x86-64-v4", "x86_64", _V4),
    Level("x86-64-v3", "x86_64", _V3),
    Level("x86-64-v2", "x86_64", _V2),
    Level("generic", "aarch64", frozenset({"neon"})),
)
"""Best first: x86-64 psABI, §3.1.1 (micro-architecture levels)."""


def best_level(machine: str, features: Mapping[str, bool], there: Iterable[str]) -> Level | None:
    """Return the best level this CPU has, among those that are ``there``."""
    built = set(there)
    has = {name for name, present in features.items() if present}
    fitting = (level for level in LEVELS if level.machine == machine and level.features <= has)
    return next((level for level in fitting if level.name in built), None)


def choose_prebuilt() -> Path | None:
    """Return the folder of the level to load from, and have numba compile for that level.

    None where the environment names no folder, or no level in it suits this CPU: then numba does
    as it always does. To be called before the first kernel is compiled or loaded.
    """
    named = os.environ.get(ENVIRONMENT)
    if not named or any(name in os.environ for name in NUMBA_OWN):
        return None
    folder = Path(named)
    there = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    level = best_level(platform.machine(), llvmlite.binding.get_host_cpu_features(), there)
    if level is None:
        _log.warning("no kernels for this CPU in %s: they are compiled as they are needed", folder)
        return None
    config: Any = numba.core.config  # its names come from the environment, at run time
    config.CPU_NAME, config.CPU_FEATURES = level.name, ""
    return folder / level.name


class ReadOnlyCache(FunctionCache):
    """A function's cache over the chosen level's folder; nothing is ever written there."""

    def __init__(self, function: Callable[..., Any], folder: Path) -> None:
        self._impl_class: Any = partial(_Implementation, folder=folder)
        super().__init__(function)  # type: ignore[no-untyped-call]  # numba's

    def save_overload(self, sig: object, data: object) -> None:  # noqa: ARG002  # numba's names
        """Say what a build has left out, where numba would keep it."""
        _log.warning("%s was compiled for %s: it is not among the prebuilt", self._name, sig)


class _Implementation(CompileResultCacheImpl):
    def __init__(self, function: Callable[..., Any], folder: Path) -> None:
        self._locator_classes: Any = [_Finder(folder)]
        super().__init__(function)  # type: ignore[no-untyped-call]  # numba's


@dataclass(frozen=True, slots=True)
class _Finder:
    """What numba asks for a locator."""

    folder: Path

    def from_function(self, function: Callable[..., Any], file: str) -> _Locator:
        return _Locator(function, file, self.folder)


class _Locator(UserProvidedCacheLocator):
    """Where numba would have put it, had ``folder`` been its ``NUMBA_CACHE_DIR``."""

    def __init__(self, py_func: Callable[..., Any], py_file: str, folder: Path) -> None:
        self._py_file = py_file
        self._lineno = py_func.__code__.co_firstlineno
        subpath: Any = UserProvidedCacheLocator.get_suitable_cache_subpath
        self._cache_path = os.fspath(folder / subpath(py_file))
