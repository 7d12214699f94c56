"""The settings' keys, read off the models: dotted names, fields, and the nearest right name."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from audio_processor.settings.base import Group
from audio_processor.settings.root import Settings
from audio_processor.settings.signal import TierSettings

SECRET_FILE_SUFFIX = "_file"  # noqa: S105  # the end of a key's name


@dataclass(frozen=True, slots=True)
class Key:
    """One setting: ``database.port`` is ``port`` of the group ``DatabaseSettings``."""

    name: str
    field: FieldInfo
    group: type[BaseModel]

    @property
    def also(self) -> tuple[str, ...]:
        """Names that people write for it."""
        return tuple(self.extra.get("also", ()))

    @property
    def extra(self) -> Mapping[str, Any]:
        """What ``base.setting`` was told of it beyond pydantic's own."""
        extra = self.field.json_schema_extra
        return extra if isinstance(extra, Mapping) else {}

    @property
    def is_secret(self) -> bool:
        """Whether its value must never be shown."""
        return SecretStr in {self.field.annotation, *get_args(self.field.annotation)}

    @property
    def is_list(self) -> bool:
        """Whether its value is a list."""
        return get_origin(self.field.annotation) is tuple

    @property
    def is_table(self) -> bool:
        """Whether its value is a table whose keys the user names."""
        return get_origin(self.field.annotation) is Mapping

    @property
    def is_json(self) -> bool:
        """Whether its value is written as JSON where only text can be given."""
        return self.is_list or self.is_table


@cache
def keys() -> Mapping[str, Key]:
    """Return every key by its dotted name, in the order of the models."""
    return {key.name: key for key in _walk(Settings, "")}


def tier_keys() -> tuple[Key, ...]:
    """Return the keys of one table of ``[[ladder.tiers]]``."""
    return tuple(_walk(TierSettings, "ladder.tiers[]."))


def groups() -> Mapping[str, type[Group]]:
    """Return every group by its dotted name."""
    return dict(_groups(Settings, ""))


def nearest(unknown: str) -> str | None:
    """Return the key that was most likely meant, or None."""
    spelled = {name: name for name in keys()}
    for key in keys().values():
        head = key.name.rpartition(".")[0]
        spelled.update({f"{head}.{other}": key.name for other in key.also})
    for key in tier_keys():
        spelled.update({f"ladder.tiers.{name}": key.name for name in (_last(key), *key.also)})
    asked = unknown.lower().replace("-", "_")
    if moved := spelled.get(asked) or _under_another_group(asked, spelled):
        return moved
    found = difflib.get_close_matches(asked, spelled, n=1, cutoff=0.6)
    return spelled[found[0]] if found else None


def _under_another_group(unknown: str, spelled: Mapping[str, str]) -> str | None:
    """Return the one key whose last part is the unknown one's: right key, wrong table."""
    last = unknown.rpartition(".")[2]
    found = {key for name, key in spelled.items() if name.rpartition(".")[2] == last}
    return found.pop() if len(found) == 1 else None


def _last(key: Key) -> str:
    return key.name.rpartition(".")[2]


def _walk(model: type[BaseModel], head: str) -> Iterator[Key]:
    for name, field in model.model_fields.items():
        if (group := _as_group(field)) is not None:
            yield from _walk(group, f"{head}{name}.")
        else:
            yield Key(f"{head}{name}", field, model)


def _groups(model: type[BaseModel], head: str) -> Iterator[tuple[str, type[Group]]]:
    for name, field in model.model_fields.items():
        if (group := _as_group(field)) is not None:
            yield f"{head}{name}", group
            yield from _groups(group, f"{head}{name}.")


def _as_group(field: FieldInfo) -> type[Group] | None:
    annotation: Any = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, Group) else None
