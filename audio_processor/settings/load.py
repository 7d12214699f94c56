"""Read all sources into one frozen ``Settings``, or say everything that is wrong at once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from audio_processor.errors import ConfigError
from audio_processor.settings import layers as sources
from audio_processor.settings.base import RULE
from audio_processor.settings.keys import SECRET_FILE_SUFFIX, keys, nearest
from audio_processor.settings.layers import Given, Layer
from audio_processor.settings.root import Settings

DEFAULT_FILE = Path("audio-processor.toml")
MASK = "**********"
_MAX_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and where each that is not a default was given."""

    settings: Settings
    origins: Mapping[str, str]


def load_settings(
    path: Path | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Return the settings from file, secrets and environment. Raises ``ConfigError``."""
    return load(path, overrides=overrides, environ=environ).settings


def load(
    path: Path | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """Return the settings with their origins. Raises ``ConfigError`` that lists every problem.

    The file is ``path``, else what ``AUDIO_PROCESSOR_CONFIG`` names, else
    ``./audio-processor.toml`` where there is one. Overrides are nested mappings or dotted
    keys and win over everything.
    """
    environ = os.environ if environ is None else environ
    layers = list(_layers(path, overrides or {}, environ))
    given = sources.merge(layers)
    problems = [problem for layer in layers for problem in layer.problems]
    settings = _validated(sources.nested(given), given, problems)
    return Loaded(settings, {key: one.origin for key, one in given.items()})


def with_overrides(settings: Settings, overrides: Mapping[str, Any]) -> Settings:
    """Return the settings with some values changed and all rules held. Raises ``ConfigError``."""
    layer = sources.overrides_layer(overrides)
    values = settings.model_dump()
    for key, one in sorted(layer.given.items()):  # a secret sorts before its pointer
        *heads, last = key.split(".")
        table = values
        for head in heads:
            table = table[head]
        if (pointer := f"{last}{SECRET_FILE_SUFFIX}") in table:
            table[pointer] = None
        table[last] = one.value
    return _validated(values, layer.given, layer.problems)


def _validated(
    values: Mapping[str, Any], given: Mapping[str, Given], problems: list[str]
) -> Settings:
    """Return the settings, or raise one ``ConfigError`` for the problems known and found."""
    problems = list(problems)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        found = [line for details in error.errors() for line in _sentences(details, given)]
        # a pointer that could not be read is one problem, not also a missing secret
        problems += [p for p in found if not (problems and "load_settings() only" in p)]
        raise ConfigError(_message(problems)) from None
    if problems:
        raise ConfigError(_message(problems))
    return settings


def _layers(
    path: Path | None, overrides: Mapping[str, Any], environ: Mapping[str, str]
) -> Iterator[Layer]:
    yield sources.aws_layer(environ)
    if path is None and environ.get(sources.CONFIG_VARIABLE):
        path = Path(environ[sources.CONFIG_VARIABLE])
    if path is None and DEFAULT_FILE.is_file():
        path = DEFAULT_FILE
    if path is not None:
        yield sources.toml_layer(path)
    if environ.get(sources.SECRETS_VARIABLE):
        yield sources.secrets_layer(Path(environ[sources.SECRETS_VARIABLE]))
    yield sources.environment_layer(environ)
    yield sources.overrides_layer(overrides)


def _message(problems: list[str]) -> str:
    if len(problems) == 1:
        return problems[0]
    return "\n  - ".join((f"{len(problems)} problems with the configuration:", *problems))


def _sentences(details: ErrorDetails, given: Mapping[str, Given]) -> Iterator[str]:
    """Translate one of pydantic's errors into sentences about keys."""
    at = _dotted(details["loc"])
    if details["type"] == RULE:
        for key, sentence in details["ctx"]["problems"]:
            name = f"{at}.{key}" if at else key
            yield f"{_named(name, None, given)}: {sentence}"
    elif details["type"] == "extra_forbidden":
        meant = nearest(re.sub(r"\[\d+\]", "", at))
        hint = f": did you mean '{meant}'?" if meant else "; config.example.toml lists every key"
        yield f"unknown key '{at}'{_origin(at, given)}{hint}"
    elif details["type"] == "missing":
        yield f"{at}{_origin(at, given)}: is required"
    else:
        yield f"{_named(at, details['input'], given)}: {_what_to_do(details)}"


def _what_to_do(details: ErrorDetails) -> str:
    context = details.get("ctx", {})
    match details["type"]:
        case "literal_error":
            return f"must be one of {context['expected']}"
        case "string_pattern_mismatch":
            return f"must match {context['pattern']}"
        case "value_error":
            return str(context["error"])
    message = details["msg"].removeprefix("Value error, ")
    return message.replace("Input should be", "must be", 1)


def _named(key: str, value: Any, given: Mapping[str, Given]) -> str:
    """Return ``key = value (origin)``, the value left out where there is none to show."""
    if value is None and key in given:
        value = given[key].value
    if value is None or isinstance(value, (Mapping, list, tuple)):
        return f"{key}{_origin(key, given)}"
    return f"{key} = {_shown(key, value)}{_origin(key, given)}"


def _shown(key: str, value: Any) -> str:
    if key in keys() and keys()[key].is_secret:
        return MASK
    text = re.sub(r"^(['\"]?(?:\w+://)?).*@", rf"\1{MASK}@", repr(value))
    text = re.sub(r"(://\S*?[?#]).*?(['\"]?)$", rf"\1{MASK}\2", text)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"


def _origin(key: str, given: Mapping[str, Given]) -> str:
    """Return where the key, or the list or table that it is in, was given."""
    name = key.partition("[")[0]
    while name and name not in given:
        name = name.rpartition(".")[0]
    return f" in {given[name].origin}" if name else ""


def _dotted(location: tuple[int | str, ...]) -> str:
    """Return ``ladder.tiers[0].bit_rate`` for pydantic's tuple."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location]
    return "".join(parts).lstrip(".")
