"""FFmpeg as a supervised subprocess: bounded, watched, and dead when its job is.

A child gets a session of its own, an almost empty environment, the job's folder as its
working directory and its home, and resource limits. What it says on stderr is kept, bounded.
Time is watched where it is lost: a read or write that moves no byte for ``stall_timeout_s``
kills the child, while a consumer that is slow of itself does no harm.

Limits are set with ``prlimit`` from outside, right after the spawn: a ``preexec_fn`` runs
Python between fork and exec, which may deadlock once there are threads, and keeps
``subprocess`` from using vfork. For the same reason there is no PR_SET_PDEATHSIG (which,
besides, follows the *thread* that spawned): when a worker is killed its ends of the pipes
close, so that decoders end by EPIPE and encoders by end of file, and a remux runs for a
second at most; RLIMIT_CPU bounds whatever is left.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NoReturn

from audio_processor.errors import AudioProcessorError, EncoderTimeout
from audio_processor.media.binary import FFmpegBinary
from audio_processor.media.pipes import (
    STDERR_BYTES,
    PipeReader,
    PipeWriter,
    Stalled,
    StderrTail,
    wait_readable,
)

_REAP_TIMEOUT_S = 10.0
_RUN_STDOUT_BYTES = 16 * 2**20


class FFmpegFailed(AudioProcessorError):
    """FFmpeg ended with an error; what it means is for the caller to say.

    ``stderr`` is the bounded end of what it wrote, ``returncode`` negative for a signal.
    """

    code: ClassVar[str] = "ffmpeg_failed"

    def __init__(self, what: str, returncode: int, stderr: str) -> None:
        self.what = what
        self.returncode = returncode
        self.stderr = stderr
        super().__init__(f"FFmpeg failed to {what} ({_ending(returncode)}){_last_line(stderr)}")


class OutputTooLarge(FFmpegFailed):
    """FFmpeg wrote more to stdout than was asked for."""


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """What one FFmpeg process may use.

    There is no limit on processes: RLIMIT_NPROC counts every thread of the user, in all of
    its containers, and FFmpeg starts threads but never a process.
    """

    cpu_s: int = 3600
    file_size_bytes: int = 8 * 2**30
    open_files: int = 64
    address_space_bytes: int | None = None
    """Off by default: thread stacks and arenas reserve far more than is ever used."""

    def apply(self, pid: int) -> None:
        """Set them on a running process; one that has already ended needs none."""
        limits = [
            (resource.RLIMIT_CPU, self.cpu_s),
            (resource.RLIMIT_FSIZE, self.file_size_bytes),
            (resource.RLIMIT_NOFILE, self.open_files),
            (resource.RLIMIT_CORE, 0),
        ]
        if self.address_space_bytes is not None:
            limits.append((resource.RLIMIT_AS, self.address_space_bytes))
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
    returncode: int = 0


class Process:
    """A running FFmpeg. Made by ``Supervisor.open``, killed when its context is left."""

    def __init__(
        self,
        supervisor: Supervisor,
        child: subprocess.Popen[bytes],
        what: str,
        *,
        stall_timeout_s: float,
        deadline_s: float,
        stderr_bytes: int,
    ) -> None:
        assert child.stderr is not None
        self.what = what
        self._supervisor = supervisor
        self._child = child
        self._reaping = threading.Lock()
        self._pidfd = os.pidfd_open(child.pid)
        self._deadline_s = deadline_s
        self._stall_timeout_s = stall_timeout_s
        self._stderr = StderrTail(child.stderr, stderr_bytes)
        self._in = PipeWriter(child.stdin, self._allowed_s) if child.stdin is not None else None
        self._out = PipeReader(child.stdout, self._allowed_s) if child.stdout is not None else None

    @property
    def pid(self) -> int:
        """The child's process id, which is its session and process group too."""
        return self._child.pid

    @property
    def stderr_so_far(self) -> str:
        """The bounded end of what it has written to stderr until now."""
        return self._stderr.text()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write all of it to the child's stdin.

        Raises ``EncoderTimeout`` if the child stops reading, ``FFmpegFailed`` if it has ended.
        """
        assert self._in is not None, "opened without stdin"
        self._supervisor.check()
        try:
            self._in.write(data)
        except Stalled:
            self._time_out("stopped reading its input")
        except BrokenPipeError:
            self.finish()
            raise FFmpegFailed(self.what, 0, "ended before its input did") from None

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Read what there is, at least a byte, into the buffer; 0 at the end of its output.

        Raises ``EncoderTimeout`` if the child stops writing. The end of the output is no
        verdict: ``finish`` is.
        """
        assert self._out is not None, "opened without stdout"
        self._supervisor.check()
        try:
            return self._out.readinto(buffer)
        except Stalled:
            self._time_out("wrote nothing")

    def close_stdin(self) -> None:
        """Tell the child that its input has ended."""
        if self._in is not None:
            self._in.close()

    def finish(self) -> Finished:
        """Close its stdin, wait for its end and judge it.

        Raises the error given to ``Supervisor.cancel``, ``EncoderTimeout`` or ``FFmpegFailed``.
        """
        self.close_stdin()
        if not wait_readable(self._pidfd, self._allowed_s()):
            self._time_out("did not end")
        returncode = self._reap()
        self._supervisor.check()
        stderr = self._stderr.join(_REAP_TIMEOUT_S)
        if returncode == -signal.SIGXCPU:
            raise EncoderTimeout(f"FFmpeg used up its CPU time trying to {self.what}")
        if returncode == -signal.SIGXFSZ:
            raise FFmpegFailed(self.what, returncode, "its output is over the size limit")
        if returncode != 0:
            raise FFmpegFailed(self.what, returncode, stderr)
        return Finished(b"", stderr)

    def kill(self) -> None:
        """Kill the whole process group, if it still runs. Safe from any thread."""
        with self._reaping:  # a pid that is not yet reaped cannot be anybody else's
            if self._child.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(self._child.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kill what still runs, reap it and let go of every descriptor."""
        self.kill()
        wait_readable(self._pidfd, _REAP_TIMEOUT_S)
        self._reap()
        for pipe in (self._in, self._out):
            if pipe is not None:
                pipe.close()
        self._stderr.join(_REAP_TIMEOUT_S)
        os.close(self._pidfd)

    def _reap(self) -> int:
        with self._reaping:
            return self._child.wait(_REAP_TIMEOUT_S)

    def _allowed_s(self) -> float:
        """How long the next wait may take: a stall, or what is left of the whole time."""
        return max(0.0, min(self._stall_timeout_s, self._deadline_s - time.monotonic()))

    def _time_out(self, did: str) -> NoReturn:
        self.kill()
        self._supervisor.check()
        late = time.monotonic() >= self._deadline_s
        why = "took longer than it may" if late else f"{did} for {self._stall_timeout_s:g} s"
        raise EncoderTimeout(f"FFmpeg {why} trying to {self.what}")


class Supervisor:
    """All FFmpeg processes of one job. Every method may be called from any thread."""

    def __init__(self, binary: FFmpegBinary, job_dir: Path, limits: ProcessLimits) -> None:
        self.binary = binary
        self.job_dir = job_dir
        self.limits = limits
        self._environment = {
            "PATH": os.defpath,
            "LC_ALL": "C",
            "HOME": str(job_dir),
            "TMPDIR": str(job_dir),
        }
        self._lock = threading.Lock()
        self._running: set[Process] = set()
        self._error: Exception | None = None

    def run(
        self,
        arguments: Sequence[str],
        *,
        what: str,
        timeout_s: float,
        pass_fds: Sequence[int] = (),
        stdout_bytes: int = _RUN_STDOUT_BYTES,
        stderr_bytes: int = STDERR_BYTES,
    ) -> Finished:
        """Run FFmpeg to its end. ``what`` completes "FFmpeg failed to …".

        At most ``stdout_bytes`` are taken from its stdout; one byte more is
        ``OutputTooLarge``. Raises ``FFmpegFailed``, ``EncoderTimeout``.
        """
        with self.open(
            arguments,
            what=what,
            stdout=True,
            stall_timeout_s=timeout_s,
            timeout_s=timeout_s,
            pass_fds=pass_fds,
            stderr_bytes=stderr_bytes,
        ) as process:
            output = _read_all(process, stdout_bytes)
            finished = process.finish()
        return Finished(output, finished.stderr)

    @contextmanager
    def open(
        self,
        arguments: Sequence[str],
        *,
        what: str,
        stdin: bool = False,
        stdout: bool = False,
        stall_timeout_s: float,
        timeout_s: float,
        pass_fds: Sequence[int] = (),
        stderr_bytes: int = STDERR_BYTES,
    ) -> Iterator[Process]:
        """Start FFmpeg with pipes; leaving the context kills it if it still runs."""
        process = self._start(
            arguments,
            what,
            stdin=stdin,
            stdout=stdout,
            stall_timeout_s=stall_timeout_s,
            timeout_s=timeout_s,
            pass_fds=pass_fds,
            stderr_bytes=stderr_bytes,
        )
        try:
            yield process
        finally:
            process.close()
            with self._lock:
                self._running.discard(process)

    def cancel(self, error: Exception) -> None:
        """Kill every process of the job; every current and later call raises ``error``.

        The first error stays. For the heartbeat that has lost the lease, and for a drain.
        """
        with self._lock:
            if self._error is None:
                self._error = error
            running = tuple(self._running)
        for process in running:
            process.kill()

    def check(self) -> None:
        """Raise the error given to ``cancel``, if there is one."""
        if self._error is not None:
            raise self._error

    def _start(
        self,
        arguments: Sequence[str],
        what: str,
        *,
        stdin: bool,
        stdout: bool,
        stall_timeout_s: float,
        timeout_s: float,
        pass_fds: Sequence[int],
        stderr_bytes: int,
    ) -> Process:
        self.check()
        try:
            child = subprocess.Popen(
                [os.fspath(self.binary.path), *arguments],
                bufsize=0,
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE if stdout else subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd=self.job_dir,
                env=self._environment,
                start_new_session=True,
                pass_fds=pass_fds,
            )
        except OSError as error:
            raise FFmpegFailed(what, 0, f"it could not be started: {error.strerror}") from error
        self.limits.apply(child.pid)
        process = Process(
            self,
            child,
            what,
            stall_timeout_s=stall_timeout_s,
            deadline_s=time.monotonic() + timeout_s,
            stderr_bytes=stderr_bytes,
        )
        with self._lock:
            self._running.add(process)
        if self._error is not None:  # cancelled between the check and here
            process.kill()
        return process


def _read_all(process: Process, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    chunk = bytearray(65536)
    while count := process.readinto(chunk):
        size += count
        if size > limit:
            raise OutputTooLarge(process.what, 0, f"its answer is over {limit} bytes")
        parts.append(bytes(chunk[:count]))
    return b"".join(parts)


def _ending(returncode: int) -> str:
    if returncode >= 0:
        return f"exit code {returncode}"
    with suppress(ValueError):
        return f"killed by {signal.Signals(-returncode).name}"
    return f"killed by signal {-returncode}"


def _last_line(stderr: str) -> str:
    lines = stderr.strip().splitlines()
    return f": {lines[-1].strip()[:300]}" if lines else ""
