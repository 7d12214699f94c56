"""HLS playlists (RFC 8216) as text, and the bit rates that they state. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from audio_processor.model import Segment

PLAYLIST_NAME = "playlist.m3u8"
AAC_LC = "mp4a.40.2"
"""Said of every variant: left to guess, players take 24 kHz ADTS for HE-AAC."""
_VERSION = 6


@dataclass(frozen=True, slots=True)
class Variant:
    """One line pair of the master playlist; bandwidths in bit/s."""

    name: str
    bandwidth: int
    average_bandwidth: int
    codecs: str = AAC_LC


def media_playlist(segments: Sequence[Segment]) -> str:
    """Return one tier's playlist: VOD, whole, its durations the real ones."""
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{_VERSION}",
        f"#EXT-X-TARGETDURATION:{target_duration_s([s.duration_s for s in segments])}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
    ]
    for segment in segments:
        lines += [f"#EXTINF:{segment.duration_s:.6f},", uri(segment.name)]
    lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"


def master_playlist(variants: Sequence[Variant], playlist: str = PLAYLIST_NAME) -> str:
    """Return the master playlist, lowest bandwidth first; ``playlist`` is each variant's."""
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{_VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for variant in sorted(variants, key=lambda v: v.bandwidth):
        lines += [
            f"#EXT-X-STREAM-INF:BANDWIDTH={variant.bandwidth}"
            f",AVERAGE-BANDWIDTH={variant.average_bandwidth}"
            f',CODECS="{variant.codecs}"',
            f"{uri(variant.name)}/{playlist}",
        ]
    return "\n".join(lines) + "\n"


def uri(name: str) -> str:
    """Return the name as one relative path segment that cannot be a line, a query or a scheme.

    Raises ``ValueError`` for nothing but dots: no escape keeps a client from walking up.
    """
    if not name.strip("."):
        raise ValueError(f"{name!r} cannot be a name in a playlist")
    return quote(name, safe="")


def target_duration_s(durations_s: Sequence[float]) -> int:
    """Return the longest duration to the nearest second (§4.3.3.1), at least 1."""
    return max(1, *(math.floor(duration_s + 0.5) for duration_s in durations_s))


def peak_bandwidth(sizes_bytes: Sequence[int], durations_s: Sequence[float]) -> int:
    """Return the peak segment bit rate in bit/s, rounded up (§4.1).

    The largest rate of any run of segments that lasts 0.5 to 1.5 target durations, but never
    less than the average, which a short last segment can be above.
    """
    target_s = target_duration_s(durations_s)
    peak = 0.0
    for first in range(len(sizes_bytes)):
        size, duration_s = 0, 0.0
        for at in range(first, len(sizes_bytes)):
            size, duration_s = size + sizes_bytes[at], duration_s + durations_s[at]
            if duration_s > 1.5 * target_s:
                break
            if duration_s >= 0.5 * target_s:
                peak = max(peak, size * 8 / duration_s)
    return max(math.ceil(peak), average_bandwidth(sizes_bytes, durations_s))


def average_bandwidth(sizes_bytes: Sequence[int], durations_s: Sequence[float]) -> int:
    """Return the whole rendition's bit rate in bit/s, rounded up."""
    return math.ceil(sum(sizes_bytes) * 8 / sum(durations_s))
