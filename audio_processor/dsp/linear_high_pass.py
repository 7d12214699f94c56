"""A high-pass that moves no phase: the stream less four moving averages of it in a row.

The averages are of one length N, so their response is the fourth power of a Dirichlet kernel:
``|H| = 1 − (sin πfN / N sin πf)⁴``, f in cycles a frame. It is real and never negative, so the
filter is symmetric in time, turns no phase and amplifies nothing; DC comes out as nothing; it
falls by 12 dB an octave towards it and lies within 0.02 dB of 0 dB from 2 cutoffs up. The
latency, ``2 (N − 1)``, is whole for every N. (Hogenauer, "An economical class of digital filters",
IEEE ASSP-29, 1981, has the averages; Vaidyanathan, *Multirate Systems*, 1993, the complement.)

A moving average costs two additions a frame whatever N is, but one that adds what comes and
subtracts what goes gathers rounding errors for ever, and a decoder's spike of +84 dB leaves
its own behind. Here nothing is subtracted. Time is cut into hops of N frames: a sum that ends
within a hop is what has come of it plus what the end of the hop before adds up to, and the
latter is summed anew, backwards, when each hop is full (van Herk's way, 1992, to a running
maximum). So every sum is of its own N values and knows nothing of older ones: after 4 hops a
spike is gone to the last bit, after as much digital silence the sums are exactly nothing,
and the error is at most ``4 N · 2⁻⁵³`` of the loudest sample within the filter's reach: −221 dB
where N is largest, at 10 Hz and 384 kHz.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.jit import kernel
from audio_processor.model import Block

AVERAGES: Final = 4
LARGEST: Final = float(np.finfo(np.float32).max)


class LinearHighPass:
    """Filters a stereo stream, blocks of any size; every cut of it gives the same bits.

    ``offsets`` are the two channels' levels before the first frame: it begins as if they had
    always been. What comes out is late by ``latency_frames``, and its first so many frames
    belong to what was before.
    """

    def __init__(self, average_frames: int, offsets: NDArray[np.float64]) -> None:
        self.latency_frames = AVERAGES * (average_frames - 1) // 2
        self._history = np.zeros((self.latency_frames, 2), np.float32)
        self._tails = np.zeros((AVERAGES, average_frames + 1, 2))
        """By average: what the hop before adds up to from each frame to its end; up to the
        present place, this hop's values instead."""
        left_in_hop = np.arange(average_frames, -1, -1.0)[:, np.newaxis]
        for k in range(AVERAGES):
            self._tails[k] = left_in_hop * offsets * float(average_frames) ** k
        self._sums = np.zeros((AVERAGES, 2))
        """By average: what has come of this hop."""
        self._place = 0

    def process(self, block: Block) -> Block:
        """Return as many frames as the block has, late, as a new array."""
        window = np.concatenate((self._history, block))
        out = np.empty((len(block), 2), np.float32)
        newest = window[self.latency_frames :]
        self._place = _filter(window, newest, self._tails, self._sums, self._place, out)
        self._history = window[len(block) :].copy()
        return out


@kernel()
def _filter(
    late: Block,
    newest: Block,
    tails: NDArray[np.float64],
    sums: NDArray[np.float64],
    place: int,
    out: Block,
) -> int:
    """Filter both channels through all averages, frame by frame; return the place in the hop.

    ``late`` begins the latency before ``newest``. The eight sums do not wait for each other.
    """
    hop = tails.shape[1] - 1
    scale = 1.0 / float(hop) ** AVERAGES
    done = 0
    while done < out.shape[0]:
        span = min(hop - place, out.shape[0] - done)
        a, b, c, d = tails[0, place:], tails[1, place:], tails[2, place:], tails[3, place:]
        x, old, y = newest[done:], late[done:], out[done:]
        a0, a1, b0, b1 = sums[0, 0], sums[0, 1], sums[1, 0], sums[1, 1]
        c0, c1, d0, d1 = sums[2, 0], sums[2, 1], sums[3, 0], sums[3, 1]
        for i in range(span):
            left, right = np.float64(x[i, 0]), np.float64(x[i, 1])
            a0 += left
            a1 += right
            a[i, 0], a[i, 1] = left, right
            left, right = a0 + a[i + 1, 0], a1 + a[i + 1, 1]
            b0 += left
            b1 += right
            b[i, 0], b[i, 1] = left, right
            left, right = b0 + b[i + 1, 0], b1 + b[i + 1, 1]
            c0 += left
            c1 += right
            c[i, 0], c[i, 1] = left, right
            left, right = c0 + c[i + 1, 0], c1 + c[i + 1, 1]
            d0 += left
            d1 += right
            d[i, 0], d[i, 1] = left, right
            left, right = d0 + d[i + 1, 0], d1 + d[i + 1, 1]
            y[i, 0] = min(max(old[i, 0] - scale * left, -LARGEST), LARGEST)
            y[i, 1] = min(max(old[i, 1] - scale * right, -LARGEST), LARGEST)
        sums[0, 0], sums[0, 1], sums[1, 0], sums[1, 1] = a0, a1, b0, b1
        sums[2, 0], sums[2, 1], sums[3, 0], sums[3, 1] = c0, c1, d0, d1
        done += span
        place += span
        if place == hop:
            _turn(tails)
            sums[:] = 0.0
            place = 0
    return place


@kernel()
def _turn(tails: NDArray[np.float64]) -> None:
    """Turn a full hop's values, in place, into what each and those behind it add up to."""
    a, b, c, d = tails[0], tails[1], tails[2], tails[3]
    a0, a1, b0, b1 = 0.0, 0.0, 0.0, 0.0
    c0, c1, d0, d1 = 0.0, 0.0, 0.0, 0.0
    for back in range(tails.shape[1] - 1):
        i = tails.shape[1] - 2 - back
        a0 += a[i, 0]
        a1 += a[i, 1]
        a[i, 0], a[i, 1] = a0, a1
        b0 += b[i, 0]
        b1 += b[i, 1]
        b[i, 0], b[i, 1] = b0, b1
        c0 += c[i, 0]
        c1 += c[i, 1]
        c[i, 0], c[i, 1] = c0, c1
        d0 += d[i, 0]
        d1 += d[i, 1]
        d[i, 0], d[i, 1] = d0, d1
