"""Private folders for jobs, and the sweeping of those that a dead worker left behind.

Each process holds an exclusive ``flock`` on its own folder's lock file for as long as it
lives; a folder whose lock can be taken belongs to nobody any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from audio_processor.errors import ConfigError, DiskFull

_PREFIX = "worker-"
_LOCK = "lock"


class Scratch:
    """One process's corner of the scratch folder. Close it to remove the corner."""

    def __init__(self, root: Path) -> None:
        try:
            root.mkdir(parents=True, exist_ok=True)
            self.swept = _sweep(root)
            self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
            self._lock = os.open(self._folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(
                f"scratch.folder: {root} cannot be used ({error.strerror}); "
                "name a folder that this user may write to."
            ) from error
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @contextmanager
    def job_folder(self) -> Iterator[Path]:
        """Yield a fresh private folder (mode 0700); it is removed with all in it on leaving.

        Raises ``DiskFull`` when it cannot be made.
        """
        try:
            folder = Path(tempfile.mkdtemp(prefix="job-", dir=self._folder))
        except OSError as error:
            raise DiskFull(
                f"The scratch folder has no room for a job: {error.strerror}."
            ) from error
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove the corner and give up its lock."""
        shutil.rmtree(self._folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.close(self._lock)


def _sweep(root: Path) -> int:
    """Remove the folders that no living process holds; return how many there were."""
    swept = 0
    for folder in root.glob(f"{_PREFIX}*"):
        if _abandoned(folder / _LOCK):
            shutil.rmtree(folder, ignore_errors=True)
            swept += 1
    return swept


def _abandoned(lock: Path) -> bool:
    # A folder without its lock file is being made by a process that is just starting.
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)
