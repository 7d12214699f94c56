"""Where nothing can be written, as in a pod's own folder, a sentence says so and what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from audio_processor.demo import render_demo
from audio_processor.errors import ConfigError
from audio_processor.whole_file import write_whole
from tests.requirements import missing

READ_ONLY = 'mount --bind . . && mount --options remount,ro,bind . && cd "$PWD" && exec "$@"'
"""A mount of its own, which ends with the process: root too may write to what chmod forbids."""

Run = subprocess.CompletedProcess[str]


def confined(folder: Path, *argv: str) -> Run:
    """Run a program in the folder, which is on a read-only file system for it alone."""
    unshare = ["unshare", "--map-root-user", "--mount", "sh", "-c", READ_ONLY, "sh"]
    return subprocess.run(
        [*unshare, *argv], cwd=folder, capture_output=True, text=True, timeout=180, check=False
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("read-only")
    render_demo(made / "song.wav", duration_s=12.0)
    tried = confined(made, "touch", "there")
    if "Read-only file system" not in tried.stderr:
        missing(f"a read-only mount cannot be had here: {tried.stderr.strip()}")
    return made


def command(folder: Path, *arguments: str) -> Run:
    return confined(folder, sys.executable, "-m", "audio_processor", *arguments)


@pytest.mark.parametrize(
    ("arguments", "named", "way_out"),
    [
        ("report song.wav", "report.html", "--output"),
        ("report song.wav --output {there}/page.html --abx pairs", "pairs", "--abx"),
        ("profile build song.wav --output house.toml", "house.toml", "--output"),
        ("master song.wav out.wav", "out.wav", "elsewhere"),
    ],
)
def test_it_is_said_before_any_work_is_done(
    folder: Path, tmp_path: Path, arguments: str, named: str, way_out: str
) -> None:
    done = command(folder, *arguments.format(there=tmp_path).split())
    said = " ".join(done.stderr.split())
    assert done.returncode == 2, said
    assert f"{named} cannot be written" in said or f"cannot be written to {named}" in said
    assert way_out in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []
    assert [path.name for path in folder.iterdir()] == ["song.wav"]


def test_a_report_is_written_elsewhere_from_there(folder: Path, tmp_path: Path) -> None:
    done = command(folder, "report", "song.wav", "--output", str(tmp_path / "report.html"))
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_what_refuses_the_draft_and_its_removal_too_is_what_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ConfigError, match=r"page\.html cannot be written: Not a dir.*--output"):
        write_whole(tmp_path / "file" / "page.html", b"page")


def test_a_target_that_cannot_be_replaced_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "page.html").mkdir()
    with pytest.raises(ConfigError, match="cannot be written"):
        write_whole(tmp_path / "page.html", b"page")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
