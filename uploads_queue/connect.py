"""From a place to a connection pool, with what each database must be told first."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from audio_processor.errors import ConfigError
from uploads_queue.faults import TLS
from uploads_queue.place import Place

SILENCE_TIMEOUT_S = 30
"""A connection that says nothing for so long is dead: well inside a lease of 90 s."""
LOCK_TIMEOUT_S = 10
POOL_TIMEOUT_S = 15
RECYCLE_S = 1800
"""Shorter than the idle time after which proxies and servers hang up."""
SYSTEM_CA_FILE = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"

DRIVERS = {
    "mysql": "mysql+mysqlconnector",  # also against MariaDB; mariadb+… refuses MySQL
    "postgresql": "postgresql+psycopg2",
    "sqlite": "sqlite+pysqlite",
}


def open_engine(
    place: Place, *, pool_size: int, connect_timeout_s: float = 10.0, patient: bool = False
) -> Engine:
    """Return a lazily connecting pool of up to ``2 × pool_size`` connections.

    ``patient`` is for migrations: a statement may take as long as it takes.
    """
    engine = create_engine(
        _url(place),
        connect_args=_connect_args(place, max(1, round(connect_timeout_s)), patient=patient),
        hide_parameters=True,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=POOL_TIMEOUT_S,
        pool_recycle=RECYCLE_S,
        pool_pre_ping=place.dialect != "sqlite",
        # under REPEATABLE READ, MySQL's default, a claim would lock the gaps between rows,
        # and inserts and other claims would wait for them
        isolation_level="READ COMMITTED" if place.dialect != "sqlite" else None,
    )
    if place.dialect == "sqlite":
        _prepare_sqlite(engine, place)
    if place.dialect == "mysql" and place.tls.required:
        _insist_on_tls(engine, place)
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
        password=place.password,
        host=place.host or None,
        port=place.port if place.unix_socket is None else None,
        database=place.database,
    )


def _connect_args(place: Place, timeout_s: int, *, patient: bool) -> dict[str, Any]:
    match place.dialect:
        case "mysql":
            return _mysql_args(place, timeout_s, patient=patient)
        case "postgresql":
            return _postgresql_args(place, timeout_s)
        case _:
            return {"timeout": LOCK_TIMEOUT_S}


def _mysql_args(place: Place, timeout_s: int, *, patient: bool) -> dict[str, Any]:
    tls = place.tls
    verified = tls.required and tls.verify
    args: dict[str, Any] = {
        "charset": "utf8mb4",
        "collation": "utf8mb4_general_ci",  # MariaDB has no utf8mb4_0900_ai_ci
        "connection_timeout": timeout_s,
        "init_command": (
            f"SET SESSION time_zone = '+00:00', innodb_lock_wait_timeout = {LOCK_TIMEOUT_S}"
        ),
        "ssl_ca": (tls.ca_file or SYSTEM_CA_FILE) if verified else None,
        "ssl_cert": tls.cert_file,
        "ssl_key": tls.key_file,
        "ssl_verify_cert": verified or None,
        "ssl_verify_identity": verified or None,
        "unix_socket": place.unix_socket,
    }
    if not patient:
        args |= {"read_timeout": SILENCE_TIMEOUT_S, "write_timeout": SILENCE_TIMEOUT_S}
    return {key: value for key, value in args.items() if value is not None}


def _postgresql_args(place: Place, timeout_s: int) -> dict[str, Any]:
    tls = place.tls
    verified = tls.required and tls.verify
    args: dict[str, Any] = {
        "application_name": "audio-processor",
        "connect_timeout": timeout_s,
        "keepalives_idle": SILENCE_TIMEOUT_S // 3,
        "keepalives_interval": SILENCE_TIMEOUT_S // 3,
        "keepalives_count": 2,
        "tcp_user_timeout": SILENCE_TIMEOUT_S * 1000,
        "sslmode": "verify-full" if verified else "require" if tls.required else None,
        "sslrootcert": (tls.ca_file or "system") if verified else None,
        "sslcert": tls.cert_file,
        "sslkey": tls.key_file,
        "host": place.unix_socket,
    }
    return {key: value for key, value in args.items() if value is not None}


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
    def make_folder(*_: object) -> None:
        try:
            Path(place.database).expanduser().parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"db_config['database']: the folder of {place.database} cannot be made: "
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
