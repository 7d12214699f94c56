"""The command as a person meets it: what wins, what is written, exit codes, no tracebacks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reporting.html import read_page
from tests.reporting.material import band, write_wav

Run = subprocess.CompletedProcess[str]


def run(folder: Path, *arguments: str) -> Run:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AUDIO_PROC", "AWS_"))}
    return subprocess.run(
        [sys.executable, "-m", "audio_processor", *arguments],
        cwd=folder,
        env=inherited | {"COLUMNS": "140"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("command")
    write_wav(made / "track.wav", band(6.0))
    return made


def test_a_file_is_reported_on_without_queue_or_store(folder: Path) -> None:
    done = run(folder, "report", "track.wav", "-o", "page.html", "--abx", "abx", "--seed", "3")
    assert done.returncode == 0, done.stderr
    written = done.stdout.split()
    assert written[0] == "page.html" and len(written) == 4
    assert all((folder / name).is_file() for name in written)
    assert {path.name for path in folder.iterdir()} == {"track.wav", "page.html", "abx"}
    assert read_page((folder / "page.html").read_text()).one("renditions")
    assert json.loads((folder / "abx/key.json").read_text())["excerpts"][0]["A"]["is"]

    again = run(folder, "report", "track.wav", "-o", "page.html", "--abx", "abx")
    assert again.returncode == 2 and "--force" in again.stderr


def test_a_path_that_exists_wins_over_an_upload_of_its_name(tmp_path: Path) -> None:
    write_wav(tmp_path / "track.wav", band(1.0))
    assert run(tmp_path, "enqueue", "track.wav").returncode == 0
    assert run(tmp_path, "report", "track.wav").returncode == 0
    shown = read_page((tmp_path / "report.html").read_text())
    assert "a file, mastered" in shown.all("header")[0].text
    (tmp_path / "track.wav").unlink()
    assert run(tmp_path, "report", "track.wav").returncode == 0
    shown = read_page((tmp_path / "report.html").read_text())
    assert "waiting" in shown.all("header")[0].text
    refused = run(tmp_path, "report", "track.wav", "--mastering", "warm")
    assert refused.returncode == 2 and "mastered already" in refused.stderr


def test_what_the_command_asks_for_counts_where_uploads_may_not_ask(tmp_path: Path) -> None:
    write_wav(tmp_path / "track.wav", band(1.0))
    (tmp_path / "audio-processor.toml").write_text("[mastering]\nallow_upload_settings = false\n")
    done = run(tmp_path, "report", "track.wav", "--mastering", "edm")
    assert done.returncode == 0, done.stderr
    shown = (tmp_path / "report.html").read_text()
    assert "edm" in shown
    assert "not honoured" not in shown


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nobody.wav"], 1, "nobody.wav"),
        (["words.mp3"], 1, "not an audio file"),
        (["words.mp3", "-o", "no/page.html"], 2, "is not a folder"),
        (["words.mp3", "--mastering", "no-such-preset"], 1, "no-such-preset"),
        ([], 2, "Missing argument"),
    ],
)
def test_a_mistake_is_a_sentence_and_an_exit_code(
    folder: Path, arguments: list[str], code: int, says: str, tmp_path: Path
) -> None:
    (tmp_path / "words.mp3").write_text("not music " * 100)
    if "--mastering" in arguments:
        write_wav(tmp_path / "words.mp3", band(0.5))
    done = run(tmp_path, "report", *arguments)
    assert done.returncode == code, done.stderr
    assert says in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "report.html").exists()


def test_help_says_what_wins(tmp_path: Path) -> None:
    shown = run(tmp_path, "report", "--help")
    assert shown.returncode == 0
    assert "A path that exists" in " ".join(shown.stdout.split())
