"""Presets: named settings of the chain, kept as TOML, each stage a table of its parameters.

A table turns its stage on, with the parameters that it does not name at their defaults;
``true`` turns it on as it is, ``false`` off. ``base`` names the preset that one starts from.
The files of those that come with the program are in ``presets/``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

from audio_processor.errors import ConfigError
from audio_processor.mastering.catalogue import STAGES, Change, in_order, read_change
from audio_processor.mastering.parameters import OutOfRange, parameters
from audio_processor.mastering.refusal import Refused, out_of_range, shown
from audio_processor.mastering.stage import MasteringStage
from audio_processor.settings.mastering import AUTO, PRESETS
from audio_processor.spelling import hint

MAX_VERSION = 1_000_000
MAX_ABOUT = 300
MAX_BASES = 16
"""A preset based on one that is based on one …: nobody could follow more."""

Changes = Mapping[str, Change | None]
"""By stage: the parameters that are set; None where the stage is turned off."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A named chain. A change of any parameter is a new version."""

    name: str
    version: int
    about: str
    """One sentence: what it is for."""
    stages: tuple[MasteringStage, ...]
    """In the order of the chain; those that are not here are off."""


def read_changes(tables: Mapping[str, Any]) -> Changes:
    """Return what the stages' tables say, each value checked. Raises ``Refused``."""
    return {stage: read_change(stage, table) for stage, table in tables.items()}


def changed(stages: Iterable[MasteringStage], changes: Changes) -> tuple[MasteringStage, ...]:
    """Return the stages with the changes made, in the chain's order.

    Raises ``Refused`` where parameters that are right by themselves do not go together.
    """
    by_name: dict[str, Any] = {stage.name: stage for stage in stages}
    for name, change in changes.items():
        if change is None:
            by_name.pop(name, None)
            continue
        try:
            before = by_name.get(name)
            by_name[name] = STAGES[name](**change) if before is None else replace(before, **change)
        except OutOfRange as error:
            raise out_of_range(error).within(name) from error
    return in_order(by_name.values())


@cache
def packaged() -> Mapping[str, Preset]:
    """Return the presets that come with the program, in the order of their listing."""
    folder = resources.files("audio_processor.mastering") / "presets"
    tables = {
        name: tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8"))
        for name in PRESETS
    }
    return MappingProxyType(_Reader(tables, {}).all())


def with_house(tables: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Preset]:
    """Return all presets: the program's, and the house's that the configuration gives.

    Raises ``ConfigError`` that names the key and what may stand there.
    """
    try:
        return MappingProxyType({**packaged(), **_Reader(tables, packaged()).all()})
    except Refused as error:
        raise ConfigError(error.in_words("mastering.presets")) from error


def named(name: str, presets: Mapping[str, Preset]) -> Preset:
    """Return the preset of this name. Raises ``ConfigError`` with the nearest that there is."""
    if name == AUTO:
        raise ConfigError("'auto' is no preset: it chooses one of them for each track.")
    if name not in presets:
        text = f"There is no preset {shown(name)}{hint(name, presets)}"
        raise ConfigError(text if text.endswith("?") else f"{text}.")
    return presets[name]


def resolved(preset: Preset) -> dict[str, Any]:
    """Return the preset as plain JSON types, every parameter with its value."""
    return {
        "name": preset.name,
        "version": preset.version,
        "about": preset.about,
        "stages": {
            stage.name: {field.name: getattr(stage, field.name) for field, _ in parameters(stage)}
            for stage in preset.stages
        },
    }


@dataclass(slots=True)
class _Reader:
    """Reads tables, each after the one that it is based on."""

    tables: Mapping[str, Mapping[str, Any]]
    known: Mapping[str, Preset]
    read: dict[str, Preset] = field(default_factory=dict)
    """Those that are done: one may be the base of many."""

    def all(self) -> dict[str, Preset]:
        """Return every table as a preset. Raises ``Refused``, the preset's name in its key."""
        for name in self.tables:
            self.read[name] = self._preset(name, ())
        return self.read

    def _preset(self, name: str, behind: tuple[str, ...]) -> Preset:
        """Return one preset; ``behind`` are those that wait for it."""
        if name in self.known or name in self.read:
            return self.read.get(name) or self.known[name]
        table = dict(self.tables[name])
        try:
            version = _version(table.pop("version", 1))
            about = _about(table.pop("about", ""))
            base = self._base_name(table.pop("base", None), (*behind, name))
        except Refused as error:
            raise error.within(name) from error
        stages = () if base is None else self._preset(base, (*behind, name)).stages
        try:
            return Preset(name, version, about, changed(stages, read_changes(table)))
        except Refused as error:
            raise error.within(name) from error

    def _base_name(self, base: Any, behind: tuple[str, ...]) -> str | None:
        there = (*self.known, *self.tables)
        if base is None:
            return None
        if not isinstance(base, str) or base not in there:
            sentence = f"is {shown(base)}, and there is no such preset{hint(str(base), there)}"
            raise Refused("base", sentence)
        if base in behind:
            raise Refused("base", f"leads back to itself: {' → '.join((*behind, base))}")
        if len(behind) > MAX_BASES:
            raise Refused("base", f"is one of more than {MAX_BASES} that lead to each other")
        return base


def _version(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_VERSION:
        raise Refused(
            "version", f"is {shown(value)}; it must be an integer from 1 to {MAX_VERSION}"
        )
    return value


def _about(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_ABOUT or not value.isprintable():
        raise Refused(
            "about", f"is {shown(value)}; it must be a line of {MAX_ABOUT} characters at most"
        )
    return value
