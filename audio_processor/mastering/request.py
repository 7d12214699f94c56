"""What an upload asks of its mastering: text that anyone may have written, read strictly.

It is a preset's name, or one JSON object in either of two forms::

    {"preset": "warm", "stages": {"equaliser": {"presence_db": 2}, "glow": false},
     "reference": "house", "match_strength_percent": 80, "integrated_lufs": -14}

    {"targetLoudness": -14, "compressionRatio": 3, "eqProfile": "warm", "stereoWidth": 120}

The second, which web clients send, is translated into the first. ``null`` is as if the key
were not there, but for ``reference``, where it says that none is wanted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from audio_processor.errors import MasteringRejected
from audio_processor.mastering.catalogue import COMPRESSION_RATIO, read_change, settable
from audio_processor.mastering.parameters import Range
from audio_processor.mastering.preset import Changes, read_changes
from audio_processor.mastering.refusal import Refused, number, shown, shown_key
from audio_processor.spelling import hint

MAX_BYTES = 16 * 1024
EQ_PROFILES = ("neutral", "bright", "warm", "bass-boost")
"""The presets that ``eqProfile`` may name."""
TARGET_LUFS = Range(-20.0, -10.0, "integrated loudness of what is delivered")
STRENGTH_PERCENT = Range(0.0, 100.0, "how far towards the reference the track is taken")


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for; None, or no changes, where the house's own is to hold."""

    preset: str | None = None
    changes: Changes = field(default_factory=dict)
    reference: str | None = None
    refuses_reference: bool = False
    """Whether the track is not to be matched, whatever the house does with others."""
    match_strength_percent: float | None = None
    integrated_lufs: float | None = None


def read_wish(text: str | None) -> Wish:
    """Return what a row asks for. Nothing, an empty text and ``null`` ask for nothing.

    Raises ``MasteringRejected`` for everything that is not as above, with the key, the value
    and what may stand there. Whether presets and references exist is not known here.
    """
    if text is None:
        return Wish()
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise MasteringRejected(f"mastering is longer than the {MAX_BYTES} bytes that it may have.")
    try:
        return _of_value(_value(text.strip()))
    except Refused as error:
        raise MasteringRejected(error.in_words("mastering")) from error


def _value(text: str) -> Any:
    """Return the JSON value, or the text itself where it is none."""
    if text in {"", "null"}:
        return None
    if text[0] not in '{["':
        return text
    try:
        return json.loads(text, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise MasteringRejected(f"mastering is not valid JSON ({place}: {error.msg}).") from None
    except RecursionError:
        raise MasteringRejected("mastering is nested too deeply.") from None
    except ValueError as error:
        if isinstance(error, Refused):
            raise
        raise MasteringRejected("mastering has a number of too many digits.") from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise Refused(shown_key(twice), "is there twice")
    return table


def _of_value(value: Any) -> Wish:
    match value:
        case None:
            return Wish()
        case str():
            return _preset(Wish(), "preset", value) if value.strip() else Wish()
        case dict():
            return _of_object(value)
    raise MasteringRejected("mastering is a JSON list; it must be a preset's name or an object.")


def _of_object(given: Mapping[str, Any]) -> Wish:
    for key in given:
        if key not in _OURS and key not in _SIMPLE:
            raise Refused(shown_key(key), f"does not exist{hint(key, (*_OURS, *_SIMPLE))}")
    ours, simple = ([key for key in given if key in form] for form in (_OURS, _SIMPLE))
    if ours and simple:
        raise Refused(simple[0], f"and {ours[0]} are of two different forms; keep to one")
    wish = Wish()
    for key, value in given.items():
        if value is not None or key == "reference":
            wish = (_OURS | _SIMPLE)[key](wish, key, value)
    return wish


# ── one reader for each key ──────────────────────────────────────────────────────────────


def _name(key: str, value: Any) -> str:
    """Return a name as ours are written, however a form has spelled it."""
    if not isinstance(value, str):
        raise Refused(key, f"is {shown(value)}; it must be a name")
    return value.strip().lower().replace(" ", "-").replace("_", "-")


def _preset(wish: Wish, key: str, value: Any) -> Wish:
    return replace(wish, preset=_name(key, value))


def _stages(wish: Wish, key: str, value: Any) -> Wish:
    if not isinstance(value, dict):
        raise Refused(key, f"is {shown(value)}; it must be an object with the stages' names")
    try:
        return replace(wish, changes=read_changes(value))
    except Refused as error:
        raise error.within(key) from error


def _reference(wish: Wish, key: str, value: Any) -> Wish:
    if value is None:
        return replace(wish, refuses_reference=True)
    return replace(wish, reference=_name(key, value))


def _strength(wish: Wish, key: str, value: Any) -> Wish:
    return replace(wish, match_strength_percent=number(key, value, STRENGTH_PERCENT))


def _target(wish: Wish, key: str, value: Any) -> Wish:
    return replace(wish, integrated_lufs=number(key, value, TARGET_LUFS))


def _compression(wish: Wish, key: str, value: Any) -> Wish:
    ratio = number(key, value, settable("multiband")[COMPRESSION_RATIO])
    multiband = read_change("multiband", {COMPRESSION_RATIO: ratio})
    return replace(wish, changes={**wish.changes, "multiband": multiband})


def _eq_profile(wish: Wish, key: str, value: Any) -> Wish:
    name = _name(key, value)
    if name not in EQ_PROFILES:
        raise Refused(key, f"is {shown(value)}; it must be one of {', '.join(EQ_PROFILES)}")
    return replace(wish, preset=name)


def _width(wish: Wish, key: str, value: Any) -> Wish:
    percent = number(key, value, settable("width")["width_percent"])
    return replace(wish, changes={**wish.changes, "width": {"width_percent": percent}})


_Reader = Callable[[Wish, str, Any], Wish]
_OURS: dict[str, _Reader] = {
    "preset": _preset,
    "stages": _stages,
    "reference": _reference,
    "match_strength_percent": _strength,
    "integrated_lufs": _target,
}
_SIMPLE: dict[str, _Reader] = {
    "targetLoudness": _target,
    "compressionRatio": _compression,
    "eqProfile": _eq_profile,
    "stereoWidth": _width,
}
