"""From a place to a connection pool, with what each database must be told first."""

from __future__ import annotations

import math
import os
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from audio_processor.errors import ConfigError
from uploads_queue.faults import TLS, Kind, is_from_server, understand
from uploads_queue.place import Place

POOL_TIMEOUT_S = 15
PING_AFTER_S = 15.0
"""Idle for so long, a connection is asked whether it is still there before it is used."""
RECYCLE_S = 1800
"""Shorter than the idle time after which proxies and servers hang up."""
SYSTEM_CA_FILE = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"

IDLE_SINCE, UNLIMITED = "idle_since", "has_no_lock_timeout_yet"
"""Kept beside a connection."""

DRIVERS = {
    "mysql": "mysql+mysqlconnector",  # also against MariaDB; mariadb+… refuses MySQL
    "postgresql": "postgresql+psycopg2",
    "sqlite": "sqlite+pysqlite",
}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for what; whole seconds, since the drivers know no parts of one."""

    connect_s: int = 10
    lock_s: int = 10
    """For a row (SQLite: the file) that another transaction holds."""
    silence_s: int | None = 30
    """A connection that says nothing for so long is dead: well inside a lease of 90 s."""


MIGRATING = Patience(silence_s=None)
"""Building an index takes as long as it takes."""


def open_engine(place: Place, *, pool_size: int, patience: Patience) -> Engine:
    """Return a lazily connecting pool of up to ``2 × pool_size`` connections."""
    engine = create_engine(
        _url(place),
        connect_args=_connect_args(place, patience),
        hide_parameters=True,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=POOL_TIMEOUT_S,
        pool_recycle=RECYCLE_S,
        pool_use_lifo=True,  # few connections in use stay few, and the rest may be dropped
        # every transaction here ends before its connection is given back: a further ROLLBACK
        # would be a round trip for nothing (psycopg2 knows, and sends none)
        pool_reset_on_return=None if place.dialect == "mysql" else "rollback",
        # under REPEATABLE READ, MySQL's default, a claim would lock the gaps between rows,
        # and inserts and other claims would wait for them
        isolation_level="READ COMMITTED" if place.dialect != "sqlite" else None,
    )
    if place.dialect == "sqlite":
        _prepare_sqlite(engine, place)
    else:
        _log_in(engine, place)
        _ping_what_was_idle(engine)
        _drop_what_is_in_doubt(engine)
    if place.dialect == "mysql" and place.tls.required:
        _insist_on_tls(engine, place)
    if place.dialect == "postgresql" and patience.silence_s is not None:
        _limit_lock_waits(engine, patience.lock_s)
    return engine


def for_writing(engine: Engine) -> Engine:
    """Return the same pool for transactions that will write."""
    return engine.execution_options(writes=True)


def _url(place: Place) -> URL:
    if place.dialect == "sqlite":
        return URL.create(DRIVERS["sqlite"], database=str(Path(place.database).expanduser()))
    return URL.create(
        DRIVERS[place.dialect],
        username=place.user,
        host=place.host or None,
        port=place.port if place.unix_socket is None else None,
        database=place.database,
    )


def _connect_args(place: Place, patience: Patience) -> dict[str, Any]:
    match place.dialect:
        case "mysql":
            args = _mysql_args(place, patience)
        case "postgresql":
            args = _postgresql_args(place, patience)
        case _:
            args = {"timeout": patience.lock_s}
    return {key: value for key, value in args.items() if value is not None}


def _mysql_args(place: Place, patience: Patience) -> dict[str, Any]:
    tls = place.tls
    verified = tls.required and tls.verify
    return {
        "charset": "utf8mb4",
        "collation": "utf8mb4_general_ci",  # MariaDB has no utf8mb4_0900_ai_ci
        "connection_timeout": patience.connect_s,
        "read_timeout": patience.silence_s,
        "write_timeout": patience.silence_s,
        "init_command": (
            f"SET SESSION time_zone = '+00:00', innodb_lock_wait_timeout = {patience.lock_s}"
        ),
        "ssl_ca": (tls.ca_file or SYSTEM_CA_FILE) if verified else None,
        "ssl_cert": tls.cert_file,
        "ssl_key": tls.key_file,
        "ssl_verify_cert": verified or None,
        "ssl_verify_identity": verified or None,
        "unix_socket": place.unix_socket,
    }


def _postgresql_args(place: Place, patience: Patience) -> dict[str, Any]:
    tls = place.tls
    verified = tls.required and tls.verify
    silence_s = patience.silence_s or 60
    return {
        "application_name": "audio-processor",
        "client_encoding": "utf8",  # else the database's own, which may not hold what we ask
        "connect_timeout": patience.connect_s,
        # a statement may be long; only a peer that does not even acknowledge is dead
        "keepalives_idle": max(1, silence_s // 3),
        "keepalives_interval": max(1, silence_s // 3),
        "keepalives_count": 2,
        "tcp_user_timeout": silence_s * 1000,
        "sslmode": "verify-full" if verified else "require" if tls.required else None,
        # not "system": the wheel's OpenSSL looks for that where it was built
        "sslrootcert": (tls.ca_file or SYSTEM_CA_FILE) if verified else None,
        "sslcert": tls.cert_file,
        "sslkey": tls.key_file,
        "host": place.unix_socket,
    }


def _limit_lock_waits(engine: Engine, lock_s: int) -> None:
    """LOCAL, so that behind a transaction pooler no other client inherits the limit.

    Before the transaction's first statement and in one message with it.
    """

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.info[UNLIMITED] = connection.get_execution_options().get("writes", False)

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def limit(connection: Connection, _: Any, statement: str, given: Any, *_rest: Any) -> Any:
        if connection.info.pop(UNLIMITED, False):
            statement = f"SET LOCAL lock_timeout = '{lock_s}s'; {statement}"
        return statement, given


def _ping_what_was_idle(engine: Engine) -> None:
    """Ask whether it is still there of a connection that was idle for a while, and only then.

    One that breaks in use is noticed by who uses it, who begins anew (``transactions``).
    """

    dialect = engine.dialect  # not the engine: a ring of references would outlive its owner

    @event.listens_for(engine, "checkin")
    def note(_: object, record: ConnectionPoolEntry) -> None:
        record.info[IDLE_SINCE] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ask(connection: DBAPIConnection, record: ConnectionPoolEntry, _: object) -> None:
        if time.monotonic() - record.info.get(IDLE_SINCE, math.inf) < PING_AFTER_S:
            return
        try:
            dialect.do_ping(connection)
        except Exception as error:  # whatever the driver makes of half an answer
            raise InvalidatePoolError from error


def _drop_what_is_in_doubt(engine: Engine) -> None:
    """Give no connection back to the pool whose last exchange was not ended by the server's word.

    After a silence the answer may yet come, and the next statement on that connection would
    read it as its own: a renewal would see no row changed and take its lease for lost. SQLAlchemy
    knows of connections that say they are closed; MySQL's driver says of a time-out only that
    there was one, and of half a packet whatever its parser runs into.
    """

    @event.listens_for(engine, "handle_error")
    def judge(context: ExceptionContext) -> DBAPIError | None:
        error = context.original_exception
        if context.connection is None or not isinstance(error, Exception):
            return None  # there is none yet; or we are being stopped, and it is dropped anyway
        if isinstance(error, context.dialect.loaded_dbapi.Error):
            if not is_from_server(error) or understand(error).kind is Kind.DISCONNECTED:
                context.is_disconnect = True
            return None
        if context.sqlalchemy_exception is not None:
            return None  # a value of ours that never came to the driver
        context.is_disconnect = True
        return DBAPIError(
            context.statement, None, error, hide_parameters=True, connection_invalidated=True
        )


def _log_in(engine: Engine, place: Place) -> None:
    """Give the driver the password when it connects: a URL would show it to whoever unpacks it."""

    @event.listens_for(engine, "do_connect")
    def add_password(_dialect: object, _record: object, _args: object, options: Any) -> None:
        if place.password:  # else libpq looks for one in the places that it knows
            options["password"] = place.password.reveal()


def _insist_on_tls(engine: Engine, place: Place) -> None:
    """Refuse a connection that MySQL's driver made in plain text without a word."""

    @event.listens_for(engine, "connect")
    def check(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
        row = cursor.fetchone()
        cursor.close()
        if row is None or not row[1]:
            raise ConfigError(f"{place}: {TLS}. The server offers no TLS.")


def _prepare_sqlite(engine: Engine, place: Place) -> None:
    """Make the driver leave transactions to us, and a writer say so when it begins.

    A transaction that reads first and writes later fails at once (no busy timeout) when
    another wrote in between; ``BEGIN IMMEDIATE`` waits its turn instead. With WAL, readers
    wait for nobody.
    """

    @event.listens_for(engine, "do_connect")
    def make_file(*_: object) -> None:
        path = Path(place.database).expanduser()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):  # whoever is to share it is given it; nobody else is
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise ConfigError(
                f"db_config['database']: {place.database} or its folder cannot be made: "
                f"{error.strerror}."
            ) from error

    @event.listens_for(engine, "connect")
    def set_up(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
