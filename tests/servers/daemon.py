"""What private servers need: a free port, a folder they may write, a user they agree to be.

A database server refuses to run as root, and ends with the process that started it, however
that one ends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

NOBODY = 65534
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
POLL_S = 0.05


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def private_folder(prefix: str, *, as_nobody: bool) -> Iterator[Path]:
    # root's own TMPDIR may be in a folder that nobody may enter
    with tempfile.TemporaryDirectory(prefix=prefix, dir="/tmp" if as_nobody else None) as name:
        if as_nobody:
            os.chown(name, NOBODY, NOBODY)
        yield Path(name)


def as_user(argv: Sequence[str], *, nobody: bool) -> list[str]:
    """Return the command that runs ``argv`` as that user and dies with its parent."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return list(argv)
    demoted = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if nobody else []
    return [setpriv, *demoted, "--pdeathsig=TERM", *argv]


def run(argv: Sequence[str], *, nobody: bool = False, cwd: Path) -> None:
    done = subprocess.run(
        as_user(argv, nobody=nobody), cwd=cwd, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{argv[0]} failed:\n{(done.stdout + done.stderr)[-4000:]}")


class Daemon:
    """A server process that can be taken down and brought back on the same data and port.

    Start it from a thread that lives as long as it is to: it dies with that thread.
    """

    def __init__(
        self, argv: Sequence[str], *, nobody: bool, folder: Path, answers: Callable[[], bool]
    ) -> None:
        self._argv = as_user(argv, nobody=nobody)
        self._folder = folder
        self._log = folder / "server.log"
        self._answers = answers
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(self._argv, cwd=self._folder, stdout=out, stderr=out)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = self._log.read_text(errors="replace")[-4000:]
                raise RuntimeError(f"{self._argv[0]} did not start:\n{said}")
            time.sleep(POLL_S)

    def stop(self, how: signal.Signals) -> None:
        """Stop it and wait for its end."""
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


@contextlib.contextmanager
def running(daemon: Daemon, *, stop: signal.Signals) -> Iterator[None]:
    """Start the server, and stop it afterwards.

    ``stop`` may be a hard one: the data will never be opened again.
    """
    try:
        daemon.start()
        yield
    finally:
        daemon.stop(stop)
