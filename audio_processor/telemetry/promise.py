"""What every delivered rendition is to measure, and which of its limits one has passed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from audio_processor.model import LimitedBy, RenditionSummary

Limit = Literal["too_loud", "too_quiet", "kept_quiet", "true_peak"]
LIMITS: Final[tuple[Limit, ...]] = ("too_loud", "too_quiet", "kept_quiet", "true_peak")
M4A = "m4a"
PLANNED_LU = 0.05
"""How far from the target a plan may land and still count as there; verify judges from there."""
_UNTOUCHED: frozenset[LimitedBy | None] = frozenset({"silence", "too_short"})


@dataclass(frozen=True, slots=True)
class Promise:
    """The house's target and the limits around it, as its settings have them."""

    integrated_lufs: float = -14.0
    tolerance_lu: float = 0.3
    true_peak_dbtp: float = -1.0
    tiers: tuple[str, ...] = ()
    """Names of what is delivered, the m4a aside."""

    @property
    def renditions(self) -> tuple[str, ...]:
        """Names of all that is delivered."""
        return (*self.tiers, M4A) if self.tiers else ()

    def passed(self, rendition: RenditionSummary) -> Iterator[Limit]:
        """Yield the limits that the rendition's measurements are beyond.

        ``kept_quiet`` is below the target for the reason that it states, ``too_quiet`` for none.
        What is too short to be mastered is delivered as loud as it came.
        """
        if rendition.integrated_lufs is not None:
            error_lu = rendition.integrated_lufs - self.integrated_lufs
            allowed_lu = self.tolerance_lu + PLANNED_LU
            if error_lu > allowed_lu and rendition.limited_by not in _UNTOUCHED:
                yield "too_loud"
            if error_lu < -allowed_lu:
                yield "too_quiet" if rendition.limited_by is None else "kept_quiet"
        peak_dbtp = rendition.true_peak_dbtp
        if peak_dbtp is not None and peak_dbtp > self.true_peak_dbtp:
            yield "true_peak"
