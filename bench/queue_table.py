"""A table as production leaves it: mostly completed, and some of everything else.

Filled by the server itself, so that a million rows take a minute. What a load is to claim is
added before it under names of its own, and removed afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from audio_processor.model import Loudness, RenditionSummary, TrackSummary
from tests.queue.backend import Backend
from uploads_queue import history

CHUNK = 50_000
LIVE_LEASES = 256
"""64 workers with four jobs each, whatever the table's size."""
SHARES = """CASE WHEN {n} % 20 = 7 THEN '{other}' ELSE 'track' END"""
HISTORY = (
    '[{"number": 1, "worker_id": "audio-processor-7d9c5b-x2k4q:1a2b3c4d", "started_at":'
    ' "2025-03-01T10:00:00.123456+00:00", "ended_at": "2025-03-01T10:00:41.654321+00:00",'
    ' "outcome": "completed", "error_code": null, "error_message": null}]'
)


@dataclass(frozen=True, slots=True)
class Sql:
    """How one server says what the filling needs; ``n`` is the number of a row."""

    numbers: str
    upload_id: str
    text: str
    uploaded: str
    """Over the last two years, in no order that the key would know of."""
    now: str
    lease: str
    backoff: str
    settle: tuple[str, ...]
    """What makes the table as it is some time after: vacuumed, with statistics."""
    quick: tuple[str, ...]
    """So that filling does not wait for the disk."""


POSTGRESQL = Sql(
    numbers="generate_series({first}, {last}) AS numbers (n)",
    upload_id="md5(n::text)::uuid::text",
    text="n::text",
    uploaded="localtimestamp - interval '1 minute' - (n * 7919::bigint % 63072000)"
    " * interval '1 second'",
    now="localtimestamp",
    lease="clock_timestamp() + interval '1 hour'",
    backoff="clock_timestamp() + interval '1 hour'",
    settle=("VACUUM (ANALYZE) Uploads",),
    quick=("SET synchronous_commit = off",),
)
MARIADB = Sql(
    numbers="(SELECT seq AS n FROM seq_{first}_to_{last}) AS numbers",
    upload_id="insert(insert(insert(insert(md5(n), 9, 0, '-'), 14, 0, '-'), 19, 0, '-'), 24, 0,"
    " '-')",
    text="n",
    uploaded="localtimestamp - interval 1 minute - interval (n * 7919 % 63072000) second",
    now="localtimestamp",
    lease="utc_timestamp(6) + interval 1 hour",
    backoff="utc_timestamp(6) + interval 1 hour",
    settle=("ANALYZE TABLE Uploads",),
    quick=("SET SESSION unique_checks = 0",),
)
SQL = {"postgresql": POSTGRESQL, "mysql": MARIADB}
Told = Callable[[int], None]


def fill(backend: Backend, first: int, last: int, told: Told = lambda _: None) -> None:
    """Add the rows numbered ``first`` to ``last``: the first ones are those in work."""
    for start in range(first, last + 1, CHUNK):
        end = min(last, start + CHUNK - 1)
        _insert(backend, start, end)
        told(end - start + 1)
    settle(backend)


def settle(backend: Backend) -> None:
    """Let the server do what it does in a quiet hour."""
    backend.sql(*SQL[backend.db_type].settle)


