"""Elements of HTML and SVG, escaped by construction: text is data until it is made markup here.

``element("b", text)`` escapes ``text`` whatever is in it; only another element goes in as it
is. There is no other way to make ``Markup`` in this package.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from html import escape

_VOID = frozenset({"meta", "link", "br", "hr", "img", "col"})
_HIDDEN = frozenset({"Cc", "Cs", "Cn"})
_BIDIRECTIONAL = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | Iterable["Child"] | None
Attribute = str | float | bool | None


def element(name: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """Return an element; attributes that are None or False are left out.

    ``class_`` is ``class``, ``stroke_width`` is ``stroke-width``; numbers are written short.
    """
    opened = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Markup(f"<{name}{opened}>")
    return Markup(f"<{name}{opened}>{group(*children)}</{name}>")


def group(*children: Child) -> Markup:
    """Return the children one after the other, what is no markup escaped."""
    return Markup("".join(map(_child, children)))


def stylesheet(css: str) -> Markup:
    """Return a style element; the sheet is the package's own and may not close it."""
    if "<" in css:
        raise ValueError("a style sheet has no use for '<'")
    return Markup(f"<style>{css}</style>")


def plain(text: str) -> str:
    """Return the text with what cannot be seen, or turns its order around, as U+FFFD."""
    return "".join("\ufffd" if _is_hidden(character) else character for character in text)


def number(value: float, digits: int = 2) -> str:
    """Return a coordinate without needless digits."""
    text = f"{value:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _is_hidden(character: str) -> bool:
    return character not in "\n\t" and (
        unicodedata.category(character) in _HIDDEN
        or unicodedata.bidirectional(character) in _BIDIRECTIONAL
    )


def _child(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    if isinstance(child, str):
        return escape(plain(child))
    return "".join(map(_child, child))


def _value(value: str | float | bool) -> str:
    if value is True:
        return ""
    if isinstance(value, str):
        return escape(plain(value))
    return number(value)
