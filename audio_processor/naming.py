"""File names are data: which are accepted, and what each stands for in the bucket. Pure."""

from __future__ import annotations

import unicodedata

from audio_processor.errors import NameRejected

_OVERRIDES = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
MAX_NAME_BYTES = 255
"""What a file system and the row's VARCHAR(255) hold."""


def track_id_of(file_name: str) -> str:
    """Return the file name's stem, which names the output folder.

    Raises ``NameRejected`` for a name that could leave its prefix, hide from a person or
    break a playlist line.
    """
    if not file_name:
        raise NameRejected("The upload has no file name.")
    shown = printable(file_name)
    if len(file_name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        raise NameRejected(f"The file name {shown} is longer than {MAX_NAME_BYTES} bytes.")
    if "/" in file_name or "\\" in file_name:
        raise NameRejected(f"The file name {shown} has a slash in it; rename the file.")
    if any(_is_hidden(character) for character in file_name):
        raise NameRejected(f"The file name {shown} has control characters in it; rename the file.")
    before, dot, _extension = file_name.rpartition(".")
    stem = before if dot else file_name
    if not stem.strip(". "):
        raise NameRejected(f"The file name {shown} has no name before its extension.")
    return stem


def _is_hidden(character: str) -> bool:
    """Whether it is a control, a lone surrogate, a line separator or a bidirectional override.

    Other format characters are welcome: emoji are joined by them.
    """
    return (
        unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        or unicodedata.bidirectional(character) in _OVERRIDES
    )


def printable(name: str, limit: int = 80) -> str:
    """Return the name quoted for a message: one line, bounded, nothing invisible."""
    text = name if len(name) <= limit else name[: limit - 1] + "…"
    return repr(text)
