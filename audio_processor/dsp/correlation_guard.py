"""A guard on the correlation of left and right: how much may be added to a side signal.

A programme of mid M and side B is to get X on top of its side. Over a window the energies and
products of M, B and X tell what left (M+B+aX) and right (M−B−aX) would correlate at any share
a of X, so the largest share that keeps a floor follows without trying it on the signal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.jit import kernel
from audio_processor.model import Block

HOP_S = 0.010
HOPS = 32
"""Hops in a chunk. The guard looks 30 hops ahead and as many back, so one chunk each way."""
WINDOW_HOPS = 10
"""A correlation is taken over a hop and this many on either side: 0.21 s."""
SMOOTH_HOPS = 5
"""The share follows with a Hann-shaped slope this long on either side."""
PRODUCTS = 6
"""Σ of M², B², X², B·X, M·B, M·X."""
SILENT_POWER = 1e-10
"""Mean square (−100 dBFS) below which a correlation means nothing."""
_STEPS = 16


def hop_frames(sample_rate_hz: int) -> int:
    """Return the length of a hop: 10 ms, to the nearest frame."""
    return max(1, round(HOP_S * sample_rate_hz))


@dataclass(frozen=True, slots=True)
class Shares:
    """What the guard allows in one chunk."""

    points: NDArray[np.float64]
    """Share of X, 0…1, at each hop's beginning and at the last one's end; linear between."""
    reduction: NDArray[np.float32]
    """What that takes off the side's level in each hop: 1 − gain."""


class CorrelationGuard:
    """Takes each chunk's products, gives the shares of the chunk before it.

    Over every window of 0.21 s that is not silent, left and right correlate at ``floor`` or
    more; or, where the programme without X does not, X is left out.
    """

    def __init__(self, floor: float, hop: int) -> None:
        self._floor = floor
        self._silent = SILENT_POWER * hop * (2 * WINDOW_HOPS + 1)
        self._products = np.zeros((3 * HOPS, PRODUCTS))

    def take(self, products: NDArray[np.float64]) -> Shares:
        """Take the next chunk's products, ``(HOPS, PRODUCTS)``; zeros behind the last."""
        self._products[: 2 * HOPS] = self._products[HOPS:].copy()
        self._products[2 * HOPS :] = products
        shares = Shares(np.empty(HOPS + 1), np.empty(HOPS, dtype=np.float32))
        _allow(self._products, self._floor, self._silent, shares.points, shares.reduction)
        return shares


@kernel(reassociate=True)
def add_products(
    block: Block,
    extra: NDArray[np.float32],
    kept: float,
    hop: int,
    products: NDArray[np.float64],
) -> None:
    """Sum the products of each hop: B is ``kept`` times the block's side, X is ``extra``."""
    for h in range(-(-extra.size // hop)):
        pairs = block[h * hop : (h + 1) * hop]
        added = extra[h * hop : (h + 1) * hop]
        mm = bb = xx = bx = mb = mx = 0.0
        for i in range(added.size):
            left, right = np.float64(pairs[i, 0]), np.float64(pairs[i, 1])
            m = 0.5 * (left + right)
            b = kept * (0.5 * (left - right))
            x = np.float64(added[i])
            mm += m * m
            bb += b * b
            xx += x * x
            bx += b * x
            mb += m * b
            mx += m * x
        products[h, 0], products[h, 1], products[h, 2] = mm, bb, xx
        products[h, 3], products[h, 4], products[h, 5] = bx, mb, mx


@kernel()
def _allow(
    products: NDArray[np.float64],
    floor: float,
    silent: float,
    points: NDArray[np.float64],
    reduction: NDArray[np.float32],
) -> None:
    """Fill the middle chunk's shares.

    A point is the least of what the windows around it ask for, wide enough that its smoothed
    value is still below what every window that contains it asks for.
    """
    total = products.shape[0]
    asked = np.ones(total)
    window = np.empty(PRODUCTS)
    for c in range(WINDOW_HOPS, total - WINDOW_HOPS):
        window[:] = 0.0
        for h in range(c - WINDOW_HOPS, c + WINDOW_HOPS + 1):
            for k in range(PRODUCTS):
                window[k] += products[h, k]
        if window[0] + window[1] + window[2] > silent:
            asked[c] = _share(window, floor)
    least = np.ones(total)
    reach = WINDOW_HOPS + SMOOTH_HOPS
    for i in range(reach + 1, total - reach):
        for c in range(i - 1 - reach, i + reach + 1):
            least[i] = min(least[i], asked[c])
    for i in range(points.size):
        weights = 0.0
        smooth = 0.0
        for d in range(-SMOOTH_HOPS, SMOOTH_HOPS + 1):
            weight = 1.0 + math.cos(math.pi * d / (SMOOTH_HOPS + 1))
            weights += weight
            smooth += weight * least[HOPS + i + d]
        points[i] = smooth / weights
    for h in range(reduction.size):
        whole = _side_energy(products[HOPS + h], 1.0)
        left = _side_energy(products[HOPS + h], 0.5 * (points[h] + points[h + 1]))
        reduction[h] = 1.0 - math.sqrt(left / whole) if 0.0 <= left < whole else 0.0


@kernel()
def _share(window: NDArray[np.float64], floor: float) -> float:
    """Return the largest share at which the window correlates at ``floor``, by bisection.

    None where the window is below it as it is: with X it might not be, but its neighbours may
    ask for less of X, and less may be worse than all or nothing.
    """
    if _correlation(window, 0.0) < floor:
        return 0.0
    if _correlation(window, 1.0) >= floor:
        return 1.0
    kept, refused = 0.0, 1.0
    for _ in range(_STEPS):
        middle = 0.5 * (kept + refused)
        if _correlation(window, middle) >= floor:
            kept = middle
        else:
            refused = middle
    return kept


@kernel()
def _correlation(window: NDArray[np.float64], share: float) -> float:
    """Return left and right's correlation; 1 where one of them is silent and there is none."""
    middle, side = window[0], _side_energy(window, share)
    crossed = window[4] + share * window[5]
    both = middle + side
    square = both * both - 4.0 * crossed * crossed
    if square <= 1e-12 * both * both:
        return 1.0
    return float((middle - side) / math.sqrt(square))


@kernel()
def _side_energy(products: NDArray[np.float64], share: float) -> float:
    """Return Σ (B + share·X)²."""
    return float(products[1] + share * (2.0 * products[3] + share * products[2]))
