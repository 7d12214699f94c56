"""What each tier's gain must be for it to come out as loud as the plan promised. Pure.

A lower ceiling takes loudness by limiting, a low-rate codec by cutting off the treble. Both
can be foreseen from the analysis, and a forecast is cheaper than a second encode.
"""

from __future__ import annotations

from functools import cached_property

from audio_processor.dsp.spectrum import band_limit_loss_lu
from audio_processor.mastering.governor import reach
from audio_processor.mastering.rider import ridden
from audio_processor.model import Analysis, Envelope, Plan, Spectrum

MAX_TRIM_DB = 6.0
CODING_LOSS_LU = 0.05
"""What an encode loses besides its treble: the mean over 21 tracks at each tier and ceiling,
0.04 … 0.08 LU."""


def levelled_envelope(analysis: Analysis, plan: Plan) -> Envelope:
    """Return the envelope after the rider, for all tiers to share: hours of it are megabytes."""
    envelope, rider = analysis.envelope, plan.rider
    return envelope if rider is None else ridden(envelope, rider)


class TierForecast:
    """One tier's forecasts, from the envelope that ``levelled_envelope`` gave."""

    def __init__(
        self, envelope: Envelope, spectrum: Spectrum | None, plan: Plan, cutoff_hz: float
    ) -> None:
        self._envelope = envelope
        self._spectrum = spectrum
        self._plan = plan
        self._cutoff_hz = cutoff_hz
        self._trims: dict[float, float] = {}

    def trim_db(self, ceiling_dbtp: float) -> float:
        """Return what to add to the plan's gain under a limiter at ``ceiling_dbtp``."""
        if self._plan.predicted_lufs is None:
            return 0.0
        if ceiling_dbtp not in self._trims:
            reached = reach(
                self._envelope,
                self._plan.predicted_lufs + self.band_loss_lu + CODING_LOSS_LU,
                ceiling_dbtp,
                self._plan.gain_db + MAX_TRIM_DB,
            )
            self._trims[ceiling_dbtp] = reached.gain_db - self._plan.gain_db
        return self._trims[ceiling_dbtp]

    @cached_property
    def band_loss_lu(self) -> float:
        """What the tier's cut takes of the programme's loudness, in LU."""
        if self._spectrum is None:
            return 0.0
        return band_limit_loss_lu(self._spectrum, self._cutoff_hz)
