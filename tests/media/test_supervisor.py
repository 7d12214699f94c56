"""Supervision: what a child may use, how it ends, and that it always does."""

from __future__ import annotations

import errno
import os
import resource
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from audio_processor.errors import ConfigError, EncoderKilled, EncoderTimeout, LeaseLost
from audio_processor.media.binary import FFmpegBinary, find_ffmpeg
from audio_processor.media.ffmpeg import (
    FFmpegFailed,
    OutputTooLarge,
    Process,
    ProcessLimits,
    Supervisor,
)
from audio_processor.media.placement import Placement

WAITING = ["-hide_banner", "-f", "f32le", "-i", "pipe:0", "-f", "null", "-"]
"""Waits for input that does not come."""
ENDLESS = [*("-hide_banner", "-v", "error", "-f", "lavfi"), *("-i", "anoisesrc=r=192000")]
LONG_S = 60.0


def gone(pid: int) -> bool:
    """Whether the process has ended and been reaped."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_run_returns_what_it_wrote(supervisor: Supervisor) -> None:
    finished = supervisor.run(["-version"], what="say its version", timeout_s=LONG_S)
    assert finished.stdout.startswith(b"ffmpeg version")
    assert finished.cpu_s > 0


def test_a_failure_says_what_and_why(supervisor: Supervisor) -> None:
    with pytest.raises(FFmpegFailed, match="failed to read nothing") as failure:
        supervisor.run(["-i", "file:/nowhere"], what="read nothing", timeout_s=LONG_S)
    assert failure.value.returncode > 0
    assert "No such file" in failure.value.stderr


def test_more_output_than_wanted_is_an_error(supervisor: Supervisor) -> None:
    with pytest.raises(OutputTooLarge):
        supervisor.run(
            [*ENDLESS, "-f", "f32le", "pipe:1"],
            what="never stop",
            timeout_s=LONG_S,
            stdout_bytes=100_000,
        )


def test_a_flood_of_words_is_kept_from_both_ends(supervisor: Supervisor) -> None:
    flood = [*ENDLESS, "-t", "5", "-af", "ashowinfo", "-f", "null", "-"]
    flood[flood.index("error")] = "info"
    text = supervisor.run(flood, what="chat", timeout_s=LONG_S, stderr_bytes=2000).stderr
    assert len(text) < 4200
    assert "Input #0" in text
    assert "bytes left out" in text
    assert "audio:" in text.splitlines()[-1] or "size=" in text.splitlines()[-1]


def test_one_that_writes_nothing_is_killed(supervisor: Supervisor) -> None:
    with supervisor.open(
        WAITING, what="wait", stdin=True, stdout=True, stall_timeout_s=0.2, timeout_s=LONG_S
    ) as process:
        with pytest.raises(EncoderTimeout, match="stood still"):
            process.readinto(bytearray(8))
        with pytest.raises(EncoderTimeout):
            process.finish()
    assert gone(process.pid)


def test_one_that_stops_reading_is_killed(supervisor: Supervisor) -> None:
    with supervisor.open(
        WAITING, what="wait", stdin=True, stall_timeout_s=0.2, timeout_s=LONG_S
    ) as process:
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.raises(EncoderTimeout, match="stood still"):
            process.write(bytes(8 * 2**20))


def test_one_that_does_not_end_is_killed(supervisor: Supervisor) -> None:
    with (
        supervisor.open(
            [*ENDLESS, "-f", "null", "-"], what="go on", stall_timeout_s=0.2, timeout_s=LONG_S
        ) as process,
        pytest.raises(EncoderTimeout, match="did not end"),
    ):
        process.finish()


def test_one_that_is_killed_from_outside_is_tried_again(supervisor: Supervisor) -> None:
    """The system's killer, when memory runs out, picks whom it likes."""
    with supervisor.open(
        WAITING, what="wait", stdin=True, stall_timeout_s=LONG_S, timeout_s=LONG_S
    ) as process:
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(EncoderKilled, match="killed while it tried to wait"):
            process.finish()


