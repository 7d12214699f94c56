"""A treatment: everything decided about one track's mastering before its audio is analysed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from audio_processor.mastering.chain import Chain
from audio_processor.model import Mastering, StageFigures, Targets


@dataclass(frozen=True, slots=True)
class Treatment:
    """Which stages a track passes, what it is to measure, and under which name that goes."""

    mastering: Mastering
    """What is known of it before the chain has run: no stage's figures yet."""
    chain: Chain
    targets: Targets
    warnings: tuple[str, ...] = ()

    def told(self, stages: tuple[StageFigures, ...]) -> Mastering:
        """Return the mastering with what its stages did."""
        return replace(self.mastering, stages=stages)
