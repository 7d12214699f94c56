"""What an upload asks of its mastering goes from the row into the claim, whoever wrote it."""

from __future__ import annotations

import pytest

from audio_processor.errors import MasteringRejected
from database_manager import DatabaseManager
from tests.queue.backend import Backend, row, summary, taken
from uploads_queue.schema import MAX_WISH

JSON = '{"preset": "warm", "stages": {"equaliser": {"presence_db": 2}}}'


@pytest.mark.parametrize(
    "wish", ["warm", JSON, "ünïcode 🎵", "x" * MAX_WISH, "🎵" * (MAX_WISH // 4)]
)
def test_a_wish_comes_back_as_it_was_inserted(queue: DatabaseManager, wish: str) -> None:
    assert queue.insert("a", "a.mp3", wish)
    assert row(queue, "a").mastering == wish
    assert taken(queue).mastering == wish


@pytest.mark.parametrize("nothing", [None, "", "  \n"])
def test_no_wish_and_an_empty_one_are_the_same(
    queue: DatabaseManager, backend: Backend, nothing: str | None
) -> None:
    queue.insert("a", "a.mp3", nothing)
    assert backend.sql("SELECT mastering FROM Uploads") == [(None,)]
    assert taken(queue).mastering is None


def test_a_row_of_a_client_that_knows_no_column_of_ours_has_no_wish(
    queue: DatabaseManager, backend: Backend
) -> None:
    backend.sql("INSERT INTO Uploads (upload_id, file_name) VALUES ('old', 'old.mp3')")
    assert row(queue, "old").mastering is None
    claim = taken(queue)
    assert (claim.upload_id, claim.mastering) == ("old", None)


def test_a_wish_that_another_client_wrote_reaches_the_claim(
    queue: DatabaseManager, backend: Backend
) -> None:
    backend.sql(
        "INSERT INTO Uploads (upload_id, file_name, mastering) VALUES ('a', 'a.mp3', 'warm')"
    )
    assert taken(queue).mastering == "warm"


def test_a_wish_stays_with_its_row_through_attempts_and_resets(
    queue: DatabaseManager, backend: Backend
) -> None:
    queue.insert("a", "a.mp3", JSON)
    claim = taken(queue)
    queue.retry_later(claim, error_code="disk_full", error_message="Full.", delay_s=0)
    claim = taken(queue)
    backend.expire("a")
    claim = taken(queue)
    assert (claim.attempt, claim.mastering) == (3, JSON)
    queue.fail(claim, error_code="corrupt_media", error_message="Broken.")
    assert queue.reset("a")
    claim = taken(queue)
    queue.complete(claim, summary())
    assert row(queue, "a").mastering == claim.mastering == JSON


@pytest.mark.parametrize(
    ("given", "kept"), [(None, "warm"), ("bright", "bright"), ("", None)], ids=repr
)
def test_a_reset_may_give_another_wish(
    queue: DatabaseManager, given: str | None, kept: str | None
) -> None:
    queue.insert("a", "a.mp3", "warm")
    assert queue.reset("a", given)
    assert row(queue, "a").mastering == kept


@pytest.mark.parametrize("wish", ["x" * (MAX_WISH + 1), "🎵" * MAX_WISH, "a\0b", "\ud800"])
def test_what_the_column_cannot_hold_is_refused_and_nothing_written(
    queue: DatabaseManager, wish: str
) -> None:
    with pytest.raises(MasteringRejected, match=r"^mastering "):
        queue.insert("a", "a.mp3", wish)
    assert queue.find("a") is None
    queue.insert("a", "a.mp3", "warm")
    with pytest.raises(MasteringRejected):
        queue.reset("a", wish)
    assert row(queue, "a").mastering == "warm"


def test_of_a_wish_far_too_long_no_more_is_read_than_tells_so(
    queue: DatabaseManager, backend: Backend
) -> None:
    queue.insert("a", "a.mp3")
    length = 60_000 if backend.db_type == "mysql" else 1_000_000  # all that its TEXT holds
    backend.set("a", "mastering", f"'{'x' * length}'")
    assert row(queue, "a").mastering == "x" * (MAX_WISH + 1)
    assert taken(queue).mastering == "x" * (MAX_WISH + 1)


@pytest.mark.parametrize("sql", ["x'ff00fe'", "x'7761726d'", "7", "1.5"])
def test_no_value_that_sqlite_takes_stops_the_queue(
    queue: DatabaseManager, backend: Backend, sql: str
) -> None:
    if backend.db_type != "sqlite":
        sql = "'warm'"
    queue.insert("a", "a.mp3")
    backend.set("a", "mastering", sql)
    wish = taken(queue).mastering
    assert isinstance(wish, str)
    assert row(queue, "a").mastering == wish
