"""The schema in steps: from nothing or from the customer's ``Uploads`` table, up and down.

``upgrade`` and ``downgrade`` run Alembic in this process. They may be called by any number of
processes and threads at once: one works, the others wait and find nothing left to do.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, text

from audio_processor.errors import DatabaseUnavailable
from uploads_queue.connect import MIGRATING, for_writing, open_engine
from uploads_queue.faults import FOREIGN, Kind, translate, understand
from uploads_queue.place import Place

if TYPE_CHECKING:
    from alembic.config import Config

LOCK_NAME = "audio_processor_migrate"
LOCK_WAIT_S = 900.0
"""Building the indexes of a very large table, by the one who got here first."""
POLL_S = 0.5
MAX_TRIES = 5
RETRY_S = 2.0
REPEATED = {Kind.CONFLICT, Kind.LOCKED}

log = logging.getLogger(__name__)
_one_at_a_time = threading.Lock()
"""Alembic keeps its context in module globals."""


def upgrade(place: Place, revision: str = "head") -> None:
    """Bring the database up to the revision. Raises ``DatabaseUnavailable``, ``ConfigError``."""
    from alembic import command

    _migrate(place, lambda config: command.upgrade(config, revision))


def downgrade(place: Place, revision: str = "base") -> None:
    """Take the database back: our columns and indexes go, the table and its rows stay."""
    from alembic import command

    _migrate(place, lambda config: command.downgrade(config, revision))


def configuration(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration, found beside this file whatever the working directory."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _migrate(place: Place, step: Callable[[Config], None]) -> None:
    engine = open_engine(place, pool_size=1, patience=MIGRATING)
    try:
        with _one_at_a_time:
            for attempt in range(1, MAX_TRIES + 1):
                try:
                    return _locked(engine, step)
                except FOREIGN as error:
                    # a table lock not had in time, or two index builds that met
                    if attempt == MAX_TRIES or understand(error).kind not in REPEATED:
                        raise translate(error, place) from error
                    log.info("migration repeated: the table is busy, try %d", attempt)
                    time.sleep(RETRY_S)
    finally:
        engine.dispose()


def _locked(engine: Engine, step: Callable[[Config], None]) -> None:
    # on SQLite the transaction that all of it runs in is the lock
    with for_writing(engine).connect() as connection, _lock(connection):
        step(configuration(connection))
        connection.commit()


@contextmanager
def _lock(connection: Connection) -> Iterator[None]:
    """Hold the lock of the session, which outlives the transactions inside."""
    match connection.dialect.name:
        case "postgresql":
            take, give = (
                "pg_try_advisory_lock(hashtext(:name))",
                "pg_advisory_unlock(hashtext(:name))",
            )
        case "mysql":
            take, give = "GET_LOCK(:name, 0)", "RELEASE_LOCK(:name)"
        case _:
            yield
            return
    # MySQL's are the server's, PostgreSQL's the database's; MySQL takes at most 64 characters
    database = hashlib.sha256(str(connection.engine.url.database).encode()).hexdigest()[:16]
    name = {"name": f"{LOCK_NAME}_{database}"}
    deadline = time.monotonic() + LOCK_WAIT_S
    # asked for again and again rather than waited for: CREATE INDEX CONCURRENTLY waits for
    # every open transaction, also for one that waits for this lock
    while not _ask(connection, take, name):
        if time.monotonic() > deadline:
            raise DatabaseUnavailable(
                f"Another migration has been running for {LOCK_WAIT_S:.0f} s."
            )
        time.sleep(POLL_S)
    try:
        yield
    finally:
        if not connection.invalidated:
            connection.rollback()
            _ask(connection, give, name)


def _ask(connection: Connection, function: str, name: dict[str, str]) -> bool:
    answer = connection.execute(text(f"SELECT {function}"), name).scalar()
    connection.commit()
    return bool(answer)
