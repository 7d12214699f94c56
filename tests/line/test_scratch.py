"""Private folders, and what a dead worker left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from audio_processor.errors import ConfigError
from audio_processor.scratch import Scratch


def test_a_job_folder_is_private_and_goes_with_all_in_it(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    with scratch.job_folder() as folder:
        (folder / "segment.ts").write_bytes(b"x")
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()
    scratch.close()
    assert list(tmp_path.iterdir()) == []


def test_a_living_neighbour_is_left_alone(tmp_path: Path) -> None:
    first = Scratch(tmp_path)
    with first.job_folder() as folder:
        second = Scratch(tmp_path)
        assert second.swept == 0 and folder.exists()
        second.close()
    first.close()


def test_what_a_killed_worker_left_is_swept(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from audio_processor.scratch import Scratch\n"
        "with Scratch(pathlib.Path(sys.argv[1])).job_folder() as f:\n"
        "    (f / 'raw').write_bytes(b'x' * 1000)\n"
        "    print('ready', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert worker.stdout is not None and worker.stdout.readline() == b"ready\n"
    os.kill(worker.pid, signal.SIGKILL)
    worker.communicate()
    assert len(list(tmp_path.iterdir())) == 1
    scratch = Scratch(tmp_path)
    assert scratch.swept == 1
    scratch.close()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_names_the_key(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    with pytest.raises(ConfigError, match=r"scratch\.folder"):
        Scratch(blocker / "scratch")
