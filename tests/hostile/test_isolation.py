"""A child that reads an artist's file, looked at from outside while it does: /proc tells."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from audio_processor.errors import CorruptMedia, EncoderTimeout, LimitExceeded, TransientError
from audio_processor.media.binary import FFmpegBinary
from audio_processor.media.decode import decode
from audio_processor.media.ffmpeg import FFmpegFailed, ProcessLimits, Supervisor
from audio_processor.media.probe import probe
from audio_processor.scratch import Scratch
from audio_processor.settings import LimitSettings, Settings
from audio_processor.workbench import process_limits
from tests.hostile import writers
from tests.hostile.inputs import HostileInput
from tests.hostile.table import INPUTS
from tests.hostile.yard import Yard

SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "canary-secret-of-s3",
    "AUDIO_PROCESSOR__DATABASE__PASSWORD": "canary-secret-of-the-database",
    "LD_PRELOAD": "",
    "http_proxy": "http://127.0.0.1:9",
}
ARTISTS_NAME = "$(id) --help; Üñí.wav"
GIB = 2**30


@dataclass(frozen=True)
class Child:
    """An FFmpeg in the middle of its work."""

    pid: int
    folder: Path

    @property
    def proc(self) -> Path:
        return Path(f"/proc/{self.pid}")

    def status(self, field: str) -> str:
        lines = (self.proc / "status").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith(f"{field}:"))


def children() -> set[int]:
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        # a thread may end between its listing and its reading; what it had started is then
        # listed under another
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found.update(map(int, (task / "children").read_text().split()))
    return found


@pytest.fixture
def child(binary: FFmpegBinary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Child]:
    """Decoding an hour of a hole, as the line does, and stopped by a pipe that nobody empties."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    scratch = Scratch(tmp_path / "scratch")
    with scratch.job_folder() as folder:
        source = folder / "source"
        size = 3600 * 44_100 * 4
        header = writers.riff(writers.fmt(), b"data" + size.to_bytes(4, "little"), size=size + 36)
        source.write_bytes(header)
        os.truncate(source, len(header) + size)
        supervisor = Supervisor(binary, folder, process_limits(LimitSettings()))
        probed = probe(supervisor, source, ARTISTS_NAME)
        before = children()
        # what a worker has open besides: a connection to its database, say, and a file of its own
        database, _ = socket.socketpair()
        secret = os.open(tmp_path / "secret", os.O_CREAT | os.O_RDWR)
        os.set_inheritable(secret, True)
        os.set_inheritable(database.fileno(), True)
        try:
            with decode(supervisor, source, probed, file_name=ARTISTS_NAME) as decoder:
                next(decoder)
                (pid,) = children() - before
                yield Child(pid, folder)
        finally:
            os.close(secret)
            database.close()
    scratch.close()


def test_it_has_limits(child: Child) -> None:
    expected = {
        resource.RLIMIT_CPU: 3600,
        resource.RLIMIT_DATA: GIB // 4,
        resource.RLIMIT_AS: 4 * GIB,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 8192,
        resource.RLIMIT_NOFILE: 64,
    }
    for kind, most in expected.items():
        assert resource.prlimit(child.pid, kind) == (most, most)


def test_it_has_a_session_of_its_own(child: Child) -> None:
    assert os.getsid(child.pid) == os.getpgid(child.pid) == child.pid
    assert os.getsid(0) != child.pid


def test_it_has_a_private_folder(child: Child) -> None:
    assert (child.proc / "cwd").readlink() == child.folder
    assert stat.S_IMODE(child.folder.stat().st_mode) == 0o700


def test_its_environment_has_nothing_of_ours(child: Child) -> None:
    environment = (child.proc / "environ").read_bytes()
    names = {entry.split(b"=")[0] for entry in environment.split(b"\0") if entry}
    assert names == {b"PATH", b"LC_ALL", b"HOME", b"TMPDIR"}
    assert b"canary-secret" not in environment
    assert os.fsencode(child.folder) in environment  # its home is the job's folder


def test_its_command_line_names_no_secret_and_no_artist(child: Child) -> None:
    arguments = (child.proc / "cmdline").read_bytes().split(b"\0")
    assert b"canary-secret" not in b" ".join(arguments)
    assert ARTISTS_NAME.encode() not in b" ".join(arguments)
    assert b"file:" + os.fsencode(child.folder / "source") in arguments
    assert arguments[arguments.index(b"-protocol_whitelist") + 1] == b"file,pipe"
    formats = arguments[arguments.index(b"-format_whitelist") + 1].split(b",")
    assert {b"mp3", b"wav"} <= set(formats)
    assert not {b"hls", b"concat", b"dash", b"sdp", b"rtsp", b"lavfi", b"image2"} & set(formats)


def test_it_inherits_nothing_that_we_have_open(child: Child) -> None:
    held = {fd.name: str(fd.readlink()) for fd in (child.proc / "fd").iterdir()}
    assert held["0"] == "/dev/null"
    assert held["1"].startswith("pipe:") and held["2"].startswith("pipe:")
    # FFmpeg writes to a duplicate of its stdout
    own = {str(child.folder / "source"), *(held[number] for number in "012")}
    assert set(held.values()) == own


def test_its_threads_do_not_grow_with_the_machine(child: Child) -> None:
    assert int(child.status("Threads")) <= 10


