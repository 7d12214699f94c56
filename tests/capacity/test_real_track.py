"""One real track through real services: the model's counts are what really happens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from audio_processor.capacity_counts import (
    MIB,
    delivered_bytes,
    requests_of_track,
    requests_of_upload,
    statements_of_track,
)
from audio_processor.capacity_demand import Demand
from audio_processor.capacity_figures import (
    CLAIM_SELECTS,
    CLAIM_TRANSACTIONS,
    CLAIM_WRITES,
    MOVE_DELETES,
    MOVE_GETS,
    MOVE_PUTS,
    SCRATCH_DELIVERED_TIMES,
)
from audio_processor.demo import render_demo
from bench.process_tree import bytes_below
from tests.capacity.counting import STATISTICS, Counted, counted
from tests.servers.database import DatabaseServer
from tests.servers.postgres import running_postgres
from tests.servers.s3 import S3Server

PART_MIB = 5
WITHOUT_BEATS = {"lease_s": 3600.0, "heartbeat_s": 1200.0}
PINGS = 1
"""The store is asked once whether it is there when a worker begins."""


@pytest.fixture(scope="module")
def postgres() -> Iterator[DatabaseServer]:
    with running_postgres(settings=STATISTICS) as server:
        yield server


@pytest.fixture
def counting(postgres: DatabaseServer, s3_server: S3Server, tmp_path: Path) -> Iterator[Counted]:
    stated: dict[str, Any] = {"storage": {"part_size_mib": PART_MIB}, "worker": WITHOUT_BEATS}
    with counted(postgres, s3_server, tmp_path, **stated) as counting:
        # the look at the schema is the process's, not the track's
        assert counting.processor.queue.claim("worker-0", upload_id="none") is None
        yield counting


def run_one(counting: Counted, upload_id: str) -> bool:
    with counting.processor.worker() as worker:
        counting.reset()
        ended = worker.run_one(upload_id)
    assert ended is not None
    return ended.completed


@pytest.mark.parametrize("duration_s", [12.0, 33.0], ids=["short", "source in parts"])
def test_requests_statements_and_bytes(
    counting: Counted, tmp_path: Path, duration_s: float
) -> None:
    source = render_demo(tmp_path / "demo.wav", duration_s=duration_s)
    demand = Demand(
        minutes=duration_s / 60,
        source_kbps=source.stat().st_size * 8 / duration_s / 1000,
        part_mib=PART_MIB,
    )
    upload_id = counting.processor.enqueue(source)
    with Widest(tmp_path / "scratch") as widest:
        assert run_one(counting, upload_id)

    expected = requests_of_track(demand)
    assert counting.requests() == {
        "GET": expected.get + PINGS,
        "PUT": expected.put,
        "DELETE": expected.delete,
    }
    statements, wanted = counting.statements(), statements_of_track()
    assert statements["SELECT"] == wanted.selects
    assert statements["UPDATE"] == wanted.writes
    assert statements["COMMIT"] + statements["ROLLBACK"] == wanted.transactions
    assert statements["INSERT"] == statements["DELETE"] == statements["OTHER"] == 0

    stored = stored_bytes(counting)
    assert stored == pytest.approx(delivered_bytes(duration_s), rel=0.15)
    allowed = source.stat().st_size + SCRATCH_DELIVERED_TIMES.value * stored
    assert 0.5 * allowed < widest.bytes <= allowed


def test_a_failed_track_s_requests(counting: Counted, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp3"
    broken.write_bytes(b"no audio at all " * 1000)
    upload_id = counting.processor.enqueue(broken)
    assert not run_one(counting, upload_id)
    requests = counting.requests()
    assert requests["GET"] == 1 + MOVE_GETS + PINGS
    assert requests["PUT"] == MOVE_PUTS
    assert requests["DELETE"] == MOVE_DELETES
    assert requests.total() == 1 + MOVE_GETS + PINGS + MOVE_PUTS + MOVE_DELETES


def test_an_object_in_parts(counting: Counted, tmp_path: Path) -> None:
    large = tmp_path / "large.m4a"
    large.write_bytes(bytes(11 * MIB))
    counting.reset()
    counting.processor.store.upload(large, "large.m4a", content_type="audio/mp4")
    requests = counting.requests()
    assert requests["PUT"] + requests["POST"] == requests_of_upload(11 * MIB, PART_MIB) == 5
    assert requests.total() == 5


def test_a_claim_in_turn(counting: Counted) -> None:
    counting.processor.queue.insert("1", "a.wav")
    counting.reset()
    assert counting.processor.queue.claim("worker-1") is not None
    assert claimed(counting) == (CLAIM_SELECTS, CLAIM_WRITES, CLAIM_TRANSACTIONS)


def test_a_claim_that_finds_nothing_writes_nothing(counting: Counted) -> None:
    counting.reset()
    assert counting.processor.queue.claim("worker-1") is None
    assert claimed(counting) == (CLAIM_SELECTS, 0, CLAIM_TRANSACTIONS)


def claimed(counting: Counted) -> tuple[int, int, int]:
    statements = counting.statements()
    assert statements["INSERT"] == statements["DELETE"] == statements["OTHER"] == 0
    transactions = statements["COMMIT"] + statements["ROLLBACK"]
    return statements["SELECT"], statements["UPDATE"], transactions


def stored_bytes(counting: Counted) -> int:
    listed = counting.s3.client().list_objects_v2(Bucket=counting.bucket)
    prefix = counting.processor.settings.storage.processed_prefix
    return sum(one["Size"] for one in listed["Contents"] if one["Key"].startswith(prefix))


class Widest:
    """The most that was in a folder, looked at as often as can be."""

    def __init__(self, folder: Path) -> None:
        self.bytes = 0
        self._folder = folder
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Widest:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(0.01):
            self.bytes = max(self.bytes, bytes_below(self._folder))
