"""Where settings come from: each source is read into a layer, and later layers win.

defaults → plain ``AWS_*`` → TOML file → secret files → environment → overrides
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audio_processor.settings.keys import SECRET_FILE_SUFFIX, groups, keys, nearest

PREFIX = "AUDIO_PROCESSOR__"
CONFIG_VARIABLE = "AUDIO_PROCESSOR_CONFIG"
SECRETS_VARIABLE = "AUDIO_PROCESSOR_SECRETS_DIR"
_LOOSE_PREFIX = "AUDIO_PROCESSOR_"
_MAX_FILE_BYTES = 1024**2
_DEEPEST = 16
"""Dots in a key that is looked into: far more than any of ours has."""

_AWS = (
    ("AWS_ACCESS_KEY_ID", "storage.access_key_id"),
    ("AWS_SECRET_ACCESS_KEY", "storage.secret_access_key"),
    ("AWS_SESSION_TOKEN", "storage.session_token"),
    ("AWS_DEFAULT_REGION", "storage.region"),
    ("AWS_REGION", "storage.region"),
)


@dataclass(frozen=True, slots=True)
class Given:
    """A value and where it was given."""

    value: Any
    origin: str


@dataclass(slots=True)
class Layer:
    """What one source gives, by dotted key, and what is wrong with it."""

    given: dict[str, Given] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def take(self, key: str, value: Any, origin: str, *, spelled: str | None = None) -> None:
        """Add a value under a key that exists; note the key as unknown otherwise."""
        if key in groups():
            self.problems.append(f"'{spelled or key}' in {origin} is a table: name one of its keys")
        elif key not in keys():
            self.problems.append(_unknown(spelled or key, origin, key))
        else:
            self.given[key] = Given(value, origin)

    def read_secret_files(self) -> None:
        """Replace each ``…_file`` pointer by what its file holds."""
        for pointer, given in list(self.given.items()):
            secret = pointer.removesuffix(SECRET_FILE_SUFFIX)
            if secret == pointer or secret not in keys() or not keys()[secret].is_secret:
                continue
            if secret in self.given:
                self.problems.append(
                    f"{secret} and {pointer} are both set in {given.origin}: keep one of them"
                )
                continue
            try:
                text = read_text(Path(given.value))
            except (OSError, ValueError, TypeError) as error:
                self.problems.append(f"{pointer} in {given.origin}: {_cannot_read(error)}")
            else:
                self.given[secret] = Given(text.rstrip("\r\n"), given.origin)


def toml_layer(path: Path) -> Layer:
    """Read a TOML file."""
    layer = Layer()
    try:
        tables = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        layer.problems.append(f"{path} is not valid TOML: {error}")
    except (OSError, ValueError, RecursionError) as error:
        layer.problems.append(f"the configuration file {path}: {_cannot_read(error)}")
    else:
        _take_tables(layer, tables, path.name)
    layer.read_secret_files()
    return layer


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """Read ``AUDIO_PROCESSOR__GROUP__KEY``; an empty text counts as not given."""
    layer = Layer()
    for name, text in sorted(environ.items()):
        if name.upper().startswith(PREFIX):
            if text:
                _take_text(layer, name, text, f"the environment ({name})")
        elif name.upper().startswith(_LOOSE_PREFIX) and "__" in name:
            right = PREFIX + name[len(_LOOSE_PREFIX) :]
            layer.problems.append(f"unknown environment variable {name}: did you mean {right}?")
    layer.read_secret_files()
    return layer


def secrets_layer(folder: Path) -> Layer:
    """Read a folder of files named like the variables, as Kubernetes mounts a secret.

    Files of other names, hidden ones and folders are others' business.
    """
    layer = Layer()
    try:
        files = sorted(p for p in folder.iterdir() if not p.name.startswith(".") and p.is_file())
    except (OSError, ValueError) as error:
        layer.problems.append(f"the secrets folder {folder}: {_cannot_read(error)}")
        return layer
    texts: dict[str, str] = {}
    for path in files:
        if path.name.upper().startswith(PREFIX) or path.name in dict(_AWS):
            try:
                texts[path.name] = read_text(path).rstrip("\r\n")
            except (OSError, ValueError) as error:
                layer.problems.append(f"the secret file {path}: {_cannot_read(error)}")
    for name, text in texts.items():
        if name.upper().startswith(PREFIX):
            _take_text(layer, name, text, f"the secret file {folder / name}")
    for key, given in aws_layer(texts).given.items():
        layer.given.setdefault(key, Given(given.value, f"the secret file {folder / given.origin}"))
    layer.read_secret_files()
    return layer


def aws_layer(environ: Mapping[str, str]) -> Layer:
    """Read the variables that every AWS tool knows."""
    layer = Layer()
    for name, key in _AWS:
        if environ.get(name):
            layer.given[key] = Given(environ[name], name)
    return layer


def overrides_layer(overrides: Mapping[str, Any]) -> Layer:
    """Take values given in code, as nested mappings or by dotted key."""
    layer = Layer()
    _take_tables(layer, overrides, "the overrides")
    layer.read_secret_files()
    return layer


def merge(layers: list[Layer]) -> dict[str, Given]:
    """Return each key's last given value.

    A secret replaces the pointer that an earlier layer gave for it. A session token belongs
    to its own access key, so it falls with it.
    """
    merged: dict[str, Given] = {}
    for layer in layers:
        if "storage.access_key_id" in layer.given:
            merged.pop("storage.session_token", None)
        for key in layer.given:
            merged.pop(f"{key}{SECRET_FILE_SUFFIX}", None)
        merged.update(layer.given)
    return merged


def nested(given: Mapping[str, Given]) -> dict[str, Any]:
    """Return the values as the tables that the models validate."""
    tables: dict[str, Any] = {}
    for key, one in given.items():
        *heads, last = key.split(".")
        table = tables
        for head in heads:
            table = table.setdefault(head, {})
        table[last] = one.value
    return tables


def read_text(path: Path) -> str:
    """Read a small text file; raises OSError, or ValueError for one too large or not UTF-8."""
    if path.is_file() and path.stat().st_size > _MAX_FILE_BYTES:
        raise ValueError(f"is larger than {_MAX_FILE_BYTES} bytes")
    return path.read_text(encoding="utf-8")


def _take_tables(layer: Layer, tables: Mapping[str, Any], origin: str, head: str = "") -> None:
    for name, value in tables.items():
        key = f"{head}{name}"
        if isinstance(value, Mapping) and key not in keys() and key.count(".") < _DEEPEST:
            _take_tables(layer, value, origin, f"{key}.")
        else:
            layer.take(key, value, origin)


def _take_text(layer: Layer, name: str, text: str, origin: str) -> None:
    key = name[len(PREFIX) :].lower().replace("__", ".")
    value: Any = text
    if key in keys() and keys()[key].is_json:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            kind = "list" if keys()[key].is_list else "object"
            layer.problems.append(f"{key} in {origin} must be a JSON {kind}: {error}")
            return
    layer.take(key, value, origin, spelled=key)


def _unknown(spelled: str, origin: str, key: str) -> str:
    meant = nearest(key)
    hint = f": did you mean '{meant}'?" if meant else "; config.example.toml lists every key"
    return f"unknown key '{spelled}' in {origin}{hint}"


def _cannot_read(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror or type(error).__name__}"
    if isinstance(error, UnicodeDecodeError):
        return "cannot be read: it is not UTF-8 text"
    return f"cannot be read: it {error}"
