"""Loudness by ITU-R BS.1770-5, EBU Tech 3341 (M, S, I) and Tech 3342 (LRA), streamed.

Memory: one number per 100 ms (under 1 MB for three hours) and the last 3 s in hops.
"""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp import gating
from audio_processor.dsp.filters import KWeightedEnergy
from audio_processor.dsp.intake import CHUNK_TENTHS, Intake
from audio_processor.model import Block, Loudness


class LoudnessTally:
    """Turns the energy of successive hops into the programme's loudness figures."""

    def __init__(self, layout: gating.HopLayout) -> None:
        self._layout = layout
        self._tenths = array("d")
        self._recent = np.empty(0)
        self._momentary_max = 0.0
        self._short_term_max = 0.0

    def add(self, hop_sums: NDArray[np.float64], frames: int) -> None:
        """Take a chunk's hops: channel-weighted sums of K-weighted squares.

        A chunk begins on a tenth; ``frames`` is its length, and only the last chunk's may
        end within a hop, which then belongs to no window.
        """
        whole = hop_sums[: frames // self._layout.hop_frames]
        per_tenth = self._layout.hops_per_tenth
        tenths = whole[: whole.size // per_tenth * per_tenth].reshape(-1, per_tenth)
        self._tenths.extend(tenths.sum(axis=1) / self._layout.tenth_frames)
        hops = np.concatenate((self._recent, whole))
        total = np.concatenate(((0.0,), np.cumsum(hops)))
        self._momentary_max = max(
            self._momentary_max, self._largest(total, gating.TENTHS_PER_MOMENTARY)
        )
        self._short_term_max = max(
            self._short_term_max, self._largest(total, gating.TENTHS_PER_SHORT_TERM)
        )
        self._recent = hops[-gating.TENTHS_PER_SHORT_TERM * per_tenth :]

    def _largest(self, total: NDArray[np.float64], tenths: int) -> float:
        """Return the largest mean square of the complete windows, one beginning at each hop."""
        width = tenths * self._layout.hops_per_tenth
        if total.size <= width:
            return 0.0
        largest = float((total[width:] - total[:-width]).max())
        return largest / (tenths * self._layout.tenth_frames)

    @property
    def tenths(self) -> NDArray[np.float64]:
        """The mean square of each complete 100 ms so far."""
        return np.array(self._tenths)

    def figures(
        self, *, true_peak_dbtp: float | None = None, sample_peak_dbfs: float | None = None
    ) -> Loudness:
        """Return the figures of what was taken so far, with the given peaks."""
        tenths = self.tenths
        return Loudness(
            integrated_lufs=gating.integrated_lufs(tenths),
            range_lu=gating.loudness_range_lu(tenths),
            true_peak_dbtp=true_peak_dbtp,
            sample_peak_dbfs=sample_peak_dbfs,
            momentary_max_lufs=gating.lufs(self._momentary_max),
            short_term_max_lufs=gating.lufs(self._short_term_max),
        )


class LoudnessMeter:
    """Measures loudness alone; ``measure.LevelMeter`` measures the peaks with it.

    Mono counts as dual mono: one channel at weight 2. Stereo, 5.0 and 5.1 have the weights
    of BS.1770-5; for other layouts, or to measure mono as one loudspeaker, give your own.
    Momentary and short-term maxima are found by windows that begin every 5 ms or so, for
    Tech 3341's cases 10 and 13 want bursts of a window's length measured wherever they
    begin. A figure that needs more audio than there was (400 ms for I and M, 3 s for S and
    LRA), or is that of silence, is None.
    """

    def __init__(
        self,
        sample_rate_hz: int,
        channels: int,
        channel_weights: tuple[float, ...] | None = None,
    ) -> None:
        layout = gating.hop_layout(sample_rate_hz)
        self._intake = Intake(sample_rate_hz, channels, CHUNK_TENTHS * layout.tenth_frames)
        self._energy = KWeightedEnergy(sample_rate_hz, channels, layout.hop_frames, channel_weights)
        self._tally = LoudnessTally(layout)

    def push(self, block: Block) -> None:
        """Take a block of shape ``(frames, channels)``, of any length.

        Raises ``CorruptMedia`` for NaN or infinity, ``ValueError`` once it was read out.
        """
        for chunk in self._intake.push(block):
            self._tally.add(self._energy.take(chunk), chunk.frames)

    def result(self) -> Loudness:
        """Close the meter and return its figures; those of the peaks are None."""
        self._finish()
        return self._tally.figures()

    def momentary_series(self) -> NDArray[np.float64]:
        """Close the meter and return M in LUFS every 100 ms, the first one at 0.4 s.

        NaN where there is digital silence for as long.
        """
        self._finish()
        return _series(gating.momentary_mean_squares(self._tally.tenths))

    def short_term_series(self) -> NDArray[np.float64]:
        """Close the meter and return S in LUFS every 100 ms, the first one at 3 s.

        NaN where there is digital silence for as long.
        """
        self._finish()
        return _series(gating.short_term_mean_squares(self._tally.tenths))

    def _finish(self) -> None:
        for chunk in self._intake.rest():
            self._tally.add(self._energy.take(chunk), chunk.frames)


def _series(squares: NDArray[np.float64]) -> NDArray[np.float64]:
    audible = np.where(squares > 0.0, squares, np.nan)
    series: NDArray[np.float64] = gating.LUFS_OFFSET_DB + 10.0 * np.log10(audible)
    return series
