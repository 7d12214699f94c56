"""The download file: the best rendition's very encode in an MP4, gapless to the sample.

What the decoder yields before and after the programme is stated twice, as the two families
of players expect it: an edit list (QuickTime, FFmpeg, browsers) and iTunSMPB (iTunes, iOS).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from audio_processor.delivery import mp4
from audio_processor.delivery.adts import FRAME_SAMPLES, payloads
from audio_processor.errors import VerificationFailed
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.media.tags import write_m4a_tags
from audio_processor.model import CoverArt, EncodedTier, M4a

_MUX_TIMEOUT_S = 600.0


def mux_m4a(
    supervisor: Supervisor,
    encoded: EncodedTier,
    target: Path,
    *,
    tags: Mapping[str, str],
    cover: CoverArt | None,
) -> M4a:
    """Write the encode to ``target``: index first, tagged, the same bytes for the same encode.

    Raises ``VerificationFailed`` where the file does not hold what was measured.
    """
    remainder = remainder_frames(encoded)
    # the index stays last until it has its tags: put into a file whose index comes first,
    # they would have the whole file moved along, in memory that grows with it
    draft = target.with_name(f"{target.stem}.draft.m4a")
    supervisor.run(mux_arguments(encoded, draft), what="mux the m4a", timeout_s=_MUX_TIMEOUT_S)
    try:
        with draft.open("r+b") as file:
            mp4.set_edit(file, mp4.Edit(encoded.lead_frames, encoded.source_frames))
        write_m4a_tags(
            draft, tags, cover, itunsmpb(encoded.lead_frames, remainder, encoded.source_frames)
        )
        with draft.open("rb") as source, target.open("wb") as file:
            mp4.put_index_first(source, file)
        draft.unlink()
        payload_bytes = _check(encoded, target)
    except ValueError as error:
        raise VerificationFailed(f"The m4a is not what it should be: {error}.") from error
    media_s = encoded.aac_frames * FRAME_SAMPLES / encoded.tier.sample_rate_hz
    return M4a(
        path=target,
        size_bytes=target.stat().st_size,
        bit_rate=round(payload_bytes * 8 / media_s),
        priming_frames=encoded.lead_frames,
        remainder_frames=remainder,
        frames=encoded.source_frames,
    )


def mux_arguments(encoded: EncodedTier, target: Path) -> list[str]:
    """Return FFmpeg's arguments: a copy of the encode that begins before time 0.

    The negative start makes the muxer write an edit list; ``mp4.set_edit`` then makes it
    exact to the frame, which the movie's timescale allows.
    """
    rate = encoded.tier.sample_rate_hz
    return [
        *("-hide_banner", "-nostdin", "-loglevel", "error"),
        *("-itsoffset", f"{-encoded.lead_frames / rate:.6f}"),
        *("-f", "aac", "-i", str(encoded.path), "-map", "0:a:0", "-c", "copy"),
        *("-map_metadata", "-1", "-fflags", "+bitexact", "-avoid_negative_ts", "disabled"),
        *("-movie_timescale", str(rate)),
        *("-f", "ipod", "-y", str(target)),
    ]


def remainder_frames(encoded: EncodedTier) -> int:
    """Return the frames that the decoder yields after the programme.

    Raises ``VerificationFailed`` where the encode ends before the programme does.
    """
    decoded = encoded.aac_frames * FRAME_SAMPLES
    remainder = decoded - encoded.lead_frames - encoded.source_frames
    if remainder < 0:
        raise VerificationFailed(f"{encoded.tier.name} is {-remainder} frames too short.")
    return remainder


def itunsmpb(priming: int, remainder: int, frames: int) -> str:
    """Return iTunes' gapless comment: hexadecimal priming, remainder and exact length."""
    return f" 00000000 {priming:08X} {remainder:08X} {frames:016X}" + " 00000000" * 8


def _check(encoded: EncodedTier, path: Path) -> int:
    """Hold the finished file against the encode; return the AAC payload's size in bytes.

    Raises ``ValueError`` saying what is wrong.
    """
    with path.open("rb") as file:
        order = [box.kind for box in mp4.top_level(file)]
        if order[0] != "ftyp" or order.index("moov") > order.index("mdat"):
            raise ValueError(f"its boxes stand in the order {order}")
        track = mp4.read_track(file)
        if track.edit != mp4.Edit(encoded.lead_frames, encoded.source_frames):
            raise ValueError(f"its edit list says {track.edit}")
        if len(track.sample_sizes) != encoded.aac_frames:
            raise ValueError(f"it holds {len(track.sample_sizes)} AAC frames")
        mdat = mp4.find(file, "mdat")
        size = sum(track.sample_sizes)
        if track.chunk_offsets[0] != mdat.body or mdat.end - mdat.body != size:
            raise ValueError("its sample tables do not cover its data")
        file.seek(mdat.body)
        for piece in payloads(encoded.path):
            if file.read(len(piece)) != piece:
                raise ValueError("it does not hold the AAC frames that were measured")
        if file.tell() != mdat.end:
            raise ValueError("it holds more than the AAC frames that were measured")
    return size
