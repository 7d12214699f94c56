"""The house's mastering: from what an upload wishes for to its treatment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from audio_processor.mastering.catalogue import LEVEL_DEPENDENT
from audio_processor.mastering.chain import Chain
from audio_processor.mastering.preset import Preset, packaged
from audio_processor.mastering.profile import Profile
from audio_processor.mastering.profile_file import fingerprint
from audio_processor.mastering.recipe import Defaults, Recipe, resolve, settle
from audio_processor.mastering.stages.input_level import InputLevel
from audio_processor.mastering.stages.reference_match import ReferenceMatch
from audio_processor.mastering.treatment import Treatment
from audio_processor.model import Mastering, Targets


class Ears(Protocol):
    """A track as it can be listened to; each call decodes it."""

    def level(self) -> float | None:
        """Return the source's integrated loudness in LUFS, None where it has none."""

    def profile(self, chain: Chain) -> Profile:
        """Return the profile of what comes out of the chain: dearer than a level."""


@dataclass(frozen=True, slots=True)
class Studio:
    """Targets and defaults, all presets by name, and the stored profiles by name."""

    targets: Targets
    defaults: Defaults
    presets: Mapping[str, Preset] = field(default_factory=packaged)
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    told_as: Mapping[str, str] = field(default_factory=dict)
    """What is told of a profile instead of its name: the files that a command was given."""

    def recipe(self, wish: str | None) -> Recipe:
        """Return what can be said of a track's mastering before it is heard.

        Raises ``MasteringRejected`` for what the wish says, ``ConfigError`` for what the
        house does.
        """
        return resolve(wish, self.defaults, self.presets, self.profiles)

    def treatment(self, wish: str | None, ears: Ears) -> Treatment:
        """Return the treatment of a track; it is listened to where its sound decides.

        ``auto`` listens to the source, as do stages that are set in dBFS; a match listens to
        what the other stages make of it. Raises as ``recipe`` does, and what listening raises.
        """
        recipe = self.recipe(wish)
        level_lufs: float | None = None
        if recipe.auto:
            heard = ears.profile(Chain())
            level_lufs = heard.loudness.integrated_lufs
            recipe = settle(recipe, heard, self.presets)
        elif _needs_its_level(recipe):
            level_lufs = ears.level()
        stages, warnings = recipe.stages, recipe.warnings
        if _needs_its_level(recipe):
            stages = (InputLevel.for_loudness(level_lufs), *stages)
        reference, figures = recipe.reference, None
        if reference is not None:
            goal = self.profiles[reference]
            match = ReferenceMatch(recipe.match_strength_percent).toward(
                ears.profile(Chain(stages)), goal
            )
            stages = (*stages, match)
            figures = match.curve.figures(fingerprint(goal))
            reference = self.told_as.get(reference, reference)
            if match.curve.is_flat:
                warnings = (*warnings, "There is nothing to match: the track has no loudness.")
        targets = self.targets
        if recipe.integrated_lufs is not None:
            targets = replace(targets, integrated_lufs=recipe.integrated_lufs)
        mastering = Mastering(
            recipe.preset,
            recipe.version,
            reason=recipe.reason,
            reference=reference,
            match=figures,
        )
        return Treatment(mastering, Chain(stages), targets, warnings)


def _needs_its_level(recipe: Recipe) -> bool:
    return any(
        isinstance(stage, LEVEL_DEPENDENT) and not stage.is_neutral for stage in recipe.stages
    )
