"""A ladder to package, made without the line: a synthesised song, encoded by FFmpeg directly."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyloudnorm
import soxr
from numpy.typing import NDArray

from audio_processor.delivery.adts import FRAME_SAMPLES, frame_count
from audio_processor.delivery.package import PackageInputs
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.model import (
    Analysis,
    BandReduction,
    Candidate,
    CandidateResult,
    CoverArt,
    EncodedTier,
    Envelope,
    Ladder,
    Loudness,
    Mastering,
    MatchFigures,
    Plan,
    Probe,
    Rendition,
    SignalFacts,
    Source,
    StageFigures,
    Targets,
    Tier,
    Verified,
    Waveform,
)

LOW = Tier("low", 48_000, 24_000)
MED = Tier("med", 64_000, 32_000)
HIGH = Tier("high", 128_000, 44_100)
TIERS = (LOW, MED, HIGH)
RATE_HZ = 44_100
LEAD_FRAMES = {24_000: 1024, 32_000: 1024 + 341, 44_100: 1024 + 858}
"""1024/24000 s on every tier, to the nearest frame."""
MEASURED = Loudness(-14.02, 6.4, -1.31, -1.62, -9.8, -11.7)
UPLOAD_ID = "upload-1"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)

Pcm = NDArray[np.float32]


def song(duration_s: float, *, seed: int = 7) -> Pcm:
    """Return drums, bass and chords at −14 LUFS, stereo, with room for the codec's overshoot."""
    rng = np.random.default_rng(seed)
    frames = round(duration_s * RATE_HZ)
    t = np.arange(frames) / RATE_HZ
    beat = t % 0.5
    bar = (t // 2).astype(int) % 4
    root_hz = np.array([110.0, 87.31, 130.81, 98.0])[bar]
    phase = 2 * np.pi * np.cumsum(root_hz) / RATE_HZ
    bass = 0.22 * np.sin(phase) * np.exp(-2 * beat)
    chord = sum(np.sin(phase * ratio * 2 + ratio) for ratio in (1, 1.25, 1.5)) * 0.05
    kick = 0.4 * np.sin(2 * np.pi * 55 * beat) * np.exp(-beat * 24)
    hat = 0.08 * rng.standard_normal(frames) * np.exp(-(t % 0.25) * 60)
    left, right = bass + kick + chord + hat, bass + kick + chord * 0.8 + np.roll(hat, 31)
    mix = 0.6 * np.tanh(3.0 * np.stack([left, right], 1))
    loudness_lufs = pyloudnorm.Meter(RATE_HZ, filter_class="DeMan").integrated_loudness(mix)
    return np.asarray(mix * 10 ** ((-14.0 - loudness_lufs) / 20), np.float32)


def encode(supervisor: Supervisor, pcm: Pcm, tier: Tier, folder: Path) -> EncodedTier:
    """Resample, pad to the common lead and encode to ADTS with FFmpeg's native AAC."""
    at_rate = soxr.resample(pcm, RATE_HZ, tier.sample_rate_hz)
    padding = LEAD_FRAMES[tier.sample_rate_hz] - FRAME_SAMPLES
    padded = np.concatenate([np.zeros((padding, 2), np.float32), at_rate])
    source, target = folder / f"{tier.name}.f32", folder / f"{tier.name}.aac"
    source.write_bytes(padded.astype("<f4").tobytes())
    supervisor.run(
        [
            *("-hide_banner", "-nostdin", "-loglevel", "error", "-f", "f32le"),
            *("-ar", str(tier.sample_rate_hz), "-ac", "2", "-i", str(source)),
            *("-c:a", "aac", "-b:a", str(tier.bit_rate), "-flags", "+bitexact"),
            *("-fflags", "+bitexact", "-f", "adts", "-y", str(target)),
        ],
        what="encode the test's song",
        timeout_s=120,
    )
    source.unlink()
    return EncodedTier(
        tier=tier,
        candidate=Candidate(-2.0),
        path=target,
        source_frames=len(at_rate),
        lead_frames=FRAME_SAMPLES + padding,
        aac_frames=frame_count(target.read_bytes()),
    )


def decode(supervisor: Supervisor, path: Path, rate_hz: int, *input_options: str) -> Pcm:
    """Return what FFmpeg decodes the file to, stereo."""
    finished = supervisor.run(
        [
            *("-hide_banner", "-nostdin", "-loglevel", "error", *input_options),
            *("-i", str(path), "-map", "0:a:0", "-f", "f32le", "-ar", str(rate_hz), "-"),
        ],
        what="decode in a test",
        timeout_s=120,
        stdout_bytes=1 << 30,
    )
    return np.frombuffer(finished.stdout, "<f4").reshape(-1, 2)


def verified(encodes: Sequence[EncodedTier]) -> Verified:
    """Wrap the encodes as if they had been measured and accepted."""
    return Verified(
        Ladder(
            tuple(
                Rendition(
                    encoded=encoded,
                    measured=MEASURED,
                    programme=MEASURED,
                    decoded_frames=encoded.aac_frames * FRAME_SAMPLES,
                    tried=(CandidateResult(encoded.candidate, MEASURED, accepted=True),),
                    limited_by=None,
                )
                for encoded in encodes
            )
        )
    )


def inputs(
    encodes: Sequence[EncodedTier], folder: Path, *, segment_duration_s: float = 10
) -> PackageInputs:
    """Return what the line would know of the song by the time it is packaged."""
    best = max(encodes, key=lambda encoded: encoded.tier.bit_rate)
    frames = best.source_frames
    data = np.zeros((frames // 1024, 2, 2), np.int16)
    data[..., 0], data[..., 1] = -20_000, 20_001
    return PackageInputs(
        upload_id=UPLOAD_ID,
        source=Source(
            Path("source"),
            "A song, 100% #1?.wav",
            "A song, 100% #1?",
            4_410_044,
            hashlib.sha256(b"song").hexdigest(),
        ),
        probe=Probe(
            container="wav",
            codec="pcm_s16le",
            sample_rate_hz=44_100,
            channels=2,
            channel_layout="stereo",
            bit_depth=16,
            bit_rate=1_411_200,
            declared_duration_s=frames / RATE_HZ,
            tags={"title": "Abantu", "artist": "Ålpha & Ω"},
            cover=CoverArt(PNG, "image/png"),
        ),
        mastering=Mastering(
            "warm",
            2,
            "it is dull",
            "house",
            MatchFigures("0123456789abcdef", (-2.25, 3.5), (-0.0, 6.0)),
            (
                StageFigures(
                    "high_pass", {"cutoff_hz": 20.0}, -0.01, (BandReduction("all", 3.0, 1.0, 0.5),)
                ),
            ),
        ),
        analysis=Analysis(
            sample_rate_hz=RATE_HZ,
            channels=2,
            frames=frames,
            source=Loudness(-18.3, 6.2, -2.1, -2.4, -13.0, -15.1),
            mastered=Loudness(-18.3, 6.2, -2.1, -2.4, -13.0, -15.1),
            envelope=Envelope(
                441, RATE_HZ, frames, np.zeros(1, np.float32), np.zeros(1, np.float32)
            ),
            facts=SignalFacts(0, 0.01, 0.2, (1e-5, -2e-5), 0.93, 0),
            waveform=Waveform(RATE_HZ, 1024, 2, data),
            warnings=("The file says it is 1 ms longer than it is.",),
        ),
        targets=Targets(),
        plan=Plan("limited", 4.3, -2.0, None, -14.0, 6.3, -2.0, 1.7, None),
        verified=verified(encodes),
        segment_duration_s=segment_duration_s,
        encoder_versions={},
        folder=folder,
    )
