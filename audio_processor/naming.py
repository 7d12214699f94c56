"""File names are data: which are accepted, and what each stands for in the bucket. Pure."""

from __future__ import annotations

import unicodedata

from audio_processor.errors import NameRejected

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
    # Cc control, Cf format (bidi overrides), Cs lone surrogate, Zl/Zp line separators
    if any(unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} for c in file_name):
        raise NameRejected(f"The file name {shown} has control characters in it; rename the file.")
    before, dot, _extension = file_name.rpartition(".")
    stem = before if dot else file_name
    if not stem.strip(". "):
        raise NameRejected(f"The file name {shown} has no name before its extension.")
    return stem


def printable(name: str, limit: int = 80) -> str:
    """Return the name quoted for a message: one line, bounded, nothing invisible."""
    text = name if len(name) <= limit else name[: limit - 1] + "…"
    return repr(text)
