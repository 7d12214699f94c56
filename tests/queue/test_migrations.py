"""The schema is an artefact of its own: from nothing or the customer's table, up and down."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

import migrations
from audio_processor.errors import ConfigError, DatabaseUnavailable, NameRejected
from tests.queue.backend import CUSTOMERS_TABLE, Backend, row, summary, taken
from tests.queue.conftest import ENGINES, fresh_backend
from tests.servers.database import DatabaseServer
from uploads_queue.connect import Patience, open_engine
from uploads_queue.place import read_config
from uploads_queue.schema import HEAD, VERSION_TABLE, table_name, uploads

ROOT = Path(__file__).parents[2]
CUSTOMERS_COLUMNS = [
    *("upload_id", "file_name", "upload_type", "processing_status", "uploaded_at"),
    "error_message",
]
ROWS = (
    "INSERT INTO Uploads (upload_id, file_name) VALUES ('p', 'pending.mp3')",
    "INSERT INTO Uploads (upload_id, file_name, processing_status, error_message)"
    " VALUES ('f', 'failed.mp3', 'failed', 'it''s broken')",
    "INSERT INTO Uploads (upload_id, file_name, processing_status) VALUES ('d', 'd.mp3',"
    " 'completed')",
    "INSERT INTO Uploads (upload_id, file_name, upload_type) VALUES ('i', 'i.png', 'image')",
)
READ = f"SELECT {', '.join(CUSTOMERS_COLUMNS)} FROM Uploads ORDER BY upload_id"


@pytest.fixture(params=ENGINES)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """A database with nothing in it."""
    backend = fresh_backend(request, request.param, tmp_path)
    if backend.server is None:
        Path(backend.config["database"]).parent.mkdir()
    yield backend
    if backend.server is not None:
        name = backend.config["database"]
        home = backend.server.config(backend.server.home)
        backend.server.sql(home, f"DROP DATABASE {name}")


@pytest.fixture(params=["from nothing", "from the customer's table"])
def start(request: pytest.FixtureRequest, empty: Backend) -> Backend:
    """Where a migration may start."""
    if request.param != "from nothing":
        empty.sql(CUSTOMERS_TABLE, *ROWS)
    return empty


def upgrade(backend: Backend) -> None:
    migrations.upgrade(read_config(backend.config, backend.db_type))


def downgrade(backend: Backend, revision: str = "base") -> None:
    migrations.downgrade(read_config(backend.config, backend.db_type), revision)


def reflected(backend: Backend) -> tuple[list[Any], list[str], set[str | None]]:
    """How the table differs from the model; its columns; its indexes."""
    engine = open_engine(
        read_config(backend.config, backend.db_type), pool_size=1, patience=Patience()
    )
    options = {
        "version_table": VERSION_TABLE,
        "compare_type": True,
        "compare_server_default": True,
    }
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        metadata = uploads(backend.db_type).metadata
        inspector = inspect(connection)
        name = table_name(backend.db_type)
        columns = [column["name"] for column in inspector.get_columns(name)]
        indexes = {index["name"] for index in inspector.get_indexes(name)}
        differences = [
            one for one in compare_metadata(context, metadata) if not _is_sqlites_null_key(one)
        ]
    engine.dispose()
    return differences, columns, indexes


def rows_if_any(backend: Backend) -> list[tuple[Any, ...]]:
    """The table's rows, or none where there is no table."""
    engine = open_engine(
        read_config(backend.config, backend.db_type), pool_size=1, patience=Patience()
    )
    there = inspect(engine).has_table(table_name(backend.db_type))
    engine.dispose()
    return backend.sql(READ) if there else []


def _is_sqlites_null_key(difference: Any) -> bool:
    """SQLite alone lets the customer's primary key be NULL; their column is not ours to alter."""
    return isinstance(difference, list) and difference[0][:4] == (
        *("modify_nullable", None, "Uploads", "upload_id"),
    )


def test_up_down_and_up_again_leaves_model_and_schema_equal_and_rows_alone(
    start: Backend,
) -> None:
    before = rows_if_any(start)
    upgrade(start)
    upgrade(start)
    differences, columns, _ = reflected(start)
    assert differences == []
    assert columns[:6] == CUSTOMERS_COLUMNS
    assert start.sql(READ) == before
    downgrade(start)
    _, columns, indexes = reflected(start)
    assert columns == CUSTOMERS_COLUMNS
    assert not {i for i in indexes if i and "uploads" in i}
    assert start.sql(READ) == before
    upgrade(start)
    assert reflected(start)[0] == []
    assert start.sql(READ) == before


