"""What is done about a failed track's ladder and raw object, on a real queue and folder."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audio_processor.aftermath import Aftermath
from audio_processor.errors import LeaseLost
from audio_processor.model import Claim
from audio_processor.outcome import Failed
from audio_processor.settings import StorageSettings
from audio_processor.storage import FolderOptions, open_store
from database_manager import DatabaseManager
from tests.queue.backend import summary

STORAGE = StorageSettings()
PREFIX = STORAGE.processed_prefix + "song/"
MASTER = PREFIX + "playlist.m3u8"
RAW, ASIDE = STORAGE.raw_prefix + "song.wav", STORAGE.failed_prefix + "song.wav"
CRASHED = Failed("internal_error", "It stopped.")
CORRUPT = Failed("corrupt_media", "Half of it.")


class House:
    """A queue with one upload, a store, and what is done about failures between them."""

    def __init__(self, folder: Path, *, max_attempts: int = 6, lease_s: float = 60.0) -> None:
        self.store = open_store(FolderOptions(root=folder / "store", create=True))
        self.queue = DatabaseManager(
            {"database": str(folder / "queue.db")},
            "sqlite",
            max_attempts=max_attempts,
            lease_s=lease_s,
        )
        self.aftermath = Aftermath(self.queue, lambda: self.store, STORAGE)
        self.queue.insert("one", "song.wav")
        self.store.write(b"raw", RAW, content_type="audio/wav")

    def claim(self) -> Claim:
        claim = self.queue.claim("worker")
        assert claim is not None
        self.queue.reserve_output(claim, "song")
        return claim

    def publish(self, master: bytes = b"#EXTM3U") -> None:
        told = json.dumps({"upload_id": "one"}).encode()
        self.store.write(told, PREFIX + "metadata.json", content_type="application/json")
        self.store.write(master, MASTER, content_type="application/vnd.apple.mpegurl")

    @property
    def on_the_air(self) -> bool:
        return self.store.size(MASTER) is not None


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_ladder_that_was_published_and_not_recorded_goes_off_the_air(house: House) -> None:
    house.publish()
    house.queue.retry_later(house.claim(), error_code="x", error_message="x", delay_s=0)
    house.aftermath.withdraw_unrecorded(house.claim(), CRASHED)
    assert not house.on_the_air


def test_the_only_attempt_may_have_published_too(tmp_path: Path) -> None:
    house = House(tmp_path, max_attempts=1)
    claim = house.claim()
    house.publish()
    house.aftermath.withdraw_unrecorded(claim, CRASHED)
    assert not house.on_the_air


def test_a_worker_that_vanished_on_the_only_attempt_leaves_nothing_on_the_air(
    tmp_path: Path,
) -> None:
    house = House(tmp_path, max_attempts=1, lease_s=0.2)
    house.queue.on_buried = lambda claim, code, message: house.aftermath.bury(
        claim, Failed(code, message)
    )
    house.claim()
    house.publish()
    time.sleep(0.3)
    assert house.queue.claim("another") is None
    record = house.queue.find("one")
    assert record is not None and record.status == "failed"
    assert not house.on_the_air
    assert house.store.size(ASIDE) == 3


def test_what_was_found_out_before_publishing_asks_the_store_for_nothing(house: House) -> None:
    house.aftermath = Aftermath(house.queue, _no_store, STORAGE)
    house.aftermath.withdraw_unrecorded(house.claim(), CORRUPT)


def test_a_completed_ladder_stays_however_often_the_track_fails_after_it(house: House) -> None:
    """The row's history forgets; that something of it is public, it does not."""
    house.queue.complete(house.claim(), summary())
    house.publish()
    for _ in range(7):
        house.queue.reset("one")
        for _ in range(3):
            house.queue.retry_later(house.claim(), error_code="x", error_message="x", delay_s=0)
        claim = house.claim()
        house.aftermath.withdraw_unrecorded(claim, CRASHED)
        house.queue.fail(claim, error_code="x", error_message="x")
    record = house.queue.find("one")
    assert record is not None and record.ever_completed
    assert "completed" not in {attempt.outcome for attempt in record.history}
    assert house.on_the_air


def test_who_was_stopped_before_deleting_deletes_no_later_ladder(tmp_path: Path) -> None:
    house = House(tmp_path, lease_s=0.3)
    house.publish(b"first")
    house.queue.retry_later(house.claim(), error_code="x", error_message="x", delay_s=0)
    stopped = house.claim()

    def meanwhile() -> None:
        time.sleep(0.4)
        later = house.claim()
        house.publish(b"second")
        house.queue.complete(later, summary())

    zombie = Aftermath(house.queue, lambda: _Stopped(house.store, "delete", meanwhile), STORAGE)
    zombie.withdraw_unrecorded(stopped, CRASHED)
    assert house.on_the_air
    with pytest.raises(LeaseLost):
        house.queue.fail(stopped, error_code="x", error_message="x")


def test_who_lost_the_row_before_that_is_told(tmp_path: Path) -> None:
    house = House(tmp_path, lease_s=0.3)
    house.publish(b"first")
    house.queue.retry_later(house.claim(), error_code="x", error_message="x", delay_s=0)
    stopped = house.claim()
    time.sleep(0.4)
    later = house.claim()
    with pytest.raises(LeaseLost):
        house.aftermath.withdraw_unrecorded(stopped, CRASHED)
    assert house.on_the_air
    house.queue.complete(later, summary())


class _Stopped:
    """A store whose user stands still right before one kind of request."""

    def __init__(self, store: Any, before: str, meanwhile: Callable[[], None]) -> None:
        self._store, self._before, self._meanwhile = store, before, meanwhile

    def __getattr__(self, name: str) -> Any:
        if name == self._before:
            self._meanwhile()
        return getattr(self._store, name)


def _no_store() -> Any:
    raise AssertionError("nothing was published, and the store was asked")
