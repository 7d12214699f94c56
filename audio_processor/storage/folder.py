"""A folder as an object store: a key is a path below it.

Writes are atomic and durable: the bytes gather under ``.partial/`` and are renamed into
place, so the folder must be one file system. Content-Type and Cache-Control have nowhere to
live in a file system and are not kept; whoever serves the folder sets them by extension.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from audio_processor.errors import (
    ConfigError,
    LimitExceeded,
    NameRejected,
    ObjectChanged,
    SourceMissing,
    StoreUnavailable,
)
from audio_processor.ports import ByteProgress, Over
from audio_processor.storage.files import (
    CHUNK_BYTES,
    make_folders,
    os_errors_named,
    quoted,
    remove_stale,
    sync_folder,
    whole_file,
    write_all,
)
from audio_processor.storage.keys import checked_key
from audio_processor.storage.options import FolderOptions

PARTIALS = ".partial"
LOCK_TRIES = 500
LOCK_PAUSE_S = 0.02


class FolderStore:
    """``ports.ObjectStore`` over one folder; safe to use from many threads and processes."""

    def __init__(self, options: FolderOptions) -> None:
        try:
            if options.create:
                options.root.mkdir(parents=True, exist_ok=True)
            # a root that is itself a link is the operator's choice; links below it are not
            self._root = options.root.resolve(strict=True)
            sync_folder(self._root)
        except OSError as error:
            raise ConfigError(
                f"The store's folder {options.root} cannot be used: {error.strerror}."
            ) from error
        self._partials = self._root / PARTIALS
        if options.create:
            remove_stale(self._partials)

    def __repr__(self) -> str:
        return f"FolderStore({self.describe()})"

    def describe(self) -> str:
        """Where this store is, for messages."""
        return f"folder {self._root}"

    def ping(self) -> None:
        """Return if the folder is there."""
        with os_errors_named(f"Cannot look at {self.describe()}"):
            self._check_root()

    def size(self, key: str) -> int | None:
        """Bytes of the file, or None where there is none."""
        path = self._path(key)
        with os_errors_named(f"Cannot look at {quoted(key)} in {self.describe()}"):
            try:
                status = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                self._check_root()
                return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def version(self, key: str) -> str | None:
        """Inode, size and time: a file that was renamed into place shares them with no other."""
        path = self._path(key)
        with os_errors_named(f"Cannot look at {quoted(key)} in {self.describe()}"):
            try:
                status = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                self._check_root()
                return None
        if not stat.S_ISREG(status.st_mode):
            return None
        return f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"

    def download(
        self, key: str, target: Path, *, max_bytes: int, progress: ByteProgress | None = None
    ) -> int:
        """Copy the file to ``target``."""
        with (
            os_errors_named(f"Cannot fetch {quoted(key)} to {target}"),
            self._opened(key, max_bytes) as (source, size),
            whole_file(target, partials=target.parent, durable=False) as fd,
        ):
            _copy(source, fd, size, progress)
            return size

    def read(self, key: str, *, max_bytes: int) -> bytes:
        """Return a small file whole."""
        with (
            os_errors_named(f"Cannot read {quoted(key)} in {self.describe()}"),
            self._opened(key, max_bytes) as (source, size),
        ):
            return b"".join(_chunks(source, size))

    def upload(
        self,
        source: Path,
        key: str,
        *,
        content_type: str,
        cache_control: str | None = None,
        over: Over | None = None,
        progress: ByteProgress | None = None,
    ) -> None:
        """Copy the file into the folder."""
        del content_type, cache_control
        with self._replacing(key, over, progress) as fd:
            read_fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
            try:
                _copy(read_fd, fd, os.fstat(read_fd).st_size, progress)
            finally:
                os.close(read_fd)

    def write(
        self,
        data: bytes,
        key: str,
        *,
        content_type: str,
        cache_control: str | None = None,
        over: Over | None = None,
        progress: ByteProgress | None = None,
    ) -> None:
        """Write the bytes into the folder."""
        del content_type, cache_control
        with self._replacing(key, over, progress) as fd:
            write_all(fd, memoryview(data), 0)
        if progress:
            progress(len(data))

    def move(self, source_key: str, target_key: str) -> None:
        """Rename, in one step."""
        source, target = self._path(source_key), self._path(target_key)
        if self.size(source_key) is not None:
            with os_errors_named(f"Cannot move {quoted(source_key)} to {quoted(target_key)}"):
                make_folders(target.parent, root=self._root)
                # another may have moved it meanwhile: then the target is there
                with contextlib.suppress(FileNotFoundError):
                    source.replace(target)
                sync_folder(target.parent)
                sync_folder(source.parent)
        if self.size(target_key) is None:
            raise SourceMissing(
                f"Neither {quoted(source_key)} nor {quoted(target_key)} is in {self.describe()}."
            )

    def delete(self, key: str, *, version: str | None = None) -> None:
        """Delete the file, or only this version; deleting what is not there is fine."""
        path = self._path(key)
        if self.size(key) is None:
            return
        over = None if version is None else Over(version)
        with (
            os_errors_named(f"Cannot delete {quoted(key)} in {self.describe()}"),
            self._renaming(key, over, None),
        ):
            path.unlink(missing_ok=True)
            sync_folder(path.parent)

    def _path(self, key: str) -> Path:
        """Return the path with links resolved; ``NameRejected`` where it leaves the root."""
        relative = Path(checked_key(key))
        path = Path(os.path.realpath(self._root / relative))
        if relative.parts[0] == PARTIALS or not path.is_relative_to(self._root):
            raise NameRejected(f"The key {quoted(key)} leads out of the store's folder.")
        return path

    def _check_root(self) -> None:
        """A folder that went away (unmounted) is not an empty one."""
        if not self._root.is_dir():
            raise StoreUnavailable(f"The store's folder {self._root} is not there.")

    @contextlib.contextmanager
    def _opened(self, key: str, max_bytes: int) -> Iterator[tuple[int, int]]:
        """Yield a descriptor and the size. Raises ``SourceMissing``, ``LimitExceeded``."""
        missing = f"There is no {quoted(key)} in {self.describe()}."
        try:
            # a FIFO of that name must not hold us up
            fd = os.open(self._path(key), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            self._check_root()
            raise SourceMissing(missing) from None
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise SourceMissing(missing)
            if status.st_size > max_bytes:
                raise LimitExceeded(
                    f"{quoted(key)} is {status.st_size} bytes, more than the {max_bytes} accepted. "
                    "Upload a smaller file."
                )
            yield fd, status.st_size
        finally:
            os.close(fd)

    @contextlib.contextmanager
    def _replacing(
        self, key: str, over: Over | None, progress: ByteProgress | None
    ) -> Iterator[int]:
        path = self._path(key)
        with os_errors_named(f"Cannot store {quoted(key)} in {self.describe()}"):
            self._check_root()
            make_folders(self._partials, root=self._root)
            make_folders(path.parent, root=self._root)
            with whole_file(
                path,
                partials=self._partials,
                durable=True,
                renaming=self._renaming(key, over, progress),
            ) as fd:
                yield fd

    @contextlib.contextmanager
    def _renaming(
        self, key: str, over: Over | None, progress: ByteProgress | None
    ) -> Iterator[None]:
        """Let a conditional write look and rename while no other one does."""
        if over is None:
            if progress:
                progress(0)
            yield
            return
        with self._sole_writer():
            if progress:
                progress(0)
            if self.version(key) != over.version:
                raise ObjectChanged(f"{quoted(key)} in {self.describe()} is another's by now.")
            yield

    @contextlib.contextmanager
    def _sole_writer(self) -> Iterator[None]:
        """Raises ``StoreUnavailable`` where another keeps at it: it was stopped in there."""
        # the folder's own descriptor: whoever cleans up would take a lock file away
        descriptor = os.open(self._partials, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for _ in range(LOCK_TRIES):
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(LOCK_PAUSE_S)
            else:
                raise StoreUnavailable(f"Another writer holds {self.describe()} locked.")
            yield
        finally:
            os.close(descriptor)


def _chunks(fd: int, size: int) -> Iterator[bytes]:
    """Yield exactly ``size`` bytes, or raise ``StoreUnavailable``: a file must not change."""
    left = size
    while left:
        chunk = os.read(fd, min(CHUNK_BYTES, left))
        if not chunk:
            raise StoreUnavailable("The file became shorter while it was being read.")
        left -= len(chunk)
        yield chunk


def _copy(source: int, target: int, size: int, progress: ByteProgress | None) -> None:
    offset = 0
    for chunk in _chunks(source, size):
        write_all(target, memoryview(chunk), offset)
        offset += len(chunk)
        if progress:
            progress(len(chunk))
