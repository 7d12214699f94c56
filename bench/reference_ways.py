"""Two ways to match a file to a reference, each a process from files to a file, and their cost.

Matchering is GPL: it is installed into an environment of its own and run as a program.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.flat import watch
from bench.line import ROOT

MATCHERING = "matchering==2.0.6"
_RUN_MATCHERING = (
    "import sys, matchering; target, reference, out = sys.argv[1:]; "
    "matchering.process(target, reference, [matchering.pcm24(out)])"
)

Way = Callable[[Path, Path, Path], list[str]]
"""Target, reference, output → the command."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one job took."""

    cpu_s: float
    """User and system, children included."""
    memory_mib: float
    """The highest resident set of all its processes together."""


def ours(target: Path, reference: Path, out: Path) -> list[str]:
    """Return this project's command."""
    return [sys.executable, "-m", "bench.reference_job", str(target), str(reference), str(out)]


def matchering(python: Path) -> Way:
    """Return the way of the Matchering that this Python has."""

    def way(target: Path, reference: Path, out: Path) -> list[str]:
        return [str(python), "-c", _RUN_MATCHERING, str(target), str(reference), str(out)]

    return way


def matchering_python(folder: Path) -> Path:
    """Return the Python of an environment with Matchering in it, made here where there is none.

    Raises ``CalledProcessError`` where it cannot be installed.
    """
    python = folder / "bin" / "python"
    asks = [str(python), "-c", "import matchering"]
    if python.exists() and subprocess.run(asks, capture_output=True, check=False).returncode == 0:
        return python
    venv.create(folder, with_pip=True, clear=True)
    subprocess.run([str(python), "-m", "pip", "install", "-q", MATCHERING], check=True)
    return python


def run(argv: Sequence[str]) -> tuple[Cost, str]:
    """Run a job to its end; return its cost and its standard output.

    Raises ``RuntimeError`` with the end of its standard error.
    """
    before_s = _children_s()
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryDirectory() as scratch:
        process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=said, text=True)
        peaks, _ = watch(process, Path(scratch))
        assert process.stdout is not None
        printed = process.stdout.read()
        if process.returncode != 0:
            said.seek(0)
            raise RuntimeError(said.read()[-800:])
    memory_mib = max(peaks.together_rss_mib, peaks.python_rss_mib)
    return Cost(_children_s() - before_s, memory_mib), printed


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
