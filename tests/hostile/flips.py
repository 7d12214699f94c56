"""Bytes flipped at random in otherwise good files; the seed is in the title."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from tests.hostile.encodings import ENCODINGS, Encoding
from tests.hostile.inputs import HostileInput, Survive, Workshop, made

FLIPPED = (
    *("mp3", "mp3 without xing", "wav", "flac", "m4a faststart", "m4a alac", "ogg vorbis"),
    *("ogg opus", "wma", "wv", "mka", "webm", "caf", "tta", "avi mp3", "ts aac", "flv", "adts"),
    *("aiff", "ac3", "w64", "au", "mpg"),
)


def flipped(encoding: Encoding, seed: int, in_header: bool, workshop: Workshop) -> bytes:
    """Return the file with twenty bytes changed, in its first 512 or anywhere."""
    data = np.frombuffer(bytearray(encoding.data(workshop)), np.uint8)
    rng = np.random.default_rng(seed)
    reach = min(512, len(data)) if in_header else len(data)
    hit = rng.choice(reach, 20, replace=False)
    data[hit] ^= rng.integers(1, 256, len(hit)).astype(np.uint8)
    return data.tobytes()


def inputs() -> Iterator[HostileInput]:
    """Each container, hit in its header and anywhere."""
    for name in FLIPPED:
        for seed in (1, 2):
            for place, in_header in (("its header", True), ("it", False)):
                encoding = ENCODINGS[name]
                yield made(
                    "flipped",
                    f"{name}, 20 bytes of {place}, seed {seed}",
                    Survive(),
                    partial(flipped, encoding, seed, in_header),
                    encoding.suffix,
                )
