"""Local files for both stores: whole or not at all, and errno in the project's own words."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from audio_processor.errors import AudioProcessorError, DiskFull, NameRejected, StoreUnavailable
from audio_processor.naming import printable

CHUNK_BYTES = 1024 * 1024
STALE_AFTER_S = 3600.0
"""A partial file is written to all the while; one this old was left by a crash."""

_ERRORS: dict[int, type[AudioProcessorError]] = {
    errno.ENOSPC: DiskFull,
    errno.EDQUOT: DiskFull,
    errno.ENAMETOOLONG: NameRejected,
    errno.EILSEQ: NameRejected,
    # a key under a key, or over one: a bucket takes both, a folder cannot
    errno.EEXIST: NameRejected,
    errno.ENOTDIR: NameRejected,
    errno.EISDIR: NameRejected,
}


@contextlib.contextmanager
def os_errors_named(doing: str) -> Iterator[None]:
    """Translate an ``OSError`` of the block: ``DiskFull``, ``NameRejected``, ``StoreUnavailable``.

    ``doing`` says what failed and may name a key or a path, as in "Cannot write 'a/b.ts'".
    """
    try:
        yield
    except OSError as error:
        kind = _ERRORS.get(error.errno or 0, StoreUnavailable)
        raise kind(f"{doing}: {error.strerror or type(error).__name__}.") from error


@contextlib.contextmanager
def whole_file(
    target: Path,
    *,
    partials: Path,
    durable: bool,
    renaming: contextlib.AbstractContextManager[None] | None = None,
) -> Iterator[int]:
    """Yield a file descriptor whose content is at ``target`` once the block has ended well.

    The bytes gather in a file of their own in ``partials``, a folder of the same file system,
    and are renamed over ``target`` in one step, within ``renaming``; a block that raises leaves
    nothing. With ``durable`` the content and the name are on disk before this returns.
    """
    partial = partials / f"{secrets.token_hex(12)}.partial"
    # not mkstemp: a store's files are for other users to read, as far as the umask lets them
    fd = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        try:
            yield fd
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        with renaming or contextlib.nullcontext():
            partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(target.parent)


def make_folders(folder: Path, *, root: Path) -> None:
    """Create ``folder`` and what lacks between it and ``root``, each name on disk."""
    if folder == root or folder.is_dir():
        return
    make_folders(folder.parent, root=root)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Put the folder's names on disk: a rename is durable only then."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        # SMB and some FUSE file systems have no such thing; they have no more to give
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(fd)


def remove_stale(partials: Path) -> None:
    """Remove what crashed writers left; a live one's file is never that old."""
    oldest = time.time() - STALE_AFTER_S
    with contextlib.suppress(OSError), os.scandir(partials) as entries:
        for entry in entries:
            # gone meanwhile, or another user's: theirs to remove
            with contextlib.suppress(OSError):
                if entry.stat(follow_symlinks=False).st_mtime < oldest:
                    Path(entry.path).unlink()


def quoted(key: str) -> str:
    """Return the key as messages show it."""
    return printable(key, limit=200)


def write_all(fd: int, data: memoryview, offset: int) -> None:
    """Write all of it at the offset: ``pwrite`` may take less than it was given."""
    while data:
        written = os.pwrite(fd, data, offset)
        data, offset = data[written:], offset + written
