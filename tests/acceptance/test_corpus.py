"""Real tracks through the program on every back end; FFmpeg's meters judge what came out.

The whole acceptance (``make acceptance``) takes twelve tracks per back end; here it is two.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from audio_processor.media.binary import find_ffmpeg
from bench.acceptance import accept, table
from bench.back_ends import BackEnd, embedded, on_services
from tests.corpus import corpus_track_or_skip

# two short ones whose loudness range has to come down: 11.5 and 22 LU
TRACKS = ("sad.ogg", "revelation.ogg")


@pytest.fixture(params=["embedded", "postgresql+s3", "mariadb+s3"])
def back_end(request: pytest.FixtureRequest, tmp_path: Path) -> BackEnd:
    if request.param == "embedded":
        return embedded(tmp_path)
    server = "postgres_server" if request.param == "postgresql+s3" else "mariadb_server"
    return on_services(
        request.param,
        request.getfixturevalue(server),
        request.getfixturevalue("s3_server"),
        tmp_path,
    )


def test_every_delivered_number_is_ffmpeg_s_too(back_end: BackEnd) -> None:
    tracks = [corpus_track_or_skip(name) for name in TRACKS]
    delivered = list(accept(back_end, tracks, find_ffmpeg().path))
    assert [one.track for one in delivered] == list(TRACKS)
    assert all(len(one.files) == 4 for one in delivered), "low, med, high and the m4a"
    assert not any(one.faults for one in delivered), "\n".join(table(delivered))
