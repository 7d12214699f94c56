"""Private folders, and what a dead worker left behind."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from audio_processor.errors import ConfigError, DiskFull, TransientError
from audio_processor.scratch import Scratch


def test_a_job_folder_is_private_and_goes_with_all_in_it(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    with scratch.job_folder() as folder:
        (folder / "segment.ts").write_bytes(b"x")
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()
    scratch.close()
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_outlived_its_worker_is_ended_and_no_other(tmp_path: Path) -> None:
    """Stopped, it does not even notice that its pipes are closed."""
    living = Scratch(tmp_path)
    job = tmp_path / "worker-dead" / "job-1"
    job.mkdir(parents=True)
    (tmp_path / "worker-dead" / "lock").touch()
    (tmp_path / "worker-deader").mkdir()
    with living.job_folder() as neighbour:
        sleepers = [
            subprocess.Popen(["sleep", "600"], cwd=cwd)
            for cwd in (job, tmp_path / "worker-deader", neighbour, tmp_path)
        ]
        try:
            sleepers[0].send_signal(signal.SIGSTOP)
            second = Scratch(tmp_path)
            second.close()
            assert sleepers[0].wait(60) == -signal.SIGKILL
            assert [sleeper.poll() for sleeper in sleepers[1:]] == [None] * 3
        finally:
            for sleeper in sleepers:
                sleeper.kill()
                sleeper.wait()
    living.close()


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


def test_a_neighbour_that_starts_meanwhile_does_not_sweep_a_fresh_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The neighbour starts just before the first takes its lock, and goes as far as it can."""
    flock = fcntl.flock
    arrived = threading.Event()
    swept: list[int] = []

    def neighbour_works() -> None:
        neighbour = Scratch(tmp_path)
        swept.append(neighbour.swept)
        neighbour.close()

    neighbour = threading.Thread(target=neighbour_works)

    def watched(descriptor: int, operation: int) -> None:
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        if threading.current_thread() is neighbour:
            if not operation & fcntl.LOCK_NB:
                arrived.set()  # it will wait here
            flock(descriptor, operation)
            arrived.set()
        elif is_file and not neighbour.is_alive():
            neighbour.start()
            assert arrived.wait(30)
            flock(descriptor, operation)
        else:
            flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", watched)
    first = Scratch(tmp_path)
    neighbour.join()
    assert swept == [0]
    with first.job_folder() as folder:
        assert folder.exists()
    first.close()


def test_a_corner_that_something_removed_is_made_anew(tmp_path: Path) -> None:
    root = tmp_path / "scratch"
    scratch = Scratch(root)
    shutil.rmtree(root)
    for _ in range(2):
        with scratch.job_folder() as folder:
            neighbour = Scratch(root)
            assert neighbour.swept == 0 and folder.exists()
            neighbour.close()
    scratch.close()
    assert list(root.iterdir()) == []


def test_only_a_lack_of_room_is_called_a_full_disk(tmp_path: Path) -> None:
    root = tmp_path / "scratch"
    scratch = Scratch(root)
    shutil.rmtree(root)
    root.write_text("no longer a folder")
    with pytest.raises(TransientError, match="job can be made") as caught, scratch.job_folder():
        pass
    assert not isinstance(caught.value, DiskFull)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_for_a_job_is_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    scratch = Scratch(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "mkdir", no_room)
        with pytest.raises(DiskFull, match="no room"), scratch.job_folder():
            pass
    scratch.close()


def test_a_lock_that_is_refused_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a file system without locks."""

    def refuses(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    monkeypatch.setattr(fcntl, "flock", refuses)
    with pytest.raises(ConfigError, match=r"scratch\.folder"):
        Scratch(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_a_folder_that_cannot_be_made_names_the_key(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    with pytest.raises(ConfigError, match=r"scratch\.folder"):
        Scratch(blocker / "scratch")
