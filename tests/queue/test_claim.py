"""Who gets which row, and how often."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count

import pytest

from audio_processor.errors import LeaseLost
from audio_processor.model import Claim
from database_manager import DatabaseManager
from tests.queue.backend import Backend, row, summary, taken
from uploads_queue.claiming import Claiming
from uploads_queue.connect import Patience, open_engine
from uploads_queue.place import read_config


def test_two_hundred_claims_by_eight_threads_hand_out_no_row_twice(
    queue: DatabaseManager,
) -> None:
    for number in range(200):
        queue.insert(f"u{number}", f"{number}.mp3")

    def work(worker: int) -> list[Claim]:
        claims = []
        while (claim := queue.claim(f"w{worker}")) is not None:
            claims.append(claim)
        return claims

    with ThreadPoolExecutor(8) as threads:
        by_thread = list(threads.map(work, range(8)))
    claims = [claim for part in by_thread for claim in part]
    assert sorted(c.upload_id for c in claims) == sorted(f"u{n}" for n in range(200))
    assert len({c.lease_token for c in claims}) == 200
    assert {c.attempt for c in claims} == {1}
    for claim in claims:
        assert row(queue, claim.upload_id).worker_id == claim.worker_id


def test_a_claim_waits_for_nobody(queue: DatabaseManager, backend: Backend) -> None:
    """With the oldest row locked by another transaction, the next one is handed out at once.

    SQLite has no row locks; there it is a long reader that must hold nobody up.
    """
    queue.insert("busy", "busy.mp3")
    backend.age("busy", 60)
    queue.insert("free", "free.mp3")
    with closing(backend.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute("BEGIN")
        locking = "" if backend.db_type == "sqlite" else "FOR UPDATE"
        cursor.execute(f"SELECT * FROM Uploads WHERE upload_id = 'busy' {locking}")
        cursor.fetchall()
        first = "busy" if backend.db_type == "sqlite" else "free"
        assert taken(queue).upload_id == first
        if locking:
            assert queue.claim("w") is None
        cursor.execute("ROLLBACK")
    assert taken(queue).upload_id != first


def test_a_claim_in_progress_holds_up_no_upload(server_backend: Backend) -> None:
    """Under REPEATABLE READ, MySQL would lock the gaps that new rows go into."""
    queue = server_backend.open(lock_timeout_s=1)
    queue.insert("m", "m.mp3")
    engine = open_engine(
        read_config(server_backend.config, server_backend.db_type),
        pool_size=1,
        patience=Patience(),
    )
    claiming = Claiming(server_backend.db_type, lease_s=90, max_attempts=3)
    with engine.connect() as connection:
        taken = claiming.take(
            connection, worker_id="w", lease_token="t", upload_id=None, in_doubt=False
        )
        assert taken.claim is not None and taken.claim.upload_id == "m"
        for upload_id in ("a", "z"):
            server_backend.sql(
                "INSERT INTO Uploads (upload_id, file_name, uploaded_at)"
                f" VALUES ('{upload_id}', 'x.mp3', '2020-01-01 00:00:00')"
            )
            assert queue.insert(f"{upload_id}{upload_id}", "y.mp3")
        assert queue.counts().pending == 5
    engine.dispose()
    queue.close()


def test_the_oldest_goes_first_and_the_id_decides_a_tie(
    queue: DatabaseManager, backend: Backend
) -> None:
    for upload_id, age_s in (("young", 10), ("old", 300), ("tie-b", 100), ("tie-a", 100)):
        queue.insert(upload_id, f"{upload_id}.mp3")
        backend.age(upload_id, age_s)
    backend.set("tie-b", "uploaded_at", "'2020-01-01 00:00:00'")
    backend.set("tie-a", "uploaded_at", "'2020-01-01 00:00:00'")
    order = [taken(queue).upload_id for _ in range(4)]
    assert order == ["tie-a", "tie-b", "old", "young"]


def test_only_tracks_are_claimed(queue: DatabaseManager, backend: Backend) -> None:
    backend.sql(
        "INSERT INTO Uploads (upload_id, file_name, upload_type) VALUES ('i', 'a.png', 'image')"
    )
    assert queue.claim("w") is None
    assert queue.claim("w", upload_id="i") is None
    assert queue.pending() == []
    assert queue.counts().pending == 0


def test_a_row_of_an_old_client_is_claimed_and_processed(
    queue: DatabaseManager, backend: Backend
) -> None:
    backend.sql("INSERT INTO Uploads (upload_id, file_name) VALUES ('legacy', 'legacy.mp3')")
    claim = taken(queue)
    assert (claim.upload_id, claim.file_name, claim.attempt) == ("legacy", "legacy.mp3", 1)
    assert claim.uploaded_at is not None
    queue.reserve_output(claim, "legacy")
    queue.complete(claim, summary("legacy"))
    assert backend.sql("SELECT processing_status, error_message FROM Uploads") == [
        ("completed", None)
    ]


def test_a_named_claim_takes_that_row_or_nothing(queue: DatabaseManager) -> None:
    queue.insert("a", "a.mp3")
    queue.insert("b", "b.mp3")
    claim = queue.claim("w", upload_id="b")
    assert claim is not None
    assert claim.upload_id == "b"
    assert queue.claim("w", upload_id="b") is None
    assert queue.claim("w", upload_id="nobody") is None
    assert queue.claim("w", upload_id="nul\0") is None
    queue.complete(claim, summary("b"))
    assert queue.claim("w", upload_id="b") is None


def test_a_row_in_backoff_waits_by_the_databases_clock(
    queue: DatabaseManager, backend: Backend
) -> None:
    queue.insert("a", "a.mp3")
    queue.retry_later(
        taken(queue), error_code="store_unavailable", error_message="503", delay_s=600
    )
    record = row(queue, "a")
    assert record.status == "0"
    assert 590 < record.wait_s <= 600
    assert (record.error_code, record.error_message) == ("store_unavailable", "503")
    assert queue.claim("w") is None
    assert queue.claim("w", upload_id="a") is None
    assert queue.claimable_ids() == []
    assert queue.counts().backing_off == 1
    backend.set("a", "available_at", backend.now(-1))
    assert len(queue.claimable_ids()) == 1
    assert taken(queue).attempt == 2
    assert row(queue, "a").available_at is None


def test_attempts_are_counted_at_the_claim_and_a_hand_back_refunds_one(
    queue: DatabaseManager,
) -> None:
    queue.insert("a", "a.mp3")
    claim = taken(queue)
    assert row(queue, "a").attempts == 1
    queue.hand_back(claim)
    assert row(queue, "a").attempts == 0
    again = taken(queue)
    assert again.attempt == 1
    queue.retry_later(again, error_code="x", error_message="y", delay_s=0)
    assert taken(queue).attempt == 2
    outcomes = [a.outcome for a in row(queue, "a").history]
    assert outcomes == ["handed_back", "retried", "running"]


def test_a_hand_back_may_be_for_later(queue: DatabaseManager, backend: Backend) -> None:
    queue.insert("a", "a.mp3")
    queue.hand_back(taken(queue), delay_s=60)
    assert row(queue, "a").attempts == 0
    assert 50 < row(queue, "a").wait_s <= 60
    assert queue.claim("w") is None
    backend.set("a", "available_at", backend.now(-1))
    assert taken(queue).attempt == 1


def test_what_lost_its_worker_twice_is_for_a_worker_that_is_alone(
    queue: DatabaseManager, backend: Backend
) -> None:
    for name in ("a", "b"):
        queue.insert(name, f"{name}.mp3")
    for _ in range(2):
        claim = queue.claim("dies", upload_id="a", alone=False)
        assert claim is not None and not claim.suspect
        backend.set("a", "lease_expires_at", backend.now(-1))
    assert queue.claim("busy", alone=False) is None, "so that it soon is alone"
    assert queue.claim("busy", upload_id="a", alone=False) is None
    claim = queue.claim("idle", alone=True)
    assert claim is not None and (claim.upload_id, claim.suspect) == ("a", True)
    claim = queue.claim("busy", alone=False)
    assert claim is not None and (claim.upload_id, claim.suspect) == ("b", False)


def test_a_lease_is_as_long_as_asked_by_the_databases_clock(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    monkeypatch.setenv("TZ", "Pacific/Kiritimati")  # a worker fourteen hours ahead
    time.tzset()
    try:
        queue = backend.open(lease_s=120)
        queue.insert("a", "a.mp3")
        claim = taken(queue)
        left = row(queue, "a").lease_remaining_s
        assert left is not None
        assert 110 < left <= 120
        backend.set("a", "lease_expires_at", backend.now(5))
        queue.renew(claim)
        (lease,) = queue.leases()
        assert lease.remaining_s is not None
        assert 110 < lease.remaining_s <= 120
        assert queue.oldest_pending_age_s() is None
        queue.hand_back(claim)
        assert (queue.oldest_pending_age_s() or 0.0) < 60
        queue.close()
    finally:
        monkeypatch.undo()
        time.tzset()


def test_an_expired_lease_is_claimed_again_and_a_running_one_is_not(
    queue: DatabaseManager, backend: Backend
) -> None:
    queue.insert("a", "a.mp3")
    first = taken(queue, "w1")
    assert queue.claim("w2") is None
    backend.expire("a")
    assert queue.counts().expired == 1
    second = taken(queue, "w2")
    assert (second.upload_id, second.attempt, second.worker_id) == ("a", 2, "w2")
    with pytest.raises(LeaseLost):
        queue.renew(first)
    queue.renew(second)
    assert [a.outcome for a in row(queue, "a").history] == ["lease_expired", "running"]


def test_a_late_renewal_that_nobody_forestalled_keeps_the_row(
    queue: DatabaseManager, backend: Backend
) -> None:
    queue.insert("a", "a.mp3")
    claim = taken(queue)
    backend.expire("a")
    queue.renew(claim)
    assert queue.claim("other") is None


def test_a_job_that_kills_its_workers_is_failed_and_does_not_loop(
    queue: DatabaseManager, backend: Backend
) -> None:
    queue.insert("poison", "poison.mp3")
    queue.insert("fine", "fine.mp3")
    backend.age("poison", 60)
    numbers = count(1)
    for _ in range(3):
        claim = taken(queue, f"w{next(numbers)}")
        assert claim.upload_id == "poison"
        queue.reserve_output(claim, "poison")
        backend.expire("poison")
    assert taken(queue).upload_id == "fine"
    record = row(queue, "poison")
    assert (record.status, record.error_code) == ("failed", "attempts_exhausted")
    assert record.error_message is not None
    assert "Attempt 3 of 3" in record.error_message
    assert "w3" in record.error_message
    assert record.output_key is None
    assert [a.outcome for a in record.history] == ["lease_expired"] * 3
    assert record.history[-1].error_code == "attempts_exhausted"
    assert queue.claim("w") is None


Told = list[tuple[Claim, str, str]]


def hopeless(queue: DatabaseManager, backend: Backend, *upload_ids: str) -> None:
    """Rows whose last worker vanished with no attempt left."""
    for upload_id in upload_ids:
        assert queue.insert(upload_id, f"{upload_id}.mp3")
        assert queue.claim("dead", upload_id=upload_id) is not None
        backend.set(upload_id, "attempts", "3")
        backend.expire(upload_id)


def test_each_claim_that_is_buried_is_told_of_once_and_committed_by_then(
    queue: DatabaseManager, backend: Backend
) -> None:
    hopeless(queue, backend, "p1", "p2")
    queue.insert("fine", "fine.mp3")
    told: Told = []
    seen: list[str | None] = []

    def on_buried(claim: Claim, error_code: str, error_message: str) -> None:
        told.append((claim, error_code, error_message))
        with closing(backend.open()) as other:  # SQLite's write lock is free by now
            seen.append(row(other, claim.upload_id).status)
            assert other.insert(f"then {claim.upload_id}", "x.mp3")

    queue.on_buried = on_buried
    assert queue.claim("w", upload_id="fine") is not None
    assert told == []
    assert queue.claim("w") is None
    assert seen == ["failed", "failed"]
    assert [c.upload_id for c, *_ in told] == ["p1", "p2"]
    claim, error_code, error_message = told[0]
    assert (claim.file_name, claim.attempt, claim.worker_id) == ("p1.mp3", 3, "dead")
    assert (error_code, error_message) == ("attempts_exhausted", row(queue, "p1").error_message)
    with pytest.raises(LeaseLost):
        queue.hand_back(claim)
    assert taken(queue).upload_id == "then p1"
    assert len(told) == 2


def test_what_is_told_of_a_burial_cannot_stop_the_claim(backend: Backend) -> None:
    told = []

    def on_buried(claim: Claim, error_code: str, error_message: str) -> None:
        told.append(claim.upload_id)
        raise OSError("no store")

    with closing(backend.open(max_attempts=3, on_buried=on_buried)) as queue:
        hopeless(queue, backend, "p1", "p2")
        queue.insert("fine", "fine.mp3")
        assert queue.claim("w", upload_id="p1") is None
        assert told == ["p1"]
        assert taken(queue).upload_id == "fine"
        assert told == ["p1", "p2"]


def test_the_claimable_are_listed_in_the_order_in_which_they_are_claimed(
    queue: DatabaseManager, backend: Backend
) -> None:
    for age, upload_id in enumerate(("b", "a", "held", "backoff", "over", "c", "image", "d")):
        queue.insert(upload_id, f"{upload_id}.mp3")
        backend.age(upload_id, 3600 - 60 * (age // 2))
    backend.set("image", "upload_type", "'image'")
    backend.set("backoff", "available_at", backend.now(60))
    backend.set("d", "available_at", backend.now(-1))
    for upload_id in ("held", "over"):
        assert queue.claim("w", upload_id=upload_id) is not None
    backend.expire("over")
    listed = queue.claimable_ids()
    assert set(listed) == {"over", "a", "b", "c", "d"}
    assert listed[0] == "over"
    claimed = [taken(queue).upload_id for _ in listed]
    assert claimed == listed
    assert queue.claimable_ids() == []


def test_a_row_that_another_client_is_processing_is_left_alone_but_shown_and_freed(
    queue: DatabaseManager, backend: Backend
) -> None:
    backend.sql(
        "INSERT INTO Uploads (upload_id, file_name, processing_status)"
        " VALUES ('theirs', 'theirs.mp3', 'processing')"
    )
    assert queue.claim("w") is None
    counts = queue.counts()
    assert (counts.processing, counts.unleased, counts.expired) == (1, 1, 0)
    (lease,) = queue.leases()
    assert (lease.worker_id, lease.remaining_s) == (None, None)
    assert queue.reset("theirs")
    assert taken(queue).upload_id == "theirs"


def test_what_is_due_again_goes_before_what_was_never_tried(
    queue: DatabaseManager, backend: Backend
) -> None:
    """It was claimed before all of those, and a backlog must not put it off for ever."""
    for upload_id, age_s in (("fresh", 900), ("second", 600), ("first", 300), ("later", 1200)):
        queue.insert(upload_id, f"{upload_id}.mp3")
        backend.age(upload_id, age_s)
    backend.set("first", "available_at", backend.now(-20))
    backend.set("second", "available_at", backend.now(-10))
    backend.set("later", "available_at", backend.now(600))
    order = ["first", "second", "fresh"]
    assert queue.claimable_ids() == order
    assert [taken(queue).upload_id for _ in order] == order
    assert queue.claim("w") is None


def test_of_the_vanished_the_one_longest_gone_goes_first(
    queue: DatabaseManager, backend: Backend
) -> None:
    for upload_id, gone_s in (("a", 10), ("b", 30), ("c", 20)):
        queue.insert(upload_id, f"{upload_id}.mp3")
        assert queue.claim("dead", upload_id=upload_id) is not None
        backend.set(upload_id, "lease_expires_at", backend.now(-gone_s))
    queue.insert("fresh", "fresh.mp3")
    order = ["b", "c", "a", "fresh"]
    assert queue.claimable_ids() == order
    assert [taken(queue).upload_id for _ in order] == order


def test_no_more_than_ten_are_buried_in_one_claim_and_none_is_forgotten(
    queue: DatabaseManager, backend: Backend
) -> None:
    hopeless(queue, backend, *(f"p{number:02}" for number in range(12)))
    queue.insert("fine", "fine.mp3")
    told: list[str] = []
    queue.on_buried = lambda claim, *_: told.append(claim.upload_id)
    assert taken(queue).upload_id == "fine"
    assert len(told) == 10
    assert queue.claim("w") is None
    assert sorted(told) == [f"p{number:02}" for number in range(12)]