def test_each_step_goes_down_and_up(empty: Backend) -> None:
    empty.sql(CUSTOMERS_TABLE)
    upgrade(empty)
    downgrade(empty, "0001")
    assert empty.open(auto_migrate=False).schema_state().current == "0001"
    assert reflected(empty)[0] != []
    upgrade(empty)
    assert reflected(empty)[0] == []


def test_the_customers_rows_are_processed_and_an_old_client_goes_on(empty: Backend) -> None:
    empty.sql(CUSTOMERS_TABLE, *ROWS)
    queue = empty.open()
    assert queue.migrate() == (None, HEAD)
    assert queue.migrate() == (HEAD, HEAD)
    assert [r["upload_id"] for r in queue.pending()] == ["p"]
    assert queue.failed_ids() == ["f"]
    failed = row(queue, "f")
    assert (failed.attempts, failed.error_message) == (0, "it's broken")
    empty.sql("INSERT INTO Uploads (upload_id, file_name) VALUES ('new', 'new.mp3')")
    empty.set("p", "uploaded_at", "'2020-01-01 00:00:00'")
    for upload_id in ("p", "new"):
        claim = taken(queue)
        assert claim.upload_id == upload_id
        queue.reserve_output(claim, upload_id)
        queue.complete(claim, summary())
    assert queue.claim("w") is None
    queue.close()


def test_a_migration_under_the_feet_of_a_running_worker_takes_nothing_from_it(
    empty: Backend,
) -> None:
    upgrade(empty)
    queue = empty.open()
    queue.insert("a", "a.mp3")
    claim = taken(queue)
    downgrade(empty, "0001")
    upgrade(empty)
    queue.renew(claim)
    queue.complete(claim, summary())
    assert row(queue, "a").status == "completed"
    queue.close()


def test_no_track_is_claimed_on_the_table_of_the_version_before(empty: Backend) -> None:
    """On PostgreSQL the claim would work there, and read every row that there ever was."""
    empty.sql(CUSTOMERS_TABLE, *ROWS)
    migrations.upgrade(read_config(empty.config, empty.db_type), "0003")
    queue = empty.open(auto_migrate=False)
    for upload_id in (None, "p"):
        with pytest.raises(ConfigError, match="run: audio-processor migrate"):
            queue.claim("w", upload_id=upload_id)
    assert row(queue, "p").status == "0"
    upgrade(empty)
    assert taken(queue).upload_id == "p"
    queue.close()


def test_a_worker_works_on_where_a_newer_version_has_migrated(empty: Backend) -> None:
    empty.sql(CUSTOMERS_TABLE, *ROWS)
    upgrade(empty)
    empty.sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    queue = empty.open()
    assert taken(queue).upload_id == "p"
    queue.close()
    assert empty.sql(f"SELECT version_num FROM {VERSION_TABLE}") == [("9999",)]


def test_the_mastering_column_comes_to_rows_of_the_version_before(empty: Backend) -> None:
    """Rows with leases and results of 0002, then up, down and up."""
    empty.sql(CUSTOMERS_TABLE, *ROWS)
    migrations.upgrade(read_config(empty.config, empty.db_type), "0002")
    empty.sql(
        "UPDATE Uploads SET attempts = 2, error_code = 'corrupt_media' WHERE upload_id = 'f'",
        "UPDATE Uploads SET output_key = 'd', result = '{}' WHERE upload_id = 'd'",
    )
    theirs = "SELECT upload_id, attempts, error_code, output_key, result FROM Uploads ORDER BY 1"
    before = empty.sql(theirs)
    upgrade(empty)
    assert reflected(empty)[0] == []
    assert empty.sql(theirs) == before
    queue = empty.open()
    assert row(queue, "f").mastering is None
    empty.set("p", "mastering", "'warm'")
    assert taken(queue).mastering == "warm"
    queue.close()
    downgrade(empty, "0002")
    assert "mastering" not in reflected(empty)[1]
    assert [r[0] for r in empty.sql(theirs)] == [r[0] for r in before]
    upgrade(empty)
    assert empty.sql("SELECT DISTINCT mastering FROM Uploads") == [(None,)]


