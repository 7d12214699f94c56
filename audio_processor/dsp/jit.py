"""How the hot loops are compiled: once, to a cache on disk, and without the interpreter's lock.

numba looks at a kernel's own file alone to tell whether its cache is stale. So a kernel takes
what other modules define as an argument, and the functions it calls from them stay as they are.

Write kernels so that LLVM can vectorise them: index arrays that begin where the loop does
(slice first), because an index that might be negative costs numba a test per access and
the vector unit with it; sums that may be reordered say so with ``reassociate``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

import numba

from audio_processor.dsp.prebuilt import ReadOnlyCache, choose_prebuilt

P = ParamSpec("P")
R = TypeVar("R")

KERNELS: list[Any] = []
"""Every kernel of the modules that are loaded: numba's dispatchers, with what each compiled."""

_PREBUILT = choose_prebuilt()


def kernel(
    *, contract: bool = True, reassociate: bool = False
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return the decorator that compiles a function at its first call.

    ``contract`` lets a multiplication and an addition round once (FMA); ``reassociate``
    lets a reduction be summed in another order. Neither changes what NaN or infinity do.
    Give each kernel arrays of one type and layout only: every further one compiles anew.
    """
    flags = ({"contract"} if contract else set()) | ({"reassoc", "nsz"} if reassociate else set())

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        compiled: Any = numba.njit(nogil=True, fastmath=flags)(function)
        KERNELS.append(compiled)
        if _PREBUILT is not None:
            compiled._cache = ReadOnlyCache(function, _PREBUILT)
        else:
            with suppress(RuntimeError):  # no folder to write to: every process compiles anew
                compiled.enable_caching()
        kept: Callable[P, R] = compiled
        return kept

    return decorate


def _load_registries_without_scipy() -> None:
    """Let numba load what it needs before a first call, but for its linear algebra.

    Only to learn whether matrix products are to be had, numba imports ``scipy.linalg`` where
    scipy is installed: 16 MiB of memory that no kernel here has a use for.
    """
    if "scipy.linalg" in sys.modules or "numba.np.arraymath" in sys.modules:
        return
    scipy = sys.modules.get("scipy")
    sys.modules["scipy"] = None  # type: ignore[assignment]  # what makes an import fail
    try:
        import numba.np.arraymath  # noqa: F401  # for its effect
    finally:
        del sys.modules["scipy"]
        if scipy is not None:
            sys.modules["scipy"] = scipy


_load_registries_without_scipy()
