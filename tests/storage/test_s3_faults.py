"""A server and a network that misbehave: what is repeated, how often, and what never passes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from audio_processor import called_off
from audio_processor.errors import Interrupted, LeaseLost, ObjectChanged, StoreUnavailable
from audio_processor.job import Job
from audio_processor.model import Claim
from audio_processor.ports import ObjectStore, Over
from audio_processor.storage import S3Options, open_store
from tests.servers.flaky_proxy import Answer, Fault, FlakyProxy, Seen, s3_error
from tests.storage.conftest import PART_BYTES

BUSY = s3_error(503, "SlowDown")
BROKEN = s3_error(500, "InternalError")
TRANSIENT: list[Fault] = [BUSY, BROKEN, s3_error(429, "TooManyRequests"), "reset", "lost"]
TIMEOUT = s3_error(400, "RequestTimeout")
SIZE = 2 * PART_BYTES + 999


def short(fault: Fault) -> str:
    """A fault's name in a test's."""
    return str(fault.status) if isinstance(fault, Answer) else str(fault)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(os.urandom(SIZE))
    return path


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A job's own folder, to be found empty after a failure."""
    path = tmp_path / "job"
    path.mkdir()
    return path


def method(name: str) -> Callable[[Seen], bool]:
    return lambda seen: seen.method == name


def part(number: int) -> Callable[[Seen], bool]:
    return lambda seen: seen.query.get("partNumber") == str(number)


def span(number: int) -> Callable[[Seen], bool]:
    return lambda seen: seen.headers.get("range", "").startswith(f"bytes={number * PART_BYTES}-")


@pytest.mark.parametrize("fault", TRANSIENT, ids=short)
def test_every_request_survives_two_faults(
    s3_store: ObjectStore, proxy: FlakyProxy, source: Path, job: Path, fault: Fault
) -> None:
    for name in ("GET", "PUT", "POST", "DELETE"):
        proxy.inject(fault, fault, when=method(name))
    s3_store.upload(source, "a", content_type="audio/wav")
    s3_store.move("a", "b")
    assert s3_store.download("b", job / "target", max_bytes=SIZE) == SIZE
    assert (job / "target").read_bytes() == source.read_bytes()
    assert s3_store.size("a") is None
    assert proxy.pending == 0


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("fault", ["half", "short", BUSY, TIMEOUT], ids=short)
def test_a_cut_part_is_fetched_again_and_no_other(
    s3_store: ObjectStore, proxy: FlakyProxy, source: Path, job: Path, fault: Fault, number: int
) -> None:
    s3_store.upload(source, "k", content_type="audio/wav")
    proxy.inject(fault, fault, when=span(number))
    told: list[int] = []
    s3_store.download("k", job / "target", max_bytes=SIZE, progress=told.append)
    assert (job / "target").read_bytes() == source.read_bytes()
    assert sum(told) == SIZE
    asked = [seen for seen in proxy.seen if seen.method == "GET"]
    assert len(asked) == 3 + 2


def test_a_part_that_failed_is_sent_again_and_no_other(
    s3_store: ObjectStore, proxy: FlakyProxy, source: Path, job: Path
) -> None:
    proxy.inject(BUSY, "reset", "lost", when=part(2))
    told: list[int] = []
    s3_store.upload(source, "k", content_type="audio/wav", progress=told.append)
    assert sum(told) == SIZE
    assert len([seen for seen in proxy.seen if "partNumber" in seen.query]) == 3 + 3
    s3_store.download("k", job / "target", max_bytes=SIZE)
    assert (job / "target").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("fault", ["half", "short"])
def test_half_a_body_is_never_the_object(
    s3_store: ObjectStore, proxy: FlakyProxy, job: Path, fault: Fault
) -> None:
    s3_store.write(b"0123456789", "k", content_type="audio/wav")
    proxy.inject(*[fault] * 100, when=method("GET"))
    with pytest.raises(StoreUnavailable, match="the connection broke"):
        s3_store.read("k", max_bytes=100)
    with pytest.raises(StoreUnavailable, match="the connection broke"):
        s3_store.download("k", job / "target", max_bytes=100)
    assert list(job.iterdir()) == []


def test_an_outage_in_the_middle_of_a_download_leaves_nothing(
    s3_store: ObjectStore, proxy: FlakyProxy, source: Path, job: Path
) -> None:
    s3_store.upload(source, "k", content_type="audio/wav")
    for _ in range(100):
        proxy.inject("reset", when=span(1))
    with pytest.raises(StoreUnavailable):
        s3_store.download("k", job / "target", max_bytes=SIZE)
    assert list(job.iterdir()) == []