def test_many_processes_migrate_at_once_from_any_folder(start: Backend, tmp_path: Path) -> None:
    code = (
        "import sys, json\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from database_manager import DatabaseManager\n"
        f"DatabaseManager({start.config!r}, {start.db_type!r}).migrate()\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()
    assert reflected(start)[0] == []
    assert start.sql(f"SELECT version_num FROM {VERSION_TABLE}") == [(HEAD,)]


def test_on_sqlite_all_steps_are_one_transaction(tmp_path: Path) -> None:
    """Nobody gets in between two steps, and one that fails takes those before it along."""
    backend = Backend("sqlite", {"database": str(tmp_path / "q.db")})
    everything = "SELECT name, sql FROM sqlite_master ORDER BY name"
    # the last step's index, of another table
    others = ("CREATE TABLE theirs (x INTEGER)", "CREATE INDEX ix_uploads_lease ON theirs (x)")
    backend.sql(CUSTOMERS_TABLE, *others)
    before = backend.sql(everything)
    with pytest.raises(DatabaseUnavailable, match="ix_uploads_lease"):
        upgrade(backend)
    assert backend.sql(everything) == before
    backend.sql("DROP TABLE theirs")
    upgrade(backend)
    assert reflected(backend)[0] == []


def test_a_migration_that_was_cut_short_is_finished(empty: Backend) -> None:
    """On MySQL, DDL is not in a transaction: columns may be there and no word of it."""
    upgrade(empty)
    empty.sql(f"DROP TABLE {VERSION_TABLE}")
    on = " ON Uploads" if empty.db_type == "mysql" else ""
    empty.sql(f"DROP INDEX ix_uploads_claim{on}")
    assert not empty.open(auto_migrate=False).schema_state().up_to_date
    upgrade(empty)
    assert reflected(empty)[0] == []


def test_a_concurrent_index_build_that_broke_off_is_done_again(
    postgres_server: DatabaseServer,
) -> None:
    """PostgreSQL leaves an index behind that is written to and never read."""
    backend = Backend("postgresql", postgres_server.fresh_database(), postgres_server)
    upgrade(backend)
    backend.sql(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_uploads_claim'::regclass",
        f"UPDATE {VERSION_TABLE} SET version_num = '0001'",
    )
    upgrade(backend)
    assert backend.sql("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]
    assert reflected(backend)[0] == []


def test_columns_of_the_customers_own_are_never_taken_for_ours(empty: Backend) -> None:
    empty.sql(
        CUSTOMERS_TABLE,
        "ALTER TABLE Uploads ADD COLUMN attempts INTEGER",
        "ALTER TABLE Uploads ADD COLUMN artist TEXT",
        *ROWS,
    )
    before = empty.sql("SELECT * FROM Uploads ORDER BY upload_id")
    with pytest.raises(ConfigError, match="columns of its own named attempts"):
        upgrade(empty)
    assert empty.sql("SELECT * FROM Uploads ORDER BY upload_id") == before


@pytest.mark.parametrize(
    ("column", "value"),
    [("TEXT", "'Abbey Road'"), ("INTEGER", "NULL"), ("TEXT NOT NULL", "'x'")],
)
def test_a_mastering_column_of_the_customers_own_is_not_taken_for_ours(
    empty: Backend, column: str, value: str
) -> None:
    empty.sql(
        CUSTOMERS_TABLE,
        f"ALTER TABLE Uploads ADD COLUMN mastering {column}"
        + (" DEFAULT 'x'" if "NOT NULL" in column and empty.db_type != "mysql" else ""),
        *(
            statement.replace("(upload_id", "(mastering, upload_id").replace(
                "VALUES (", f"VALUES ({value}, "
            )
            for statement in ROWS
        ),
    )
    before = empty.sql("SELECT upload_id, mastering FROM Uploads ORDER BY upload_id")
    with pytest.raises(ConfigError, match="column of its own named mastering"):
        upgrade(empty)
    assert empty.sql("SELECT upload_id, mastering FROM Uploads ORDER BY upload_id") == before


def test_a_column_of_the_customers_own_stays(empty: Backend) -> None:
    empty.sql(CUSTOMERS_TABLE, "ALTER TABLE Uploads ADD COLUMN artist TEXT", *ROWS)
    upgrade(empty)
    downgrade(empty)
    assert reflected(empty)[1] == [*CUSTOMERS_COLUMNS, "artist"]


def test_the_customers_own_alembic_is_left_alone(empty: Backend) -> None:
    empty.sql(
        CUSTOMERS_TABLE,
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
        "INSERT INTO alembic_version VALUES ('theirs')",
    )
    upgrade(empty)
    assert empty.sql("SELECT version_num FROM alembic_version") == [("theirs",)]


@pytest.fixture(params=["postgresql", "mariadb"])
def latin1(request: pytest.FixtureRequest) -> Backend:
    """A customer's table in a character set of the last century."""
    name, options = {
        "postgresql": ("postgres_server", "ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"),
        "mariadb": ("mariadb_server", "CHARACTER SET latin1"),
    }[request.param]
    server: DatabaseServer = request.getfixturevalue(name)
    backend = Backend(server.db_type, server.fresh_database(options), server)
    backend.sql(CUSTOMERS_TABLE)
    upgrade(backend)
    return backend


def test_a_table_in_an_old_character_set_still_takes_every_outcome(latin1: Backend) -> None:
    queue = latin1.open()
    queue.insert("a", "é.mp3")
    claim = taken(queue, "wörker 🎧")
    assert claim.file_name == "é.mp3"
    if latin1.db_type == "mysql":  # whose key is bytes
        queue.reserve_output(claim, "曲🎵")
        assert row(queue, "a").output_key == "曲🎵"
    else:
        with pytest.raises(NameRejected):
            queue.reserve_output(claim, "曲🎵")
    queue.fail(claim, error_code="corrupt_media", error_message="曲🎵 is broken" + "é🎵" * 4000)
    record = row(queue, "a")
    assert record.status == "failed"
    assert record.error_message is not None
    assert record.error_message.startswith("\\u66f2\\U0001f3b5 is broken")
    assert (record.history[-1].error_message or "").startswith("曲🎵 is broken")
    queue.close()


def test_what_an_old_character_set_cannot_hold_is_not_there(latin1: Backend) -> None:
    queue = latin1.open()
    queue.insert("a", "a.mp3")
    assert queue.find("🎵.mp3") is None
    assert queue.find_by_file_name("🎵.mp3") is None
    assert queue.claim("w", upload_id="🎵") is None
    assert not queue.reset("🎵")
    assert not queue.file_needed_elsewhere("a", "🎵.mp3")
    for upload_id, file_name in (("b", "🎵.mp3"), ("🎵", "b.mp3")):
        with pytest.raises(NameRejected, match="cannot hold"):
            queue.insert(upload_id, file_name)
    assert taken(queue).upload_id == "a"
    queue.close()


def test_sqlite_makes_its_file_and_table_on_first_use(tmp_path: Path) -> None:
    backend = Backend("sqlite", {"database": str(tmp_path / "data" / "deep" / "q.db")})
    queue = backend.open()
    assert queue.insert("a", "a.mp3")
    assert queue.schema_state().up_to_date
    queue.close()
    strict = replace(backend, config={"database": str(tmp_path / "other.db")}).open(
        auto_migrate=False
    )
    with pytest.raises(ConfigError, match="audio-processor migrate"):
        strict.counts()
    strict.close()


def test_the_head_that_is_asked_for_is_the_newest_step() -> None:
    assert ScriptDirectory.from_config(migrations.configuration()).get_heads() == [HEAD]


def storage_parameters(backend: Backend) -> dict[str, str]:
    rows = backend.sql(
        "SELECT unnest(reloptions) FROM pg_class WHERE oid = 'uploads'::regclass ORDER BY 1"
    )
    return dict(option.split("=") for (option,) in rows)


def test_postgresql_is_told_to_vacuum_a_queue_often_and_the_customers_word_stands(
    postgres_server: DatabaseServer,
) -> None:
    backend = Backend("postgresql", postgres_server.fresh_database(), postgres_server)
    theirs = {"autovacuum_vacuum_threshold": "77", "fillfactor": "80"}
    settings = ", ".join(f"{key} = {value}" for key, value in theirs.items())
    backend.sql(CUSTOMERS_TABLE, f"ALTER TABLE uploads SET ({settings})")
    upgrade(backend)
    told = storage_parameters(backend)
    assert told == theirs | {
        "autovacuum_vacuum_scale_factor": "0.01",
        "vacuum_index_cleanup": "on",
    }
    upgrade(backend)
    assert storage_parameters(backend) == told
    downgrade(backend, "0003")
    assert storage_parameters(backend) == theirs


def test_the_indexes_of_the_claim_come_to_a_table_in_use_and_are_rebuilt_where_broken(
    postgres_server: DatabaseServer,
) -> None:
    backend = Backend("postgresql", postgres_server.fresh_database(), postgres_server)
    backend.sql(CUSTOMERS_TABLE, *ROWS)
    migrations.upgrade(read_config(backend.config, backend.db_type), "0003")
    upgrade(backend)
    backend.sql(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_uploads_lease'::regclass",
        f"UPDATE {VERSION_TABLE} SET version_num = '0003'",
    )
    upgrade(backend)
    assert backend.sql("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]
    assert reflected(backend)[0] == []
    queue = backend.open()
    assert taken(queue).upload_id == "p"
    queue.close()
