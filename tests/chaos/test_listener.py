"""The listener is a witness: nothing ends it unnoticed, and silence is no testimony."""

from __future__ import annotations

import random
import time

import pytest
from botocore.exceptions import ClientError, IncompleteReadError, ReadTimeoutError

from tests.chaos.listener import Listener
from tests.chaos.site import OUTPUT

LADDER = {
    "playlist.m3u8": b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=64000\nlow/playlist_a1.m3u8\n",
    "low/playlist_a1.m3u8": b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4.0,\nsegment000_a1.ts\n"
    b"#EXT-X-ENDLIST\n",
    "low/segment000_a1.ts": b"sound",
}


class Shelf:
    """A bucket in memory; the first requests of every object raise what they are told to."""

    def __init__(self, names: dict[str, bytes], *errors: Exception) -> None:
        self.objects = {f"{OUTPUT}a/{name}": data for name, data in names.items()}
        self.errors = list(errors)
        self.requests = 0

    def read(self, key: str) -> bytes | None:
        self.requests += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.objects.get(key)

    def has(self, key: str) -> bool:
        return self.read(key) is not None


def heard(shelf: Shelf) -> Listener:
    """Listen until the shelf was asked a few times."""
    with Listener(shelf, ["a"], random.Random(1)) as listener:
        deadline = time.monotonic() + 20
        while shelf.requests < 12 and time.monotonic() < deadline:
            time.sleep(0.01)
    return listener


def test_a_whole_ladder_is_nothing_to_complain_of() -> None:
    listener = heard(Shelf(LADDER))
    assert listener.verdict() == []
    assert listener.ladders_seen > 0


@pytest.mark.parametrize(
    "error",
    [
        ReadTimeoutError(endpoint_url="http://127.0.0.1"),
        IncompleteReadError(actual_bytes=1, expected_bytes=2),
    ],
    ids=["timeout", "half a body"],
)
def test_what_was_not_answered_is_asked_again_and_counted(error: Exception) -> None:
    listener = heard(Shelf(LADDER, error, error))
    assert listener.verdict() == []
    assert listener.retries == 2


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("nobody thought of it"),
        ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetObject"),
    ],
    ids=["unforeseen", "refused"],
)
def test_whatever_nobody_foresaw_is_told_and_the_listener_lives(error: Exception) -> None:
    listener = heard(Shelf(LADDER, error))
    assert listener.alive_to_the_end
    assert listener.ladders_seen > 0
    assert any(type(error).__name__ in complaint for complaint in listener.verdict())


def test_a_segment_that_is_not_there_is_told() -> None:
    whole = {name: data for name, data in LADDER.items() if not name.endswith(".ts")}
    assert any("leads to nothing" in complaint for complaint in heard(Shelf(whole)).verdict())


def test_who_heard_nothing_is_no_witness() -> None:
    assert any("no ladder" in complaint for complaint in heard(Shelf({})).verdict())