def _insert(backend: Backend, first: int, last: int) -> None:
    sql = SQL[backend.db_type]
    # five in a hundred are no tracks and stay '0' for ever; of a thousand tracks twenty failed
    # and one is backing off
    status = (
        f"CASE WHEN n % 20 = 7 THEN '0' WHEN n <= {_in_work()} THEN 'processing'"
        " WHEN n % 50 = 3 THEN 'failed' WHEN n % 1000 = 1 THEN '0' ELSE 'completed' END"
    )
    completed = "CASE WHEN status = 'completed' THEN {} END"
    rows = (
        f"SELECT n, {sql.upload_id} AS id, {status} AS status,"
        f" CASE WHEN n % 20 = 7 THEN 'image' ELSE 'track' END AS kind, {sql.uploaded} AS uploaded"
        f" FROM {sql.numbers.format(first=first, last=last)}"
    )
    backend.sql(
        *sql.quick,
        "INSERT INTO Uploads (upload_id, file_name, upload_type, processing_status, uploaded_at,"
        " error_message, error_code, attempts, lease_token, lease_expires_at, worker_id,"
        " available_at, started_at, completed_at, output_key, result, history)"
        f" SELECT id, concat('Some Artist - Track ', {sql.text}, '.mp3'), kind, status, uploaded,"
        " CASE WHEN status = 'failed' THEN 'The file ends before its declared length.' END,"
        " CASE WHEN status = 'failed' THEN 'corrupt_media' END,"
        " CASE WHEN kind = 'track' THEN 1 ELSE 0 END,"
        " CASE WHEN kind = 'track' THEN md5(id) END,"
        f" CASE WHEN status = 'processing' THEN {sql.lease} END,"
        " CASE WHEN kind = 'track' THEN 'audio-processor-7d9c5b-x2k4q:1a2b3c4d' END,"
        f" CASE WHEN status = '0' AND kind = 'track' THEN {sql.backoff} END,"
        f" CASE WHEN kind = 'track' THEN {sql.now} END, {completed.format(sql.now)},"
        f" {completed.format(_concat(sql, 'Some Artist - Track '))},"
        f" {completed.format(_quoted(a_result()))},"
        f" CASE WHEN kind = 'track' THEN {_quoted(HISTORY)} END"
        f" FROM ({rows}) AS filling",
    )


def _in_work() -> int:
    return LIVE_LEASES * 20 // 19  # one in twenty is an image


def _concat(sql: Sql, prefix: str) -> str:
    return f"concat('{prefix}', {sql.text})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''").replace("%", "%%") + "'"


def a_result() -> str:
    """Return what a completed track's row has of it."""
    source = Loudness(-9.7, 5.5, 0.4, 0.0, -6.1, -7.2)
    tiers = tuple(
        RenditionSummary(tier, -14.04, -1.53, 5.41, 200.52, 54_321, 1, None)
        for tier in ("low", "med", "high", "m4a")
    )
    return history.dump_summary(TrackSummary("track", 200.5, source, "static", -4.3, None, tiers))


def supply(backend: Backend, run: str, tracks: int) -> None:
    """Add pending tracks, uploaded just now one after the other, named ``<run>-<number>``."""
    sql = SQL[backend.db_type]
    micro = "interval '1 microsecond' * n" if backend.db_type == "postgresql" else "interval 0 day"
    backend.sql(
        *sql.quick,
        "INSERT INTO Uploads (upload_id, file_name, uploaded_at)"
        f" SELECT concat('{run}-', {_padded(backend)}), concat('{run} ', {sql.text}, '.mp3'),"
        f" {sql.now} + {micro} FROM {sql.numbers.format(first=1, last=tracks)}",
    )


def abandon(backend: Backend, run: str, tracks: int) -> None:
    """Let the workers of so many of the run's tracks have vanished in their first attempt."""
    expired = backend.now(-60)
    backend.sql(
        f"UPDATE Uploads SET processing_status = 'processing', attempts = 1, lease_token = 'gone',"
        f" worker_id = 'gone', lease_expires_at = {expired} WHERE upload_id LIKE '{run}-%'"
        f" AND upload_id <= '{run}-{tracks:08d}'"
    )


def _padded(backend: Backend) -> str:
    return "lpad(n::text, 8, '0')" if backend.db_type == "postgresql" else "lpad(n, 8, '0')"


def remove(backend: Backend, run: str) -> None:
    """Remove what the run was given, claimed or not."""
    backend.sql(f"DELETE FROM Uploads WHERE upload_id LIKE '{run}-%'")


@dataclass(frozen=True, slots=True)
class Held:
    """What the table says of a run, behind the queue's back."""

    claims: int
    """Attempts begun by the run's workers."""
    tokens: int
    rows: int


