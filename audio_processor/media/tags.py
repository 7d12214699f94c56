"""Tags and cover art: read from FFmpeg's own notation, written into our m4a by mutagen.

Foreign tags are read by FFmpeg, which runs under limits of its own, and not by mutagen in
the worker: an ID3v2 frame may be a zlib bomb, and mutagen inflates it whole.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from audio_processor.model import CoverArt

MAX_TAG_CHARACTERS = 1024

_SAME = (
    *("title", "artist", "album", "album_artist", "date", "genre", "track", "disc"),
    *("composer", "comment", "copyright", "isrc"),
)
_NAMES = {name: name for name in _SAME} | {
    "tsrc": "isrc",
    "wm/isrc": "isrc",
    "year": "date",
    "tracknumber": "track",
    "discnumber": "disc",
    "albumartist": "album_artist",
    "description": "comment",
}
"""FFmpeg's name for a tag, lower case, and ours. What is not in here is not carried."""

_ATOMS = {
    "title": "\xa9nam",
    "artist": "\xa9ART",
    "album": "\xa9alb",
    "album_artist": "aART",
    "date": "\xa9day",
    "genre": "\xa9gen",
    "composer": "\xa9wrt",
    "comment": "\xa9cmt",
    "copyright": "cprt",
}
_PAIRS = {"track": "trkn", "disc": "disk"}
_PAIR = re.compile(r"(\d{1,5})(?:\s*/\s*(\d{1,5}))?")
_FREEFORM = "----:com.apple.iTunes:"
_UNESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ENTRY_END = re.compile(r"(?<!\\)(?:\\\\)*(\n)")
_CONTROLS = {"Cc", "Cs"}
_DIRECTIONS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
"""Marks that let text be shown in another order than it is stored in."""


def parse_ffmetadata(data: bytes) -> dict[str, str]:
    """Return the tags that we carry, cleaned, from FFmpeg's ``ffmetadata`` output.

    In that notation ``= ; # \\`` and the newline are escaped by a backslash, so that a value
    cannot pose as an entry. The first of several spellings of one tag wins.
    """
    tags: dict[str, str] = {}
    for key, value in _entries(data.decode("utf-8", "replace")):
        name = _NAMES.get(key.lower())
        text = clean(value)
        if name is not None and text:
            tags.setdefault(name, text)
    return tags


def clean(text: str) -> str:
    """Return text that is safe to show: NFC, one line, no control or direction character.

    Cut to ``MAX_TAG_CHARACTERS``.
    """
    normal = unicodedata.normalize("NFC", text[: 4 * MAX_TAG_CHARACTERS])
    spaced = "".join(" " if character.isspace() else character for character in normal)
    shown = "".join(
        character
        for character in spaced
        if character not in _DIRECTIONS and unicodedata.category(character) not in _CONTROLS
    )
    return " ".join(shown.split())[:MAX_TAG_CHARACTERS].rstrip()


def cover_of(data: bytes) -> CoverArt | None:
    """Return the picture if its first bytes are JPEG's or PNG's, whatever its tag claims."""
    if data.startswith(b"\xff\xd8\xff"):
        return CoverArt(data, "image/jpeg")
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return CoverArt(data, "image/png")
    return None


def write_m4a_tags(
    path: Path, tags: Mapping[str, str], cover: CoverArt | None, itunsmpb: str
) -> None:
    """Write tags, cover and the gapless comment into an m4a of ours, in place.

    ``moov`` stays before ``mdat`` and the chunk offsets are moved along. Raises
    ``mutagen.MutagenError`` on a file that is no MP4.
    """
    import mutagen.mp4

    mp4: Any = mutagen.mp4  # publishes no types
    file = mp4.MP4(path)
    if file.tags is None:
        file.add_tags()
    atoms = file.tags
    for name, atom in _ATOMS.items():
        if name in tags:
            atoms[atom] = [tags[name]]
    for name, atom in _PAIRS.items():
        if pair := _number_pair(tags.get(name, "")):
            atoms[atom] = [pair]
    freeform = {"iTunSMPB": itunsmpb} | ({"ISRC": tags["isrc"]} if "isrc" in tags else {})
    for name, value in freeform.items():
        atoms[_FREEFORM + name] = [mp4.MP4FreeForm(value.encode(), mp4.AtomDataType.UTF8)]
    if cover is not None:
        png = cover.mime_type == "image/png"
        kind = mp4.AtomDataType.PNG if png else mp4.AtomDataType.JPEG
        atoms["covr"] = [mp4.MP4Cover(cover.data, kind)]
    file.save(padding=lambda _: 0)


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """Yield the unescaped entries of the global section."""
    start = 0
    for end in _ENTRY_END.finditer(text):
        line = text[start : end.start(1)]
        start = end.end(1)
        if line.startswith("["):  # sections of chapters and streams come after the global one
            return
        key, separator, value = _split(line)
        if separator and not line.startswith(";"):
            yield _UNESCAPE.sub(r"\1", key), _UNESCAPE.sub(r"\1", value)


def _split(line: str) -> tuple[str, str, str]:
    """Split at the first ``=`` that is not escaped."""
    match = re.match(r"((?:[^\\=]|\\.)*)(=)(.*)", line, re.DOTALL)
    return (match[1], match[2], match[3]) if match else (line, "", "")


def _number_pair(text: str) -> tuple[int, int] | None:
    """Return ``3/12`` as (3, 12) and ``3`` as (3, 0): 0 is "not said" in trkn and disk."""
    match = _PAIR.match(text)
    if match is None:
        return None
    pair = int(match[1]), int(match[2] or 0)
    return pair if max(pair) <= 65535 else None
