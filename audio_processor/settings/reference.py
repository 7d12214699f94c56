"""The settings described from their own models: the table, the example file, a listing.

``docs/configuration.md`` and ``config.example.toml`` are written from here, so that neither
can say anything that the program does not do.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from audio_processor.settings.keys import Key, groups, keys, tier_keys
from audio_processor.settings.layers import PREFIX
from audio_processor.settings.root import Settings

_UNITS = {
    "_s": "s", "_hz": "Hz", "_mib": "MiB", "_bytes": "bytes", "_lufs": "LUFS", "_lu": "LU",
    "_db": "dB", "_percent": "%", "_dbtp": "dBTP", "bit_rate": "bit/s",
}  # fmt: skip
_TYPES = {
    str: "text", int: "integer", float: "number", bool: "true or false", Path: "path",
    SecretStr: "secret text",
}  # fmt: skip
_BOUNDS = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"), ("pattern", "matches"))
_WIDTH = 92


def reference_markdown() -> str:
    """Return every key as Markdown tables, a heading for each group."""
    return "\n".join(_markdown_lines()) + "\n"


def example_toml() -> str:
    """Return a TOML file with every key at its default; one without a default as a comment."""
    return "\n".join(_example_lines()) + "\n"


def describe(settings: Settings, origins: Mapping[str, str] | None = None) -> str:
    """Return one line per key: its value, secrets masked, and where it was given."""
    origins = origins or {}
    lines = []
    for name in keys():
        value: Any = settings.redacted()
        for part in name.split("."):
            value = value[part]
        line = f"{name} = {_toml(value)}"
        lines.append(f"{line}  # from {origins[name]}" if name in origins else line)
    return "\n".join(lines)


def _markdown_lines() -> Iterator[str]:
    for index, (group, model) in enumerate(groups().items()):
        about = " ".join((model.__doc__ or "").split())
        yield from ([""] if index else [])
        yield from (f"### `[{group}]`", "", about, "")
        yield from _table(k for k in keys().values() if k.name.rpartition(".")[0] == group)
        if group == "ladder":
            yield from ("", "Each table of `[[ladder.tiers]]` has:", "")
            yield from _table(iter(tier_keys()))


def _table(rows: Iterator[Key]) -> Iterator[str]:
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    for key in rows:
        meaning = (key.field.description or "").replace("|", "\\|")
        value = _value_text(key).replace("|", "\\|")
        yield f"| `{key.name}` | {value} | {_default_text(key)} | {meaning} |"


def _value_text(key: Key) -> str:
    annotation = _inner(key.field.annotation)
    if get_origin(annotation) is Literal:
        return " | ".join(f"`{choice}`" for choice in get_args(annotation))
    text = _TYPES.get(annotation, "text")
    if key.is_json:
        text = "list of tables" if key.is_list else "table"
    unit = next((u for end, u in _UNITS.items() if key.name.endswith(end)), None)
    bounds = [
        f"{sign} {_number(getattr(rule, bound))}"
        for rule in key.field.metadata
        for bound, sign in _BOUNDS
        if getattr(rule, bound, None) is not None
    ]
    return ", ".join(part for part in (f"{text} in {unit}" if unit else text, *bounds) if part)


def _inner(annotation: Any) -> Any:
    """Return ``T`` of ``T | None`` and of ``Annotated[T, …]``."""
    choices = [a for a in get_args(annotation) if a is not type(None)]
    if get_origin(annotation) in {Literal, tuple, Mapping} or not choices:
        return annotation
    return _inner(choices[0])


def _number(bound: object) -> str:
    return (
        f"`{bound}`"
        if isinstance(bound, str)
        else f"{bound:g}"
        if isinstance(bound, float)
        else str(bound)
    )


def _default_text(key: Key) -> str:
    if "default_text" in key.extra:
        return str(key.extra["default_text"])
    default = key.field.default
    if default is PydanticUndefined:
        return "(required)"
    if default is None or default == {}:
        return "–"
    return "low, med, high: see below" if key.is_list else f"`{_toml(_plain(default))}`"


def _example_lines() -> Iterator[str]:
    yield "# Every setting with its default. What is commented out has none, or computes it."
    yield "# Where settings come from, and which one wins: docs/configuration.md."
    yield f"# In the environment, storage.bucket is {PREFIX}STORAGE__BUCKET."
    for group, model in groups().items():
        yield ""
        yield from _comment((model.__doc__ or "").replace("`", "'"))
        yield f"[{group}]"
        for key in keys().values():
            if key.name.rpartition(".")[0] == group:
                yield from _example_key(key)


def _example_key(key: Key) -> Iterator[str]:
    last = key.name.rpartition(".")[2]
    about = (key.field.description or "").replace("`", "'")
    values = _value_text(key).replace("`", '"')
    yield from _comment(f"{about} [{values}]")
    default = key.field.default
    if "default_text" in key.extra:
        yield f"#{last} = 2  # default: {key.extra['default_text']}"
    elif default is None:
        yield f"#{last} = {_toml(key.extra['example'])}"
    elif key.is_list:
        yield from _example_tiers(default)
    elif key.is_table:
        yield from (f"#{line}" for line in _toml_table(key.name, key.extra["example"]))
    else:
        yield f"{last} = {_toml(_plain(default))}"


def _example_tiers(tiers: Any) -> Iterator[str]:
    for key in tier_keys():
        last = key.name.rpartition(".")[2]
        about = (key.field.description or "").replace("`", "'")
        yield from _comment(f"- {last}: {about} [{_value_text(key)}]".replace("`", '"'))
    for tier in tiers:
        yield "[[ladder.tiers]]"
        for name, value in tier.model_dump().items():
            yield f"{name} = {_toml(value)}"


def _toml_table(name: str, table: Mapping[str, Any]) -> Iterator[str]:
    """Yield a table's lines: its values, then the tables in it, whose names say where."""
    inner = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    if len(inner) < len(table):
        yield f"[{name}]"
        yield from (f"{key} = {_toml(table[key])}" for key in table if key not in inner)
    for key, value in inner.items():
        yield from _toml_table(f"{name}.{key}", value)


def _comment(text: str) -> Iterator[str]:
    for line in textwrap.wrap(" ".join(text.split()), _WIDTH):
        yield f"# {line}"


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _toml(value: Any) -> str:
    """Return a value as TOML writes it; what is not set as a dash."""
    if value is None:
        return "–"
    return json.dumps(value, ensure_ascii=False)
