"""The command line as a person meets it: exit codes, sentences, JSON, no tracebacks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

Run = subprocess.CompletedProcess[str]


def run(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> Run:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AUDIO_PROC", "AWS_"))}
    return subprocess.run(
        [sys.executable, "-m", "audio_processor", *arguments],
        cwd=folder,
        env=inherited | dict(environment or {}) | {"COLUMNS": "140"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


COMMANDS = (
    *("run", "once", "process", "enqueue", "ingest"),
    *("status", "explain", "retry", "analyze", "validate", "migrate", "check-config"),
)


def test_help_names_every_command(tmp_path: Path) -> None:
    shown = run(tmp_path, "--help")
    assert shown.returncode == 0
    for command in COMMANDS:
        assert re.search(rf"\b{command}\b", shown.stdout)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(tmp_path: Path, command: str) -> None:
    shown = run(tmp_path, command, "--help")
    assert shown.returncode == 0 and len(shown.stdout.splitlines()) > 5


@pytest.mark.parametrize("command", ["--help", "status", "check-config"])
def test_looking_imports_nothing_heavy(tmp_path: Path, command: str) -> None:
    code = (
        "import atexit, sys\n"
        "from audio_processor.cli import main\n"
        "def tell():\n"
        "    heavy = {'numba', 'scipy', 'boto3', 'numpy', 'pyloudnorm'} & set(sys.modules)\n"
        "    print('HEAVY', sorted(heavy))\n"
        "atexit.register(tell)\n"
        f"sys.argv = ['audio-processor', {command!r}]\n"
        "main()\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "HEAVY []" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "says"),
    [
        (["no-such-command"], {}, 2, "no-such-command"),
        (["enqueue", "missing.wav"], {}, 2, "missing.wav"),
        (["retry"], {}, 2, "--all-failed"),
        (["status"], {"AUDIO_PROCESSOR__LOUDNES__X": "1"}, 2, "loudness"),
        (["status", "--config", "missing.toml"], {}, 2, "missing.toml"),
        (["explain", "nobody"], {}, 1, "nobody"),
        (["process", "nothing.wav"], {}, 1, "nothing.wav"),
        (["validate", "nowhere"], {}, 1, "nowhere"),
        (["validate", "ftp://x/y"], {}, 1, "ftp"),
        (["validate", "http://127.0.0.1:9/x/"], {}, 3, "127.0.0.1:9"),
        (
            ["status"],
            {
                "AUDIO_PROCESSOR__DATABASE__TYPE": "postgresql",
                "AUDIO_PROCESSOR__DATABASE__HOST": "127.0.0.1",
                "AUDIO_PROCESSOR__DATABASE__PORT": "9",
                "AUDIO_PROCESSOR__DATABASE__USER": "u",
                "AUDIO_PROCESSOR__DATABASE__PASSWORD": "canary-hunter2",
                "AUDIO_PROCESSOR__DATABASE__NAME": "d",
            },
            3,
            "127.0.0.1:9",
        ),
        (["process", "x.wav"], {"AUDIO_PROCESSOR__FFMPEG__PATH": "/no/ffmpeg"}, 1, "x.wav"),
    ],
)
def test_a_mistake_is_a_sentence_and_an_exit_code(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], code: int, says: str
) -> None:
    shown = run(tmp_path, *arguments, environment=environment)
    assert shown.returncode == code, shown.stderr
    assert says in shown.stderr + shown.stdout
    assert "Traceback" not in shown.stderr
    assert "canary-hunter2" not in shown.stderr + shown.stdout


def test_a_track_from_enqueue_to_explain(tmp_path: Path, demo_track: Path) -> None:
    enqueued = run(tmp_path, "enqueue", str(demo_track))
    assert enqueued.returncode == 0
    upload_id = enqueued.stdout.split("\t")[0]
    again = run(tmp_path, "enqueue", str(demo_track))
    assert again.returncode == 1 and "--replace" in again.stderr

    counts = json.loads(run(tmp_path, "status", "--json").stdout)["counts"]
    assert (counts["pending"], counts["completed"]) == (1, 0)

    once = run(tmp_path, "once")
    assert (once.returncode, once.stdout.splitlines()[-1]) == (0, "1 completed, 0 not completed")

    story = json.loads(run(tmp_path, "explain", upload_id, "--json").stdout)
    assert story["status"] == "completed"
    assert [attempt["outcome"] for attempt in story["history"]] == ["completed"]
    assert {rendition["name"] for rendition in story["summary"]["renditions"]} >= {
        "low",
        "med",
        "high",
    }
    told = run(tmp_path, "explain", "demo.wav")
    assert told.returncode == 0 and upload_id in told.stdout

    output = tmp_path / "data/store/mwonya_audio_tracks/demo"
    judged = run(tmp_path, "validate", str(output), "--json")
    assert judged.returncode == 0, judged.stdout
    [second] = (output / "low").glob("segment_*_001.ts")
    second.unlink()
    broken = run(tmp_path, "validate", str(output))
    assert broken.returncode == 1 and second.name in broken.stdout


def test_a_failed_track_makes_once_exit_1_and_can_be_retried(tmp_path: Path) -> None:
    (tmp_path / "words.mp3").write_text("not music " * 100)
    assert run(tmp_path, "enqueue", "words.mp3").returncode == 0
    assert run(tmp_path, "once").returncode == 1
    retried = run(tmp_path, "retry", "--all-failed")
    assert retried.returncode == 0 and "words.mp3" in retried.stdout
    assert json.loads(run(tmp_path, "status", "--json").stdout)["counts"]["pending"] == 1


def test_analyze_measures_without_a_queue(tmp_path: Path, demo_track: Path) -> None:
    shown = run(tmp_path, "analyze", str(demo_track), "--json")
    found = json.loads(shown.stdout)
    assert found["loudness"]["integrated_lufs"] == pytest.approx(-18, abs=8)
    assert found["duration_s"] == pytest.approx(22.0, abs=0.001)
    assert list(tmp_path.iterdir()) == []


def test_ingest_twice_shows_the_table_both_times(tmp_path: Path, demo_track: Path) -> None:
    for _ in range(2):
        shown = run(tmp_path, "ingest", str(demo_track))
        assert shown.returncode == 0, shown.stderr
        for word in ("source", "low", "med", "high", "m4a", "LUFS", "output"):
            assert word in shown.stdout


def test_the_daemon_stops_on_sigterm_with_exit_0(tmp_path: Path, demo_track: Path) -> None:
    assert run(tmp_path, "enqueue", str(demo_track)).returncode == 0
    daemon = subprocess.Popen(
        [sys.executable, "-m", "audio_processor", "run"],
        cwd=tmp_path,
        env=os.environ
        | {
            "AUDIO_PROCESSOR__WORKER__HEALTH_PORT": "0",
            "AUDIO_PROCESSOR__LOGGING__FORMAT": "json",
            "AUDIO_PROCESSOR__WORKER__POLL_INTERVAL_S": "0.2",
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    assert daemon.stderr is not None
    for line in daemon.stderr:
        if json.loads(line)["event"] == "track ended":
            assert json.loads(line)["outcome"] == "completed"
            break
    daemon.terminate()
    daemon.communicate(timeout=60)
    assert daemon.returncode == 0
    assert list((tmp_path / "data/scratch").iterdir()) == []


@pytest.mark.parametrize("signals", [1, 2])
def test_once_ends_in_order_on_sigterm(tmp_path: Path, demo_track: Path, signals: int) -> None:
    for number in range(6):
        (tmp_path / f"{number}.wav").write_bytes(demo_track.read_bytes())
        assert run(tmp_path, "enqueue", f"{number}.wav").returncode == 0
    once = subprocess.Popen(
        [sys.executable, "-m", "audio_processor", "once"],
        cwd=tmp_path,
        env=os.environ | {"AUDIO_PROCESSOR__WORKER__CONCURRENCY": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while json.loads(run(tmp_path, "status", "--json").stdout)["counts"]["processing"] == 0:
        assert once.poll() is None
    for _ in range(signals):
        once.terminate()
    once.communicate(timeout=120)
    counts = json.loads(run(tmp_path, "status", "--json").stdout)["counts"]
    assert counts["processing"] == 0 and counts["failed"] == 0
    assert counts["pending"] >= 4
    assert list((tmp_path / "data/scratch").iterdir()) == []
