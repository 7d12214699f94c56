"""Every shell block of every page is run, or says why not and is held to what there is."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.docs.command_lines import check_line, parses_as_shell
from tests.docs.pages import README, ROOT, Block, blocks

SHELL = [*blocks("sh"), *blocks("bash")]
MAKES = [b for b in SHELL if all(line.startswith("make ") for line in b.commands)]
NOT_RUN = [b for b in SHELL if b.word == "not run"]
RUN = [b for b in SHELL if b not in MAKES and b not in NOT_RUN]
READY_WITHIN_S = 120.0
"""More than a busy machine needs."""
NOT_RUN_AT_MOST = 6
"""A block that is not run any more is a decision, not an accident."""


def test_blocks_are_run_and_few_are_not() -> None:
    assert len(RUN) >= 5
    assert len(NOT_RUN) == NOT_RUN_AT_MOST
    assert [str(block) for block in NOT_RUN if len(block.said) < 10] == [], "say why"
    elsewhere = {
        b.page.name for name in ("shell", "console", "shellsession", "zsh") for b in blocks(name)
    }
    assert elsewhere <= {"runbook.md"}, "its lines are held to what there is in tests/prometheus"


@pytest.mark.parametrize("block", RUN, ids=str)
def test_a_block_runs(
    block: Block, music: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    if block.word == "with":
        for name in block.said.split(", "):
            shutil.copy(music, tmp_path / name)
    if block.word == "until":
        assert block.said == "ready"
        run_until_ready(block, environment, tmp_path)
        return
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def run_until_ready(block: Block, environment: dict[str, str], folder: Path) -> None:
    """Start the daemon, see that it is ready, and stop it as an orchestrator does."""
    [line] = block.commands
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment |= {
        "AUDIO_PROCESSOR__WORKER__HEALTH_PORT": str(port),
        "AUDIO_PROCESSOR__WORKER__HEALTH_HOST": "127.0.0.1",
    }
    with subprocess.Popen(["bash", "-c", f"exec {line}"], cwd=folder, env=environment) as daemon:
        try:
            wait_until_ready(daemon, port, line)
            daemon.terminate()
            assert daemon.wait(READY_WITHIN_S) == 0
        finally:
            daemon.kill()  # nothing, where it has ended


def wait_until_ready(daemon: subprocess.Popen[bytes], port: int, line: str) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while not is_ready(port):
        if time.monotonic() > deadline:
            pytest.fail(f"{line}: not ready at port {port} within {READY_WITHIN_S:.0f} s")
        with contextlib.suppress(subprocess.TimeoutExpired):
            daemon.wait(0.1)
            pytest.fail(f"{line}: it ended by itself")


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


@pytest.mark.parametrize("block", NOT_RUN, ids=str)
def test_a_block_that_is_not_run_could_be(block: Block) -> None:
    assert parses_as_shell(block.text)
    tools = {tool for line in block.commands for tool in check_line(line)}
    assert tools - {"cat", "curl"}, "nothing in it was checked"


@pytest.mark.parametrize(
    "line",
    [
        "audio-processor no-such-command",
        "audio-processor run --no-such-option",
        "audio-processor retry --all-failed --config",
        "make no-such-target",
        "kubectl apply -k k8s/no-such-overlay",
        "docker compose up -d no-such-service",
        "docker build --build-arg NO_SUCH_ARGUMENT=1 .",
        "helm template k8s/no-such-chart",
        "aws s3api put-no-such-thing --bucket b",
        "aws s3api put-bucket-cors --no-such-option b",
        "no-such-tool",
    ],
)
def test_the_check_of_such_blocks_can_fail(line: str) -> None:
    with pytest.raises((AssertionError, FileNotFoundError)):
        check_line(line)


# ── make ─────────────────────────────────────────────────────────────────────────────────


def test_every_make_block_names_targets_that_there_are() -> None:
    assert {str(block) for block in MAKES} >= {"README.md-sh-1", "README.md-sh-2"}
    for block in MAKES:
        for line in block.commands:
            assert check_line(line) == {"make"}


def test_ci_runs_make_test_and_builds_the_pages() -> None:
    """This very run, most likely: a test cannot call it."""
    assert {"make test", "make docs"} <= set((ROOT / ".ci" / "run").read_text().splitlines())


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """The tree as ``make run`` needs it, already set up: it reinstalls nothing."""
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-build.lock"):
        shutil.copy2(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    environment = tmp_path / ".venv"
    environment.mkdir()
    for entry in Path(sys.prefix).iterdir():
        if not entry.name.startswith("."):
            (environment / entry.name).symlink_to(entry)
    (environment / ".runtime").touch()
    return tmp_path


def test_make_run_prints_what_the_readme_shows(house: Path, environment: dict[str, str]) -> None:
    """Words and lines to the letter; figures as far as FFmpegs and CPUs agree on them."""
    [shown] = [block for block in blocks("text", README) if block.word == "printed by"]
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):  # where the suite itself is run by make
        environment.pop(name, None)
    done = subprocess.run(
        shown.said.split(),
        cwd=house,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    printed = re.sub(r"/\S*(?=/data/store)", "…", done.stdout)
    printed = "".join(f"{line.rstrip()}\n" for line in printed.splitlines())
    if os.environ.get("UPDATE_GOLDENS") == "1":
        README.write_text(
            README.read_text().replace(f"```text\n{shown.text}```", f"```text\n{printed}```", 1)
        )
        return
    assert words_of(printed) == words_of(shown.text)
    assert figures_of(printed) == pytest.approx(figures_of(shown.text), abs=0.35)


_TIME = re.compile(r"\d+:\d\d:\d\d")
_FIGURE = re.compile(r"[-+]?\d+\.\d+")


def words_of(text: str) -> list[str]:
    """Everything but the figures and how long it took."""
    return re.sub(r"\s+", " ", _FIGURE.sub("#", _TIME.sub("t", text))).split()


def figures_of(text: str) -> list[float]:
    return [float(figure) for figure in _FIGURE.findall(_TIME.sub("", text))]
