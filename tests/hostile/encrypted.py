"""Files that are locked: sound that must not be taken for noise."""

from __future__ import annotations

from collections.abc import Iterator

from tests.hostile import writers
from tests.hostile.inputs import UNSUPPORTED, HostileInput, Make, Reject, Workshop, made

_KEY = "76a6c65c5ea762046bd749a2e632ccbb"
_KID = "a7e61c373e219033c21091fa607bf3b8"
_ASF_ENCRYPTION = bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e")


def _cenc(codec: str) -> Make:
    arguments = (
        f"-c:a {codec} -strict -2 -encryption_scheme cenc-aes-ctr "
        f"-encryption_key {_KEY} -encryption_kid {_KID}"
    )
    return lambda workshop: workshop.encoded("mp4", arguments)


def _fairplay(workshop: Workshop) -> bytes:
    return workshop.encoded("m4a", "-c:a aac").replace(b"mp4a\0\0\0\0\0\0", b"drms\0\0\0\0\0\0")


def _audible(workshop: Workshop) -> bytes:
    return workshop.encoded("m4a", "-c:a aac").replace(b"mp4a\0\0\0\0\0\0", b"aavd\0\0\0\0\0\0")


def _asf(workshop: Workshop) -> bytes:
    """A Content Encryption Object (ASF §3.14) in the header."""
    data = bytearray(workshop.encoded("wma", "-c:a wmav2"))
    body = b"".join(len(part).to_bytes(4, "little") + part for part in (b"s", b"DRM\0", b"k", b"u"))
    drm = _ASF_ENCRYPTION + (24 + len(body)).to_bytes(8, "little") + body
    size = int.from_bytes(data[16:24], "little") + len(drm)
    data[16:24] = size.to_bytes(8, "little")
    count = int.from_bytes(data[24:28], "little") + 1
    data[24:28] = count.to_bytes(4, "little")
    data[30:30] = drm
    return bytes(data)


def _matroska(workshop: Workshop) -> bytes:
    """ContentEncodings with ContentEncryption in the one track."""
    element = writers.element
    encryption = element("5035", element("47e1", b"\x05"))
    encoding = element(
        "6240",
        element("5031", b"\0") + element("5032", b"\1") + element("5033", b"\1") + encryption,
    )
    encodings = element("6d80", encoding)
    data = workshop.encoded("mka", "-c:a pcm_s16le -write_crc32 0")
    clusters = data.index(bytes.fromhex("1f43b675"), data.index(b"A_PCM"))
    at = data.rindex(bytes.fromhex("1654ae6b"), 0, clusters)  # Tracks itself, not the way to it
    return _grown(data, at, encodings)


def _grown(data: bytes, tracks_at: int, added: bytes) -> bytes:
    """Return the file with ``added`` at the end of its first track entry."""
    tracks_size, tracks_body = _vint(data, tracks_at + 4)
    entry_at = data.index(b"\xae", tracks_body)
    entry_size, entry_body = _vint(data, entry_at + 1)
    end = entry_body + entry_size
    entry = b"\xae" + _eight(entry_size + len(added)) + data[entry_body:end] + added
    rest = data[end : tracks_body + tracks_size]
    before = data[tracks_body:entry_at]
    body = before + entry + rest
    tracks = data[tracks_at : tracks_at + 4] + _eight(len(body)) + body
    segment_at = data.index(bytes.fromhex("18538067"))
    _, segment_body = _vint(data, segment_at + 4)
    unknown = b"\x01" + b"\xff" * 7
    head = data[: segment_at + 4] + unknown + data[segment_body:tracks_at]
    return head + tracks + data[tracks_body + tracks_size :]


def _vint(data: bytes, at: int) -> tuple[int, int]:
    """Return an EBML length and where what it measures begins."""
    length = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + length], "big") & (1 << 7 * length) - 1
    return value, at + length


def _eight(value: int) -> bytes:
    return (value | 1 << 56).to_bytes(8, "big")


def inputs() -> Iterator[HostileInput]:
    """Locked by each of the ways in use."""
    locked = Reject(UNSUPPORTED, "encrypted|locked")
    for codec in ("aac", "alac", "flac"):
        yield made("encrypted", f"mp4 by CENC, {codec}", locked, _cenc(codec), "mp4")
    yield made("encrypted", "m4p by FairPlay", locked, _fairplay, "m4p")
    yield made("encrypted", "Audible", locked, _audible, "aax")
    yield made("encrypted", "wma by DRM", locked, _asf, "wma")
    yield made("encrypted", "matroska", locked, _matroska, "mka")
