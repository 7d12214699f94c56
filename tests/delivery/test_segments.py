"""Segments as FFmpeg cuts them: the encode's very bytes, where the plan says."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from audio_processor.delivery.segments import CutPlan, TierLength, cut, plan_cuts
from audio_processor.delivery.transport_stream import read_audio
from audio_processor.errors import VerificationFailed
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.model import EncodedTier
from tests.delivery.conftest import Encoded
from tests.delivery.material import HIGH, decode, encode, song


def plans(encoded: Encoded, segment_duration_s: float) -> tuple[CutPlan, ...]:
    lengths = [TierLength(e.tier.sample_rate_hz, e.aac_frames) for e in encoded.encodes]
    return plan_cuts(lengths, segment_duration_s)


@pytest.mark.parametrize("segment_duration_s", [10, 6, 2, 60])
def test_segments_hold_the_encodes_very_bytes(
    supervisor: Supervisor, encoded: Encoded, tmp_path: Path, segment_duration_s: float
) -> None:
    chosen = plans(encoded, segment_duration_s)
    for one, plan in zip(encoded.encodes, chosen, strict=True):
        segments = cut(supervisor, one, plan, tmp_path / one.tier.name)
        held = b"".join(read_audio(s.path.read_bytes()).payload for s in segments)
        assert held == one.path.read_bytes()
        assert [s.duration_s for s in segments] == list(plan.durations_s)
        assert [s.path.stat().st_size for s in segments] == [s.size_bytes for s in segments]


def test_a_merged_runt_leaves_one_valid_stream(supervisor: Supervisor, tmp_path: Path) -> None:
    """20.48 s of encode and a frame: FFmpeg cuts three files, two are delivered."""
    one = encode(supervisor, song(20.48 + 0.02 - 0.0427), HIGH, tmp_path)
    assert one.aac_frames == 883
    (plan,) = plan_cuts([TierLength(44_100, one.aac_frames)], 10.24)
    segments = cut(supervisor, one, plan, tmp_path / "cut")
    assert sorted(p.name for p in (tmp_path / "cut").glob("*.ts")) == [s.name for s in segments]
    streams = [read_audio(s.path.read_bytes()) for s in segments]
    assert [stream.counter_breaks for stream in streams] == [0] * len(segments)
    for before, after in pairwise(streams):
        assert after.first_counter == (before.last_counter + 1) % 16
    stamps = [pts for stream in streams for pts in stream.pts]
    assert stamps == sorted(set(stamps))
    # FFmpeg's own demuxer agrees: the last segment alone, runt and all, decodes whole
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(s.path.read_bytes() for s in segments))
    assert np.array_equal(decode(supervisor, joined, 44_100), decode(supervisor, one.path, 44_100))


def test_all_tiers_start_at_one_time_stamp_and_stay_together(
    supervisor: Supervisor, encoded: Encoded, tmp_path: Path
) -> None:
    starts = []
    for one, plan in zip(encoded.encodes, plans(encoded, 10), strict=True):
        segments = cut(supervisor, one, plan, tmp_path / one.tier.name)
        starts.append([read_audio(s.path.read_bytes()).pts[0] for s in segments])
    assert starts[0] == starts[1] == starts[2]
    assert [b - a for a, b in pairwise(starts[0])] == [round(10.24 * 90_000)] * 2


def test_the_same_encode_gives_the_same_bytes(
    supervisor: Supervisor, encoded: Encoded, tmp_path: Path
) -> None:
    one, plan = encoded.encodes[-1], plans(encoded, 10)[-1]
    first = cut(supervisor, one, plan, tmp_path / "a")
    second = cut(supervisor, one, plan, tmp_path / "b")
    assert [s.path.read_bytes() for s in first] == [s.path.read_bytes() for s in second]


def test_overhead_stays_small(supervisor: Supervisor, encoded: Encoded, tmp_path: Path) -> None:
    """One PES packet per AAC frame, as with no muxdelay, would be 40 %."""
    for one, plan in zip(encoded.encodes, plans(encoded, 10), strict=True):
        segments = cut(supervisor, one, plan, tmp_path / one.tier.name)
        overhead = sum(s.size_bytes for s in segments) / one.path.stat().st_size - 1
        assert 0.02 < overhead < 0.07


def test_a_scratch_folder_with_a_percent_sign(
    supervisor: Supervisor, encoded: Encoded, tmp_path: Path
) -> None:
    job_dir = tmp_path / "100%d"
    job_dir.mkdir()
    there = Supervisor(supervisor.binary, job_dir, supervisor.limits)
    segments = cut(there, encoded.encodes[0], plans(encoded, 10)[0], job_dir / "low")
    assert [s.name for s in segments] == ["segment_000.ts", "segment_001.ts", "segment_002.ts"]


def test_a_cut_elsewhere_than_planned_is_refused(
    supervisor: Supervisor, encoded: Encoded, tmp_path: Path
) -> None:
    plan = plans(encoded, 10)[0]
    shifted = replace(plan, segment_frames=(239, 241, *plan.segment_frames[2:]))
    with pytest.raises(VerificationFailed, match="holds 240 AAC frames, 239 were planned"):
        cut(supervisor, encoded.encodes[0], shifted, tmp_path / "cut")


def test_an_encode_with_rubbish_at_its_end_is_refused(
    supervisor: Supervisor, encoded: Encoded, tmp_path: Path
) -> None:
    spoilt = tmp_path / "spoilt.aac"
    spoilt.write_bytes(encoded.encodes[0].path.read_bytes() + b"\xff\xf1 and so on")
    one: EncodedTier = replace(encoded.encodes[0], path=spoilt)
    with pytest.raises(VerificationFailed):
        cut(supervisor, one, plans(encoded, 10)[0], tmp_path / "cut")
