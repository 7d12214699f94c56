"""What is special to a folder: links, crashes, permissions, full disks."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from audio_processor.errors import (
    ConfigError,
    DiskFull,
    NameRejected,
    ObjectChanged,
    SourceMissing,
    StoreUnavailable,
)
from audio_processor.ports import ObjectStore, Over
from audio_processor.storage import FolderOptions, open_store
from audio_processor.storage.files import STALE_AFTER_S, os_errors_named, write_all


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def folder(root: Path) -> ObjectStore:
    return open_store(FolderOptions(root))


def put(store: ObjectStore, key: str, data: bytes) -> None:
    store.write(data, key, content_type="audio/mp4")


def partials(root: Path) -> list[Path]:
    return list((root / ".partial").iterdir())


def test_a_key_is_a_path_below_the_root(folder: ObjectStore, root: Path) -> None:
    put(folder, "tracks/a b.wav", b"x")
    assert (root / "tracks" / "a b.wav").read_bytes() == b"x"
    assert partials(root) == []


def test_links_that_lead_out_are_not_followed(
    folder: ObjectStore, root: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (root / "away").symlink_to(outside)
    (root / "file").symlink_to(outside / "secret")
    (root / "dangling").symlink_to(outside / "new")
    for key in ("away/secret", "file", "dangling", "away/new"):
        with pytest.raises(NameRejected):
            folder.read(key, max_bytes=100)
        with pytest.raises(NameRejected):
            put(folder, key, b"overwritten")
        with pytest.raises(NameRejected):
            folder.delete(key)
        with pytest.raises(NameRejected):
            folder.move(key, "here")
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_text() == "secret"


def test_links_that_stay_inside_are_followed(folder: ObjectStore, root: Path) -> None:
    put(folder, "real/k", b"x")
    (root / "alias").symlink_to(root / "real")
    assert folder.read("alias/k", max_bytes=1) == b"x"


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    put(open_store(FolderOptions(tmp_path / "link")), "k", b"x")
    assert (tmp_path / "real" / "k").read_bytes() == b"x"


def test_unfinished_files_are_no_objects(folder: ObjectStore, root: Path) -> None:
    (root / ".partial").mkdir()
    (root / ".partial" / "x.partial").write_bytes(b"half")
    with pytest.raises(NameRejected):
        folder.size(".partial/x.partial")


KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from audio_processor.storage import FolderOptions, open_store
store = open_store(FolderOptions(Path(sys.argv[1])))
store.upload(Path(sys.argv[2]), "k", content_type="audio/mp4",
             progress=lambda _: os.kill(os.getpid(), signal.SIGKILL))
"""


def test_a_writer_that_is_killed_leaves_the_old_object(
    folder: ObjectStore, root: Path, tmp_path: Path
) -> None:
    put(folder, "k", b"old")
    (tmp_path / "source").write_bytes(bytes(3 << 20))
    argv = [sys.executable, "-c", KILLED_WRITER, str(root), str(tmp_path / "source")]
    assert subprocess.run(argv, check=False, timeout=60).returncode == -signal.SIGKILL

    assert folder.read("k", max_bytes=10) == b"old"
    (left,) = partials(root)

    open_store(FolderOptions(root))
    assert partials(root) == [left], "it might still be being written"
    long_ago = time.time() - STALE_AFTER_S - 1
    os.utime(left, (long_ago, long_ago))
    open_store(FolderOptions(root, create=False))
    assert partials(root) == [left], "a store that is only read removes nothing"
    open_store(FolderOptions(root))
    assert partials(root) == []


def limit_file_size() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))


LIMITED_WRITER = """
import sys
from pathlib import Path
from audio_processor.errors import StoreUnavailable
from audio_processor.storage import FolderOptions, open_store
store = open_store(FolderOptions(Path(sys.argv[1])))
try:
    store.upload(Path(sys.argv[2]), "k", content_type="audio/mp4")
except StoreUnavailable as error:
    print(error)
"""


def test_a_write_that_fails_midway_leaves_the_old_object(
    folder: ObjectStore, root: Path, tmp_path: Path
) -> None:
    put(folder, "k", b"old")
    (tmp_path / "source").write_bytes(bytes(3 << 20))
    argv = [sys.executable, "-c", LIMITED_WRITER, str(root), str(tmp_path / "source")]
    done = subprocess.run(
        argv, check=True, timeout=60, preexec_fn=limit_file_size, capture_output=True, text=True
    )
    assert "File too large" in done.stdout
    assert folder.read("k", max_bytes=10) == b"old"
    assert partials(root) == []


def test_a_full_disk_is_disk_full() -> None:
    fd = os.open("/dev/full", os.O_WRONLY)
    try:
        with (
            pytest.raises(DiskFull, match="Cannot store 'k': No space left"),
            os_errors_named("Cannot store 'k'"),
        ):
            write_all(fd, memoryview(b"x"), 0)
    finally:
        os.close(fd)


def test_files_are_readable_as_the_umask_allows(folder: ObjectStore, root: Path) -> None:
    before = os.umask(0o022)
    try:
        put(folder, "a/k", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((root / "a" / "k").stat().st_mode) == 0o644
    assert stat.S_IMODE((root / "a").stat().st_mode) == 0o755


def test_what_is_no_file_is_no_object(folder: ObjectStore, root: Path) -> None:
    os.mkfifo(root / "fifo")
    assert folder.size("fifo") is None
    with pytest.raises(SourceMissing):
        folder.read("fifo", max_bytes=1)


def test_a_key_below_a_file_is_rejected(folder: ObjectStore) -> None:
    put(folder, "a", b"x")
    with pytest.raises(NameRejected):
        put(folder, "a/b", b"y")
    assert folder.size("a/b") is None
    assert folder.read("a", max_bytes=1) == b"x"


def test_a_key_that_is_a_folder_is_rejected(folder: ObjectStore) -> None:
    put(folder, "a/b", b"x")
    with pytest.raises(NameRejected):
        put(folder, "a", b"y")
    assert folder.read("a/b", max_bytes=1) == b"x"


def test_a_root_that_went_away_is_not_an_empty_store(folder: ObjectStore, root: Path) -> None:
    root.rename(root.with_name("unmounted"))
    for ask in (
        lambda: folder.size("k"),
        lambda: folder.read("k", max_bytes=1),
        lambda: put(folder, "k", b"x"),
        lambda: folder.move("k", "l"),
    ):
        with pytest.raises(StoreUnavailable, match="is not there"):
            ask()
    assert not root.exists()


def test_a_root_that_cannot_be_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file"):
        open_store(FolderOptions(tmp_path / "file"))
    with pytest.raises(ConfigError, match="below"):
        open_store(FolderOptions(tmp_path / "file" / "below"))
    with pytest.raises(ConfigError, match="nothing"):
        open_store(FolderOptions(tmp_path / "nothing", create=False))
    assert not (tmp_path / "nothing").exists()


def test_of_many_that_write_over_the_same_version_one_wins(folder: ObjectStore) -> None:
    put(folder, "k", b"old")
    over = Over(folder.version("k"))

    def try_it(number: int) -> bool:
        try:
            folder.write(b"%d" % number, "k", content_type="audio/mp4", over=over)
        except ObjectChanged:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = [number for number, did in enumerate(pool.map(try_it, range(24))) if did]
    assert len(won) == 1
    assert folder.read("k", max_bytes=9) == b"%d" % won[0]
