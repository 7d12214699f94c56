"""The stages there are, in the chain's order, and how a table of numbers becomes one of them.

First what cleans up, then tone, dynamics, colour and the stereo image. The match with a
reference is last: it corrects what all the others have made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from audio_processor.mastering.parameters import Range, parameters
from audio_processor.mastering.refusal import Refused, number, shown, shown_key
from audio_processor.mastering.stage import MasteringStage
from audio_processor.mastering.stages.character import Character
from audio_processor.mastering.stages.de_esser import DeEsser
from audio_processor.mastering.stages.equaliser import Equaliser
from audio_processor.mastering.stages.glow import HarmonicGlow
from audio_processor.mastering.stages.high_pass import HighPass
from audio_processor.mastering.stages.masking_eq import MaskingEqualiser
from audio_processor.mastering.stages.mono_sub import MonoSub
from audio_processor.mastering.stages.multiband import ONE_KNOB, MultibandCompressor
from audio_processor.mastering.stages.section_lift import SectionLift
from audio_processor.mastering.stages.transient import TransientSculpt
from audio_processor.mastering.stages.width import StereoWidth
from audio_processor.spelling import hint

Change = Mapping[str, float]
"""Parameters of one stage that are set; the others stay."""

_CLASSES: tuple[Any, ...] = (
    HighPass,
    DeEsser,
    MaskingEqualiser,
    Equaliser,
    MultibandCompressor,
    Character,
    HarmonicGlow,
    TransientSculpt,
    SectionLift,
    StereoWidth,
    MonoSub,
)
STAGES: Mapping[str, Any] = MappingProxyType({stage.name: stage for stage in _CLASSES})
"""The classes of the stages that can be set, by name, in the order of the chain."""

ORDER = ("input_level", *STAGES, "reference_match")
"""All stages in the order of the chain: the first and the last are made from what was heard,
never set."""

LEVEL_DEPENDENT = (MultibandCompressor, Character)
"""Stages whose parameters are in dBFS: a chain with one of them is given its input level."""

COMPRESSION_RATIO = "compression_ratio"
"""The multiband compressor's one knob: it stands for thresholds, ratios and make-up gains."""


def in_order(stages: Iterable[MasteringStage]) -> tuple[MasteringStage, ...]:
    """Return the stages as the signal is to meet them."""
    return tuple(sorted(stages, key=lambda stage: ORDER.index(stage.name)))


def settable(stage: str) -> Mapping[str, Range]:
    """Return what can be set of a stage, with its ranges: the parameters, and a knob first."""
    ranges = {field.name: allowed for field, allowed in parameters(STAGES[stage])}
    if stage == MultibandCompressor.name:
        return {COMPRESSION_RATIO: ONE_KNOB, **ranges}
    return ranges


def read_change(stage: str, table: Any) -> Change | None:
    """Return what a stage's table sets: None for ``false``, nothing but the stage for ``true``.

    Raises ``Refused`` for a stage or parameter that does not exist, and for a value that is
    no number within its range.
    """
    if stage not in STAGES:
        raise Refused(shown_key(stage), f"is no stage{hint(stage, STAGES)}")
    match table:
        case bool():
            return {} if table else None
        case Mapping():
            return dict(_read_parameters(stage, table))
        case _:
            what = "a table of its parameters, true or false"
            raise Refused(stage, f"is {shown(table)}; it must be {what}")


def _read_parameters(stage: str, table: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    ranges = settable(stage)
    found: dict[str, float] = {}
    for key, value in table.items():
        if key not in ranges:
            raise Refused(f"{stage}.{shown_key(key)}", f"does not exist{hint(key, ranges)}")
        found[key] = number(f"{stage}.{key}", value, ranges[key])
    if COMPRESSION_RATIO in found:  # first, so that what is set beside it wins
        yield from _turned(found.pop(COMPRESSION_RATIO))
    yield from found.items()


def _turned(compression_ratio: float) -> Iterator[tuple[str, float]]:
    """Yield the parameters that the one knob stands for.

    The thresholds too: make-up gains are right for these only, not for another preset's.
    """
    compressor = MultibandCompressor.one_knob(compression_ratio)
    for field, _ in parameters(compressor):
        if field.name.endswith(("_threshold_db", "_ratio", "_makeup_db")):
            yield field.name, getattr(compressor, field.name)
