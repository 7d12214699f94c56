"""Every container, cut at many points."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.hostile.encodings import ENCODINGS, Encoding
from tests.hostile.inputs import CORRUPT, HostileInput, Process, Reject, Verdict, Workshop, made
from tests.media.material import tones

POINTS: dict[str, float] = {
    "header only": 64,
    "a tenth": 0.1,
    "half": 0.5,
    "nine tenths": 0.9,
    "99 %": 0.99,
    "its last 100 bytes gone": -100,
    "its last byte gone": -1,
}
"""Where a file ends: after so many bytes, after a share of them, or short of its end."""

_LAST = ("its last 100 bytes gone", "its last byte gone")
NOTHING_LOST = {
    # what is gone stands behind the audio: an index, tags, a check sum, a decoder's padding
    *((name, point) for name in ("mp3", "mp3 vbr", "m4a", "m4a fragmented") for point in _LAST),
    *((name, point) for name in ("avi", "avi mp3", "flv") for point in _LAST),
    ("mp3 vbr", "99 %"),
    ("avi mp3", "99 %"),
    *((name, "its last byte gone") for name in ("wv", "mka", "tta", "flv aac")),
}


def cut(encoding: Encoding, point: float, workshop: Workshop) -> bytes:
    """Return the file's beginning."""
    data = encoding.data(workshop)
    end = round(len(data) * point) if 0 < point < 1 else int(point)
    return data[:end]


LONG_S = 1200.0
_LONG_RATE = 8_000
_LONG_FRAME_BYTES = 72
"""Of 72 ms at 8 kbit/s."""
LONG = "mp3 of 20 minutes"


def _long(frames_gone: int, workshop: Workshop) -> bytes:
    """Return a long MP3 without some of its last frames: what is left ends with a whole one."""
    hum = tones(LONG_S, _LONG_RATE, [220])
    data = workshop.encoded("mp3", "-b:a 8k", pcm=hum, rate_hz=_LONG_RATE)
    return data[: len(data) - frames_gone * _LONG_FRAME_BYTES]


def inputs() -> Iterator[HostileInput]:
    """Each container at each point; and one so long that a share of it would be seconds."""
    for frames in (3, 20):
        title = f"{LONG}, its last {frames} frames gone"
        yield made("truncated", title, Reject(CORRUPT), partial(_long, frames))
    for name, encoding in ENCODINGS.items():
        for words, point in POINTS.items():
            verdict: Verdict = Reject(CORRUPT)
            if (name, words) in NOTHING_LOST:
                verdict = Process()
            yield made(
                "truncated",
                f"{name}, {words}",
                verdict,
                partial(cut, encoding, point),
                encoding.suffix,
            )


def whole() -> Iterator[HostileInput]:
    """Each container as it should be: what is refused for its end has one to compare with."""
    for name, encoding in ENCODINGS.items():
        yield made("whole", name, Process(), encoding.data, encoding.suffix)
        if encoding.suffix != "mp3":
            yield made("wrong extension", f"{name} called .mp3", Process(), encoding.data, "mp3")
    yield made("whole", LONG, Process(LONG_S), partial(_long, 0))