def held(backend: Backend, run: str, abandoned: int = 0) -> Held:
    """Count what the table has of the run's claims; those abandoned had one attempt before."""
    rows = backend.sql(
        "SELECT coalesce(sum(attempts), 0), count(DISTINCT lease_token), count(*) FROM Uploads"
        f" WHERE upload_id LIKE '{run}-%' AND attempts > 0 AND lease_token <> 'gone'"
    )
    attempts, tokens, count = (int(value) for value in rows[0])
    return Held(attempts - abandoned, tokens, count)


def sizes(backend: Backend) -> dict[str, float]:
    """Return MiB of the table and of each index."""
    mib = 2**20
    if backend.db_type == "postgresql":
        rows = backend.sql(
            "SELECT relname, pg_relation_size(oid) FROM pg_class WHERE relname = 'uploads'"
            " OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'uploads'::regclass)"
        )
        return {str(name): round(size / mib, 1) for name, size in rows}
    rows = backend.sql(
        "SELECT index_name, stat_value * @@innodb_page_size FROM mysql.innodb_index_stats"
        " WHERE database_name = database() AND table_name = 'Uploads' AND stat_name = 'size'"
    )
    return {str(name): round(float(size) / mib, 1) for name, size in rows}


PROCEDURES: dict[str, str] = {
    "postgresql": """CREATE OR REPLACE PROCEDURE live(run text, cycles int) LANGUAGE plpgsql AS $$
        DECLARE id text;
        BEGIN
            SET LOCAL synchronous_commit = off;
            FOR n IN 1 .. cycles LOOP
                id := run || '-' || lpad(n::text, 8, '0');
                INSERT INTO uploads (upload_id, file_name, uploaded_at)
                    VALUES (id, id || '.mp3', localtimestamp - interval '1 day');
                COMMIT;
                UPDATE uploads SET processing_status = 'processing', attempts = 1,
                    lease_token = md5(id), lease_expires_at = clock_timestamp()
                    - interval '1 day' WHERE upload_id = id;
                UPDATE uploads SET lease_expires_at = clock_timestamp() - interval '1 day'
                    WHERE upload_id = id;
                COMMIT;
                UPDATE uploads SET processing_status = 'completed', lease_expires_at = NULL,
                    result = '{}', history = '[]', output_key = id WHERE upload_id = id;
                COMMIT;
            END LOOP;
        END $$""",
    "mysql": """CREATE OR REPLACE PROCEDURE live(run text, cycles int)
        BEGIN
            DECLARE n int DEFAULT 1;
            DECLARE id varchar(255);
            WHILE n <= cycles DO
                SET id = concat(run, '-', lpad(n, 8, '0'));
                INSERT INTO Uploads (upload_id, file_name, uploaded_at)
                    VALUES (id, concat(id, '.mp3'), localtimestamp - interval 1 day);
                UPDATE Uploads SET processing_status = 'processing', attempts = 1,
                    lease_token = md5(id), lease_expires_at = utc_timestamp(6)
                    - interval 1 day WHERE upload_id = id;
                UPDATE Uploads SET lease_expires_at = utc_timestamp(6) - interval 1 day
                    WHERE upload_id = id;
                UPDATE Uploads SET processing_status = 'completed', lease_expires_at = NULL,
                    result = '{}', history = '[]', output_key = id WHERE upload_id = id;
                SET n = n + 1;
            END WHILE;
        END""",
}


def live(backend: Backend, run: str, cycles: int) -> None:
    """Let so many tracks be uploaded, claimed, renewed and completed, a commit each.

    In the server, so that a hundred thousand take seconds; the row versions and index entries
    that they leave behind are those that workers leave.
    """
    quick = (
        ()
        if backend.db_type == "postgresql"
        else ("SET GLOBAL innodb_flush_log_at_trx_commit = 2",)
    )
    slow = (
        ()
        if backend.db_type == "postgresql"
        else ("SET GLOBAL innodb_flush_log_at_trx_commit = 1",)
    )
    backend.sql(PROCEDURES[backend.db_type], *quick, f"CALL live('{run}', {cycles})", *slow)


def row_count(backend: Backend) -> int:
    """Return how many rows there are."""
    rows: list[tuple[Any, ...]] = backend.sql("SELECT count(*) FROM Uploads")
    return int(rows[0][0])
