"""The queue's bench on a small table: its promises that no machine is too slow for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bench import queue_table
from bench.queue import PAGE
from bench.queue_measure import alone, realistic, saturated
from bench.queue_page import put
from bench.queue_report import save, verdicts
from bench.queue_run import Result, Scale, explained
from bench.queue_watch import Watcher
from tests.queue.backend import Backend
from tests.queue.conftest import ENGINES, migrated_backend

ROWS, WORKERS = 2_000, 8


@pytest.fixture(scope="module", params=ENGINES[1:])
def measured(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Backend, Result]]:
    """What the bench measures of two thousand rows and eight workers."""
    backend = migrated_backend(request, tmp_path_factory.mktemp("scale"))
    result = Result(request.param, "")
    queue_table.fill(backend, 1, ROWS)
    with closing(Watcher(backend)) as watcher:
        result.loads = [
            saturated(backend, watcher, WORKERS, 1.0, lambda _: None),
            realistic(backend, watcher, WORKERS, 2.0, lambda _: None),
        ]
    result.alone = [alone(backend, "settled", calls=20)]
    result.plans = explained(backend)
    yield backend, result


def test_no_row_is_claimed_twice_and_none_is_lost(measured: tuple[Backend, Result]) -> None:
    backend, result = measured
    for load in result.loads:
        assert load.doubles == 0
        assert load.claims >= WORKERS
    assert queue_table.row_count(backend) == ROWS, "each load takes its rows away with it"


def test_a_claim_that_was_made_twice_would_be_seen(measured: tuple[Backend, Result]) -> None:
    backend, _ = measured
    queue_table.supply(backend, "seen", 3)
    with closing(backend.open()) as queue:
        first, second = queue.claim("w"), queue.claim("w")
        assert first is not None and second is not None
        assert queue_table.held(backend, "seen") == queue_table.Held(claims=2, tokens=2, rows=2)
        backend.expire(first.upload_id)
        again = queue.claim("w")
        assert again is not None and again.upload_id == first.upload_id
        assert queue_table.held(backend, "seen").claims == 3
    queue_table.remove(backend, "seen")


def test_a_poll_that_finds_nothing_reads_no_row(measured: tuple[Backend, Result]) -> None:
    _, result = measured
    empty = result.alone[0].empty
    if result.back_end == "postgresql":
        assert empty.table_pages == 0
        assert empty.counters["seq_scans"] == 0
    assert empty.rows_read < 1, empty


def test_no_plan_reads_the_table_or_sorts(measured: tuple[Backend, Result]) -> None:
    _, result = measured
    assert set(result.plans) == {"empty poll", "claim", "depth"}
    for name, plans in result.plans.items():
        assert plans, name
        for plan in plans:
            assert not plan.scans and not plan.sorts, f"{name}: {plan.text}"
        indexes = "".join(plan.text for plan in plans)
        assert "ix_uploads_ready" in indexes
        assert "ix_uploads_lease" in indexes or name == "depth"


def test_the_bench_says_where_a_reach_is_missed_and_draws_it(
    measured: tuple[Backend, Result], tmp_path: Path
) -> None:
    _, result = measured
    kept = list(verdicts([result]))
    of_doubles = [fine for fine, text in kept if "double claims" in text]
    assert of_doubles == [True]
    document = json.loads(save([result], Scale(), kept, tmp_path))
    assert document["results"][0]["loads"][0]["rows"] == ROWS
    assert len(document["verdicts"]) == len(kept)
    picture = tmp_path / "queue.png"
    assert picture.stat().st_size > 1000
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    for _ in range(2):  # what was put there before is replaced
        put(page, [result], kept, picture)
        text = page.read_text(encoding="utf-8")
        assert text.count(f"| saturated | {ROWS:,} | {WORKERS} |") == 1
        assert text.count("## A table that has lived") == 1
