"""Parameters of mastering stages: each declared once, with its range and what it means.

A stage is a frozen dataclass whose numbers are made by ``parameter``; presets, uploads and
the documentation read ranges and meanings from there. ``hold_ranges`` is its ``__post_init__``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields
from typing import Any

_DECLARED = "parameter"


@dataclass(frozen=True, slots=True)
class Range:
    """What a parameter may be, both ends included, and what it does."""

    low: float
    high: float
    about: str


class OutOfRange(ValueError):
    """A parameter that cannot be; names its key, the value and the range."""

    def __init__(self, key: str, value: object, allowed: Range) -> None:
        super().__init__(f"{key} is {value!r}; it must be {allowed.low:g} to {allowed.high:g}")
        self.key = key
        self.value = value
        self.allowed = allowed


def parameter(default: float, low: float, high: float, about: str) -> Any:
    """Return a dataclass field for a number between ``low`` and ``high``; units last in its name.

    ``about`` is one sentence for the documentation.
    """
    return field(default=default, metadata={_DECLARED: Range(low, high, about)})


def parameters(stage: Any) -> Iterator[tuple[Field[Any], Range]]:
    """Yield the declared parameters of a stage or of its class, in order."""
    for each in fields(stage):
        if _DECLARED in each.metadata:
            yield each, each.metadata[_DECLARED]


def hold_ranges(stage: Any) -> None:
    """Raise ``OutOfRange`` where a declared parameter is no finite number within its range."""
    for each, allowed in parameters(stage):
        value = getattr(stage, each.name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or not allowed.low <= value <= allowed.high:
            raise OutOfRange(each.name, value, allowed)
