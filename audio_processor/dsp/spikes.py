"""Decoder spikes: single samples tens of decibels above full scale that no artist put there.

A damaged frame can make a decoder emit one sample at +84 dBFS and play on. Taken as music it
would set the true peak, the loudness and so the gain of the whole track.

The rule, per channel: a sample is a spike when it is at +12 dBFS or more, at most
``MAX_NEIGHBOURS`` samples within ``CONTEXT_FRAMES`` either side of it are as loud as that,
and it stands 12 dB or more above all the others there. A float master that truly peaks so
high has louder neighbours, a burst of noise has more of them: both are left alone. A spike
is replaced by the straight line between its nearest sound neighbours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.jit import kernel

THRESHOLD = np.float32(10.0 ** (12.0 / 20.0))
MARGIN = np.float32(10.0 ** (12.0 / 20.0))
CONTEXT_FRAMES = 32
MAX_NEIGHBOURS = 3


def repair_spikes(samples: NDArray[np.float32], begin: int, end: int) -> int:
    """Repair columns ``begin`` to ``end`` of planar audio in place; return the spikes found.

    The ``CONTEXT_FRAMES`` columns before (repaired already) and after (not yet) must exist.
    """
    return _repair(samples, begin, end)


@kernel()
def _repair(samples: NDArray[np.float32], begin: int, end: int) -> int:
    found = 0
    for channel in range(samples.shape[0]):
        plane = samples[channel]
        for i in range(begin, end):
            level = abs(plane[i])
            if level < THRESHOLD:
                continue
            as_loud = -1  # the sample itself
            loudest_other = np.float32(0.0)
            for j in range(i - CONTEXT_FRAMES, i + CONTEXT_FRAMES + 1):
                other = abs(plane[j])
                if other >= THRESHOLD:
                    as_loud += 1
                else:
                    loudest_other = max(loudest_other, other)
            if as_loud > MAX_NEIGHBOURS or level < MARGIN * loudest_other:
                continue
            found += 1
            following = i + 1
            while abs(plane[following]) >= THRESHOLD:
                following += 1  # ends: at most MAX_NEIGHBOURS are as loud
            plane[i] = plane[i - 1] + (plane[following] - plane[i - 1]) / (following - i + 1)
    return found
