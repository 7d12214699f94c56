"""ADTS and transport streams, read byte by byte."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_processor.delivery.adts import frame_count, frame_offsets, payloads, read_format
from audio_processor.delivery.transport_stream import read_audio

PMT_PID, AUDIO_PID = 0x1000, 0x100


def adts(body: bytes, *, rate_index: int = 4, crc: bool = False) -> bytes:
    """One AAC-LC stereo frame around the body."""
    header_bytes = 9 if crc else 7
    length = header_bytes + len(body)
    header = bytes(
        (
            0xFF,
            0xF0 if crc else 0xF1,
            1 << 6 | rate_index << 2,
            2 << 6 | length >> 11,
            length >> 3 & 0xFF,
            (length & 7) << 5 | 0x1F,
            0xFC,
        )
    )
    return header + (b"\xab\xcd" if crc else b"") + body


def packet(pid: int, payload: bytes, counter: int, *, start: bool) -> bytes:
    """One transport stream packet, stuffed by an adaptation field."""
    room = 184 - len(payload)
    stuffing = b"" if room == 0 else b"\0" if room == 1 else bytes((room - 1, 0))
    adaptation = stuffing.ljust(room, b"\xff")
    flags = (0x30 if room else 0x10) | counter % 16
    return (
        bytes((0x47, (0x40 if start else 0) | pid >> 8, pid & 0xFF, flags)) + adaptation + payload
    )


def table(pid: int, table_id: int, body: bytes) -> bytes:
    section = bytes((table_id, 0xB0, len(body) + 9, 0, 1, 0xC1, 0, 0)) + body + b"\0\0\0\0"
    return packet(pid, b"\0" + section, 0, start=True)


def pes(payload: bytes, pts: int) -> bytes:
    stamp = bytes(
        (
            0x21 | pts >> 29 & 0x0E,
            pts >> 22 & 0xFF,
            pts >> 14 & 0xFE | 1,
            pts >> 7 & 0xFF,
            pts << 1 & 0xFE | 1,
        )
    )
    return b"\0\0\1\xc0\0\0\x80\x80\x05" + stamp + payload


def segment(
    payloads: list[bytes], *, stream_type: int = 0x0F, first_counter: int = 0, gap_at: int = -1
) -> bytes:
    data = table(0, 0, bytes((0, 1, 0xE0 | PMT_PID >> 8, PMT_PID & 0xFF)))
    data += table(
        PMT_PID,
        2,
        bytes(
            (0xE1, 0x00, 0xF0, 0x00, stream_type, 0xE0 | AUDIO_PID >> 8, AUDIO_PID & 0xFF, 0xF0, 0)
        ),
    )
    counter = first_counter
    for number, payload in enumerate(payloads):
        whole = pes(payload, number * 3000 + 126_000)
        for at in range(0, len(whole), 184):
            counter += counter == gap_at
            data += packet(AUDIO_PID, whole[at : at + 184], counter, start=at == 0)
            counter += 1
    return data


@given(
    bodies=st.lists(st.binary(min_size=1, max_size=700), min_size=1, max_size=30),
    first_counter=st.integers(0, 15),
)
def test_what_went_into_a_segment_comes_out(bodies: list[bytes], first_counter: int) -> None:
    frames = [adts(body) for body in bodies]
    stream = read_audio(segment(frames, first_counter=first_counter))
    assert stream.payload == b"".join(frames)
    assert stream.pts == tuple(126_000 + 3000 * n for n in range(len(bodies)))
    assert (stream.codec, stream.counter_breaks) == ("aac", 0)
    assert stream.first_counter == first_counter
    assert frame_count(stream.payload) == len(bodies)


def test_a_lost_packet_shows() -> None:
    frames = [adts(bytes(600))] * 3
    assert read_audio(segment(frames, gap_at=5)).counter_breaks == 1


def test_another_codec_is_named() -> None:
    assert read_audio(segment([b"ID3 or what"], stream_type=0x03)).codec == "mp3"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"#EXTM3U\n",
        bytes(188),
        segment([adts(b"x")])[:-1],
        segment([adts(b"x")])[188:],  # no association table
        segment([adts(b"x")])[:376],  # no audio
        segment([adts(b"x")], stream_type=0x1B),  # video alone
        segment([adts(bytes(400))])[: 2 * 188] + segment([adts(bytes(400))])[3 * 188 :],
    ],
    ids=["empty", "text", "zeros", "cut", "no PAT", "no audio", "video", "no start"],
)
def test_what_is_no_segment_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_audio(data)


@given(st.binary(max_size=188 * 4))
def test_any_bytes_are_read_or_refused(noise: bytes) -> None:
    data = bytearray(segment([adts(bytes(300))]))
    data[4 : 4 + len(noise)] = noise
    with contextlib.suppress(ValueError):
        read_audio(bytes(data[: len(data) // 188 * 188]))


def test_payloads_are_the_frames_without_headers_or_checksums(tmp_path: Path) -> None:
    path = tmp_path / "a.aac"
    bodies = [bytes((n % 251,)) * (n % 8000 + 1) for n in range(0, 40_000, 97)]
    path.write_bytes(b"".join(adts(b, crc=n % 2 == 0) for n, b in enumerate(bodies)))
    assert b"".join(payloads(path)) == b"".join(bodies)


def test_a_frame_cut_short_is_no_frame(tmp_path: Path) -> None:
    data = adts(b"one") + adts(b"two")[:-1]
    assert frame_offsets(data) == [0, 10]
    with pytest.raises(ValueError, match="cut short"):
        frame_count(data)
    path = tmp_path / "a.aac"
    path.write_bytes(data)
    with pytest.raises(ValueError, match="cut short"):
        list(payloads(path))


def test_no_sync_word_is_refused() -> None:
    with pytest.raises(ValueError, match="byte 10"):
        frame_offsets(adts(b"one") + b"RIFF....")


def test_the_header_says_rate_and_type() -> None:
    form = read_format(adts(b"x", rate_index=6))
    assert (form.object_type, form.sample_rate_hz, form.channels) == (2, 24_000, 2)
