"""What people ask of the queue, and do to it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from audio_processor.errors import NameRejected
from database_manager import DatabaseManager, QueueCounts, QueueDepth
from tests.queue.backend import Backend, row, summary, taken


def test_pending_tracks_are_dicts_oldest_first(queue: DatabaseManager, backend: Backend) -> None:
    for upload_id, age_s in (("young", 5), ("old", 50)):
        queue.insert(upload_id, f"{upload_id}.mp3")
        backend.age(upload_id, age_s)
    queue.insert("gone", "gone.mp3")
    backend.set("gone", "processing_status", "'completed'")
    rows = queue.pending()
    assert [r["upload_id"] for r in rows] == ["old", "young"]
    assert rows[0].keys() >= {
        *("upload_id", "file_name", "upload_type", "processing_status", "uploaded_at"),
        "error_message",
    }
    assert rows[0]["processing_status"] == "0"
    assert [r["upload_id"] for r in queue.pending(1)] == ["old"]


def test_the_counts_add_up(queue: DatabaseManager, backend: Backend) -> None:
    for number in range(9):
        queue.insert(f"u{number}", f"{number}.mp3")
        backend.age(f"u{number}", 900 - number)
    queue.complete(taken(queue), summary())
    queue.fail(taken(queue), error_code="x", error_message="y")
    queue.retry_later(taken(queue), error_code="x", error_message="y", delay_s=500)
    taken(queue, "w1")
    taken(queue, "w1")
    backend.set(taken(queue, "w2").upload_id, "lease_expires_at", "NULL")
    backend.expire(taken(queue, "w3").upload_id)
    assert queue.counts() == QueueCounts(
        pending=3, backing_off=1, processing=4, expired=1, unleased=1, completed=1, failed=1
    )
    assert len(queue.claimable_ids()) == 3
    status = queue.status()
    assert status.counts == queue.counts()
    assert [lease.worker_id for lease in status.leases].count("w1") == 2
    assert status.oldest_pending_age_s == pytest.approx(898, abs=20)
    assert queue.failed_ids() == ["u1"]


def test_an_empty_queue_has_no_age_and_no_leases(queue: DatabaseManager) -> None:
    assert queue.oldest_pending_age_s() is None
    assert queue.leases() == ()
    assert queue.pending() == []
    assert queue.claim("w") is None


def test_a_second_insert_of_an_id_changes_nothing(queue: DatabaseManager) -> None:
    assert queue.insert("a", "first.mp3")
    assert not queue.insert("a", "second.mp3")
    assert row(queue, "a").file_name == "first.mp3"


def test_of_many_inserts_of_one_id_at_once_one_is_the_first(queue: DatabaseManager) -> None:
    for number in range(5):
        with ThreadPoolExecutor(4) as threads:
            done = list(
                threads.map(lambda n, u=number: queue.insert(f"u{u}", f"{n}.mp3"), range(4))
            )
        assert done.count(True) == 1


def test_names_are_data(queue: DatabaseManager) -> None:
    names = [
        "Robert'); DROP TABLE Uploads;--.mp3",
        "%s %(x)s :name {0} $1 ?.mp3",
        "back\\slash\\'.mp3",
        "new\nline.mp3",
        "🎵🎧 Ünï—çødé 曲.mp3",
        "x" * 251 + ".mp3",
    ]
    for number, name in enumerate(names):
        assert queue.insert(f"u{number}-{name}"[:255], name)
        record = queue.find_by_file_name(name)
        assert record is not None
        assert record.file_name == name
        assert queue.find(record.upload_id) == record
    assert {taken(queue).file_name for _ in names} == set(names)


def test_what_no_driver_takes_is_refused_or_not_found(queue: DatabaseManager) -> None:
    for bad in ("nul\0.mp3", "\udcff.mp3"):
        with pytest.raises(NameRejected):
            queue.insert("a", bad)
        assert queue.find(bad) is None
        assert queue.find_by_file_name(bad) is None
        assert not queue.reset(bad)
    with pytest.raises(NameRejected):
        queue.insert("a", "x" * 256)
    assert queue.pending() == []


def test_a_name_is_found_exactly_and_the_open_one_first(
    queue: DatabaseManager, backend: Backend
) -> None:
    for upload_id, name, age_s in (
        ("1", "Song.mp3", 99),
        ("2", "song.mp3", 90),
        ("3", "song.mp3", 80),
        ("4", "song.mp3", 70),
    ):
        queue.insert(upload_id, name)
        backend.age(upload_id, age_s)
    backend.set("2", "processing_status", "'completed'")

    def found() -> str:
        record = queue.find("song.mp3")
        assert record is not None
        return record.upload_id

    assert found() == "3"
    backend.set("3", "processing_status", "'failed'")
    assert found() == "4"
    backend.set("4", "processing_status", "'completed'")
    assert found() == "4"
    queue.insert("song.mp3", "other.mp3")
    assert found() == "song.mp3"
    assert queue.find("nobody.mp3") is None


def test_a_file_that_another_upload_works_on_or_was_made_of_is_still_needed(
    queue: DatabaseManager, backend: Backend
) -> None:
    queue.insert("a", "song.mp3")
    assert not queue.file_needed_elsewhere("a", "song.mp3")
    queue.insert("b", "Song.mp3")
    assert not queue.file_needed_elsewhere("a", "song.mp3")
    queue.insert("c", "song.mp3")
    assert queue.file_needed_elsewhere("a", "song.mp3")
    backend.set("c", "processing_status", "'completed'")
    assert queue.file_needed_elsewhere("a", "song.mp3"), "a completed track keeps its upload"
    backend.set("c", "processing_status", "'failed'")
    assert not queue.file_needed_elsewhere("a", "song.mp3")


def test_reset_gives_a_failed_track_all_its_attempts_and_keeps_its_story(
    queue: DatabaseManager,
) -> None:
    queue.insert("a", "a.mp3")
    for _ in range(2):
        queue.retry_later(taken(queue), error_code="x", error_message="y", delay_s=0)
    queue.fail(taken(queue), error_code="corrupt_media", error_message="cut short")
    assert queue.claim("w") is None
    assert queue.reset("a")
    record = row(queue, "a")
    assert (record.status, record.attempts) == ("0", 0)
    assert (record.error_code, record.error_message) == (None, None)
    assert [a.outcome for a in record.history] == ["retried", "retried", "failed"]
    assert taken(queue).attempt == 1


def test_reset_frees_what_is_stuck_or_done_and_nothing_that_is_at_work(
    queue: DatabaseManager, backend: Backend
) -> None:
    queue.insert("a", "a.mp3")
    claim = taken(queue)
    assert not queue.reset("a")
    backend.expire("a")
    assert queue.reset("a")
    assert [a.outcome for a in row(queue, "a").history] == ["reset"]
    claim = taken(queue)
    queue.retry_later(claim, error_code="x", error_message="y", delay_s=900)
    assert queue.reset("a")
    claim = taken(queue)
    queue.reserve_output(claim, "a")
    queue.complete(claim, summary())
    assert queue.reset("a")
    record = row(queue, "a")
    assert (record.status, record.summary, record.completed_at) == ("0", None, None)
    assert record.output_key == "a"
    assert not queue.reset("nobody")


def test_no_secret_in_what_is_shown(backend: Backend) -> None:
    queue = backend.open()
    shown = f"{queue!r} {queue.describe()} {vars(queue)!r}"
    assert str(backend.config["database"]) in shown
    if "password" in backend.config:
        assert backend.config["password"] not in shown
    queue.close()


def test_the_depth_counts_what_waits_and_ages_what_could_be_claimed(
    queue: DatabaseManager, backend: Backend
) -> None:
    assert queue.depth() == QueueDepth(pending=0, oldest_pending_age_s=0.0)
    for upload_id, age_s in (("held", 9000), ("fresh", 300), ("image", 8000), ("later", 7000)):
        queue.insert(upload_id, f"{upload_id}.mp3")
        backend.age(upload_id, age_s)
    assert queue.claim("w", upload_id="held") is not None
    backend.set("image", "upload_type", "'image'")
    backend.set("later", "available_at", backend.now(600))
    depth = queue.depth()
    assert depth.pending == 2
    assert depth.oldest_pending_age_s == pytest.approx(300, abs=20)
    backend.set("later", "available_at", backend.now(-500))
    assert queue.depth().oldest_pending_age_s == pytest.approx(500, abs=20)
    backend.set("fresh", "uploaded_at", "NULL")
    backend.set("later", "available_at", backend.now(600))
    assert queue.depth() == QueueDepth(pending=2, oldest_pending_age_s=0.0)


def test_what_is_made_pending_again_waits_from_then_and_can_be_claimed_at_once(
    queue: DatabaseManager, backend: Backend
) -> None:
    """A catalogue of last year that is processed again is no backlog of a year."""
    for upload_id in ("again", "back"):
        queue.insert(upload_id, f"{upload_id}.mp3")
        backend.age(upload_id, 30_000_000)
    claim = queue.claim("w", upload_id="again")
    assert claim is not None
    queue.complete(claim, summary())
    assert queue.reset("again")
    back = queue.claim("w", upload_id="back")
    assert back is not None
    queue.hand_back(back)
    depth = queue.depth()
    assert depth.pending == 2
    assert depth.oldest_pending_age_s == pytest.approx(0, abs=60)
    assert queue.counts().backing_off == 0
    assert [row(queue, one).wait_s for one in ("again", "back")] == [0, 0]
    queue.insert("fresh", "fresh.mp3")
    backend.age("fresh", 300)
    assert queue.depth().oldest_pending_age_s == pytest.approx(300, abs=60)
    assert [taken(queue).upload_id for _ in range(3)] == ["again", "back", "fresh"]