@pytest.mark.parametrize("attempts", [1, 3])
def test_attempts_are_bounded(s3_options: S3Options, proxy: FlakyProxy, attempts: int) -> None:
    store = open_store(replace(s3_options, max_attempts=attempts))
    asks: list[Callable[[], object]] = [
        lambda: store.size("k"),
        lambda: store.write(b"x", "k", content_type="audio/wav"),
        lambda: store.delete("k"),
    ]
    for ask in asks:
        before = len(proxy.seen)
        proxy.inject(*[BUSY] * attempts)
        with pytest.raises(StoreUnavailable, match="busy"):
            ask()
        assert len(proxy.seen) - before == attempts


def test_what_cannot_get_better_is_asked_once(s3_store: ObjectStore, proxy: FlakyProxy) -> None:
    proxy.inject(s3_error(403, "InvalidAccessKeyId"))
    with pytest.raises(StoreUnavailable):
        s3_store.size("k")
    assert len(proxy.seen) == 1


def test_a_server_that_never_answers_is_given_up_on(
    s3_options: S3Options, proxy: FlakyProxy
) -> None:
    store = open_store(replace(s3_options, read_timeout_s=0.2, max_attempts=2))
    proxy.inject("stall", "stall")
    with pytest.raises(StoreUnavailable, match="did not answer in time"):
        store.size("k")
    assert len(proxy.seen) == 2


def test_an_object_replaced_during_a_download_is_not_mixed(
    s3_store: ObjectStore, source: Path, job: Path
) -> None:
    s3_store.upload(source, "k", content_type="audio/wav")

    def replace_it(_: int) -> None:
        s3_store.write(bytes(SIZE), "k", content_type="audio/wav")

    with pytest.raises(StoreUnavailable, match="replaced while it was being read"):
        s3_store.download("k", job / "target", max_bytes=SIZE, progress=replace_it)
    assert list(job.iterdir()) == []


def completing(seen: Seen) -> bool:
    return seen.method == "POST" and "uploadId" in seen.query


def test_an_upload_whose_last_answer_was_lost_is_complete(
    s3_store: ObjectStore, proxy: FlakyProxy, source: Path
) -> None:
    """MinIO forgets an upload once it is complete; asked again it says NoSuchUpload."""
    proxy.inject("lost", s3_error(404, "NoSuchUpload"), when=completing)
    s3_store.upload(source, "k", content_type="audio/wav")
    assert s3_store.size("k") == SIZE
    assert proxy.pending == 0


def test_an_upload_that_vanished_is_not_taken_for_complete(
    s3_store: ObjectStore, proxy: FlakyProxy, source: Path
) -> None:
    s3_store.write(bytes(SIZE), "k", content_type="audio/wav")  # another of the same size
    proxy.inject(s3_error(404, "NoSuchUpload"), when=completing)
    with pytest.raises(StoreUnavailable, match="multipart upload is gone"):
        s3_store.upload(source, "k", content_type="audio/wav")


class Nth:
    """Accepts the n-th request that it is asked about, counted from 0."""

    def __init__(self, n: int) -> None:
        self._left = n

    def __call__(self, _: Seen) -> bool:
        self._left -= 1
        return self._left < 0


@pytest.mark.parametrize("fault", [BUSY, "lost"], ids=short)
@pytest.mark.parametrize("cut", range(4), ids=["look", "copy", "look again", "delete"])
def test_a_move_interrupted_anywhere_is_completed_by_the_next(
    s3_options: S3Options, proxy: FlakyProxy, fault: Fault, cut: int
) -> None:
    store = open_store(replace(s3_options, max_attempts=1))
    store.write(b"x", "a", content_type="audio/wav")
    proxy.inject(fault, when=Nth(cut))
    with pytest.raises(StoreUnavailable):
        store.move("a", "b")
    assert proxy.pending == 0
    store.move("a", "b")
    assert store.size("a") is None
    assert store.read("b", max_bytes=9) == b"x"


def test_a_copy_that_failed_with_a_good_status_is_no_copy(
    s3_options: S3Options, proxy: FlakyProxy
) -> None:
    """CopyObject may answer 200 and then an error (API Reference, *CopyObject*)."""
    store = open_store(replace(s3_options, max_attempts=1))
    store.write(b"x", "a", content_type="audio/wav")
    proxy.inject(
        s3_error(200, "InternalError"), when=lambda seen: "x-amz-copy-source" in seen.headers
    )
    with pytest.raises(StoreUnavailable):
        store.move("a", "b")
    assert store.read("a", max_bytes=9) == b"x"


# ── a job that is called off ─────────────────────────────────────────────────────────────


