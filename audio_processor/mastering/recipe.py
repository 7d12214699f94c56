"""From what was asked for to what is done: the preset, its changes, the reference. Pure.

``resolve`` decides what can be decided without the sound; where ``needs_survey`` says so the
track is listened to, and ``settle`` decides the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from audio_processor.errors import ConfigError, MasteringRejected
from audio_processor.mastering.auto import choose
from audio_processor.mastering.preset import Changes, Preset, changed
from audio_processor.mastering.refusal import Refused, shown
from audio_processor.mastering.request import Wish, read_wish
from audio_processor.mastering.stage import MasteringStage
from audio_processor.settings.mastering import AUTO
from audio_processor.spelling import hint

if TYPE_CHECKING:
    from audio_processor.mastering.profile import Profile

OFF = "off"


class Defaults(Protocol):
    """What the house does with an upload that asks for nothing: ``MasteringSettings``."""

    @property
    def preset(self) -> str: ...  # noqa: D102  # as in the settings
    @property
    def reference(self) -> str | None: ...  # noqa: D102
    @property
    def match_strength_percent(self) -> float: ...  # noqa: D102
    @property
    def allow_upload_settings(self) -> bool: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is to be done to one track."""

    preset: str
    """``auto`` until the track was surveyed."""
    version: int
    stages: tuple[MasteringStage, ...] = ()
    """In the chain's order, without the match: that stage is made from the survey."""
    changes: Changes = field(default_factory=dict)
    """What the upload wants otherwise than the preset; in ``stages`` already, but for auto."""
    reason: str | None = None
    """Why this preset, where it was chosen and not named."""
    reference: str | None = None
    """Name of a stored profile to match."""
    match_strength_percent: float = 100.0
    integrated_lufs: float | None = None
    """The upload's own target; None where the house's holds."""
    warnings: tuple[str, ...] = ()

    @property
    def auto(self) -> bool:
        """Whether the preset is still to be chosen."""
        return self.preset == AUTO

    @property
    def needs_survey(self) -> bool:
        """Whether the track has to be listened to before its chain is known."""
        return self.auto or self.reference is not None


def resolve(
    wish: str | None, defaults: Defaults, presets: Mapping[str, Preset], profiles: Collection[str]
) -> Recipe:
    """Return what is to be done to a track whose row says ``wish``.

    ``profiles`` are the names of the stored ones: an upload can name no other reference.
    Raises ``MasteringRejected`` for what the row says, ``ConfigError`` for what the house does.
    """
    warnings: tuple[str, ...] = ()
    if wish is not None and wish.strip() and not defaults.allow_upload_settings:
        wish = None
        warnings = ("The upload's own mastering settings are not honoured here.",)
    asked = read_wish(wish)
    preset = _preset(asked, defaults, presets)
    reference, more = _reference(asked, defaults, profiles)
    strength = asked.match_strength_percent
    recipe = Recipe(
        preset=AUTO,
        version=1,
        changes=asked.changes,
        reference=reference,
        match_strength_percent=defaults.match_strength_percent if strength is None else strength,
        integrated_lufs=asked.integrated_lufs,
        warnings=(*warnings, *more),
    )
    return recipe if preset is None else _with(recipe, preset)


def settle(recipe: Recipe, survey: Profile, presets: Mapping[str, Preset]) -> Recipe:
    """Return the recipe with the preset that suits the track, where one is to be chosen."""
    if not recipe.auto:
        return recipe
    choice = choose(survey)
    return replace(_with(recipe, presets[choice.preset]), reason=choice.reason)


def _with(recipe: Recipe, preset: Preset) -> Recipe:
    try:
        stages = changed(preset.stages, recipe.changes)
    except Refused as error:
        raise MasteringRejected(error.in_words("mastering.stages")) from error
    return replace(recipe, preset=preset.name, version=preset.version, stages=stages)


def _preset(asked: Wish, defaults: Defaults, presets: Mapping[str, Preset]) -> Preset | None:
    """Return the preset by its name, or None for ``auto``."""
    name = defaults.preset if asked.preset is None else asked.preset
    if name == AUTO:
        return None
    if name in presets:
        return presets[name]
    sentence = f"is {shown(name)}, and there is no such preset{hint(name, (*presets, AUTO))}"
    text = Refused("preset", sentence).in_words("mastering")
    raise ConfigError(text) if asked.preset is None else MasteringRejected(text)


def _reference(
    asked: Wish, defaults: Defaults, profiles: Collection[str]
) -> tuple[str | None, tuple[str, ...]]:
    """Return the reference's name, and warnings."""
    name = asked.reference
    if name is not None and name not in profiles:
        there = hint(name, profiles) if profiles else "; none is configured"
        sentence = f"is {shown(name)}, and there is no such profile{there}"
        raise MasteringRejected(Refused("reference", sentence).in_words("mastering"))
    if name is None and not asked.refuses_reference and asked.preset != OFF:
        name = defaults.reference
        if name is not None and name not in profiles:
            raise ConfigError(f"mastering.reference is {shown(name)}, not in mastering.profiles.")
    strength = asked.match_strength_percent
    if strength is not None and name is None:
        return None, ("match_strength_percent has no effect: there is no reference to match.",)
    silent = (defaults.match_strength_percent if strength is None else strength) == 0.0
    return None if silent else name, ()
