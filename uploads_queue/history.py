"""The row's two JSON columns, to and from values. Pure.

Plain ASCII, so that no character set of a customer's table can refuse it. What another
version or a person wrote there is read as far as it can be, and never stops a job.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any, TypeVar

from audio_processor.model import Loudness, RenditionSummary, TrackSummary
from uploads_queue.records import Attempt, AttemptOutcome

MAX_ATTEMPTS_KEPT = 20
MAX_HISTORY_MESSAGE = 500
MAX_ERROR_MESSAGE = 4000

T = TypeVar("T")


def clip(message: str, limit: int = MAX_ERROR_MESSAGE) -> str:
    """Return the message as any text column takes it: bounded, no NUL, no lone surrogate."""
    text = message.replace("\0", "�").encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= limit else text[: limit - 1] + "…"


def begin(
    history: tuple[Attempt, ...], *, number: int, worker_id: str, now: datetime
) -> tuple[Attempt, ...]:
    """Return the history with a new running attempt; one still running lost its lease."""
    closed = end(history, outcome="lease_expired", now=now)
    return (*closed, Attempt(number, worker_id, started_at=now))


def end(
    history: tuple[Attempt, ...],
    *,
    outcome: AttemptOutcome,
    now: datetime,
    error_code: str | None = None,
    error_message: str | None = None,
) -> tuple[Attempt, ...]:
    """Return the history with its running attempt, if there is one, ended."""
    if not history or history[-1].outcome != "running":
        return history
    message = None if error_message is None else clip(error_message, MAX_HISTORY_MESSAGE)
    last = replace(
        history[-1], outcome=outcome, ended_at=now, error_code=error_code, error_message=message
    )
    return (*history[:-1], last)


def dump_history(history: tuple[Attempt, ...]) -> str:
    """Return the last attempts as JSON."""
    return json.dumps([asdict(a) for a in history[-MAX_ATTEMPTS_KEPT:]], default=datetime.isoformat)


def load_history(text: str | None) -> tuple[Attempt, ...]:
    """Return the attempts that ``dump_history`` wrote; what is not one is left out."""
    entries = _parse(text)
    if not isinstance(entries, list):
        return ()
    return tuple(a for a in map(_attempt, entries) if a is not None)


def dump_summary(summary: TrackSummary) -> str:
    """Return the summary as JSON. Raises ``ValueError`` for a NaN or an infinity."""
    return json.dumps(asdict(summary), allow_nan=False)


def load_summary(text: str | None) -> TrackSummary | None:
    """Return the summary that ``dump_summary`` wrote, or None where there is none."""
    entry = _parse(text)
    if not isinstance(entry, dict):
        return None
    try:
        renditions = tuple(_known(RenditionSummary, r) for r in entry["renditions"])
        nested = {
            "source": _known(Loudness, entry["source"]),
            "renditions": renditions,
            "warnings": tuple(entry.get("warnings", ())),
        }
        return _known(TrackSummary, entry | nested)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _parse(text: str | None) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def _attempt(entry: Any) -> Attempt | None:
    try:
        times = {name: _time(entry.get(name)) for name in ("started_at", "ended_at")}
        return _known(Attempt, entry | times)
    except (TypeError, ValueError, AttributeError):
        return None


def _known(kind: type[T], entry: Mapping[str, Any]) -> T:
    names = {f.name for f in fields(kind)}  # type: ignore[arg-type]  # T is always a dataclass here
    return kind(**{key: value for key, value in entry.items() if key in names})


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
