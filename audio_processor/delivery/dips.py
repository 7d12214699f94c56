"""Brief dips of gain where a codec overshot: the loudness stays, the peak goes. Pure.

What an AAC encoder adds to the peaks it adds in a few places, a handful of milliseconds each.
A lower ceiling for the whole track, or less gain, would answer with the whole track; a dip
answers where the overshoot is. It follows the limiter, so that what the limiter took at that
place already does not count twice.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from audio_processor.model import Dip, GainCurve

HOP_S = 0.005
HOLD_S = 0.012
"""Full depth this far on either side: half an AAC frame at 44.1 kHz."""
RAMP_S = 0.020
"""And this long on the way there and back: too slow to click, too short to be heard as a dip."""
MARGIN_DB = 0.4
"""A dip is so much deeper than the overshoot: the next encode's noise is another."""
MERGE_S = 0.006
MAX_OVERSHOOTS = 120
"""Hops over the limit; more of them are no longer a few places."""


def overshoots(
    peaks: NDArray[np.float32], hop_s: float, lead_s: float, limit_dbtp: float
) -> tuple[Dip, ...]:
    """Return where the decoded peaks, linear and one a hop, are over the limit, and by how much.

    Times are the programme's: ``lead_s`` of decoder delay and padding comes off. At most one
    more than ``MAX_OVERSHOOTS`` are told of.
    """
    limit = 10.0 ** (limit_dbtp / 20.0)
    hops = np.nonzero(peaks > limit)[0][: MAX_OVERSHOOTS + 1]
    return tuple(
        Dip(
            at_s=(float(hop) + 0.5) * hop_s - lead_s,
            depth_db=20.0 * float(np.log10(peaks[hop] / limit)),
        )
        for hop in hops
    )


def deepened(dips: Iterable[Dip], found: Iterable[Dip]) -> tuple[Dip, ...]:
    """Return the dips with what was found on top: deeper where there was one, else a new one."""
    depths = {dip.at_s: dip.depth_db for dip in dips}
    for overshoot in found:
        at_s = min(
            (known for known in depths if abs(known - overshoot.at_s) <= MERGE_S),
            key=lambda known: abs(known - overshoot.at_s),
            default=overshoot.at_s,
        )
        depths[at_s] = depths.get(at_s, 0.0) + overshoot.depth_db + MARGIN_DB
    return tuple(Dip(at_s, depth_db) for at_s, depth_db in sorted(depths.items()))


def dip_curve(dips: Iterable[Dip], duration_s: float) -> GainCurve:
    """Return the gain over the programme: 0 dB but for the dips, the deepest where they meet."""
    times = np.arange(int(duration_s / HOP_S) + 2, dtype=np.float32) * np.float32(HOP_S)
    gain_db = np.zeros(times.size, dtype=np.float32)
    reach_s = HOLD_S + RAMP_S
    for dip in dips:
        first = max(0, int((dip.at_s - reach_s) / HOP_S))
        near = slice(first, max(first, int((dip.at_s + reach_s) / HOP_S) + 2))
        distance_s = np.maximum(np.abs(times[near] - dip.at_s) - HOLD_S, 0.0)
        shape = np.clip(1.0 - distance_s / RAMP_S, 0.0, 1.0)
        gain_db[near] = np.minimum(gain_db[near], -dip.depth_db * shape)
    return GainCurve(hop_s=HOP_S, gain_db=gain_db)