ASKS: dict[str, Callable[[ObjectStore, Path], object]] = {
    "size": lambda store, _: store.size("k"),
    "read": lambda store, _: store.read("k", max_bytes=SIZE),
    "write": lambda store, _: store.write(b"x", "k", content_type="audio/wav"),
    "write over": lambda store, _: store.write(b"x", "k", content_type="a/b", over=Over(None)),
    "upload": lambda store, source: store.upload(source, "k", content_type="audio/wav"),
    "delete": lambda store, _: store.delete("k"),
    "download": lambda store, source: store.download(
        "k", source.with_name("target"), max_bytes=SIZE
    ),
}


def in_the_way(seen: Seen, ask: str) -> bool:
    """Of an upload in parts, the parts; of a download, the second one."""
    if ask == "upload":
        return "partNumber" in seen.query
    return ask != "download" or span(1)(seen)


@pytest.mark.parametrize("fault", [BUSY, "stall"], ids=short)
@pytest.mark.parametrize("ask", ASKS)
def test_no_try_follows_a_cancel_and_no_pause_outlasts_it(
    s3_options: S3Options, proxy: FlakyProxy, source: Path, ask: str, fault: Fault
) -> None:
    """A pod that drains has its grace for one request, not for all the tries of one."""
    options = replace(s3_options, read_timeout_s=1.0, max_concurrency=1)
    store = open_store(replace(options, max_attempts=5, backoff_s=20.0, backoff_max_s=20.0))
    open_store(s3_options).upload(source, "k", content_type="audio/wav")
    job = Job(Claim("u", "u.wav", 1, "token", "w"), lambda _: None, lease_s=600.0)
    tried: list[Seen] = []

    def weather(seen: Seen) -> Fault | None:
        if not in_the_way(seen, ask):
            return None
        tried.append(seen)
        job.cancel(Interrupted("the worker is stopping"))
        return fault

    proxy.weather = weather
    with called_off.on(job), pytest.raises(Interrupted):
        ASKS[ask](store, source)
    assert len(tried) == 1
    assert not source.with_name("target").exists()
    with called_off.on(job), pytest.raises(Interrupted):
        store.size("k")
    assert len(tried) == 1


# ── conditional writes ───────────────────────────────────────────────────────────────────


def test_a_repeated_write_asks_again_whether_it_may(
    s3_store: ObjectStore, proxy: FlakyProxy, tmp_path: Path
) -> None:
    """A worker that was stopped in the middle of a request finds its connection broken."""
    (tmp_path / "source").write_bytes(b"x")
    asked: list[int] = []

    def may(moved: int) -> None:
        asked.append(moved)
        if len(asked) == 2:
            raise LeaseLost("another worker has it")

    proxy.inject("reset", when=method("PUT"))
    with pytest.raises(LeaseLost):
        s3_store.upload(tmp_path / "source", "k", content_type="audio/wav", progress=may)
    assert len([seen for seen in proxy.seen if seen.method == "PUT"]) == 1
    assert s3_store.size("k") is None


def test_a_write_whose_answer_was_lost_may_find_itself_there(
    s3_store: ObjectStore, proxy: FlakyProxy
) -> None:
    proxy.inject("lost", when=method("PUT"))
    with pytest.raises(ObjectChanged):
        s3_store.write(b"x", "k", content_type="audio/wav", over=Over(None))
    assert s3_store.read("k", max_bytes=9) == b"x"


def test_versions_are_asked_of_servers_that_know_them(
    s3_store: ObjectStore, proxy: FlakyProxy
) -> None:
    s3_store.write(b"x", "k", content_type="audio/wav")
    proxy.inject(Answer(200, b"", {"ETag": '"new"'}), when=lambda seen: "if-match" in seen.headers)
    s3_store.write(b"y", "k", content_type="audio/wav", over=Over('"old"'))
    assert proxy.pending == 0
    assert [s.headers.get("if-match") for s in proxy.seen if s.method == "PUT"] == [None, '"old"']


def test_a_server_without_conditions_is_written_to_all_the_same(
    s3_store: ObjectStore, proxy: FlakyProxy
) -> None:
    def conditional(seen: Seen) -> bool:
        return seen.method == "PUT" and bool({"if-match", "if-none-match"} & set(seen.headers))

    proxy.inject(*[s3_error(501, "NotImplemented")] * 2, when=conditional)
    s3_store.write(b"x", "k", content_type="audio/wav", over=Over(None))
    s3_store.write(b"y", "k", content_type="audio/wav", over=Over(None))
    assert s3_store.read("k", max_bytes=9) == b"y"
    assert proxy.pending == 1, "it is asked once"
