"""Encodes: whole, counted, the same bytes for the same input, and on one timeline."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from audio_processor.delivery.timeline import AAC_FRAME, alignment_padding, lead_frames
from audio_processor.errors import VerificationFailed
from audio_processor.media.adts import count_frames
from audio_processor.media.binary import FFmpegBinary
from audio_processor.media.decode import decode_adts
from audio_processor.media.encode import NativeAac
from audio_processor.media.ffmpeg import FFmpegFailed, ProcessLimits, Supervisor
from audio_processor.model import Block, Candidate, EncodedTier, Tier
from tests.media.material import Pcm, lag_frames, level_db, music

LOW = Tier("low", 48_000, 24_000)
MED = Tier("med", 64_000, 32_000)
HIGH = Tier("high", 128_000, 44_100)
TIERS = (LOW, MED, HIGH)
RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)
DEFAULT = Candidate(-1.5)


def cut(pcm: Pcm, size: int) -> Iterator[Block]:
    yield from (pcm[start : start + size] for start in range(0, len(pcm), size))


def encode(
    supervisor: Supervisor,
    pcm: Pcm,
    tier: Tier,
    *,
    name: str = "x.aac",
    candidate: Candidate = DEFAULT,
    padding_frames: int = 0,
    size: int = 16_384,
) -> EncodedTier:
    return NativeAac().encode(
        *(supervisor, cut(pcm, size)),
        tier=tier,
        candidate=candidate,
        target=supervisor.job_dir / name,
        padding_frames=padding_frames,
    )


def decoded(supervisor: Supervisor, encoded: EncodedTier) -> Pcm:
    rate = encoded.tier.sample_rate_hz
    with decode_adts(supervisor, encoded.path, sample_rate_hz=rate) as blocks:
        return np.concatenate(list(blocks))


@pytest.mark.parametrize("tier", TIERS, ids=lambda tier: tier.name)
@pytest.mark.parametrize("frames", [1, 1023, 1024, 1025, 66_560])
def test_nothing_is_lost(tier: Tier, frames: int, supervisor: Supervisor) -> None:
    pcm = music(3.0, tier.sample_rate_hz)[:frames]
    padding = alignment_padding([t.sample_rate_hz for t in TIERS])[tier.sample_rate_hz]
    encoded = encode(supervisor, pcm, tier, padding_frames=padding)
    heard = decoded(supervisor, encoded)
    assert encoded.source_frames == frames
    assert encoded.lead_frames == lead_frames(padding)
    assert len(heard) == encoded.aac_frames * AAC_FRAME
    assert encoded.lead_frames + frames <= len(heard) < encoded.lead_frames + frames + 2 * AAC_FRAME


def test_an_empty_programme_is_still_a_stream(supervisor: Supervisor) -> None:
    encoded = encode(supervisor, np.zeros((0, 2), np.float32), HIGH, padding_frames=858)
    assert encoded.source_frames == 0
    assert not decoded(supervisor, encoded).any()


def test_bytes_depend_on_the_input_alone(supervisor: Supervisor) -> None:
    pcm = music(2.0, 44_100)
    first = encode(supervisor, pcm, HIGH, name="a.aac", size=16_384).path.read_bytes()
    again = encode(supervisor, pcm, HIGH, name="b.aac", size=777).path.read_bytes()
    fast = Candidate(-1.5, coder="fast")
    other = encode(supervisor, pcm, HIGH, name="c.aac", candidate=fast).path.read_bytes()
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    "candidate",
    [Candidate(-1.5, coder, tns) for coder in ("twoloop", "fast") for tns in (True, False)],
    ids=str,
)
def test_every_candidate_keeps_level_and_place(
    candidate: Candidate, supervisor: Supervisor
) -> None:
    pcm = music(3.0, 44_100)
    encoded = encode(supervisor, pcm, HIGH, candidate=candidate)
    heard = decoded(supervisor, encoded)
    assert lag_frames(pcm, heard) == pytest.approx(AAC_FRAME, abs=0.1)
    assert level_db(heard[AAC_FRAME:][: len(pcm)]) == pytest.approx(level_db(pcm), abs=0.3)


def test_tiers_are_aligned_to_less_than_a_tenth_of_a_millisecond(supervisor: Supervisor) -> None:
    master = music(5.0, 44_100)
    padding = alignment_padding([tier.sample_rate_hz for tier in TIERS])
    upsampled = []
    for tier in TIERS:
        rate = tier.sample_rate_hz
        pcm = soxr.resample(master, 44_100, rate, quality="VHQ")
        encoded = encode(supervisor, pcm, tier, name=tier.name, padding_frames=padding[rate])
        upsampled.append(soxr.resample(decoded(supervisor, encoded), rate, 192_000, quality="VHQ"))
    reference = upsampled[-1]
    for other in upsampled[:-1]:
        assert abs(lag_frames(reference, other)) / 192_000 < 0.0001


@given(st.sets(st.sampled_from(RATES_HZ), min_size=1))
def test_padding_brings_every_tier_to_one_lead(rates: set[int]) -> None:
    padding = alignment_padding(rates)
    assert set(padding) == rates
    assert padding[min(rates)] == 0
    longest_s = AAC_FRAME / min(rates)
    for rate, frames in padding.items():
        assert frames >= 0
        assert abs(lead_frames(frames) / rate - longest_s) <= 0.5 / rate + 1e-12


def test_padding_of_the_default_ladder() -> None:
    assert alignment_padding([24_000, 32_000, 44_100]) == {24_000: 0, 32_000: 341, 44_100: 858}
    assert alignment_padding([]) == {}


def test_an_encoder_without_room_fails(binary: FFmpegBinary, tmp_path: Path) -> None:
    supervisor = Supervisor(binary, tmp_path, ProcessLimits(file_size_bytes=20_000))
    with pytest.raises(FFmpegFailed):
        encode(supervisor, music(5.0, 44_100), HIGH)


def test_an_encoder_that_was_never_asked_for_aac_rates_fails(supervisor: Supervisor) -> None:
    with pytest.raises((FFmpegFailed, VerificationFailed)):
        encode(supervisor, music(0.5, 48_000), Tier("odd", 64_000, 47_999))


def test_a_damaged_encode_does_not_pass_as_one(supervisor: Supervisor) -> None:
    encoded = encode(supervisor, music(1.0, 44_100), HIGH)
    whole = encoded.path.read_bytes()
    frames = encoded.aac_frames
    assert count_frames(encoded.path, 44_100) == frames
    damages = {
        "empty": b"",
        "cut": whole[:-1],
        "cut in a header": whole + whole[:5],
        "not at its rate": whole.replace(whole[:4], bytes((*whole[:2], 0x4C, whole[3])), 1),
        "more than frames": whole + b"tail tail",
    }
    for damage, data in damages.items():
        encoded.path.write_bytes(data)
        with pytest.raises(ValueError, match=r"ADTS|AAC"):
            count_frames(encoded.path, 44_100)
        assert damage
