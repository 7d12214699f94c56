"""One supervised process: its limits, its pipes, its end and the verdict on it."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import ClassVar

from audio_processor.errors import AudioProcessorError, DiskFull, EncoderKilled, EncoderTimeout
from audio_processor.media.pipes import ChildPipe, Watch, wait_readable
from audio_processor.telemetry import charger, present

FFMPEG = "FFmpeg"
_REAP_TIMEOUT_S = 10.0


class ProcessFailed(AudioProcessorError):
    """A program that we ran ended with an error; what it means is for the caller to say.

    ``stderr`` is the bounded end of what it wrote, ``returncode`` negative for a signal.
    """

    code: ClassVar[str] = "encoder_failed"

    def __init__(self, what: str, returncode: int, stderr: str, *, program: str) -> None:
        self.what = what
        self.returncode = returncode
        self.stderr = stderr
        super().__init__(f"{program} failed to {what} ({_ending(returncode)}){_last_line(stderr)}")


class FFmpegFailed(ProcessFailed):
    """FFmpeg ended with an error."""

    code: ClassVar[str] = "ffmpeg_failed"

    def __init__(self, what: str, returncode: int, stderr: str) -> None:
        super().__init__(what, returncode, stderr, program=FFMPEG)


def failed(program: str, what: str, returncode: int, stderr: str) -> ProcessFailed:
    """Return the error of this program: FFmpeg's has a class of its own."""
    if program == FFMPEG:
        return FFmpegFailed(what, returncode, stderr)
    return ProcessFailed(what, returncode, stderr, program=program)


class OutputTooLarge(FFmpegFailed):
    """FFmpeg wrote more to stdout than was asked for."""


class CpuTimeSpent(EncoderTimeout):
    """A process used up the CPU time that it may; unlike a wait, that is the work's own doing."""


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """What one process may use."""

    cpu_s: int = 3600
    file_size_bytes: int = 8 * 2**30
    open_files: int = 64
    data_bytes: int | None = 256 * 2**20
    """Heap, stacks and all else that is private and writable: what a bomb fills."""
    address_space_bytes: int | None = 4 * 2**30
    """All that is mapped: the binary and what allocators reserve without using it, too."""
    threads: int | None = 8192
    """Of this user, on the whole machine: that is how RLIMIT_NPROC counts. A fork bomb's end."""

    def reading(self, cpu_s: int | None = None) -> ProcessLimits:
        """Return the limits of a process that writes to pipes alone, not to any file."""
        return replace(self, file_size_bytes=0, cpu_s=min(self.cpu_s, cpu_s or self.cpu_s))

    def apply(self, pid: int) -> None:
        """Set them on a running process; one that has already ended needs none."""
        limits = [
            (resource.RLIMIT_CPU, self.cpu_s),  # soft = hard: killed at once, no orderly end
            (resource.RLIMIT_FSIZE, self.file_size_bytes),
            (resource.RLIMIT_NOFILE, self.open_files),
            (resource.RLIMIT_CORE, 0),
        ]
        optional = [
            (resource.RLIMIT_DATA, self.data_bytes),
            (resource.RLIMIT_AS, self.address_space_bytes),
            (resource.RLIMIT_NPROC, self.threads),
        ]
        limits += [(kind, most) for kind, most in optional if most is not None]
        with suppress(ProcessLookupError):
            for kind, wanted in limits:
                _, hard = resource.prlimit(pid, kind)
                bound = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
                resource.prlimit(pid, kind, (bound, bound))


@dataclass(frozen=True, slots=True)
class Finished:
    """A process that ended well."""

    stdout: bytes
    stderr: str
    cpu_s: float
    """User and system time of all its threads."""
    returncode: int = 0


