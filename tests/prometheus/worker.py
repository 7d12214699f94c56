"""A real worker in a process of its own, and short music for it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.prometheus.programs import ROOT

_STOP_S = 60.0


def command(folder: Path, settings: Mapping[str, object], *arguments: str) -> None:
    """Run a command of the program in ``folder`` to its end."""
    subprocess.run(
        _argv(*arguments), cwd=folder, env=_environ(settings), check=True, capture_output=True
    )


@contextlib.contextmanager
def running_worker(folder: Path, settings: Mapping[str, object]) -> Iterator[None]:
    """Run ``audio-processor run``; SIGTERM, and a good end, when the block is left."""
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(_argv("run"), cwd=folder, env=_environ(settings), stderr=log)
    try:
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(_STOP_S) == 0, (folder / "worker.log").read_text()[-2000:]
    finally:
        process.kill()
        process.wait()


def _argv(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "audio_processor", *arguments]


def _environ(settings: Mapping[str, object]) -> dict[str, str]:
    given = {
        f"AUDIO_PROCESSOR__{key.upper().replace('.', '__')}": str(value)
        for key, value in settings.items()
    }
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **given}
