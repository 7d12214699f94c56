"""Validation of the download file: does it begin to play at once, and to the sample?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio_processor.delivery import mp4
from audio_processor.delivery.report import Finding, M4aReport
from audio_processor.delivery.validate_media import Heard, listen
from audio_processor.media.ffmpeg import FFmpegFailed, Supervisor

_ITUNSMPB = re.compile(r"^\s*[0-9A-F]{8} ([0-9A-F]{8}) ([0-9A-F]{8}) ([0-9A-F]{16})", re.IGNORECASE)
_FFMPEG_8 = 62
"""Its libavcodec's major version."""
_MIN_RATE_HZ, _MAX_RATE_HZ = 8_000, 192_000


@dataclass(frozen=True, slots=True)
class Gapless:
    """What iTunSMPB states."""

    priming: int
    remainder: int
    frames: int


def judge_m4a(
    supervisor: Supervisor, path: Path, name: str
) -> tuple[M4aReport | None, Heard | None, list[Finding]]:
    """Read, decode and judge the file; nothing about it is raised."""
    try:
        with path.open("rb") as file:
            order = [box.kind for box in mp4.top_level(file)]
            track = mp4.read_track(file)
        if not _MIN_RATE_HZ <= track.timescale <= _MAX_RATE_HZ:
            raise ValueError(f"its timescale is {track.timescale}, which is no sample rate")
        gapless, title = _tags(path)
        heard = listen(supervisor, path, track.timescale, "mov")
    except (ValueError, FFmpegFailed) as error:
        return None, None, [Finding("m4a.decodes", "error", name, f"{error}.")]
    frames = played_frames(heard.frames, gapless, supervisor.binary.libavcodec)
    report = M4aReport(
        name=name,
        size_bytes=path.stat().st_size,
        sample_rate_hz=track.timescale,
        decoded_frames=frames,
        priming_frames=track.edit.media_time if track.edit else None,
        title=title,
    )
    return report, heard, [*_findings(name, order, track, gapless, title, heard, frames)]


def played_frames(decoded: int, gapless: Gapless | None, libavcodec: str) -> int:
    """Return how many of the decoded frames a player of the edit list plays.

    FFmpeg before 8 begins where the edit list says, but decodes on to the last AAC frame's end.
    """
    plays_out = int(libavcodec.partition(".")[0]) < _FFMPEG_8
    return decoded - gapless.remainder if plays_out and gapless is not None else decoded


def read_itunsmpb(text: str) -> Gapless | None:
    """Parse iTunes' gapless comment; None where it is something else."""
    found = _ITUNSMPB.match(text)
    if found is None:
        return None
    return Gapless(*(int(number, 16) for number in found.groups()))


def _findings(
    name: str,
    order: list[str],
    track: mp4.Track,
    gapless: Gapless | None,
    title: str | None,
    heard: Heard,
    frames: int,
) -> Iterator[Finding]:
    if "mdat" in order and order.index("moov") > order.index("mdat"):
        yield Finding(
            "m4a.faststart",
            "error",
            name,
            "The index stands behind the data: no play before the end.",
        )
    if heard.complaints:
        yield Finding("m4a.decodes", "error", name, heard.complaints.splitlines()[0])
    edit = track.edit
    if edit is None and gapless is None:
        yield Finding(
            "m4a.gapless", "error", name, "Neither an edit list nor iTunSMPB: priming is audible."
        )
    elif edit is None or gapless is None:
        lacking = "edit list" if edit is None else "iTunSMPB"
        yield Finding("m4a.gapless", "warning", name, f"No {lacking}: some players add a gap.")
    elif (edit.media_time, edit.duration) != (gapless.priming, gapless.frames):
        yield Finding(
            "m4a.gapless",
            "error",
            name,
            f"The edit list says {edit.duration} frames from {edit.media_time}, "
            f"iTunSMPB {gapless.frames} from {gapless.priming}.",
        )
    stated = edit.duration if edit else gapless.frames if gapless else None
    if stated is not None and abs(frames - stated) > 1:
        yield Finding(
            "m4a.length", "error", name, f"Decodes to {frames} frames, {stated} are stated."
        )
    if (
        gapless is not None
        and track.duration != gapless.priming + gapless.frames + gapless.remainder
    ):
        yield Finding(
            "m4a.gapless", "error", name, "iTunSMPB does not add up to the media's length."
        )
    if title is None:
        yield Finding("m4a.tags", "note", name, "The file has no title.")


def _tags(path: Path) -> tuple[Gapless | None, str | None]:
    """Return the gapless comment and the title. Raises ``ValueError`` for damaged tags."""
    from mutagen import MutagenError
    from mutagen.mp4 import MP4

    try:
        tags: Mapping[str, Sequence[Any]] = MP4(path).tags or {}  # type: ignore[no-untyped-call]  # mutagen has none
    except MutagenError as error:
        raise ValueError(f"its tags cannot be read: {error}") from error
    comment = tags.get("----:com.apple.iTunes:iTunSMPB")
    title = tags.get("\xa9nam")
    gapless = read_itunsmpb(bytes(comment[0]).decode("latin-1")) if comment else None
    return gapless, str(title[0]) if title else None
