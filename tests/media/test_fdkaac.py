"""fdkaac as the encoder: the real one, and stand-ins that break in every way it could."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soxr

from audio_processor.delivery.timeline import AAC_FRAME, alignment_padding
from audio_processor.errors import (
    ConfigError,
    DiskFull,
    EncoderKilled,
    EncoderTimeout,
    VerificationFailed,
)
from audio_processor.media.adts import copy_frames, count_frames
from audio_processor.media.bandwidth import fdk_cutoff_hz
from audio_processor.media.binary import FFmpegBinary
from audio_processor.media.decode import decode_adts
from audio_processor.media.encode import Encoder, NativeAac, named
from audio_processor.media.fdkaac import Fdkaac
from audio_processor.media.fdkaac_binary import FdkaacBinary, find_fdkaac
from audio_processor.media.ffmpeg import ProcessFailed, ProcessLimits, Supervisor
from audio_processor.model import Candidate, EncodedTier, Tier
from audio_processor.settings import EncoderSettings
from audio_processor.workbench import open_encoder
from tests.fdkaac import fdkaac_path
from tests.media.material import Pcm, lag_frames, level_db, music

LOW = Tier("low", 48_000, 24_000)
MED = Tier("med", 64_000, 32_000)
HIGH = Tier("high", 128_000, 44_100)
TIERS = (LOW, MED, HIGH)
PADDING = alignment_padding([tier.sample_rate_hz for tier in TIERS])
SPOKEN = "fdkaac 1.0.0"


@pytest.fixture(scope="module")
def real(binary: FFmpegBinary) -> FdkaacBinary:
    return find_fdkaac(fdkaac_path(), binary)


@pytest.fixture(scope="module")
def fdkaac(real: FdkaacBinary) -> Fdkaac:
    return Fdkaac(real)


def script(folder: Path, body: str) -> Path:
    """A stand-in for fdkaac; ``$real`` is what a body may call instead."""
    path = folder / "fdkaac"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def stand_in(folder: Path, body: str) -> Fdkaac:
    """One that nobody has tried before it is used."""
    return Fdkaac(FdkaacBinary(script(folder, body), "1.0.0", "4.0.1"))


def encode(
    encoder: Encoder,
    supervisor: Supervisor,
    pcm: Pcm,
    tier: Tier,
    *,
    name: str = "x.aac",
    size: int = 16_384,
    stall_timeout_s: float = 60.0,
) -> EncodedTier:
    return encoder.encode(
        *(supervisor, (pcm[start : start + size] for start in range(0, len(pcm), size))),
        tier=tier,
        candidate=Candidate(-1.5),
        target=supervisor.job_dir / name,
        padding_frames=PADDING[tier.sample_rate_hz],
        stall_timeout_s=stall_timeout_s,
    )


def decoded(supervisor: Supervisor, encoded: EncodedTier) -> Pcm:
    rate = encoded.tier.sample_rate_hz
    with decode_adts(supervisor, encoded.path, sample_rate_hz=rate) as blocks:
        return np.concatenate(list(blocks))


# ── what it makes ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("tier", TIERS, ids=lambda tier: tier.name)
@pytest.mark.parametrize("frames", [0, 1, 1024, 1025, 30_720])
def test_nothing_is_lost_and_nothing_is_left_behind(
    tier: Tier, frames: int, fdkaac: Fdkaac, supervisor: Supervisor
) -> None:
    pcm = seconds(1.0)[:frames]
    encoded = encode(fdkaac, supervisor, pcm, tier)
    heard = decoded(supervisor, encoded)
    assert encoded.source_frames == frames
    assert encoded.encoder == "fdkaac"
    assert len(heard) == encoded.aac_frames * AAC_FRAME
    assert encoded.lead_frames + frames <= len(heard) < encoded.lead_frames + frames + AAC_FRAME
    assert [path.name for path in supervisor.job_dir.iterdir()] == ["x.aac"]


@pytest.mark.parametrize("tier", TIERS, ids=lambda tier: tier.name)
def test_the_same_shape_as_from_ffmpeg(tier: Tier, fdkaac: Fdkaac, supervisor: Supervisor) -> None:
    """What is cut, muxed and aligned cannot tell them apart."""
    pcm = seconds(1.0)
    theirs = encode(NativeAac(), supervisor, pcm, tier, name="native.aac")
    ours = encode(fdkaac, supervisor, pcm, tier)
    assert ours.lead_frames == theirs.lead_frames
    assert ours.source_frames == theirs.source_frames
    assert theirs.aac_frames - ours.aac_frames in {0, 1}


def test_bytes_depend_on_the_input_alone(fdkaac: Fdkaac, supervisor: Supervisor) -> None:
    pcm = seconds(1.0)
    first = encode(fdkaac, supervisor, pcm, HIGH, name="a.aac").path.read_bytes()
    again = encode(fdkaac, supervisor, pcm, HIGH, name="b.aac", size=777).path.read_bytes()
    other = encode(fdkaac, supervisor, pcm * 0.5, HIGH, name="c.aac").path.read_bytes()
    assert first == again
    assert first != other


@pytest.mark.parametrize("tier", TIERS, ids=lambda tier: tier.name)
def test_level_and_place_are_kept(tier: Tier, fdkaac: Fdkaac, supervisor: Supervisor) -> None:
    pcm = music(2.0, tier.sample_rate_hz)
    encoded = encode(fdkaac, supervisor, pcm, tier)
    heard = decoded(supervisor, encoded)
    assert lag_frames(pcm, heard) == pytest.approx(encoded.lead_frames, abs=0.1)
    programme = heard[encoded.lead_frames :][: len(pcm)]
    assert level_db(programme) == pytest.approx(level_db(pcm), abs=0.3)


def test_all_tiers_of_both_encoders_share_one_timeline(
    fdkaac: Fdkaac, supervisor: Supervisor
) -> None:
    master = music(3.0, 44_100)
    upsampled = []
    for encoder in (fdkaac, NativeAac()):
        for tier in TIERS:
            rate = tier.sample_rate_hz
            pcm = soxr.resample(master, 44_100, rate, quality="VHQ")
            heard = decoded(supervisor, encode(encoder, supervisor, pcm, tier, name="t.aac"))
            upsampled.append(soxr.resample(heard, rate, 192_000, quality="VHQ"))
    for other in upsampled[1:]:
        assert abs(lag_frames(upsampled[0], other)) / 192_000 < 0.00003


@pytest.mark.parametrize("tier", TIERS, ids=lambda tier: tier.name)
def test_nothing_is_made_up_before_or_behind_the_programme(
    tier: Tier, fdkaac: Fdkaac, supervisor: Supervisor
) -> None:
    """fdkaac would extend a tone that is cut off, by prediction: 43 ms of what nobody played."""
    rate = tier.sample_rate_hz
    # its end is 24 samples into an AAC frame, so that there is something behind it
    t = np.arange(20 * AAC_FRAME + 24 - PADDING[rate]) / rate
    tone = np.repeat(0.5 * np.sin(2 * np.pi * 440 * t)[:, None], 2, axis=1).astype(np.float32)
    encoded = encode(fdkaac, supervisor, tone, tier)
    heard = decoded(supervisor, encoded)
    # a codec's own smear around an edge is a frame's overlap, and well under the tone
    before = heard[: max(1, encoded.lead_frames - AAC_FRAME)]
    assert np.abs(before).max() < 1e-4
    behind = heard[encoded.lead_frames + len(tone) + 256 :]
    assert level_db(behind) < level_db(tone) - 20


def test_bandwidth_is_as_told(fdkaac: Fdkaac, supervisor: Supervisor) -> None:
    heard = decoded(supervisor, encode(fdkaac, supervisor, seconds(2.0), HIGH))[4096:-4096, 0]
    power = np.abs(np.fft.rfft(heard * np.hanning(len(heard)))) ** 2
    hz = np.fft.rfftfreq(len(heard), 1 / 44_100)
    cutoff = fdkaac.cutoff_hz(HIGH)
    kept = power[(hz > cutoff - 1000) & (hz < cutoff - 200)].mean()
    lost = power[(hz > cutoff + 300) & (hz < cutoff + 1300)].mean()
    assert lost < kept / 1000


@pytest.mark.parametrize(
    ("bit_rate", "rate_hz", "cutoff_hz"),
    [
        (48_000, 24_000, 9_640),
        (64_000, 32_000, 13_050),
        (128_000, 44_100, 15_500),
        (256_000, 48_000, 17_000),
        (16_000, 24_000, 5_000),
        (96_000, 16_000, 8_000),
    ],
)
def test_cutoffs(bit_rate: int, rate_hz: int, cutoff_hz: int) -> None:
    assert fdk_cutoff_hz(Tier("t", bit_rate, rate_hz)) == cutoff_hz


def test_frames_are_copied_as_they_are(fdkaac: Fdkaac, supervisor: Supervisor) -> None:
    whole = encode(fdkaac, supervisor, seconds(1.0), HIGH)
    count = whole.aac_frames
    part = supervisor.job_dir / "part.aac"
    copy_frames(whole.path, part, 44_100, first=3, count=count - 5)
    assert count_frames(part, 44_100) == count - 5
    assert part.read_bytes() in whole.path.read_bytes()
    with pytest.raises(ValueError, match=f"holds {count} AAC frames where {count + 1}"):
        copy_frames(whole.path, part, 44_100, first=3, count=count - 2)


# ── which one is run ─────────────────────────────────────────────────────────────────────


def test_it_is_tried_before_it_is_used(real: FdkaacBinary) -> None:
    assert real.path.is_absolute()
    assert real.version.count(".") == 2
    assert real.libfdk_aac.count(".") == 2
    assert dict(Fdkaac(real).versions) == {
        "fdkaac": real.version,
        "libfdk-aac": real.libfdk_aac,
    }
    assert named(Fdkaac(real)) == f"fdkaac {real.version}"


def test_the_native_encoder_needs_nothing(binary: FFmpegBinary) -> None:
    assert open_encoder(EncoderSettings(), binary) == NativeAac()
    assert named(NativeAac()) == "aac"


def test_one_on_path_is_found(
    real: FdkaacBinary, binary: FFmpegBinary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path, f'exec {real.path} "$@"')
    monkeypatch.setenv("PATH", str(tmp_path))
    found = open_encoder(EncoderSettings(name="fdkaac"), binary)
    assert isinstance(found, Fdkaac)
    assert found.binary.path == tmp_path / "fdkaac"


def test_asked_for_and_missing(
    binary: FFmpegBinary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r'encoder\.name = "fdkaac": no fdkaac was found'):
        open_encoder(EncoderSettings(name="fdkaac"), binary)
    with pytest.raises(ConfigError, match=r"encoder\.path.*No such file or directory"):
        open_encoder(EncoderSettings(name="fdkaac", path=tmp_path / "nowhere"), binary)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("echo something else", "does not answer `--help` as fdkaac does"),
        ("echo 'cannot open shared object file' >&2; exit 127", "shared object"),
        ("echo fdkaac 0.6.2; exit 1", "older than 1.0.0"),
        (f"echo {SPOKEN}; exit 1", "failed to encode"),
        (f"echo {SPOKEN}; cat >/dev/null", "nothing of it was heard"),
    ],
)
def test_what_is_no_fdkaac_is_refused_at_start(
    body: str, complaint: str, binary: FFmpegBinary, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"^encoder\.path: ") as refused:
        find_fdkaac(script(tmp_path, body), binary)
    assert complaint in str(refused.value)


def test_one_with_another_delay_is_refused_at_start(
    real: FdkaacBinary, binary: FFmpegBinary, tmp_path: Path
) -> None:
    """A ladder of it would be out of step, and no level would tell."""
    late = f'(head -c 2048 /dev/zero; cat) | {real.path} "$@"'
    body = f'case "$1" in --help) exec {real.path} "$@";; *) {late};; esac'
    with pytest.raises(ConfigError, match=r"must come 2048 samples late.*it came 2560 late"):
        find_fdkaac(script(tmp_path, body), binary)


# ── what may become of it ────────────────────────────────────────────────────────────────


def seconds(count: float) -> Pcm:
    """Noise: it fills the bits."""
    noise = np.random.default_rng(1).uniform(-0.3, 0.3, (round(count * 44_100), 2))
    return noise.astype(np.float32)


def test_a_hanging_one_is_ended(supervisor: Supervisor, tmp_path: Path) -> None:
    hanging = stand_in(tmp_path, "exec sleep 60")
    with pytest.raises(EncoderTimeout, match=r"fdkaac stood still for 0.3 s trying to encode high"):
        encode(hanging, supervisor, seconds(10.0), HIGH, stall_timeout_s=0.3)


def test_one_that_does_not_end_is_ended(supervisor: Supervisor, tmp_path: Path) -> None:
    lingering = stand_in(tmp_path, "cat >/dev/null; exec sleep 60")
    with pytest.raises(EncoderTimeout, match="fdkaac did not end trying to encode high"):
        encode(lingering, supervisor, seconds(0.5), HIGH, stall_timeout_s=0.3)


def test_a_killed_one_is_transient(supervisor: Supervisor, tmp_path: Path) -> None:
    killed = stand_in(tmp_path, "cat >/dev/null; kill -KILL $$")
    with pytest.raises(EncoderKilled, match="fdkaac was killed while it tried to encode high"):
        encode(killed, supervisor, seconds(0.5), HIGH)


def test_one_that_fails_says_why(supervisor: Supervisor, tmp_path: Path) -> None:
    failing = stand_in(tmp_path, "cat >/dev/null; echo 'ERROR: unsupported' >&2; exit 2")
    with pytest.raises(ProcessFailed, match=r"^fdkaac failed to encode high.*2.*unsup") as failed:
        encode(failing, supervisor, seconds(0.5), HIGH)
    assert failed.value.code == "encoder_failed"


def test_one_that_was_taken_away_after_the_start(supervisor: Supervisor, tmp_path: Path) -> None:
    gone = Fdkaac(FdkaacBinary(tmp_path / "gone", "1.0.0", "4.0.1"))
    with pytest.raises(ProcessFailed, match=r"fdkaac failed to encode high.*could not be started"):
        encode(gone, supervisor, seconds(0.5), HIGH)


@pytest.mark.parametrize(
    "damage",
    [
        "truncate -s -1 $out",
        "truncate -s 0 $out",
        "truncate -s 30000 $out",
        "head -c 40000 /dev/urandom >>$out",
        "cat $out $out >$out.2; mv $out.2 $out",
    ],
)
def test_exit_code_0_is_no_verdict(
    damage: str, real: FdkaacBinary, supervisor: Supervisor, tmp_path: Path
) -> None:
    out = supervisor.job_dir / "x.aac.whole"
    damaging = stand_in(tmp_path, f'{real.path} "$@" || exit 1\nout={out}\n{damage}')
    with pytest.raises(VerificationFailed, match=r"^Tier high is not whole: "):
        encode(damaging, supervisor, seconds(3.0), HIGH)


def test_one_that_reads_only_half_is_found_out(
    real: FdkaacBinary, supervisor: Supervisor, tmp_path: Path
) -> None:
    body = f'{{ head -c 300000; cat >/dev/null; }} | (head -c 300000 | {real.path} "$@")'
    with pytest.raises((VerificationFailed, ProcessFailed)):
        encode(stand_in(tmp_path, body), supervisor, seconds(5.0), HIGH)


def test_one_that_leaves_no_file(supervisor: Supervisor, tmp_path: Path) -> None:
    with pytest.raises(VerificationFailed, match="Tier high is not whole"):
        encode(stand_in(tmp_path, "cat >/dev/null"), supervisor, seconds(0.5), HIGH)


def test_a_full_disk_is_transient(
    real: FdkaacBinary, supervisor: Supervisor, tmp_path: Path
) -> None:
    """The real encoder's own words, from a device that is always full."""
    out = supervisor.job_dir / "x.aac.whole"
    full = stand_in(tmp_path, f'ln -s /dev/full {out}\nexec {real.path} "$@"')
    with pytest.raises(DiskFull, match="no room left in the scratch folder"):
        encode(full, supervisor, seconds(5.0), HIGH)


