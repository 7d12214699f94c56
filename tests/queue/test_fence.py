"""Whoever lost the lease writes nothing; whoever holds it writes the truth."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from audio_processor.errors import LeaseLost, NameRejected, OutputConflict
from audio_processor.model import Claim
from database_manager import DatabaseManager
from tests.queue.backend import Backend, row, summary, taken

Write = Callable[[DatabaseManager, Claim], None]

WRITES: dict[str, Write] = {
    "renew": lambda queue, claim: queue.renew(claim),
    "reserve_output": lambda queue, claim: queue.reserve_output(claim, "stolen"),
    "complete": lambda queue, claim: queue.complete(claim, summary()),
    "fail": lambda queue, claim: queue.fail(claim, error_code="x", error_message="y"),
    "retry_later": lambda queue, claim: queue.retry_later(
        claim, error_code="x", error_message="y", delay_s=5
    ),
    "hand_back": lambda queue, claim: queue.hand_back(claim),
}
FINAL = ("complete", "fail", "retry_later", "hand_back")


@pytest.mark.parametrize("write", WRITES)
def test_a_stale_token_writes_nothing(queue: DatabaseManager, backend: Backend, write: str) -> None:
    queue.insert("a", "a.mp3")
    stale = taken(queue, "w1")
    backend.expire("a")
    taken(queue, "w2")
    before = backend.sql("SELECT * FROM Uploads")
    with pytest.raises(LeaseLost):
        WRITES[write](queue, stale)
    assert backend.sql("SELECT * FROM Uploads") == before


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("final", FINAL)
def test_nothing_is_written_after_the_end(
    queue: DatabaseManager, backend: Backend, final: str, write: str
) -> None:
    queue.insert("a", "a.mp3")
    claim = taken(queue)
    WRITES[final](queue, claim)
    before = backend.sql("SELECT * FROM Uploads")
    with pytest.raises(LeaseLost):
        WRITES[write](queue, claim)
    assert backend.sql("SELECT * FROM Uploads") == before


@pytest.mark.parametrize("write", WRITES)
def test_a_guessed_token_or_another_row_writes_nothing(
    queue: DatabaseManager, backend: Backend, write: str
) -> None:
    queue.insert("a", "a.mp3")
    queue.insert("b", "b.mp3")
    claim = taken(queue)
    before = backend.sql("SELECT * FROM Uploads ORDER BY upload_id")
    for forged in (
        replace(claim, lease_token=""),
        replace(claim, lease_token="' OR '1'='1"),
        replace(claim, upload_id="b"),
        replace(claim, upload_id="a' OR 'a'='a"),
    ):
        with pytest.raises(LeaseLost):
            WRITES[write](queue, forged)
    assert backend.sql("SELECT * FROM Uploads ORDER BY upload_id") == before


def test_renewing_twice_at_once_is_no_lost_lease(queue: DatabaseManager) -> None:
    """MySQL counts changed rows, not matching ones, unless told otherwise."""
    queue.insert("a", "a.mp3")
    claim = taken(queue)
    for _ in range(3):
        queue.renew(claim)
        queue.reserve_output(claim, "a")


def test_a_completed_row_tells_what_was_measured(queue: DatabaseManager) -> None:
    queue.insert("a", "song.mp3")
    claim = taken(queue, "worker-7")
    queue.reserve_output(claim, "song")
    queue.complete(claim, summary())
    record = row(queue, "a")
    assert record.status == "completed"
    assert record.summary == summary()
    assert record.output_key == "song"
    assert (record.error_code, record.error_message) == (None, None)
    assert record.lease_remaining_s is None
    assert record.started_at is not None
    assert record.completed_at is not None
    assert record.started_at <= record.completed_at
    (attempt,) = record.history
    assert (attempt.number, attempt.worker_id, attempt.outcome) == (1, "worker-7", "completed")
    assert attempt.ended_at is not None
    assert queue.find("song.mp3") == replace(record, lease_remaining_s=None)


def test_success_after_a_failure_clears_the_error(queue: DatabaseManager) -> None:
    queue.insert("a", "a.mp3")
    queue.retry_later(taken(queue), error_code="x", error_message="y", delay_s=0)
    queue.complete(taken(queue), summary())
    record = row(queue, "a")
    assert (record.error_code, record.error_message) == (None, None)
    assert [(a.outcome, a.error_code) for a in record.history] == [
        ("retried", "x"),
        ("completed", None),
    ]


def test_a_failure_keeps_its_words_whole_and_within_the_column(queue: DatabaseManager) -> None:
    queue.insert("a", "🎵 'quoted' \"name\"; DROP TABLE Uploads; --.mp3")
    claim = taken(queue)
    assert claim.file_name.startswith("🎵")
    queue.fail(claim, error_code="corrupt_media", error_message="🎧\0\ud800" + "é" * 100_000)
    record = row(queue, "a")
    assert record.status == "failed"
    assert record.error_message is not None
    assert record.error_message.startswith("🎧�?éé")
    assert record.error_message.endswith("é…")
    assert len(record.error_message) == 4000
    (attempt,) = record.history
    assert attempt.error_message is not None
    assert len(attempt.error_message) == 500


def test_the_history_is_bounded(queue: DatabaseManager) -> None:
    queue.insert("a", "a.mp3")
    for _ in range(25):
        queue.retry_later(taken(queue), error_code="x", error_message="y" * 5000, delay_s=0)
    history = row(queue, "a").history
    assert [a.number for a in history] == list(range(6, 26))


@pytest.mark.parametrize("text", ["not json", "{}", '[{"number": "x"}, 3, null]', "[[1]]"])
def test_a_history_that_somebody_wrote_over_stops_no_job(
    queue: DatabaseManager, backend: Backend, text: str
) -> None:
    queue.insert("a", "a.mp3")
    backend.set("a", "history", f"'{text}'")
    backend.set("a", "result", f"'{text}'")
    claim = taken(queue)
    assert row(queue, "a").summary is None
    queue.complete(claim, summary())
    assert row(queue, "a").history[-1].outcome == "completed"


# ── who owns an output ───────────────────────────────────────────────────────────────────


def claims(queue: DatabaseManager, *names: str) -> list[Claim]:
    """A claim for each file name."""
    made = []
    for number, name in enumerate(names):
        upload_id = f"id-{number}-{len(name)}"
        assert queue.insert(upload_id, name)
        claim = queue.claim("w", upload_id=upload_id)
        assert claim is not None
        made.append(claim)
    return made


def test_of_two_that_reserve_one_output_at_once_one_wins(queue: DatabaseManager) -> None:
    pair = claims(queue, "song.mp3", "song.wav")
    for round_ in range(10):
        barrier = Barrier(2)

        def reserve(
            claim: Claim, barrier: Barrier = barrier, track_id: str = f"song{round_}"
        ) -> OutputConflict | None:
            barrier.wait()
            try:
                queue.reserve_output(claim, track_id)
            except OutputConflict as error:
                return error
            return None

        with ThreadPoolExecutor(2) as threads:
            results = list(threads.map(reserve, pair))
        (conflict,) = [r for r in results if r is not None]
        winner = pair[results.index(None)]
        assert winner.upload_id in str(conflict)
        assert winner.file_name in str(conflict)
        assert row(queue, winner.upload_id).output_key == f"song{round_}"


def test_an_output_is_kept_on_retry_and_completion_and_given_up_on_failure(
    queue: DatabaseManager,
) -> None:
    first, second = claims(queue, "song.mp3", "song.wav")
    queue.reserve_output(first, "song")
    queue.retry_later(first, error_code="x", error_message="y", delay_s=0)
    with pytest.raises(OutputConflict):
        queue.reserve_output(second, "song")
    again = queue.claim("w", upload_id=first.upload_id)
    assert again is not None
    queue.reserve_output(again, "song")
    queue.fail(again, error_code="x", error_message="y")
    queue.reserve_output(second, "song")
    queue.complete(second, summary())
    (third,) = claims(queue, "song.flac")
    with pytest.raises(OutputConflict, match=r"song\.wav"):
        queue.reserve_output(third, "song")


@pytest.mark.parametrize("end", ["failed", "buried"])
@pytest.mark.parametrize("is_legacy", [False, True], ids=["ours", "from before this version"])
@pytest.mark.parametrize("reserves", [True, False])
def test_an_output_that_was_ever_completed_outlives_a_failed_second_run(
    queue: DatabaseManager, backend: Backend, end: str, is_legacy: bool, reserves: bool
) -> None:
    first, second = claims(queue, "song.mp3", "song.wav")
    queue.reserve_output(first, "song")
    queue.complete(first, summary())
    if is_legacy:
        for column in ("output_key", "result", "history"):
            backend.set(first.upload_id, column, "NULL")
    for _ in range(2):  # a mark that one reset keeps, the next must keep too
        assert queue.reset(first.upload_id)
        assert row(queue, first.upload_id).summary is None
        with pytest.raises(OutputConflict, match=f"'{first.upload_id}'"):
            queue.reserve_output(second, "song")
        again = queue.claim("w", upload_id=first.upload_id)
        assert again is not None
        if reserves:
            queue.reserve_output(again, "song")
        if end == "failed":
            queue.fail(again, error_code="corrupt_media", error_message="junk")
        else:
            backend.set(first.upload_id, "attempts", "3")
            backend.expire(first.upload_id)
            assert queue.claim("w", upload_id=first.upload_id) is None
        assert row(queue, first.upload_id).status == "failed"
        with pytest.raises(OutputConflict, match=f"'{first.upload_id}'"):
            queue.reserve_output(second, "song")
    assert row(queue, first.upload_id).output_key == (
        None if is_legacy and not reserves else "song"
    )


def test_outputs_are_compared_as_the_bucket_compares_keys(queue: DatabaseManager) -> None:
    names = ["song", "Song", "SONG", "söng", "so\u0308ng", "song ", "song%", "so_g", "🎵"]
    for claim, name in zip(claims(queue, *(f"{n}.mp3" for n in names)), names, strict=True):
        queue.reserve_output(claim, name)
        assert row(queue, claim.upload_id).output_key == name


def test_an_output_from_before_this_version_is_not_overwritten(
    queue: DatabaseManager, backend: Backend
) -> None:
    backend.sql(
        "INSERT INTO Uploads (upload_id, file_name, processing_status)"
        " VALUES ('old', 'song.v2.wav', 'completed'), ('other', 'song.wav', 'failed')"
    )
    same, different, wild = claims(queue, "song.v2.mp3", "song.mp3", "song_v2.mp3")
    with pytest.raises(OutputConflict, match=r"'old' \('song\.v2\.wav'\)"):
        queue.reserve_output(same, "song.v2")
    queue.reserve_output(different, "song")
    queue.reserve_output(wild, "song_v2")


def test_a_track_id_that_no_column_holds_is_refused(queue: DatabaseManager) -> None:
    (claim,) = claims(queue, "song.mp3")
    for bad in ("é" * 128, "nul\0", "\ud800"):
        with pytest.raises(NameRejected):
            queue.reserve_output(claim, bad)
    queue.reserve_output(claim, "é" * 127)
