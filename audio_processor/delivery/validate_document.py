"""Validation's reading of metadata.json, which others may have written: schema, excuses, names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

from audio_processor.delivery.metadata import METADATA_NAME
from audio_processor.delivery.report import Finding

_SCHEMA_NAME = "metadata.schema.json"


def load_schema() -> dict[str, Any]:
    """Return the schema of metadata.json as it is published."""
    text = files("audio_processor.delivery").joinpath(_SCHEMA_NAME).read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def schema_findings(document: object) -> Iterator[Finding]:
    """Hold the document against the schema."""
    import jsonschema

    checker = jsonschema.Draft202012Validator(load_schema())
    for error in sorted(checker.iter_errors(document), key=lambda e: e.json_path)[:20]:
        yield Finding(
            "metadata.schema", "error", METADATA_NAME, f"{error.json_path}: {error.message[:300]}."
        )


def excuse_of(document: Mapping[str, Any] | None, name: str | None) -> str | None:
    """Return what the ladder's own metadata says stood in the way of the target."""
    if document is None:
        return None
    renditions = document.get("renditions")
    named = [
        r
        for r in (renditions if isinstance(renditions, list) else [])
        if isinstance(r, dict) and (r.get("name") == name if name else r.get("limited_by"))
    ]
    plan = document.get("plan")
    for part in [*named, plan]:
        reason = part.get("limited_by") if isinstance(part, dict) else None
        if isinstance(reason, str):
            return reason
    return None


def told_m4a(document: Mapping[str, Any] | None) -> list[str]:
    """Return the download file's name as the document has it, if it is a plain one."""
    m4a = None if document is None else document.get("m4a")
    name = m4a.get("file") if isinstance(m4a, dict) else None
    plain = isinstance(name, str) and bool(name.strip(".")) and not set(name) & set("/\\\0")
    return [name] if isinstance(name, str) and plain else []