def test_a_disk_that_fills_up_behind_it_is_transient(
    fdkaac: Fdkaac, supervisor: Supervisor
) -> None:
    (supervisor.job_dir / "x.aac").symlink_to("/dev/full")
    with pytest.raises(DiskFull, match="no room left in the scratch folder"):
        encode(fdkaac, supervisor, seconds(1.0), HIGH)


def test_it_may_not_write_more_than_it_may(
    fdkaac: Fdkaac, binary: FFmpegBinary, tmp_path: Path
) -> None:
    bounded = Supervisor(binary, tmp_path, ProcessLimits(file_size_bytes=20_000))
    with pytest.raises(ProcessFailed, match=r"fdkaac failed to encode high.*SIGXFSZ"):
        encode(fdkaac, bounded, seconds(5.0), HIGH)


def test_a_cancelled_job_takes_it_along(
    real: FdkaacBinary, supervisor: Supervisor, tmp_path: Path
) -> None:
    class Lost(Exception):
        pass

    def blocks() -> Iterator[Pcm]:
        yield seconds(1.0)
        supervisor.cancel(Lost())
        yield seconds(1.0)

    with pytest.raises(Lost):
        Fdkaac(real).encode(
            *(supervisor, blocks()),
            tier=HIGH,
            candidate=Candidate(-1.5),
            target=tmp_path / "x.aac",
            padding_frames=0,
        )


def test_it_is_told_nothing_of_us(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIO_PROCESSOR__DATABASE__PASSWORD", "canary")
    told = tmp_path / "told"
    spy = stand_in(tmp_path, f"cat >/dev/null; (pwd; env; ulimit -c; ulimit -t) >{told}")
    with pytest.raises(VerificationFailed):
        encode(spy, supervisor, seconds(0.1), HIGH)
    folder, *lines = told.read_text().splitlines()
    assert folder == str(supervisor.job_dir)
    assert "canary" not in told.read_text()
    assert {line.split("=")[0] for line in lines if "=" in line} <= {
        *("PATH", "LC_ALL", "HOME", "TMPDIR", "PWD", "OLDPWD", "SHLVL", "_")
    }
    assert lines[-2:] == ["0", str(supervisor.limits.cpu_s)]
