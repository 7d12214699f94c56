"""Frames that follow one another without a container: MPEG audio, ADTS, AC-3. Pure.

Each begins with a sync word and says how long it is, so a file's last one tells whether the
file is whole.
"""

from __future__ import annotations

from collections.abc import Callable

FrameBytes = Callable[[bytes, int], int | None]
"""Length of the frame that begins at an offset, or None where none does."""

_ESTABLISHED = 2
"""Frames in a row after which the next sync word is believed."""
_MPEG_RATES_HZ = (44_100, 48_000, 32_000)
_MPEG_1_KBIT = {
    1: (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_MPEG_2_KBIT = {
    1: (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    3: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_AC3_KBIT = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_AC3_RATES_HZ = (48_000, 44_100, 32_000)
_AC3_LAST_BSID = 10
_EAC3_LAST_BSID = 16


def ends_inside_a_frame(tail: bytes, frame_bytes: FrameBytes) -> bool:
    """Whether the last of a row of frames goes on behind the end of the data.

    The data may begin anywhere. What is no frame at its end (a tag, padding) is let be.
    """
    at = in_a_row = 0
    while at < len(tail):
        length = frame_bytes(tail, at)
        if length is None:
            if in_a_row >= _ESTABLISHED and len(tail) - at < 4 and tail[at] in (0xFF, 0x0B):
                return True  # within the next header
            at, in_a_row = at + 1, 0
        elif at + length > len(tail):
            if in_a_row >= _ESTABLISHED or at == 0:
                return True
            at, in_a_row = at + 1, 0
        else:
            at, in_a_row = at + length, in_a_row + 1
    return False


def without_trailing_tags(tail: bytes) -> bytes:
    """Return the data without ID3v1, Lyrics3v2 and APE tags at its end."""
    while True:
        if tail[-128:-125] == b"TAG":
            tail = tail[:-128]
        elif tail[-9:] == b"LYRICS200" and tail[-15:-9].isdigit():
            tail = tail[: -15 - int(tail[-15:-9])]
        elif tail[-32:-24] == b"APETAGEX":
            size = int.from_bytes(tail[-20:-16], "little")
            has_header = tail[-9] & 0x80
            if not 32 <= size <= len(tail) - (32 if has_header else 0):
                return tail
            tail = tail[: -size - (32 if has_header else 0)]
        else:
            return tail


def _mpeg(data: bytes, at: int) -> int | None:
    """MPEG-1, 2 and 2.5 audio, all layers (ISO/IEC 11172-3 §2.4.2.3); not free format."""
    header = data[at : at + 4]
    if len(header) < 4 or header[0] != 0xFF or header[1] < 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bit_rate, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 4 or rate == 3 or bit_rate in (0, 15):
        return None
    kbit = (_MPEG_1_KBIT if version == 3 else _MPEG_2_KBIT)[layer][bit_rate - 1]
    hertz = _MPEG_RATES_HZ[rate] >> {3: 0, 2: 1, 0: 2}[version]
    if layer == 1:
        return (12_000 * kbit // hertz + padding) * 4
    samples = 576 if layer == 3 and version != 3 else 1152
    return samples * 125 * kbit // hertz + padding


def _adts(data: bytes, at: int) -> int | None:
    """AAC in ADTS (ISO/IEC 14496-3 §1.A.2)."""
    header = data[at : at + 6]
    if len(header) < 6 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
        return None
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return length if length > 7 else None


def _ac3(data: bytes, at: int) -> int | None:
    """AC-3 and E-AC-3 (ATSC A/52 §5.4.1, annex E §2.3.1)."""
    header = data[at : at + 6]
    if len(header) < 6 or header[:2] != b"\x0b\x77":
        return None
    bsid = header[5] >> 3
    if _AC3_LAST_BSID < bsid <= _EAC3_LAST_BSID:
        return 2 * ((header[2] & 7) << 8 | header[3]) + 2
    rate, code = header[4] >> 6, header[4] & 0x3F
    if bsid > _EAC3_LAST_BSID or rate == 3 or code // 2 >= len(_AC3_KBIT):
        return None
    words = _AC3_KBIT[code // 2] * 96_000 // _AC3_RATES_HZ[rate]
    odd = code & 1 if _AC3_RATES_HZ[rate] == 44_100 else 0
    return 2 * (words + odd)


FRAME_BYTES: dict[str, FrameBytes] = {"mp3": _mpeg, "aac": _adts, "ac3": _ac3, "eac3": _ac3}
"""By FFmpeg's name of the demuxer."""
