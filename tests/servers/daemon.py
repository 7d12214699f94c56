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


@contextlib.contextmanager
def running(
    argv: Sequence[str],
    *,
    nobody: bool,
    folder: Path,
    answers: Callable[[], bool],
    stop: signal.Signals,
) -> Iterator[None]:
    """Start the server, wait until it answers, and stop it afterwards.

    ``stop`` may be a hard one: the data will never be opened again.
    """
    log = folder / "server.log"
    with (
        log.open("wb") as out,
        subprocess.Popen(
            as_user(argv, nobody=nobody), cwd=folder, stdout=out, stderr=out
        ) as process,
    ):
        try:
            deadline = time.monotonic() + START_TIMEOUT_S
            while not answers():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{argv[0]} did not start:\n{log.read_text()[-4000:]}")
                time.sleep(POLL_S)
            yield
        finally:
            process.send_signal(stop)
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
