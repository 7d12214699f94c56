"""The download file: the measured encode, gapless to the sample."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mutagen.mp4 import MP4

from audio_processor.delivery import mp4
from audio_processor.delivery.m4a import itunsmpb, mux_m4a
from audio_processor.errors import VerificationFailed
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.model import CoverArt, M4a, Tier
from tests.delivery.conftest import Encoded
from tests.delivery.material import HIGH, LOW, PNG, decode, encode, song

TAGS = {"title": "Abantu", "artist": "Ålpha & Ω", "album": "One", "track": "3/12"}


def tags_of(path: Path) -> Any:
    return MP4(path).tags  # type: ignore[no-untyped-call]  # mutagen has no types there


@pytest.fixture(scope="module")
def m4a(supervisor: Supervisor, encoded: Encoded, tmp_path_factory: pytest.TempPathFactory) -> M4a:
    target = tmp_path_factory.mktemp("m4a") / "track.m4a"
    cover = CoverArt(PNG, "image/png")
    return mux_m4a(supervisor, encoded.encodes[-1], target, tags=TAGS, cover=cover)


def test_a_decode_that_honours_the_edit_list_gives_the_programme(
    supervisor: Supervisor, encoded: Encoded, m4a: M4a
) -> None:
    """Sample for sample what the ADTS stream decodes to, less priming and remainder."""
    best = encoded.encodes[-1]
    heard = decode(supervisor, m4a.path, best.tier.sample_rate_hz)
    whole = decode(supervisor, best.path, best.tier.sample_rate_hz)
    assert len(heard) == len(encoded.pcm) == m4a.frames
    assert np.array_equal(heard, whole[m4a.priming_frames :][: m4a.frames])


# under 167 frames (4 ms) all lies in one AAC frame, of which FFmpeg's demuxer cuts one end only
@pytest.mark.parametrize("tier", [HIGH, LOW], ids=lambda tier: tier.name)
@pytest.mark.parametrize("frames", [167, 1023, 1024, 1025, 44_100, 100_003])
def test_any_length_is_exact(
    supervisor: Supervisor, tmp_path: Path, tier: Tier, frames: int
) -> None:
    one = encode(supervisor, song(2.5)[:frames], tier, tmp_path)
    made = mux_m4a(supervisor, one, tmp_path / "a.m4a", tags={}, cover=None)
    heard = decode(supervisor, made.path, tier.sample_rate_hz)
    assert len(heard) == made.frames == one.source_frames
    assert made.priming_frames + made.frames + made.remainder_frames == one.aac_frames * 1024


def test_itunes_is_told_the_same(m4a: M4a) -> None:
    comment = bytes(tags_of(m4a.path)["----:com.apple.iTunes:iTunSMPB"][0]).decode()
    numbers = [int(number, 16) for number in comment.split()]
    assert numbers[:4] == [0, m4a.priming_frames, m4a.remainder_frames, m4a.frames]
    assert len(comment.split()[3]) == 16
    with m4a.path.open("rb") as file:
        edit = mp4.read_track(file).edit
    assert edit == mp4.Edit(m4a.priming_frames, m4a.frames)


def test_itunsmpb_golden() -> None:
    assert itunsmpb(0x840, 0x1CA, 0x3F31F6) == (
        " 00000000 00000840 000001CA 00000000003F31F6"
        " 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000"
    )


def test_index_first_and_a_brand_that_apple_knows(m4a: M4a) -> None:
    data = m4a.path.read_bytes()
    kinds = [box.kind for box in mp4.top_level(io.BytesIO(data))]
    assert kinds.index("moov") < kinds.index("mdat")
    assert data[4:12] == b"ftypM4A "
    handler = mp4.find(io.BytesIO(data), "moov/trak/mdia/hdlr")
    assert data[handler.body + 8 : handler.body + 12] == b"soun"


def test_tags_and_cover_are_carried(m4a: M4a) -> None:
    tags = tags_of(m4a.path)
    assert tags["\xa9nam"] == ["Abantu"]
    assert tags["\xa9ART"] == ["Ålpha & Ω"]
    assert tags["trkn"] == [(3, 12)]
    assert bytes(tags["covr"][0]) == PNG


def test_the_same_encode_gives_the_same_bytes(
    supervisor: Supervisor, encoded: Encoded, m4a: M4a, tmp_path: Path
) -> None:
    again = mux_m4a(
        supervisor,
        encoded.encodes[-1],
        tmp_path / "again.m4a",
        tags=TAGS,
        cover=CoverArt(PNG, "image/png"),
    )
    assert again.path.read_bytes() == m4a.path.read_bytes()


def test_its_bit_rate_is_the_audios(encoded: Encoded, m4a: M4a) -> None:
    assert m4a.size_bytes == m4a.path.stat().st_size
    seconds = encoded.encodes[-1].aac_frames * 1024 / 44_100
    assert m4a.bit_rate == pytest.approx(m4a.size_bytes * 8 / seconds, rel=0.02)


def test_an_encode_shorter_than_its_programme_is_refused(
    supervisor: Supervisor, encoded: Encoded, tmp_path: Path
) -> None:
    best = encoded.encodes[-1]
    short = replace(best, source_frames=best.aac_frames * 1024)
    with pytest.raises(VerificationFailed, match="1882 frames too short"):
        mux_m4a(supervisor, short, tmp_path / "a.m4a", tags={}, cover=None)


def test_boxes_that_lie_about_their_size_are_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        mp4.top_level(io.BytesIO(b"\0\0\xff\xffmoov" + bytes(20)))
    with pytest.raises(ValueError, match="cut short"):
        mp4.top_level(io.BytesIO(b"\0\0\0\x08free\0\0"))
