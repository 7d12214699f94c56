"""A real worker process: how it starts, waits, drains and ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chaos.fleet import Fleet, Member, health
from tests.chaos.music import track
from tests.chaos.run import warm_up
from tests.chaos.site import LEASE_S, RAW, Site, site
from tests.chaos.watch import Row, look
from tests.servers.daemon import as_user
from tests.servers.database import DatabaseServer
from tests.servers.flaky_proxy import Late, Seen, s3_error
from tests.servers.s3 import S3Server

PATIENCE_S = 90.0
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def compiled(tmp_path_factory: pytest.TempPathFactory) -> None:
    warm_up(tmp_path_factory.mktemp("warm"))


@pytest.fixture
def where(
    request: pytest.FixtureRequest,
    postgres_server: DatabaseServer,
    s3_server: S3Server,
    tmp_path: Path,
) -> Iterator[Site]:
    drain_s = getattr(request, "param", 60.0)
    with site(
        postgres_server, s3_server, tmp_path, slots=2, drain_s=drain_s, small_disk=False
    ) as here:
        yield here


@pytest.fixture
def workers(where: Site) -> Iterator[Fleet]:
    """Workers that nobody starts again."""
    fleet = Fleet(where, 2)
    fleet.restarts = False
    yield fleet
    fleet.rest(grace_s=0.0)


def give(where: Site, *names: str, seconds: float | None = None) -> None:
    for number, name in enumerate(names):
        where.put(f"{RAW}{name}.wav", track(number, 7, seconds=seconds))
        where.queue.insert(name, f"{name}.wav")


def rows(where: Site) -> dict[str, Row]:
    connection = where.database.connect(where.config)
    try:
        return look(where, connection)
    finally:
        connection.close()


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.1)


def running(workers: Fleet, slot: int = 0) -> Member:
    member = workers.member(slot)
    assert member is not None, (workers.site.folder / f"worker-{slot}.log").read_text()[-2000:]
    return member


def ended(where: Site, status: str, attempts: int) -> bool:
    return all(row.status == status and row.attempts == attempts for row in rows(where).values())


def log_of(where: Site, slot: int = 0) -> str:
    return (where.folder / f"worker-{slot}.log").read_text()


# ── services that are away ───────────────────────────────────────────────────────────────


def test_a_database_that_is_away_at_the_start_and_later_is_waited_for(
    where: Site, workers: Fleet
) -> None:
    give(where, "a", "b")
    where.database.stop()
    try:
        workers.start(0)
        until(lambda: health(where, "/ready") == (503, "database_unavailable"), "not ready")
        assert health(where, "/live")[0] == 200
        until(lambda: "database unavailable" in log_of(where), "said")
    finally:
        where.database.start()
    until(lambda: health(where, "/ready") == (200, "ready"), "ready again")
    until(lambda: any(row.status == "processing" for row in rows(where).values()), "in work")
    where.database.stop()
    where.wire.cut()
    time.sleep(LEASE_S + 2.0)  # longer than the leases of what is in work
    where.database.start()
    until(lambda: ended(where, "completed", 1), "all completed at the first attempt")
    assert running(workers).process.poll() is None


@pytest.mark.parametrize("answer", [s3_error(503, "ServiceUnavailable"), "reset"])
def test_a_store_that_is_away_at_the_start_and_later_costs_no_attempt(
    where: Site, workers: Fleet, answer: object
) -> None:
    door = where.doors[0]
    away = lambda _: answer  # noqa: E731  # a switch to be thrown
    there = door.weather
    give(where, "a", "b", "c")
    door.weather = away  # type: ignore[assignment]  # both kinds are faults
    workers.start(0)
    until(lambda: health(where, "/ready") == (503, "store_unavailable"), "not ready")
    assert health(where, "/live")[0] == 200
    assert all(row.attempts == 0 for row in rows(where).values()), "nothing is claimed"

    door.weather = there
    until(lambda: any(row.status == "processing" for row in rows(where).values()), "in work")
    door.weather = away  # type: ignore[assignment]  # as above
    until(lambda: health(where, "/ready") == (503, "store_unavailable"), "not ready again")
    until(lambda: not any(r.status == "processing" for r in rows(where).values()), "handed back")
    door.weather = there
    until(lambda: ended(where, "completed", 1), "all completed at the first attempt")


def test_a_refused_secret_is_said_and_burns_no_attempt(where: Site, workers: Fleet) -> None:
    give(where, "a")
    where.doors[0].weather = lambda _: s3_error(403, "SignatureDoesNotMatch")
    workers.start(0)
    until(lambda: "secret does not belong" in log_of(where), "said")
    assert rows(where)["a"].attempts == 0
    assert health(where, "/ready") == (503, "store_unavailable")


# ── the drain ────────────────────────────────────────────────────────────────────────────


def test_a_drain_lets_what_runs_finish_under_its_lease_and_claims_no_more(
    where: Site, workers: Fleet
) -> None:
    give(where, "long", "longer", seconds=45.0)
    give(where, "next")
    workers.start(0)
    until(lambda: rows(where)["longer"].status == "processing", "both in work")
    held = {name: rows(where)[name].token for name in ("long", "longer")}
    member = running(workers)
    workers.term(member)
    until(lambda: health(where, "/ready") in {(503, "draining"), (0, "no answer")}, "draining")
    workers.start(1)  # and would take over what is not beaten for
    assert member.process.wait(PATIENCE_S) == 0
    after = rows(where)
    assert {name: after[name].token for name in held} == held
    assert {after[name].status for name in held} == {"completed"}
    until(lambda: rows(where)["next"].status == "completed", "the next by the other")
    pid = running(workers, 1).pid
    assert rows(where)["next"].worker_pid == pid


@pytest.mark.parametrize(
    ("where", "signals"), [(1.0, 1), (60.0, 2)], indirect=["where"], ids=["timeout", "second"]
)
def test_what_does_not_finish_is_handed_back_with_its_attempt(
    where: Site, workers: Fleet, signals: int
) -> None:
    give(where, "long", seconds=240.0)
    workers.start(0)
    until(lambda: rows(where)["long"].status == "processing", "in work")
    member = running(workers)
    for _ in range(signals):
        member.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
    started = time.monotonic()
    assert member.process.wait(PATIENCE_S) == 0
    assert time.monotonic() - started < LEASE_S * 3
    row = rows(where)["long"]
    assert (row.status, row.attempts) == ("0", 0)


@pytest.mark.parametrize("where", [1.0], indirect=True)
def test_a_drain_ends_a_publish_too_and_shows_nobody_half_a_ladder(
    where: Site, workers: Fleet
) -> None:
    give(where, "a")
    held = []

    def hold(seen: Seen) -> Late | None:
        if seen.method == "PUT" and "segment_" in seen.path:
            held.append(seen.path)
            return Late(lambda: time.sleep(3.0))
        return None

    where.doors[0].weather = hold
    workers.start(0)
    until(lambda: bool(held), "publishing")
    member = running(workers)
    member.process.send_signal(signal.SIGTERM)
    assert member.process.wait(PATIENCE_S) == 0
    row = rows(where)["a"]
    assert (row.status, row.attempts) == ("0", 0)
    assert not [key for key in where.objects() if key.endswith("/a/playlist.m3u8")]


# ── cron ─────────────────────────────────────────────────────────────────────────────────


def test_once_under_two_overlapping_crons_does_each_track_once(where: Site) -> None:
    names = [f"t{number}" for number in range(6)]
    give(where, *names)
    runs = [
        subprocess.Popen(
            as_user(
                [
                    *(sys.executable, "-m", "audio_processor", "once"),
                    *("-c", str(where.worker_config(slot))),
                ],
                nobody=False,
            ),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for slot in range(2)
    ]
    said = [run.communicate(timeout=2 * PATIENCE_S)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert ended(where, "completed", 1)
    assert sum(int(text.split(" completed")[0].split()[-1]) for text in said) == len(names)


def test_once_with_the_store_away_says_so_and_touches_nothing(where: Site) -> None:
    give(where, "a")
    where.doors[0].weather = lambda _: s3_error(503, "ServiceUnavailable")
    done = subprocess.run(
        [sys.executable, "-m", "audio_processor", "once", "-c", str(where.worker_config(0))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 3
    assert "busy or in trouble" in done.stderr
    row = rows(where)["a"]
    assert (row.status, row.attempts) == ("0", 0)
