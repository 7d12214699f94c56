"""What every object store must do: one suite, run on the folder and on S3."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audio_processor.errors import (
    LimitExceeded,
    NameRejected,
    ObjectChanged,
    SourceMissing,
    StoreUnavailable,
)
from audio_processor.ports import ObjectStore, Over
from tests.storage.conftest import PART_BYTES

AUDIO = "audio/mp4"
PLENTY = 1 << 40


def put(store: ObjectStore, key: str, data: bytes) -> None:
    store.write(data, key, content_type=AUDIO)


def get(store: ObjectStore, key: str) -> bytes:
    return store.read(key, max_bytes=1 << 20)


def test_what_was_written_is_read(store: ObjectStore) -> None:
    put(store, "a/b.m4a", b"one")
    assert get(store, "a/b.m4a") == b"one"
    assert store.size("a/b.m4a") == 3


def test_a_second_write_replaces_the_first(store: ObjectStore) -> None:
    put(store, "a/b.m4a", b"one, and longer")
    put(store, "a/b.m4a", b"two")
    assert get(store, "a/b.m4a") == b"two"


@pytest.mark.parametrize(
    "size", [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES + 12_345]
)
def test_files_of_any_size_go_up_and_come_down_whole(
    store: ObjectStore, tmp_path: Path, size: int
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(size))
    sent: list[int] = []
    received: list[int] = []

    store.upload(source, "x/y.m4a", content_type=AUDIO, progress=sent.append)
    assert store.size("x/y.m4a") == size
    assert store.download("x/y.m4a", target, max_bytes=size, progress=received.append) == size

    assert target.read_bytes() == source.read_bytes()
    assert sum(sent) == sum(received) == size


def test_a_download_replaces_what_was_there(store: ObjectStore, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"something older and longer")
    put(store, "k", b"new")
    store.download("k", target, max_bytes=PLENTY)
    assert target.read_bytes() == b"new"


# ── what is not there ────────────────────────────────────────────────────────────────────


def test_a_missing_object_has_no_size(store: ObjectStore) -> None:
    assert store.size("no/such.wav") is None


def test_a_missing_object_is_source_missing(store: ObjectStore, tmp_path: Path) -> None:
    target = tmp_path / "job" / "target"
    target.parent.mkdir()
    with pytest.raises(SourceMissing, match=r"such\.wav"):
        store.read("no/such.wav", max_bytes=10)
    with pytest.raises(SourceMissing, match=r"such\.wav"):
        store.download("no/such.wav", target, max_bytes=10)
    with pytest.raises(SourceMissing, match=r"such\.wav"):
        store.move("no/such.wav", "neither/this.wav")
    assert list(target.parent.iterdir()) == []


def test_a_prefix_is_no_object(store: ObjectStore) -> None:
    put(store, "a/b/c", b"x")
    assert store.size("a/b") is None
    with pytest.raises(SourceMissing):
        get(store, "a/b")
    store.delete("a/b")
    assert get(store, "a/b/c") == b"x"


def test_deleted_is_gone_and_deleting_again_is_fine(store: ObjectStore) -> None:
    put(store, "k", b"x")
    store.delete("k")
    store.delete("k")
    store.delete("never/was")
    assert store.size("k") is None


def test_only_the_version_that_is_named_is_deleted(store: ObjectStore) -> None:
    put(store, "k", b"old")
    old = store.version("k")
    put(store, "k", b"new")
    with pytest.raises(ObjectChanged):
        store.delete("k", version=old)
    assert get(store, "k") == b"new"
    store.delete("k", version=store.version("k"))
    assert store.size("k") is None
    store.delete("never/was", version=old)


# ── limits ───────────────────────────────────────────────────────────────────────────────


def test_too_large_is_refused_before_the_transfer(store: ObjectStore, tmp_path: Path) -> None:
    target = tmp_path / "job" / "target"
    target.parent.mkdir()
    told: list[int] = []
    put(store, "k", b"12345")
    with pytest.raises(LimitExceeded, match="5 bytes, more than the 4"):
        store.download("k", target, max_bytes=4, progress=told.append)
    with pytest.raises(LimitExceeded, match="5 bytes, more than the 4"):
        store.read("k", max_bytes=4)
    assert told == []
    assert list(target.parent.iterdir()) == []


def test_the_limit_itself_is_allowed(store: ObjectStore, tmp_path: Path) -> None:
    put(store, "k", b"12345")
    put(store, "empty", b"")
    assert store.read("k", max_bytes=5) == b"12345"
    assert store.download("k", tmp_path / "t", max_bytes=5) == 5
    assert store.read("empty", max_bytes=0) == b""
    assert store.download("empty", tmp_path / "e", max_bytes=0) == 0


# ── conditions ───────────────────────────────────────────────────────────────────────────


def put_over(store: ObjectStore, key: str, data: bytes, version: str | None) -> None:
    store.write(data, key, content_type=AUDIO, over=Over(version))


def test_a_version_tells_contents_apart(store: ObjectStore) -> None:
    assert store.version("k") is None
    put(store, "k", b"one")
    first = store.version("k")
    assert first is not None and first == store.version("k")
    put(store, "k", b"two")
    assert store.version("k") not in {None, first}
    put(store, "empty", b"")
    assert store.version("empty") is not None


def test_a_write_over_nothing_is_refused_where_there_is_something(store: ObjectStore) -> None:
    put_over(store, "k", b"one", None)
    with pytest.raises(ObjectChanged, match="k"):
        put_over(store, "k", b"two", None)
    assert get(store, "k") == b"one"


def test_a_write_over_a_version_replaces_that_one_alone(store: ObjectStore) -> None:
    put(store, "k", b"one")
    first = store.version("k")
    put_over(store, "k", b"two", first)
    assert get(store, "k") == b"two"
    with pytest.raises(ObjectChanged):
        put_over(store, "k", b"three", first)
    assert get(store, "k") == b"two"


@pytest.mark.parametrize("size", [10, PART_BYTES + 1])
def test_files_go_up_on_conditions_too(store: ObjectStore, tmp_path: Path, size: int) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(size))
    store.upload(source, "k", content_type=AUDIO, over=Over(None))
    with pytest.raises(ObjectChanged):
        store.upload(source, "k", content_type=AUDIO, over=Over(None))
    assert store.size("k") == size
    version = store.version("k")
    source.write_bytes(os.urandom(size))
    store.upload(source, "k", content_type=AUDIO, over=Over(version))
    assert store.version("k") != version


def test_whoever_may_not_write_any_more_is_stopped_before_the_request(
    store: ObjectStore, tmp_path: Path
) -> None:
    (tmp_path / "source").write_bytes(b"new")
    with pytest.raises(Stop):
        store.write(b"new", "k", content_type=AUDIO, progress=stop)
    with pytest.raises(Stop):
        store.upload(tmp_path / "source", "k", content_type=AUDIO, progress=stop)
    assert store.size("k") is None


# ── move ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("data", [b"", b"the track"])
def test_a_move_leaves_only_the_target(store: ObjectStore, data: bytes) -> None:
    put(store, "tracks/ä b+c.wav", data)
    store.move("tracks/ä b+c.wav", "failed/ä b+c.wav")
    assert store.size("tracks/ä b+c.wav") is None
    assert get(store, "failed/ä b+c.wav") == data


def test_a_move_made_twice_is_one_move(store: ObjectStore) -> None:
    put(store, "a", b"x")
    store.move("a", "b")
    store.move("a", "b")
    assert get(store, "b") == b"x"


def test_a_move_cut_short_between_copy_and_delete_is_completed(store: ObjectStore) -> None:
    put(store, "a", b"x")
    put(store, "b", b"x")
    store.move("a", "b")
    assert store.size("a") is None
    assert get(store, "b") == b"x"


def test_a_move_onto_itself_keeps_the_object(store: ObjectStore) -> None:
    put(store, "a", b"x")
    store.move("a", "a")
    assert get(store, "a") == b"x"


# ── keys ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "name",
    [
        "with space.wav",
        " leading and trailing ",
        "plus+and&amp=.wav",
        "per%20cent%.wav",
        "question?mark#hash;semi,comma.wav",
        "quote'double\"back\\slash.wav",
        "Zażółć gęślą jaźń.flac",
        "אבג דהו.mp3",
        "日本語の曲.opus",
        "🎵🎶 emoji 👩‍🎤.m4a",
        "nfd é and nfc é.mp3",
        "-leading-dash.wav",
        "...dots...",
        "~tilde*star<angle>|pipe.wav",
        "x" * 200,
    ],
)
def test_names_are_data(store: ObjectStore, tmp_path: Path, name: str) -> None:
    key = f"tracks/{name}"
    put(store, key, name.encode())
    assert store.size(key) == len(name.encode())
    store.download(key, tmp_path / "target", max_bytes=PLENTY)
    assert (tmp_path / "target").read_bytes() == name.encode()
    store.move(key, f"failed/{name}")
    assert get(store, f"failed/{name}") == name.encode()
    store.delete(f"failed/{name}")
    assert store.size(f"failed/{name}") is None


printable_names = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Cn", "Co"], exclude_characters="/"),
    min_size=1,
    max_size=40,
).filter(lambda name: name not in {".", ".."})


@given(name=printable_names)
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    # the store is one for all examples: each writes what it reads
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_printable_name_is_a_key(store: ObjectStore, name: str) -> None:
    put(store, f"p/{name}", name.encode())
    assert get(store, f"p/{name}") == name.encode()


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "..",
        "../outside",
        "a/../../outside",
        "a/./b",
        "a//b",
        "a/",
        "nul\0byte",
        "line\nbreak",
        "lone\udc80surrogate",
        "x" * 1025,
        "é" * 513,
    ],
)
def test_keys_that_are_no_plain_path_are_rejected(
    store: ObjectStore, tmp_path: Path, key: str
) -> None:
    put(store, "ok", b"x")
    with pytest.raises(NameRejected):
        store.size(key)
    with pytest.raises(NameRejected):
        store.read(key, max_bytes=1)
    with pytest.raises(NameRejected):
        store.download(key, tmp_path / "target", max_bytes=1)
    with pytest.raises(NameRejected):
        put(store, key, b"x")
    with pytest.raises(NameRejected):
        store.upload(Path(__file__), key, content_type=AUDIO)
    with pytest.raises(NameRejected):
        store.move(key, "b")
    with pytest.raises(NameRejected):
        store.move("ok", key)
    with pytest.raises(NameRejected):
        store.delete(key)
    assert get(store, "ok") == b"x"


# ── interruptions and crowds ─────────────────────────────────────────────────────────────


class Stop(Exception):
    """What a caller raises from ``progress`` to end a transfer."""


def stop(_: int) -> None:
    raise Stop


def test_a_download_stopped_by_its_caller_leaves_nothing(
    store: ObjectStore, tmp_path: Path
) -> None:
    (tmp_path / "source").write_bytes(bytes(3 * PART_BYTES))
    target = tmp_path / "job" / "target"
    target.parent.mkdir()
    store.upload(tmp_path / "source", "k", content_type=AUDIO)
    with pytest.raises(Stop):
        store.download("k", target, max_bytes=PLENTY, progress=stop)
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize("size", [100, 3 * PART_BYTES])
def test_an_upload_stopped_by_its_caller_leaves_no_part(
    store: ObjectStore, tmp_path: Path, size: int
) -> None:
    put(store, "k", b"old")
    (tmp_path / "source").write_bytes(bytes(size))
    with pytest.raises(Stop):
        store.upload(tmp_path / "source", "k", content_type=AUDIO, progress=stop)
    assert store.size("k") in {3, size}


def test_readers_see_the_old_object_or_the_new(store: ObjectStore) -> None:
    old, new = b"o" * 300_000, b"n" * 200_000
    put(store, "k", old)
    done = threading.Event()

    def rewrite() -> None:
        for _ in range(10):
            put(store, "k", new)
            put(store, "k", old)
        done.set()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(rewrite)
        seen = {get(store, "k")}
        while not done.is_set() and not writing.done():
            seen.add(get(store, "k"))
        writing.result()
    assert seen <= {old, new}


def test_many_threads_may_use_one_store(store: ObjectStore) -> None:
    def round_trip(number: int) -> bool:
        put(store, f"crowd/{number}", b"%d" % number)
        return get(store, f"crowd/{number}") == b"%d" % number

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(round_trip, range(24)))


# ── the local side ───────────────────────────────────────────────────────────────────────


def test_a_local_file_that_is_not_there_says_so(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="No such file"):
        store.upload(tmp_path / "nothing", "k", content_type=AUDIO)
    assert store.size("k") is None


def test_a_target_folder_that_is_not_there_says_so(store: ObjectStore, tmp_path: Path) -> None:
    put(store, "k", b"x")
    with pytest.raises(StoreUnavailable, match="No such file"):
        store.download("k", tmp_path / "nothing" / "target", max_bytes=1)
