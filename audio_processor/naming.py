"""File names are data: which are accepted, and what each stands for in the bucket. Pure."""

from __future__ import annotations

import unicodedata

from audio_processor.errors import NameRejected

_OVERRIDES = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
MAX_NAME_BYTES = 255
"""What a file system and the row's VARCHAR(255) hold."""
_LONGEST_SUFFIX = ".m4a"
"""Of the files that are named after a track."""


def track_id_of(file_name: str) -> str:
    """Return the file name's stem, which names the output folder.

    Raises ``NameRejected`` for a name that could leave its prefix, hide from a person or
    break a playlist line.
    """
    if not file_name:
        raise NameRejected("The upload has no file name. Rename the file and upload it again.")
    before, dot, _extension = file_name.rpartition(".")
    stem = before if dot else file_name
    if fault := _fault(file_name, stem):
        raise NameRejected(f"The file name {printable(file_name)} {fault}. Rename the file.")
    return stem


def _fault(file_name: str, stem: str) -> str | None:
    """Return what is wrong with a name, or None."""
    if _bytes(file_name) > MAX_NAME_BYTES or _bytes(stem) > MAX_NAME_BYTES - len(_LONGEST_SUFFIX):
        return f"is too long: {MAX_NAME_BYTES} bytes are accepted, the extension among them"
    if "/" in file_name or "\\" in file_name:
        return "has a slash in it"
    if any(_is_hidden(character) for character in file_name):
        return "has control characters in it"
    if not any(_is_seen(character) for character in stem):
        return "has no name before its extension"
    return None


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _is_seen(character: str) -> bool:
    """Whether a name of such characters alone could be told from nothing."""
    return character != "." and unicodedata.category(character)[0] in "LNPS"


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
