"""Deadlocks, killed connections, lost answers, wrong passwords: what the queue makes of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audio_processor.errors import ConfigError, DatabaseUnavailable, LeaseLost
from audio_processor.model import Claim
from database_manager import DatabaseManager
from tests.queue.backend import Backend, row, summary, taken
from tests.queue.proxy import Proxy, proxied
from tests.servers.daemon import free_port

WAITING = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND wait_event_type = 'Lock'",
    # innodb_trx would be a copy that constant polling keeps stale
    "mysql": "SELECT CAST(variable_value AS INT) FROM information_schema.global_status"
    " WHERE variable_name = 'INNODB_ROW_LOCK_CURRENT_WAITS'",
}


def until_it_waits(backend: Backend, work: Future[Any]) -> None:
    """Return once a session of the database waits for a lock."""
    deadline = time.monotonic() + 20
    while backend.sql(WAITING[backend.db_type])[0][0] == 0:
        assert not work.done(), work.exception()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def row_held(backend: Backend, upload_id: str) -> Iterator[Any]:
    """Hold the row in a transaction of another session."""
    with closing(backend.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute("BEGIN")
        cursor.execute(f"SELECT 1 FROM Uploads WHERE upload_id = '{upload_id}' FOR UPDATE")
        cursor.fetchall()
        yield cursor
        cursor.execute("ROLLBACK")


def lay_a_trap(backend: Backend) -> None:
    """Make every write to Uploads also write to the table ``trap``."""
    backend.sql("DROP TABLE IF EXISTS trap")
    backend.sql("CREATE TABLE trap (n INTEGER PRIMARY KEY, hits INTEGER)")
    backend.sql("INSERT INTO trap VALUES (1, 0)")
    if backend.db_type == "postgresql":
        backend.sql(
            "CREATE OR REPLACE FUNCTION spring() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN UPDATE trap SET hits = hits + 1 WHERE n = 1; RETURN NEW; END $$",
            "CREATE TRIGGER trap BEFORE UPDATE ON Uploads FOR EACH ROW EXECUTE FUNCTION spring()",
        )
    else:
        backend.sql(
            "CREATE TRIGGER trap BEFORE UPDATE ON Uploads FOR EACH ROW"
            " UPDATE trap SET hits = hits + 1 WHERE n = 1"
        )


def clear_the_trap(backend: Backend) -> None:
    on = " ON Uploads" if backend.db_type == "postgresql" else ""
    backend.sql(f"DROP TRIGGER trap{on}", "DROP TABLE trap")


@pytest.fixture
def trap(server_backend: Backend) -> Iterator[None]:
    lay_a_trap(server_backend)
    yield
    clear_the_trap(server_backend)


Write = Callable[[DatabaseManager, Claim], None]


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda queue, claim: queue.complete(claim, summary()), id="complete"),
        pytest.param(lambda queue, claim: queue.renew(claim), id="renew"),
    ],
)
@pytest.mark.usefixtures("trap")
def test_the_victim_of_a_deadlock_does_it_again(
    server_queue: DatabaseManager, server_backend: Backend, write: Write
) -> None:
    """We hold the row and want the trap; the other holds the trap and then wants the row."""
    backend = server_backend
    server_queue.insert("a", "a.mp3")
    claim = taken(server_queue)
    (hits,) = backend.sql("SELECT hits FROM trap")[0]
    with closing(backend.connect()) as other, ThreadPoolExecutor(1) as thread:
        cursor = other.cursor()
        if backend.db_type == "postgresql":
            cursor.execute("SET deadlock_timeout = '60s'")  # so that it is we who notice, and die
        cursor.execute("BEGIN")
        cursor.execute("UPDATE trap SET hits = 100")
        # MariaDB lets the one live that has changed more rows
        values = ", ".join(f"({n}, 0)" for n in range(2, 50))
        cursor.execute(f"INSERT INTO trap VALUES {values}")
        work = thread.submit(write, server_queue, claim)
        until_it_waits(backend, work)
        cursor.execute("UPDATE Uploads SET error_message = 'the other' WHERE upload_id = 'a'")
        cursor.execute("ROLLBACK")
        work.result(timeout=30)
    assert row(server_queue, "a").error_message is None
    assert backend.sql("SELECT hits FROM trap WHERE n = 1") == [(hits + 1,)]


def test_a_connection_killed_in_the_middle_is_no_lost_result(
    server_queue: DatabaseManager, server_backend: Backend
) -> None:
    backend = server_backend
    server_queue.insert("a", "a.mp3")
    claim = taken(server_queue)
    with ThreadPoolExecutor(1) as thread:
        with row_held(backend, "a"):
            work = thread.submit(server_queue.complete, claim, summary())
            until_it_waits(backend, work)
            kill_the_waiting(backend)
        work.result(timeout=30)
    assert row(server_queue, "a").status == "completed"


def kill_the_waiting(backend: Backend) -> None:
    if backend.db_type == "postgresql":
        backend.sql(WAITING["postgresql"].replace("count(*)", "pg_terminate_backend(pid)"))
        return
    ids = backend.sql(
        "SELECT id FROM information_schema.processlist WHERE db = database()"
        " AND command = 'Query' AND id <> connection_id()"
    )
    backend.sql(*(f"KILL {id_}" for (id_,) in ids))


def test_a_pool_whose_connections_have_all_died_serves_on(
    server_queue: DatabaseManager, server_backend: Backend
) -> None:
    backend = server_backend
    for number in range(4):
        server_queue.insert(f"u{number}", f"{number}.mp3")
    for ask in (server_queue.ping, server_queue.schema_state, server_queue.depth):
        use_and_kill_all_connections(server_queue, backend)
        ask()
    use_and_kill_all_connections(server_queue, backend)
    assert len({taken(server_queue).upload_id for _ in range(4)}) == 4


def use_and_kill_all_connections(queue: DatabaseManager, backend: Backend) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: queue.counts(), range(8)))
    if backend.db_type == "postgresql":
        backend.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return
    ids = backend.sql(
        "SELECT id FROM information_schema.processlist"
        " WHERE db = database() AND id <> connection_id()"
    )
    backend.sql(*(f"KILL {id_}" for (id_,) in ids))


def test_a_row_that_somebody_keeps_locked_is_reported_not_waited_for_ever(
    server_backend: Backend,
) -> None:
    queue = server_backend.open(lock_timeout_s=1)
    queue.insert("a", "a.mp3")
    claim = taken(queue)
    with row_held(server_backend, "a"), ThreadPoolExecutor(1) as thread:
        work = thread.submit(queue.renew, claim)
        until_it_waits(server_backend, work)
        error = work.exception(timeout=90)
    assert isinstance(error, DatabaseUnavailable)
    assert "locked" in str(error)
    queue.renew(claim)
    queue.close()


def test_on_sqlite_a_writer_waits_its_turn_and_readers_for_nobody(tmp_path: Path) -> None:
    backend = Backend("sqlite", {"database": str(tmp_path / "uploads.db")})
    queue = backend.open()
    queue.insert("a", "a.mp3")
    with closing(backend.connect()) as other, ThreadPoolExecutor(1) as thread:
        other.execute("BEGIN IMMEDIATE")
        work = thread.submit(queue.claim, "w")
        assert queue.counts().pending == 1
        assert not work.done()
        other.execute("UPDATE Uploads SET file_name = 'b.mp3'")
        other.execute("COMMIT")
        claim = work.result(timeout=30)
    assert claim is not None
    assert claim.file_name == "b.mp3"
    queue.close()


# ── the answer to the commit is lost ─────────────────────────────────────────────────────


@pytest.fixture
def behind_proxy(server_backend: Backend) -> Iterator[tuple[DatabaseManager, Proxy]]:
    server = server_backend.server
    assert server is not None
    with proxied(server.host, server.port) as proxy:
        config = server_backend.config | {"port": proxy.port}
        queue = replace(server_backend, config=config).open()
        yield queue, proxy
        queue.close()
    assert proxy.swallowed == 1


def test_a_claim_whose_commit_was_not_confirmed_is_found_and_counted_once(
    behind_proxy: tuple[DatabaseManager, Proxy],
) -> None:
    queue, proxy = behind_proxy
    queue.insert("a", "a.mp3")
    queue.insert("b", "b.mp3")
    proxy.swallow_next_commit()
    claim = taken(queue)
    assert claim.attempt == 1
    assert queue.counts().processing == 1
    queue.renew(claim)
    assert row(queue, claim.upload_id).attempts == 1


@pytest.mark.parametrize("then", [None, "fine"])
def test_a_burial_whose_commit_was_not_confirmed_is_told_of_once(
    behind_proxy: tuple[DatabaseManager, Proxy], server_backend: Backend, then: str | None
) -> None:
    queue, proxy = behind_proxy
    told: list[str] = []
    queue.on_buried = lambda claim, *_: told.append(f"{claim.upload_id} by {claim.worker_id}")
    queue.insert("poison", "poison.mp3")
    taken(queue, "dead")
    server_backend.set("poison", "attempts", "3")
    server_backend.expire("poison")
    if then is not None:
        queue.insert(then, "fine.mp3")
    proxy.swallow_next_commit()
    claim = queue.claim("w")
    assert (claim.upload_id if claim else None) == then
    assert told == ["poison by dead"]


@pytest.mark.parametrize(
    ("write", "status"),
    [
        pytest.param(lambda q, c: q.complete(c, summary()), "completed", id="complete"),
        pytest.param(
            lambda q, c: q.fail(c, error_code="x", error_message="y"), "failed", id="fail"
        ),
        pytest.param(
            lambda q, c: q.retry_later(c, error_code="x", error_message="y", delay_s=9),
            "0",
            id="retry_later",
        ),
        pytest.param(lambda q, c: q.hand_back(c), "0", id="hand_back"),
        pytest.param(lambda q, c: q.renew(c), "processing", id="renew"),
        pytest.param(lambda q, c: q.reserve_output(c, "a"), "processing", id="reserve_output"),
    ],
)
def test_a_write_whose_commit_was_not_confirmed_is_done_once_and_is_no_lost_lease(
    behind_proxy: tuple[DatabaseManager, Proxy], write: Write, status: str
) -> None:
    queue, proxy = behind_proxy
    queue.insert("a", "a.mp3")
    claim = taken(queue)
    proxy.swallow_next_commit()
    write(queue, claim)
    record = row(queue, "a")
    assert record.status == status
    assert len(record.history) == 1


def test_an_insert_whose_commit_was_not_confirmed_is_there_once(
    behind_proxy: tuple[DatabaseManager, Proxy],
) -> None:
    queue, proxy = behind_proxy
    proxy.swallow_next_commit()
    assert queue.insert("a", "a.mp3")
    assert [r["upload_id"] for r in queue.pending()] == ["a"]


def test_a_lease_that_is_lost_is_lost_however_often_the_line_breaks(
    behind_proxy: tuple[DatabaseManager, Proxy], server_backend: Backend
) -> None:
    queue, proxy = behind_proxy
    queue.insert("a", "a.mp3")
    stale = taken(queue)
    server_backend.expire("a")
    proxy.swallow_next_commit()
    taken(queue)
    with pytest.raises(LeaseLost):
        queue.complete(stale, summary())


# ── a connection of which nobody knows where it is ───────────────────────────────────────

HALF_AN_OK = b"\x01\x00\x00\x01\x00"
"""In MySQL's protocol: "fine", and no word of how many rows. The driver's parser trips over it."""


@pytest.fixture
def through_proxy(server_backend: Backend) -> Iterator[tuple[DatabaseManager, Proxy]]:
    server = server_backend.server
    assert server is not None
    with proxied(server.host, server.port) as proxy:
        config = server_backend.config | {"port": proxy.port}
        queue = replace(server_backend, config=config).open(silence_timeout_s=1)
        yield queue, proxy
        queue.close()


def break_off(backend: Backend, proxy: Proxy) -> None:
    """Let the server say nothing on the connections that there are, until the client gives up.

    MySQL's driver gives up by itself; for PostgreSQL's it is the kernel, when nobody
    acknowledges any more, and the connection breaks.
    """
    proxy.fall_silent()
    if backend.db_type == "postgresql":
        proxy.cut()


@pytest.mark.parametrize("late", [False, True])
def test_a_server_that_fell_silent_costs_no_lease(
    through_proxy: tuple[DatabaseManager, Proxy], server_backend: Backend, late: bool
) -> None:
    """Nor may an answer that comes late be taken for that to the next statement."""
    queue, proxy = through_proxy
    queue.insert("a", "a.mp3")
    claim = taken(queue)
    break_off(server_backend, proxy)
    queue.renew(claim)
    assert proxy.kept_back or server_backend.db_type == "postgresql"
    if late:
        proxy.speak_up()
    queue.renew(claim)
    queue.reserve_output(claim, "a")
    assert queue.claim("other") is None
    queue.complete(claim, summary())
    assert row(queue, "a").status == "completed"


def test_an_outage_of_silence_is_over_when_the_server_is_back(
    through_proxy: tuple[DatabaseManager, Proxy], server_backend: Backend
) -> None:
    """Each poll and renewal goes through the connection given back last: it must be a new one."""
    queue, proxy = through_proxy
    queue.insert("a", "a.mp3")
    queue.insert("b", "b.mp3")
    claim = taken(queue)
    break_off(server_backend, proxy)
    with suppress(DatabaseUnavailable):
        queue.ping()
    proxy.speak_up()
    queue.renew(claim)
    queue.hand_back(claim)
    assert taken(queue).upload_id == "a"


def talk_nonsense(backend: Backend, proxy: Proxy) -> None:
    if backend.db_type == "postgresql":  # whose driver checks what it reads, and hangs up
        proxy.cut()
    else:
        proxy.garble_next_answer(HALF_AN_OK)


def test_an_answer_that_makes_no_sense_is_no_lost_lease_and_no_crash(
    through_proxy: tuple[DatabaseManager, Proxy], server_backend: Backend
) -> None:
    queue, proxy = through_proxy
    queue.insert("a", "a.mp3")
    claim = taken(queue)
    uses: list[Callable[[], object]] = [
        lambda: queue.renew(claim),
        lambda: queue.claim("other"),
        queue.ping,
    ]
    for use in uses:
        talk_nonsense(server_backend, proxy)
        use()
    queue.complete(claim, summary())
    assert row(queue, "a").status == "completed"


# ── what is told to people ───────────────────────────────────────────────────────────────


def failing(backend: Backend, **changes: Any) -> DatabaseManager:
    return DatabaseManager(backend.config | changes, backend.db_type)


def test_a_wrong_password_says_so_and_does_not_say_it(server_backend: Backend) -> None:
    queue = failing(server_backend, password="wrong-Geheimnis")
    for ask in (queue.ping, queue.counts, lambda: queue.claim("w"), queue.migrate):
        with pytest.raises(ConfigError, match="check the user and the password") as caught:
            ask()
        chain = f"{caught.value} {caught.value.__cause__} {caught.value.__context__}"
        assert "wrong-Geheimnis" not in chain
        assert server_backend.config["host"] in str(caught.value)
        assert server_backend.config["database"] in str(caught.value)


def test_an_unknown_database_says_so(server_backend: Backend) -> None:
    with pytest.raises(ConfigError, match=r"no such database.*database's name"):
        failing(server_backend, database="nowhere").ping()


def test_a_server_that_is_not_there_is_unavailable(server_backend: Backend) -> None:
    port = free_port()
    queue = failing(server_backend, port=port)
    for ask in (queue.ping, lambda: queue.claim("w"), queue.schema_state):
        with pytest.raises(DatabaseUnavailable, match=f"127.0.0.1:{port}.*cannot be reached"):
            ask()


def test_a_host_that_has_no_address_is_unavailable(server_backend: Backend) -> None:
    with pytest.raises(DatabaseUnavailable, match="check host and port"):
        failing(server_backend, host="no-such-host.invalid").ping()


def test_a_table_that_was_never_made_says_migrate(server_backend: Backend) -> None:
    server = server_backend.server
    assert server is not None
    empty = replace(server_backend, config=server.fresh_database())
    queue = empty.open()
    queue.ping()
    assert queue.schema_state().current is None
    for ask in (lambda: queue.claim("w"), queue.counts, queue.ensure_schema):
        with pytest.raises(ConfigError, match="audio-processor migrate"):
            ask()
    queue.close()


def test_a_user_without_rights_is_told_which(server_backend: Backend) -> None:
    backend = server_backend
    reader = f"reader_{backend.config['database'][-8:]}"
    if backend.db_type == "postgresql":
        backend.sql(f"CREATE USER {reader} PASSWORD 'x'", f"GRANT SELECT ON uploads TO {reader}")
    else:
        backend.sql(
            f"CREATE USER {reader}@'%' IDENTIFIED BY 'x'",
            f"GRANT SELECT ON {backend.config['database']}.Uploads TO {reader}@'%'",
        )
    queue = failing(backend, user=reader, password="x")
    assert queue.counts().pending == 0
    with pytest.raises(ConfigError, match="grant SELECT, INSERT, UPDATE"):
        queue.insert("a", "a.mp3")
    queue.close()


def test_encryption_that_is_asked_for_and_not_to_be_had_is_refused(
    server_backend: Backend, tmp_path: Path
) -> None:
    for options in ({"tls": True}, {"tls": True, "tls_verify": False}):
        with pytest.raises(ConfigError, match="encrypted connection"):
            failing(server_backend, **options).ping()


@pytest.mark.parametrize(
    ("config", "db_type", "message"),
    [
        ({}, "oracle", "db_type is 'oracle'"),
        ({}, "sqlite", r"db_config\['database'\] is missing"),
        ({"database": ":memory:"}, "sqlite", "must be a file"),
        ({"database": "x", "user": "u"}, "mysql", r"db_config\['host'\] is missing"),
        ({"database": "x", "host": "h"}, "mysql", r"db_config\['user'\] is missing"),
        ({"database": "x", "host": "h", "user": "u", "port": "http"}, "mysql", "'port'"),
        ({"database": "x", "host": "h", "user": "u", "pasword": "p"}, "mysql", "'password'"),
        ({"database": "x", "host": "h", "user": "u", "tls": "yes"}, "mysql", "True or False"),
    ],
)
def test_a_configuration_that_cannot_work_names_its_key(
    config: dict[str, Any], db_type: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        DatabaseManager(config, db_type)


def test_making_one_connects_to_nothing() -> None:
    config = {"host": "192.0.2.1", "user": "u", "password": "p", "database": "d", "port": "3306"}
    for db_type in ("mysql", "postgresql"):
        assert "192.0.2.1:3306" in repr(DatabaseManager(config, db_type))


def test_sqlite_says_what_is_wrong_with_its_file(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("this is no database, but it is long enough to look like a header" * 20)
    with pytest.raises(ConfigError, match="no SQLite database"):
        DatabaseManager({"database": str(text)}, "sqlite").ping()
    with pytest.raises(ConfigError, match="cannot be made"):
        DatabaseManager({"database": str(text / "folder" / "x.db")}, "sqlite").ping()
    with pytest.raises(ConfigError, match="cannot be opened"):
        DatabaseManager({"database": str(tmp_path)}, "sqlite").ping()