BY_ID = {case.id: case for case in INPUTS}


def place(case: HostileInput, yard: Yard) -> Path:
    yard.source.unlink(missing_ok=True)
    case.write(yard.workshop, yard.source)
    return yard.source


def test_memory_beyond_the_limit_is_nobodys_fault_for_sure(
    yard: Yard, binary: FFmpegBinary
) -> None:
    """What fails first is a thread's stack, as it does on a machine that is full."""
    source = place(BY_ID["cover: 50 MB"], yard)
    small = Supervisor(binary, yard.supervisor.job_dir, ProcessLimits(data_bytes=64 * 2**20))
    with pytest.raises(TransientError, match=r"'x\.mp3' .* no room for the decoder"):
        probe(small, source, "x.mp3")


def test_work_beyond_the_limit_is_the_files_fault(yard: Yard, binary: FFmpegBinary) -> None:
    """CPU time, which does not depend on what else the machine does; a wait stays transient."""
    source = place(BY_ID["tags: 60,000 in an mp3"], yard)
    hasty = Supervisor(binary, yard.supervisor.job_dir, ProcessLimits(cpu_s=1))
    with pytest.raises(LimitExceeded, match=r"'x\.mp3' takes more work"):
        probe(hasty, source, "x.mp3")


def test_a_reader_may_not_write_files(yard: Yard, binary: FFmpegBinary) -> None:
    with pytest.raises(FFmpegFailed):
        yard.supervisor.run(
            ["-f", "lavfi", "-i", "anoisesrc=d=9", "-y", "stolen.wav"],
            what="write a file",
            timeout_s=30,
            limits=yard.supervisor.limits.reading(),
        )
    stolen = yard.supervisor.job_dir / "stolen.wav"
    assert not stolen.exists() or stolen.stat().st_size == 0
    stolen.unlink(missing_ok=True)


def test_a_decoder_that_breaks_down_is_told_of_in_words_for_an_artist(
    yard: Yard, binary: FFmpegBinary, tmp_path: Path
) -> None:
    crashing = tmp_path / "ffmpeg"
    crashing.write_text("#!/bin/sh\necho '[mp3float @ 0x55aa] boom' >&2\nkill -SEGV $$\n")
    crashing.chmod(0o755)
    fake = FFmpegBinary(crashing, binary.version, binary.libavcodec)
    source = place(BY_ID["whole: mp3"], yard)
    with pytest.raises(FFmpegFailed) as failed:
        probe(Supervisor(fake, tmp_path, ProcessLimits()), source, "x.mp3")
    assert failed.value.code == "ffmpeg_failed"
    assert str(failed.value) == (
        "'x.mp3' could not be read: the decoder broke down on it. "
        "Export it again and upload the new file."
    )
    assert "boom" in failed.value.stderr  # for whoever looks into it


def test_a_decoder_that_hangs_is_transient(
    yard: Yard, binary: FFmpegBinary, tmp_path: Path
) -> None:
    """A machine may be slow; only the CPU time that a file takes is its own."""
    source = place(BY_ID["whole: mp3"], yard)
    probed = probe(yard.supervisor, source, "x.mp3")
    hanging = tmp_path / "ffmpeg"
    hanging.write_text("#!/bin/sh\nexec sleep 60\n")
    hanging.chmod(0o755)
    fake = FFmpegBinary(hanging, binary.version, binary.libavcodec)
    with (
        decode(
            Supervisor(fake, tmp_path, ProcessLimits()),
            source,
            probed,
            file_name="x.mp3",
            stall_timeout_s=0.2,
        ) as decoder,
        pytest.raises(EncoderTimeout, match="stood still"),
    ):
        next(decoder)


def test_limits_in_which_nothing_can_be_read_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"memory_mib.*at least 128.*address_space_mib"):
        LimitSettings(memory_mib=1, address_space_mib=1)
    none = LimitSettings(memory_mib=0, address_space_mib=0, max_processes=0)
    unlimited = process_limits(none)
    assert (unlimited.data_bytes, unlimited.address_space_bytes, unlimited.threads) == (None,) * 3


def test_a_whole_track_is_read_within_a_quarter_of_the_memory(
    yard: Yard, binary: FFmpegBinary
) -> None:
    case = BY_ID["whole: m4a alac"]
    limits = process_limits(Settings().limits)
    assert limits.data_bytes is not None
    quarter = ProcessLimits(data_bytes=limits.data_bytes // 3)
    source = place(case, yard)
    supervisor = Supervisor(binary, yard.supervisor.job_dir, quarter)
    probed = probe(supervisor, source, "x.m4a")
    with decode(supervisor, source, probed, file_name="x.m4a") as decoder:
        assert sum(len(block) for block in decoder) == 3 * 44_100


def test_samples_that_a_downmix_would_make_infinite_are_refused(yard: Yard) -> None:
    pcm = np.full((1000, 6), 3e38, np.float32)
    yard.source.write_bytes(writers.float_wav(pcm, channels=6))
    probed = probe(yard.supervisor, yard.source, "x.wav")
    with (
        decode(yard.supervisor, yard.source, probed, file_name="x.wav") as decoder,
        pytest.raises(CorruptMedia, match="far too large"),
    ):
        list(decoder)