def test_the_whole_time_is_limited_too(supervisor: Supervisor) -> None:
    with pytest.raises(EncoderTimeout, match="longer than it may"):
        supervisor.run(
            [*ENDLESS, "-f", "f32le", "pipe:1"],
            what="never stop",
            timeout_s=0.3,
            stdout_bytes=2**40,
        )


def test_a_slow_consumer_is_no_stall(supervisor: Supervisor) -> None:
    arguments = [*ENDLESS, "-t", "5", "-f", "f32le", "pipe:1"]
    with supervisor.open(
        arguments, what="write", stdout=True, stall_timeout_s=0.2, timeout_s=LONG_S
    ) as process:
        buffer = bytearray(65536)
        size = process.readinto(buffer)
        threading.Event().wait(0.5)  # more than it may stand still
        while count := process.readinto(buffer):
            size += count
        process.finish()
    assert size == 5 * 192_000 * 4


def test_leaving_the_context_kills(supervisor: Supervisor) -> None:
    with supervisor.open(
        WAITING, what="wait", stdin=True, stall_timeout_s=LONG_S, timeout_s=LONG_S
    ) as process:
        assert not gone(process.pid)
    assert gone(process.pid)


@pytest.mark.parametrize("wanting", ["a descriptor", "a thread"])
def test_one_that_cannot_be_watched_leaves_no_trace(
    wanting: str, binary: FFmpegBinary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spawning takes more descriptors than watching: only another thread can take the last."""
    started: list[int] = []
    open_pidfd = os.pidfd_open

    def pidfd_open(pid: int) -> int:
        started.append(pid)
        if wanting == "a descriptor":
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return open_pidfd(pid)

    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    where = Placement((0,))
    supervisor = Supervisor(binary, tmp_path, ProcessLimits(), where)
    descriptors = set(Path("/proc/self/fd").iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(os, "pidfd_open", pidfd_open)
        if wanting == "a thread":
            patch.setattr(threading.Thread, "start", start)
        with (
            pytest.raises((OSError, RuntimeError), match=r"Too many open files|new thread"),
            supervisor.open(
                WAITING, what="wait", stdin=True, stdout=True, stall_timeout_s=1, timeout_s=LONG_S
            ),
        ):
            pytest.fail("it was started")
    [pid] = started
    assert gone(pid)
    assert where.loads == {0: 0.0}
    assert set(Path("/proc/self/fd").iterdir()) == descriptors


def test_an_encoder_that_ends_early_is_an_error_of_its_own(supervisor: Supervisor) -> None:
    with (
        supervisor.open(
            ["-hide_banner", "-f", "f32le", "-i", "pipe:0", "-f", "nonsense", "x"],
            what="write nonsense",
            stdin=True,
            stall_timeout_s=LONG_S,
            timeout_s=LONG_S,
        ) as process,
        pytest.raises(FFmpegFailed, match="write nonsense"),
    ):
        while True:
            process.write(bytes(2**20))


def read(process: Process) -> None:
    while process.readinto(bytearray(8)):
        pass


def write(process: Process) -> None:
    os.kill(process.pid, signal.SIGSTOP)
    while True:
        process.write(bytes(2**20))


def end(process: Process) -> None:
    os.kill(process.pid, signal.SIGSTOP)
    process.finish()


@pytest.mark.parametrize("blocked_in", [read, write, end])
def test_cancel_wakes_whoever_waits(
    supervisor: Supervisor, blocked_in: Callable[[Process], None]
) -> None:
    lost = LeaseLost("another worker has it")
    with supervisor.open(
        WAITING, what="wait", stdin=True, stdout=True, stall_timeout_s=LONG_S, timeout_s=LONG_S
    ) as process:
        canceller = threading.Timer(0.1, supervisor.cancel, [lost])
        canceller.start()
        with pytest.raises(LeaseLost) as raised:
            blocked_in(process)
        canceller.join()
    assert raised.value is lost
    assert gone(process.pid)
    with pytest.raises(LeaseLost):
        supervisor.run(["-version"], what="go on regardless", timeout_s=LONG_S)


def test_a_child_has_limits_a_session_and_next_to_no_environment(
    binary: FFmpegBinary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    limits = ProcessLimits(cpu_s=77, file_size_bytes=12345, open_files=33)
    supervisor = Supervisor(binary, tmp_path, limits)
    with supervisor.open(
        [*ENDLESS, "-f", "f32le", "pipe:1"],
        what="never stop",
        stdout=True,
        stall_timeout_s=LONG_S,
        timeout_s=LONG_S,
    ) as process:
        process.readinto(bytearray(8))
        proc = Path(f"/proc/{process.pid}")
        environment = proc.joinpath("environ").read_bytes().split(b"\0")
        names = {entry.split(b"=")[0] for entry in environment if entry}
        assert names == {b"PATH", b"LC_ALL", b"HOME", b"TMPDIR"}
        assert proc.joinpath("cwd").readlink() == tmp_path
        assert os.getsid(process.pid) == os.getpgid(process.pid) == process.pid
        for kind, value in (
            (resource.RLIMIT_CPU, 77),
            (resource.RLIMIT_FSIZE, 12345),
            (resource.RLIMIT_NOFILE, 33),
            (resource.RLIMIT_CORE, 0),
        ):
            assert resource.prlimit(process.pid, kind) == (value, value)


def test_too_large_a_file_is_an_error(binary: FFmpegBinary, tmp_path: Path) -> None:
    supervisor = Supervisor(binary, tmp_path, ProcessLimits(file_size_bytes=200_000))
    with pytest.raises(FFmpegFailed, match=r"SIGXFSZ|too large"):
        supervisor.run([*ENDLESS, "-t", "20", "x.wav"], what="fill the disk", timeout_s=LONG_S)
    assert (tmp_path / "x.wav").stat().st_size <= 200_000


def test_too_much_cpu_time_is_a_timeout(binary: FFmpegBinary, tmp_path: Path) -> None:
    supervisor = Supervisor(binary, tmp_path, ProcessLimits(cpu_s=1))
    with pytest.raises(EncoderTimeout, match="CPU"):
        supervisor.run([*ENDLESS, "-f", "null", "-"], what="never stop", timeout_s=LONG_S)


STARTER = """
import sys
from pathlib import Path
from audio_processor.media.binary import find_ffmpeg
from audio_processor.media.ffmpeg import ProcessLimits, Supervisor
supervisor = Supervisor(find_ffmpeg(), Path(sys.argv[1]), ProcessLimits())
with supervisor.open(sys.argv[2:], what="outlive", stdin=True, stdout=True,
                     stall_timeout_s=600, timeout_s=600) as process:
    print(process.pid, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(
    "arguments",
    [[*WAITING[:-1], "-y", "x.null"], [*ENDLESS, "-f", "f32le", "pipe:1"]],
    ids=["encoder", "decoder"],
)
def test_children_end_with_a_killed_worker(arguments: list[str], tmp_path: Path) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with worker:
        assert worker.stdout is not None
        child = os.pidfd_open(int(worker.stdout.readline()))
        worker.kill()
    poll = select.poll()
    poll.register(child, select.POLLIN)
    ended = poll.poll(20_000)
    os.close(child)
    assert ended, "FFmpeg outlived its worker by 20 s"


def test_a_configured_binary_comes_first(binary: FFmpegBinary) -> None:
    assert find_ffmpeg(binary.path) == binary
    assert binary.version
    assert binary.libavcodec.count(".") == 2


def test_the_one_on_path_comes_next(
    binary: FFmpegBinary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ffmpeg").symlink_to(binary.path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_ffmpeg().path == tmp_path / "ffmpeg"


@pytest.mark.parametrize("content", [None, "#!/bin/sh\necho hello\n", "not a program"])
def test_a_configured_binary_that_is_none_is_a_configuration_error(
    content: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "ffmpeg"
    if content is not None:
        path.write_text(content)
        path.chmod(0o755)
    with pytest.raises(ConfigError, match=r"ffmpeg\.path"):
        find_ffmpeg(path)
