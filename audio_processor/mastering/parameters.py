"""Parameters of mastering stages: each declared once, with its range and what it means.

A stage is a frozen dataclass whose numbers are made by ``parameter``; presets, uploads and
the documentation read ranges and meanings from there. ``hold_ranges`` is its ``__post_init__``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields
from typing import Any

_DECLARED = "parameter"
_MANY_DIGITS = 10**40


@dataclass(frozen=True, slots=True)
class Range:
    """What a parameter may be, both ends included, and what it does."""

    low: float
    high: float
    about: str
    only: tuple[float, ...] = ()
    """Where it is not empty: the values between them that there are."""

    def holds(self, value: float) -> bool:
        """Whether the value is within the range; NaN is in none."""
        return self.low <= value <= self.high and (not self.only or value in self.only)

    def __str__(self) -> str:
        if self.only:
            return " or ".join(f"{value:g}" for value in self.only)
        return f"{self.low:g} to {self.high:g}"


class OutOfRange(ValueError):
    """A parameter that cannot be; names its key, the value and the range."""

    def __init__(self, key: str, value: object, allowed: Range) -> None:
        super().__init__(f"{key} is {_shown(value)}; it must be {allowed}")
        self.key = key
        self.value = value
        self.allowed = allowed


def parameter(default: float, low: float, high: float, about: str) -> Any:
    """Return a dataclass field for a number between ``low`` and ``high``; units last in its name.

    ``about`` is one sentence for the documentation.
    """
    return field(default=default, metadata={_DECLARED: Range(low, high, about)})


def choice(default: int, values: tuple[int, ...], about: str) -> Any:
    """Return a dataclass field for one of a few whole numbers, which are in ascending order."""
    only = Range(values[0], values[-1], about, values)
    return field(default=default, metadata={_DECLARED: only})


def parameters(stage: Any) -> Iterator[tuple[Field[Any], Range]]:
    """Yield the declared parameters of a stage or of its class, in order."""
    for each in fields(stage):
        if _DECLARED in each.metadata:
            yield each, each.metadata[_DECLARED]


def hold_ranges(stage: Any) -> None:
    """Raise ``OutOfRange`` where a declared parameter is no number within its range."""
    for each, allowed in parameters(stage):
        value = getattr(stage, each.name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not allowed.holds(value):
            raise OutOfRange(each.name, value, allowed)


def _shown(value: object) -> str:
    if isinstance(value, int) and abs(value) >= _MANY_DIGITS:
        return "a number of many digits"  # whose text takes long, where Python makes it
    return repr(value)
