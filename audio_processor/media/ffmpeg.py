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

An encoder that is a program of its own is run in the same way.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from audio_processor.media.binary import ENVIRONMENT, FFmpegBinary
from audio_processor.media.pipes import STDERR_BYTES
from audio_processor.media.placement import ANYWHERE, ENCODER, READER, Placement
from audio_processor.media.process import (
    FFMPEG,
    CpuTimeSpent,
    FFmpegFailed,
    Finished,
    OutputTooLarge,
    Process,
    ProcessFailed,
    ProcessLimits,
    failed,
)

__all__ = [
    "CpuTimeSpent",
    "FFmpegFailed",
    "Finished",
    "OutputTooLarge",
    "Process",
    "ProcessFailed",
    "ProcessLimits",
    "Supervisor",
]

_RUN_STDOUT_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Program:
    """What is to be run, and what it is called in a message."""

    name: str
    path: Path


class Supervisor:
    """All processes of one job. Every method may be called from any thread."""

    def __init__(
        self,
        binary: FFmpegBinary,
        job_dir: Path,
        limits: ProcessLimits,
        placement: Placement = ANYWHERE,
    ) -> None:
        self.binary = binary
        self.job_dir = job_dir
        self.limits = limits
        self._placement = placement
        self._environment = {
            **ENVIRONMENT,
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
        limits: ProcessLimits | None = None,
    ) -> Finished:
        """Run FFmpeg to its end. ``what`` completes "FFmpeg failed to …".

        ``limits`` are the supervisor's own unless given.

        At most ``stdout_bytes`` are taken from its stdout; one byte more is
        ``OutputTooLarge``. Raises ``FFmpegFailed``, ``EncoderTimeout``, ``CpuTimeSpent``,
        ``DiskFull``.
        """
        with self.open(
            arguments,
            what=what,
            stdout=True,
            stall_timeout_s=timeout_s,
            timeout_s=timeout_s,
            pass_fds=pass_fds,
            stderr_bytes=stderr_bytes,
            limits=limits,
        ) as process:
            output = _read_all(process, stdout_bytes)
            finished = process.finish()
        return replace(finished, stdout=output)

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
        limits: ProcessLimits | None = None,
        program: Program | None = None,
    ) -> Iterator[Process]:
        """Start FFmpeg, or another program, with pipes; leaving the context kills it."""
        process, leave = self._start(
            program or Program(FFMPEG, self.binary.path),
            arguments,
            what,
            stdin=stdin,
            stdout=stdout,
            stall_timeout_s=stall_timeout_s,
            timeout_s=timeout_s,
            pass_fds=pass_fds,
            stderr_bytes=stderr_bytes,
            limits=limits or self.limits,
        )
        try:
            yield process
        finally:
            process.close()
            leave()
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
        program: Program,
        arguments: Sequence[str],
        what: str,
        *,
        stdin: bool,
        stdout: bool,
        stall_timeout_s: float,
        timeout_s: float,
        pass_fds: Sequence[int],
        stderr_bytes: int,
        limits: ProcessLimits,
    ) -> tuple[Process, Callable[[], None]]:
        """Return the process, and what gives its CPU to others once it has ended."""
        self.check()
        try:
            child = subprocess.Popen(
                [os.fspath(program.path), *arguments],
                bufsize=0,
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE if stdout else subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd=self.job_dir,
                env=self._environment,
                start_new_session=True,
                umask=0o077,
                pass_fds=pass_fds,
            )
        except OSError as error:
            reason = f"it could not be started: {error.strerror}"
            raise failed(program.name, what, 0, reason) from error
        leave: Callable[[], None] | None = None
        try:
            limits.apply(child.pid)
            # at once: threads that have begun already would stay where they are
            leave = self._placement.place(child.pid, ENCODER if stdin else READER)
            process = Process(
                child,
                what,
                program=program.name,
                cpu_limit_s=limits.cpu_s,
                check=self.check,
                stall_timeout_s=stall_timeout_s,
                deadline_s=time.monotonic() + timeout_s,
                stderr_bytes=stderr_bytes,
            )
        except BaseException:  # no descriptor, no thread to be had: it has no watch, so it must end
            _discard(child)
            if leave is not None:
                leave()
            raise
        with self._lock:
            self._running.add(process)
        if self._error is not None:  # cancelled between the check and here
            process.kill()
        return process, leave


def _discard(child: subprocess.Popen[bytes]) -> None:
    """Kill a child that nobody watches, reap it and let go of its pipes."""
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()


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