class Process:
    """A running program. Made by ``Supervisor.open``, killed when its context is left.

    ``check`` raises where the job has been cancelled.
    """

    def __init__(
        self,
        child: subprocess.Popen[bytes],
        what: str,
        *,
        program: str = FFMPEG,
        cpu_limit_s: int,
        check: Callable[[], None],
        stall_timeout_s: float,
        deadline_s: float,
        stderr_bytes: int,
    ) -> None:
        assert child.stderr is not None
        self.what = what
        self.program = program
        self._child = child
        self._check = check
        self._cpu_limit_s = cpu_limit_s
        self._stall_timeout_s = stall_timeout_s
        self._deadline_s = deadline_s
        self._reaping = threading.Lock()
        self._cpu_s = 0.0
        self._charge = charger()  # whoever reaps it, this job and stage have caused it
        self._job = present()
        self._pidfd = os.pidfd_open(child.pid)
        self._in = ChildPipe(child.stdin) if child.stdin is not None else None
        self._out = ChildPipe(child.stdout) if child.stdout is not None else None
        try:
            self._watch = Watch(
                child.stderr,
                [pipe for pipe in (self._in, self._out) if pipe is not None],
                stall_timeout_s=stall_timeout_s,
                deadline_s=deadline_s,
                kill=self.kill,
                kept_bytes=stderr_bytes,
            )
        except BaseException:  # no thread to be had
            os.close(self._pidfd)
            raise

    @property
    def pid(self) -> int:
        """The child's process id, which is its session and process group too."""
        return self._child.pid

    @property
    def stderr_so_far(self) -> str:
        """The bounded end of what it has written to stderr until now."""
        return self._watch.text()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write all of it to the child's stdin.

        Raises ``EncoderTimeout`` if the child stops reading, ``ProcessFailed`` if it has ended.
        """
        assert self._in is not None, "opened without stdin"
        self._check()
        try:
            self._in.write(data)
        except BrokenPipeError:
            self.finish()
            raise failed(self.program, self.what, 0, "ended before its input did") from None

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Read what there is, at least a byte, into the buffer; 0 at the end of its output.

        Raises ``EncoderTimeout`` if the child stops writing. The end of the output is no
        verdict: ``finish`` is.
        """
        assert self._out is not None, "opened without stdout"
        self._check()
        count = self._out.readinto(buffer)
        if not count:
            self._blame()
        return count

    def close_stdin(self) -> None:
        """Tell the child that its input has ended."""
        if self._in is not None:
            self._in.close()

    def finish(self) -> Finished:
        """Close its stdin, wait for its end and judge it.

        Raises the error given to ``Supervisor.cancel``, ``EncoderTimeout``, ``EncoderKilled``,
        ``DiskFull`` or ``ProcessFailed`` (of FFmpeg: ``FFmpegFailed``).
        """
        self.close_stdin()
        allowed_s = min(self._stall_timeout_s, self._deadline_s - time.monotonic())
        if not wait_readable(self._pidfd, allowed_s):
            self._watch.expire("did not end")
            wait_readable(self._pidfd, _REAP_TIMEOUT_S)
        returncode = self._reap()
        self._blame()
        stderr = self._watch.join(_REAP_TIMEOUT_S)
        if returncode == 0:
            return Finished(b"", stderr, self._cpu_s)
        # the kernel counts ticks for the limit and something finer for us, which may be less
        if returncode == -signal.SIGKILL and self._cpu_s >= 0.5 * self._cpu_limit_s:
            raise CpuTimeSpent(
                f"{self.program} used up its {self._cpu_limit_s} s of CPU time trying to "
                f"{self.what}"
            )
        if "No space left on device" in stderr:
            raise DiskFull(f"no room left in the scratch folder trying to {self.what}")
        if returncode == -signal.SIGKILL:
            raise EncoderKilled(
                f"{self.program} was killed while it tried to {self.what}: the system may be "
                "short of memory. Try again later."
            )
        if returncode == -signal.SIGXFSZ:
            stderr += "its output is over the size limit"
        raise failed(self.program, self.what, returncode, stderr)

    def kill(self) -> None:
        """Kill the whole process group, if it still runs. Safe from any thread."""
        with self._reaping:  # a pid that is not yet reaped cannot be anybody else's
            if self._child.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(self._child.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kill what still runs, reap it and let go of every descriptor."""
        self.kill()
        if wait_readable(self._pidfd, _REAP_TIMEOUT_S):
            self._reap()
        for pipe in (self._in, self._out):
            if pipe is not None:
                pipe.close()
        stderr = self._watch.join(_REAP_TIMEOUT_S)
        os.close(self._pidfd)
        if self._job is not None:
            self._job.said(self.what, self._child.returncode or 0, stderr)

    def _reap(self) -> int:
        """Collect a process that has ended: once, whoever comes first."""
        with self._reaping:
            if self._child.returncode is None:
                _, status, usage = os.wait4(self._child.pid, 0)
                self._child.returncode = os.waitstatus_to_exitcode(status)
                self._cpu_s = usage.ru_utime + usage.ru_stime
                self._charge(self._cpu_s)
            return self._child.returncode

    def _blame(self) -> None:
        """Raise what ended the child, if that was us."""
        self._check()
        if self._watch.late is not None:
            raise EncoderTimeout(f"{self.program} {self._watch.late} trying to {self.what}")


def _ending(returncode: int) -> str:
    if returncode >= 0:
        return f"exit code {returncode}"
    with suppress(ValueError):
        return f"killed by {signal.Signals(-returncode).name}"
    return f"killed by signal {-returncode}"


_SPEAKER = re.compile(r"\[[^\[\]]*(?: @ 0x[0-9a-f]+|error|fatal|warning)\] ?")
"""Who of FFmpeg's parts is speaking, and how loudly: of use in a log, in a sentence noise."""


def _last_line(stderr: str) -> str:
    lines = stderr.strip().splitlines()
    return f": {_SPEAKER.sub('', lines[-1]).strip()[:300]}" if lines else ""
