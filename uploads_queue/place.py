"""Which database: the caller's ``db_config`` read into a frozen value. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from audio_processor.errors import ConfigError
from audio_processor.secret import Secret

Dialect = Literal["sqlite", "postgresql", "mysql"]

DB_TYPES: Mapping[str, Dialect] = {
    "mysql": "mysql",
    "mariadb": "mysql",
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "sqlite": "sqlite",
}
PRODUCTS: Mapping[Dialect, str] = {
    "mysql": "MySQL",
    "postgresql": "PostgreSQL",
    "sqlite": "SQLite",
}
DEFAULT_PORTS: Mapping[Dialect, int] = {"mysql": 3306, "postgresql": 5432, "sqlite": 0}
CONFIG_KEYS = (
    *("host", "user", "password", "database", "port"),
    *("unix_socket", "tls", "tls_verify", "tls_ca_file", "tls_cert_file", "tls_key_file"),
)


@dataclass(frozen=True, slots=True)
class Tls:
    """How the connection is encrypted; paths of PEM files, None where not used."""

    required: bool = False
    """False leaves it to the driver: encrypted where the server offers it, nothing verified."""
    verify: bool = True
    """Whether a required encryption checks the server's certificate and name."""
    ca_file: str | None = None
    """None trusts the system's certificates."""
    cert_file: str | None = None
    key_file: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """One database on one server, or one SQLite file."""

    dialect: Dialect
    database: str
    """A name; for SQLite a path."""
    host: str = ""
    port: int = 0
    user: str = ""
    password: Secret = field(default_factory=lambda: Secret(""))
    unix_socket: str | None = None
    tls: Tls = field(default_factory=Tls)

    def __str__(self) -> str:
        if self.dialect == "sqlite":
            return f"SQLite file {self.database}"
        where = self.unix_socket or f"{self.host}:{self.port}"
        return f"{PRODUCTS[self.dialect]} at {where}, database {self.database!r}"

    def hide_secret(self, text: str) -> str:
        """Return the text without the password, should a driver have put it there."""
        return text.replace(self.password.reveal(), "***") if self.password else text


def read_config(db_config: Mapping[str, Any], db_type: str) -> Place:
    """Return the place that the configuration names; raises ``ConfigError`` naming the key."""
    dialect = DB_TYPES.get(db_type)
    if dialect is None:
        raise ConfigError(f"db_type is {db_type!r}; it must be 'mysql', 'postgresql' or 'sqlite'.")
    for key in db_config:
        if key not in CONFIG_KEYS:
            raise ConfigError(f"db_config has an unknown key {key!r}{_nearest(key)}.")
    database = _text(db_config, "database", required=True)
    if dialect == "sqlite":
        return _sqlite(database)
    unix_socket = _text(db_config, "unix_socket") or None
    return Place(
        dialect=dialect,
        database=_no_address(database, "database", "://"),
        host=_no_address(_text(db_config, "host", required=unix_socket is None), "host", "@"),
        port=_port(db_config.get("port"), DEFAULT_PORTS[dialect]),
        user=_text(db_config, "user", required=True),
        password=_password(db_config),
        unix_socket=unix_socket,
        tls=_tls(db_config),
    )


def _sqlite(database: str) -> Place:
    if ":memory:" in database or database.startswith("file:"):
        raise ConfigError(
            "db_config['database'] must be a file's path for db_type 'sqlite': a queue in memory "
            "would be another one for every thread."
        )
    return Place(dialect="sqlite", database=database)


def _tls(db_config: Mapping[str, Any]) -> Tls:
    ca_file = _text(db_config, "tls_ca_file") or None
    return Tls(
        required=_flag(db_config, "tls", default=ca_file is not None),
        verify=_flag(db_config, "tls_verify", default=True),
        ca_file=ca_file,
        cert_file=_text(db_config, "tls_cert_file") or None,
        key_file=_text(db_config, "tls_key_file") or None,
    )


def _flag(db_config: Mapping[str, Any], key: str, *, default: bool) -> bool:
    value = db_config.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise ConfigError(f"db_config[{key!r}] is {value!r}; it must be True or False.")
    return value


def _text(db_config: Mapping[str, Any], key: str, *, required: bool = False) -> str:
    value = db_config.get(key)
    text = "" if value is None else str(value)
    if required and not text:
        raise ConfigError(f"db_config[{key!r}] is missing.")
    return text


def _password(db_config: Mapping[str, Any]) -> Secret:
    value = db_config.get("password")
    return value if isinstance(value, Secret) else Secret("" if value is None else str(value))


def _no_address(text: str, key: str, sign: str) -> str:
    """Refuse a whole connection string, password and all: it would be quoted in every message."""
    if sign in text:
        raise ConfigError(
            f"db_config[{key!r}] is an address with more in it than a {key}: "
            "give host, user, password, database and port under keys of their own."
        )
    return text


def _port(value: Any, default: int) -> int:
    try:
        port = int(default if value in {None, ""} else value)
    except (TypeError, ValueError):
        port = 0
    if not 0 < port < 65536:
        raise ConfigError(f"db_config['port'] is {value!r}; it must be a number from 1 to 65535.")
    return port


def _nearest(key: str) -> str:
    match = difflib.get_close_matches(key, CONFIG_KEYS, n=1)
    return f"; did you mean {match[0]!r}?" if match else f"; known are {', '.join(CONFIG_KEYS)}"
