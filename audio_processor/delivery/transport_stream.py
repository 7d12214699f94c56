"""The audio inside an MPEG transport stream (ISO/IEC 13818-1): its bytes and time stamps. Pure.

Reads what any HLS segment may hold, ours or another's; writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PACKET_BYTES = 188
CLOCK_HZ = 90_000
ADTS_AAC = 0x0F
_AUDIO_TYPES = {0x03: "mp3", 0x04: "mp3", ADTS_AAC: "aac", 0x11: "aac-latm", 0x81: "ac-3"}
_VIDEO_TYPES = {0x01, 0x02, 0x10, 0x1B, 0x24}
_PAT_PID = 0
_PES_FIXED_BYTES = 9

Packets = NDArray[np.uint8]
"""Shape ``(packets, 188)``."""


@dataclass(frozen=True, slots=True)
class AudioStream:
    """The first audio stream of one segment."""

    codec: str
    """``aac`` where it is ADTS."""
    payload: bytes
    """The elementary stream: for ``aac``, ADTS frames."""
    pts: tuple[int, ...]
    """The time stamp of each PES packet, 90 kHz."""
    first_counter: int
    last_counter: int
    counter_breaks: int
    """Packets whose continuity counter does not follow on from the one before."""
    has_video: bool


def read_audio(data: bytes) -> AudioStream:
    """Return the segment's first audio stream. Raises ``ValueError`` where it has none."""
    packets = _packets(data)
    pids = (packets[:, 1].astype(np.int64) & 0x1F) << 8 | packets[:, 2]
    pmt = _section(packets, pids, _program_map_pid(_section(packets, pids, _PAT_PID)))
    streams = _elementary_streams(pmt)
    audio = next((s for s in streams if s[0] in _AUDIO_TYPES), None)
    if audio is None:
        raise ValueError("the segment has no audio stream")
    stream_type, pid = audio
    chosen = packets[(pids == pid) & (packets[:, 3] & 0x10 != 0)]
    if not len(chosen):
        raise ValueError("the segment's audio stream has no packets")
    payload, pts = _elementary_payload(chosen)
    counters = chosen[:, 3] & 0x0F
    steps = np.diff(counters.astype(np.int16)) % 16
    return AudioStream(
        codec=_AUDIO_TYPES[stream_type],
        payload=payload,
        pts=pts,
        first_counter=int(counters[0]),
        last_counter=int(counters[-1]),
        counter_breaks=int(np.count_nonzero(steps != 1)),
        has_video=any(kind in _VIDEO_TYPES for kind, _ in streams),
    )


def _packets(data: bytes) -> Packets:
    if not data or len(data) % PACKET_BYTES:
        raise ValueError(f"{len(data)} bytes are not whole transport stream packets")
    packets = np.frombuffer(data, np.uint8).reshape(-1, PACKET_BYTES)
    if not np.all(packets[:, 0] == 0x47):
        raise ValueError("a transport stream packet without its sync byte")
    return packets


def _payload_starts(packets: Packets) -> NDArray[np.int64]:
    """Return where each packet's payload begins, past its adaptation field."""
    adapted = packets[:, 3] & 0x20 != 0
    return 4 + np.where(adapted, packets[:, 4].astype(np.int64) + 1, 0)


def _section(packets: Packets, pids: NDArray[np.int64], pid: int) -> bytes:
    """Return the first table section on the PID; one packet long, as in any HLS segment."""
    starting = packets[(pids == pid) & (packets[:, 1] & 0x40 != 0)]
    if not len(starting):
        raise ValueError(f"the segment has no table on PID {pid}")
    packet = starting[:1]
    body: bytes = packet[0, int(_payload_starts(packet)[0]) :].tobytes()
    if not body:
        raise ValueError(f"the table on PID {pid} is empty")
    section = body[1 + body[0] :]
    if len(section) < 12:
        raise ValueError(f"the table on PID {pid} is cut short")
    length = 3 + ((section[1] & 0x0F) << 8 | section[2])
    return section[: length - 4]  # the last four are the CRC


def _program_map_pid(pat: bytes) -> int:
    for at in range(8, len(pat) - 3, 4):
        program = pat[at] << 8 | pat[at + 1]
        if program:
            return (pat[at + 2] & 0x1F) << 8 | pat[at + 3]
    raise ValueError("the segment's program association table names no program")


def _elementary_streams(pmt: bytes) -> list[tuple[int, int]]:
    """Return (stream type, PID) of each stream that the program map lists."""
    at = 12 + ((pmt[10] & 0x0F) << 8 | pmt[11]) if len(pmt) >= 12 else len(pmt)
    streams = []
    while at + 5 <= len(pmt):
        streams.append((pmt[at], (pmt[at + 1] & 0x1F) << 8 | pmt[at + 2]))
        at += 5 + ((pmt[at + 3] & 0x0F) << 8 | pmt[at + 4])
    return streams


def _elementary_payload(packets: Packets) -> tuple[bytes, tuple[int, ...]]:
    """Strip packet, adaptation and PES headers; return the rest and the time stamps."""
    starts = _payload_starts(packets)
    pts = []
    for row in np.flatnonzero(packets[:, 1] & 0x40):
        at = int(starts[row])
        header = packets[row, at:].tobytes()
        if len(header) < _PES_FIXED_BYTES or header[:3] != b"\0\0\1":
            raise ValueError("a PES packet without its start code")
        starts[row] = at + _PES_FIXED_BYTES + header[8]
        if starts[row] > PACKET_BYTES:
            raise ValueError("a PES header longer than its packet")
        if header[7] & 0x80:
            pts.append(_time_stamp(header[9:14]))
    if not packets[0, 1] & 0x40:
        raise ValueError("the segment begins in the middle of a PES packet")
    kept = np.arange(PACKET_BYTES) >= starts[:, None]
    return packets[kept].tobytes(), tuple(pts)


def _time_stamp(field: bytes) -> int:
    if len(field) < 5:
        raise ValueError("a PES time stamp is cut short")
    return (
        (field[0] >> 1 & 7) << 30
        | field[1] << 22
        | (field[2] >> 1) << 15
        | field[3] << 7
        | field[4] >> 1
    )
