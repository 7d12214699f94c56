"""HLS playlists (RFC 8216) as others wrote them, read into values. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_MAX_ENTRIES = 50_000
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^",]*)(?:,|$)')


@dataclass(frozen=True, slots=True)
class VariantLine:
    """One EXT-X-STREAM-INF and the URI below it."""

    uri: str
    bandwidth: int | None
    average_bandwidth: int | None
    codecs: str | None


@dataclass(frozen=True, slots=True)
class MasterPlaylist:
    """What a master playlist says."""

    variants: tuple[VariantLine, ...]
    independent_segments: bool


@dataclass(frozen=True, slots=True)
class MediaPlaylist:
    """What a media playlist says."""

    entries: tuple[tuple[str, float], ...]
    """URI and EXTINF duration in seconds."""
    target_duration_s: int | None
    playlist_type: str | None
    ended: bool
    independent_segments: bool
    not_judged: tuple[str, ...]
    """Tags that make its segments something else than whole, plain transport streams."""


def is_master(text: str) -> bool:
    """Whether the playlist lists variants."""
    return "#EXT-X-STREAM-INF" in text


def read_master(text: str) -> MasterPlaylist:
    """Parse a master playlist. Raises ``ValueError`` where it is none."""
    lines = _lines(text)
    variants, attributes = [], None
    for line in lines:
        if line.startswith("#EXT-X-STREAM-INF:"):
            attributes = _attributes(line)
        elif not line.startswith("#"):
            if attributes is None:
                raise ValueError(f"the URI {line[:80]!r} has no EXT-X-STREAM-INF")
            variants.append(
                VariantLine(
                    line,
                    _integer(attributes.get("BANDWIDTH")),
                    _integer(attributes.get("AVERAGE-BANDWIDTH")),
                    attributes.get("CODECS"),
                )
            )
            attributes = None
    if not variants:
        raise ValueError("it lists no variant")
    return MasterPlaylist(tuple(variants), "#EXT-X-INDEPENDENT-SEGMENTS" in lines)


def read_media(text: str) -> MediaPlaylist:
    """Parse a media playlist. Raises ``ValueError`` where it is none."""
    lines = _lines(text)
    entries = []
    duration_s: float | None = None
    for line in lines:
        if line.startswith("#EXTINF:"):
            duration_s = _seconds(line)
        elif not line.startswith("#"):
            if duration_s is None:
                raise ValueError(f"the segment {line[:80]!r} has no EXTINF")
            entries.append((line, duration_s))
            duration_s = None
    if not entries:
        raise ValueError("it lists no segment")
    target = _value(lines, "#EXT-X-TARGETDURATION")
    return MediaPlaylist(
        entries=tuple(entries),
        target_duration_s=_integer(target),
        playlist_type=_value(lines, "#EXT-X-PLAYLIST-TYPE"),
        ended="#EXT-X-ENDLIST" in lines,
        independent_segments="#EXT-X-INDEPENDENT-SEGMENTS" in lines,
        not_judged=tuple(dict.fromkeys(_foreign(lines))),
    )


def _lines(text: str) -> list[str]:
    lines = [line.strip() for line in text.lstrip("\ufeff").splitlines() if line.strip()]
    if not lines or lines[0] != "#EXTM3U":
        raise ValueError("it does not begin with #EXTM3U")
    if len(lines) > _MAX_ENTRIES:
        raise ValueError(f"it has more than {_MAX_ENTRIES} lines")
    return lines


def _foreign(lines: list[str]) -> Iterator[str]:
    for line in lines:
        tag = line.split(":", 1)[0]
        if tag in {"#EXT-X-MAP", "#EXT-X-BYTERANGE", "#EXT-X-DISCONTINUITY"} or (
            tag == "#EXT-X-KEY" and "METHOD=NONE" not in line
        ):
            yield tag.removeprefix("#")


def _attributes(line: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(line.split(":", 1)[1])}


def _value(lines: list[str], tag: str) -> str | None:
    return next((line[len(tag) + 1 :] for line in lines if line.startswith(tag + ":")), None)


def _integer(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,12}", text) else None


def _seconds(line: str) -> float:
    text = line.removeprefix("#EXTINF:").split(",", 1)[0]
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,18})?", text):
        raise ValueError(f"{line[:80]!r} states no duration")
    return float(text)
