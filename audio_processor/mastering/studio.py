"""The house's mastering: from what an upload wishes for to its treatment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audio_processor.mastering.chain import Chain
from audio_processor.mastering.treatment import Treatment
from audio_processor.model import Mastering, Targets

if TYPE_CHECKING:
    from audio_processor.mastering.profile import Profile

    Survey = Callable[[Chain], Profile]


@dataclass(frozen=True, slots=True)
class Studio:
    """Presets, stored profiles and defaults."""

    targets: Targets

    def treatment(self, wish: str | None, survey: Survey) -> Treatment:
        """Return the treatment of a track; ``survey`` is called where its sound decides."""
        del wish, survey
        return Treatment(Mastering("off", 1), Chain(), self.targets)
