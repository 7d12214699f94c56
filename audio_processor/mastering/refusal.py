"""A setting of the mastering that cannot be: which key, what it is, what it may be. Pure."""

from __future__ import annotations

import json
from typing import Any

from audio_processor.mastering.parameters import OutOfRange, Range
from audio_processor.naming import printable

_MAX_SHOWN = 40


class Refused(ValueError):
    """``key`` cannot be; whoever knows where the key stands says so and raises its own error."""

    def __init__(self, key: str, sentence: str) -> None:
        super().__init__(f"{key} {sentence}")
        self.key = key
        self.sentence = sentence

    def in_words(self, head: str) -> str:
        """Return the whole sentence, for the key ``head.key``."""
        text = f"{head}.{self.key} {self.sentence}"
        return text if text.endswith("?") else f"{text}."

    def within(self, head: str) -> Refused:
        """Return the same of the key ``head.key``."""
        return Refused(f"{head}.{self.key}", self.sentence)


def out_of_range(error: OutOfRange) -> Refused:
    """Return a stage's own refusal as one of ours, however long its value is."""
    return Refused(error.key, must_be(error.value, error.allowed))


def number(key: str, value: Any, allowed: Range) -> float:
    """Return the value as a number within the range, an int where it is one of a few.

    Raises ``Refused``.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(key, must_be(value, allowed))
    try:
        found = float(value)
    except OverflowError:  # an integer of hundreds of digits
        raise Refused(key, must_be(value, allowed)) from None
    if not allowed.holds(found):
        raise Refused(key, must_be(value, allowed))
    return int(found) if allowed.only else found


def must_be(value: Any, allowed: Range) -> str:
    """Return what is wrong with the value, and the range that it must be in."""
    may_be = f"{allowed}" if allowed.only else f"a number from {allowed}"
    return f"is {shown(value)}; it must be {may_be}"


def shown_key(key: str) -> str:
    """Return a key that someone made up as a message can hold it."""
    return key if len(key) <= _MAX_SHOWN and key.isidentifier() else printable(key, _MAX_SHOWN)


def shown(value: Any) -> str:
    """Return a value as a message can hold it: one line, short, whatever it is."""
    match value:
        case str():
            return printable(value, _MAX_SHOWN)
        case bool() | None:
            return json.dumps(value)
        case int() if abs(value) >= 10**_MAX_SHOWN:
            return "a number of many digits"  # whose text takes long, where Python makes it
        case int() | float():
            return f"{value:g}" if isinstance(value, float) else str(value)
    return "a list" if isinstance(value, list) else "a table"
