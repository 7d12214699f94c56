"""Private folders for jobs, and the sweeping of what a dead worker left: folders, processes.

Each process holds an exclusive ``flock`` on its own folder's lock file for as long as it
lives; a folder whose lock can be taken belongs to nobody any more. Making a folder and
locking it are two steps, so whoever makes or sweeps holds a lock on the scratch folder.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from audio_processor.errors import ConfigError, DiskFull, TransientError

LEAST_ROOM_BYTES = 16 * 2**20
_MOST_COUNTED = 20_000
"""Files looked at to tell how much is used: a track of four hours makes a fifth of that."""
_PREFIX = "worker-"
_JOB_PREFIX = "job-"
_LOCK = "lock"
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


class Scratch:
    """One process's corner of the scratch folder. Close it to remove the corner.

    Raises ``ConfigError`` where the scratch folder cannot be used.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._mending = threading.Lock()
        try:
            self._folder, self._lock, self.swept = _settle(root)
        except OSError as error:
            raise ConfigError(
                f"scratch.folder: {root} cannot be used ({error.strerror}); "
                "name a folder that this user may write to."
            ) from error

    @contextmanager
    def job_folder(self) -> Iterator[Path]:
        """Yield a fresh private folder (mode 0700); it is removed with all in it on leaving.

        Raises ``DiskFull``, or ``TransientError`` when it cannot be made for another reason.
        """
        try:
            folder = self._new_folder()
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise DiskFull(
                    f"The scratch folder has no room for a job: {error.strerror}."
                ) from error
            raise TransientError(
                f"No folder for a job can be made in the scratch folder: {error.strerror}."
            ) from error
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def check_room(self) -> None:
        """Raise ``DiskFull`` where not even a short track has room, whosever fault that is."""
        try:
            free = shutil.disk_usage(self._root).free
        except OSError:
            return  # gone, perhaps: making a job's folder mends it or says so
        if free < LEAST_ROOM_BYTES:
            raise DiskFull(f"The scratch folder has {free // 2**20} MiB left: too little to work.")

    def used_bytes(self) -> int:
        """Return the bytes on disk in this corner; of a folder with absurdly many, the first.

        Raises ``OSError`` where the corner cannot be read.
        """
        with os.scandir(self._folder):
            pass  # os.walk keeps to itself that it could not look
        used = 0
        left = _MOST_COUNTED
        for where, _, names in os.walk(self._folder):
            for name in names[:left]:
                with contextlib.suppress(OSError):  # a job that ends takes its files away
                    used += os.lstat(os.path.join(where, name)).st_blocks * 512  # noqa: PTH118  # as fast as it gets
            left -= len(names)
            if left <= 0:
                break
        return used

    def free_bytes(self) -> int:
        """Return the bytes free on the scratch folder's file system. Raises ``OSError``."""
        return shutil.disk_usage(self._root).free

    def _new_folder(self) -> Path:
        """Make a job's folder, in a new corner if something outside has removed this one."""
        with self._mending:
            try:
                return Path(tempfile.mkdtemp(prefix=_JOB_PREFIX, dir=self._folder))
            except FileNotFoundError:
                lost = self._lock
                self._folder, self._lock, _ = _settle(self._root)
                os.close(lost)
                return Path(tempfile.mkdtemp(prefix=_JOB_PREFIX, dir=self._folder))

    def close(self) -> None:
        """Remove the corner and give up its lock."""
        shutil.rmtree(self._folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.close(self._lock)


def _settle(root: Path) -> tuple[Path, int, int]:
    """Sweep, make a corner and lock it; return it, its lock's descriptor and how many went.

    Raises ``OSError``, and leaves nothing then.
    """
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _sole_use(root):
        swept = _sweep(root)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
        try:
            return folder, _locked(folder / _LOCK), swept
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise


@contextmanager
def _sole_use(root: Path) -> Iterator[None]:
    """Keep other processes from sweeping: a new corner is nobody's until its lock is taken."""
    # the folder's own descriptor: a lock file would be one more thing to leave behind
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _locked(path: Path) -> int:
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _sweep(root: Path) -> int:
    """Remove the folders that no living process holds; return how many there were."""
    swept = 0
    for folder in root.glob(f"{_PREFIX}*"):
        if _abandoned(folder / _LOCK):
            _end_processes_in(folder)
            shutil.rmtree(folder, ignore_errors=True)
            swept += 1
    return swept


def _end_processes_in(folder: Path) -> None:
    """Kill what still works in there: an FFmpeg that hangs outlives the end of its pipes.

    Every process of a job has the job's folder as its working directory. Through a descriptor,
    so that nobody else is hit who got the number meanwhile; where there is no /proc, nothing is.
    """
    within = f"{folder.resolve()}{os.sep}"
    for process in Path("/proc").glob("[0-9]*"):
        try:
            descriptor = os.pidfd_open(int(process.name))
        except OSError:
            continue  # it has ended
        try:
            if str((process / "cwd").readlink()).startswith(within):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        except OSError:
            continue  # another user's, or it has ended
        finally:
            os.close(descriptor)


def _abandoned(lock: Path) -> bool:
    # A folder without a lock file may be a living process's: cleaners take old files first.
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
