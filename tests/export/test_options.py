"""The options of ``master``: what they say is done, or refused in a sentence."""

from __future__ import annotations

import json
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from audio_processor.demo import render_demo


def command(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "audio_processor", *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render_demo(tmp_path_factory.mktemp("demo") / "demo.wav", duration_s=12.0)


@pytest.mark.parametrize(
    ("options", "preset", "matched"),
    [
        (["--preset", "edm"], "edm", False),
        (["--mastering", '{"preset": "warm"}'], "warm", False),
        (["--reference", "demo.wav"], "transparent", True),
        ([], "transparent", False),
    ],
)
def test_they_count_where_uploads_may_not_ask(
    demo: Path, tmp_path: Path, options: list[str], preset: str, matched: bool
) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[mastering]\nallow_upload_settings = false\n")
    arguments = ["demo.wav", tmp_path / "out.wav", "--config", config, "--json", *options]
    done = command("master", *arguments, cwd=demo.parent)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["mastering"]["preset"] == preset
    assert (told["mastering"]["reference"] is not None) is matched
    assert not any("not honoured" in warning for warning in told["warnings"])


@pytest.mark.parametrize("frames", [1, 15, 16])
def test_what_is_too_short_for_flac_is_refused_in_a_sentence(tmp_path: Path, frames: int) -> None:
    with wave.open(str(tmp_path / "in.wav"), "wb") as written:
        written.setparams((2, 2, 44_100, frames, "NONE", ""))
        written.writeframes(b"\x00\x10" * 2 * frames)
    done = command("master", "in.wav", "out.flac", cwd=tmp_path)
    assert (done.returncode == 0) is (frames == 16), done.stderr
    assert ("name a .wav" in " ".join(done.stderr.split())) is (frames < 16)
    assert (tmp_path / "out.flac").exists() is (frames == 16)


def test_a_bit_depth_is_refused_where_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "in.wav").write_bytes(b"")
    done = command("master", "in.wav", "out.m4a", "--bit-depth", "16", cwd=tmp_path)
    assert done.returncode == 2
    assert "no bit depth" in done.stderr
