"""What the drivers' errors mean: one table, and the translation at the queue's edge."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from enum import Enum, auto

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from audio_processor.errors import AudioProcessorError, ConfigError, DatabaseUnavailable
from uploads_queue.place import Place


class Kind(Enum):
    """What can be done about a fault."""

    CONFLICT = auto()
    """Two transactions met; the whole transaction is to be done again."""
    LOCKED = auto()
    """Another transaction holds what is wanted, and went on holding it."""
    DISCONNECTED = auto()
    """The connection broke or could not be made."""
    UNAVAILABLE = auto()
    """The server is there and will not serve just now."""
    CONFIGURATION = auto()
    """A person has to change something."""
    DUPLICATE = auto()
    """A unique index refused the row."""
    VALUE = auto()
    """The column's length or character set refused the value."""
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Fault:
    """One driver error, understood."""

    kind: Kind
    advice: str
    """What happened and what to do, to follow the database's name and a colon."""
    detail: str = ""
    """The driver's own words, on one line."""


MIGRATE = "the table is missing or older than this version; run: audio-processor migrate"
REFUSED_LOGIN = "the user or password was refused; check the user and the password"
NO_DATABASE = "there is no such database; create it, or check the database's name"
DENIED = "the user may not do this; grant SELECT, INSERT, UPDATE (and DDL for migrate) to it"
TLS = "the encrypted connection could not be made; check the TLS settings"
NOT_ALLOWED = "the server does not accept this user from this address; check its access rules"
BUSY = "another session holds the row or table locked; find and end it"
FULL = "it accepts no more connections; raise its limit or lower pool_size"
UNREACHABLE = "it cannot be reached; check host and port, and that it runs"
SILENT = "it has stopped answering; look at its load, and at the network between"
READ_ONLY = "it is read-only just now (a replica, or a failover is under way)"
RESTARTING = "it is starting up or shutting down"
NO_ROOM = "its disk is full"
REFUSED_VALUE = "the column cannot hold this value"
EXISTS = "the value exists already"

_C, _L, _D, _U = Kind.CONFLICT, Kind.LOCKED, Kind.DISCONNECTED, Kind.UNAVAILABLE
_P, _V = Kind.CONFIGURATION, Kind.VALUE

TABLE: dict[str | int, Fault] = {
    code: Fault(kind, advice)
    for kind, advice, codes in (
        # PostgreSQL: SQLSTATE, its documentation's appendix A
        (_C, BUSY, ("40001", "40P01")),
        (_L, BUSY, ("55P03",)),
        (_D, UNREACHABLE, ("08000", "08001", "08003", "08004", "08006", "57P05")),
        (_D, RESTARTING, ("57P01", "57P02", "57P03")),
        (_U, FULL, ("53300",)),
        (_U, NO_ROOM, ("53100",)),
        (_U, READ_ONLY, ("25006",)),
        (_P, REFUSED_LOGIN, ("28P01",)),
        (_P, NOT_ALLOWED, ("28000",)),
        (_P, NO_DATABASE, ("3D000",)),
        (_P, MIGRATE, ("42P01", "42703")),
        (_P, DENIED, ("42501",)),
        (Kind.DUPLICATE, EXISTS, ("23505",)),
        (_V, REFUSED_VALUE, ("22001", "22021", "22P05")),
        # MySQL and MariaDB: their error numbers; 2000 and up are the driver's
        (_C, BUSY, (1213, 1020)),
        (_L, BUSY, (1205,)),
        (_D, UNREACHABLE, (2002, 2003, 2005, 2006, 2013, 2014, 2027, 2045, 2048, 2055)),
        (_D, RESTARTING, (1053, 1077, 1079, 1927, 4031)),
        # the driver's number for its read and write time-outs; the server's for a statement
        # that it ended as too long, which may be tried again as well
        (_D, SILENT, (3024,)),
        (_U, FULL, (1040, 1203, 1226)),
        (_U, NO_ROOM, (1021, 1114)),
        (_U, READ_ONLY, (1290, 1792, 1836)),
        (_P, REFUSED_LOGIN, (1045, 1698)),
        (_P, NOT_ALLOWED, (1129, 1130, 1251, 2059)),
        (_P, NO_DATABASE, (1044, 1049)),
        (_P, MIGRATE, (1146, 1054, 1176)),
        (_P, DENIED, (1142, 1143, 1227)),
        (_P, TLS, (2026, 3159)),
        (Kind.DUPLICATE, EXISTS, (1062,)),
        (_V, REFUSED_VALUE, (1267, 1366, 1406)),
        # SQLite: result codes, by name
        (_L, BUSY, ("SQLITE_BUSY", "SQLITE_LOCKED")),
        (_U, NO_ROOM, ("SQLITE_FULL",)),
        (_U, "its file could not be read or written", ("SQLITE_IOERR",)),
        (_P, "the file cannot be opened; check its path", ("SQLITE_CANTOPEN",)),
        (_P, "the file or its folder is read-only for this user", ("SQLITE_READONLY",)),
        (_P, "the file is damaged; restore it", ("SQLITE_CORRUPT",)),
        (_P, "the file is no SQLite database", ("SQLITE_NOTADB",)),
        (_P, MIGRATE, ("SQLITE_NO_SUCH",)),
        (Kind.DUPLICATE, EXISTS, ("SQLITE_CONSTRAINT",)),
    )
    for code in codes
}

LOGIN_TEXTS = (
    # psycopg2 gives no SQLSTATE for what fails before there is a session
    (re.compile(r"password authentication failed"), "28P01"),
    (re.compile(r"no password supplied"), "28P01"),
    (re.compile(r"database .* does not exist"), "3D000"),
    (re.compile(r"role .* does not exist|no pg_hba\.conf entry"), "28000"),
    (re.compile(r"too many clients|connection slots are reserved|too many connections"), "53300"),
    (re.compile(r"starting up|shutting down|not yet accepting|in recovery mode"), "57P03"),
    (re.compile(r"certificate|does not support SSL|SSL error"), 2026),
)


def understand(error: BaseException) -> Fault:
    """Return what an error from SQLAlchemy or a driver means."""
    if isinstance(error, PoolTimeout):
        return Fault(Kind.UNAVAILABLE, "all connections of the pool are in use; raise pool_size")
    original = error.orig if isinstance(error, DBAPIError) else error
    detail = " ".join(str(original).split())
    found = TABLE.get(_code(original, detail))
    if found is None:
        broken = isinstance(error, OSError) or (
            isinstance(error, DBAPIError) and error.connection_invalidated
        )
        found = TABLE["08006"] if broken else Fault(Kind.UNKNOWN, "it refused a statement")
    return Fault(found.kind, found.advice, detail)


def is_from_server(error: BaseException) -> bool:
    """Return whether a driver's error is the server's answer, after which it waits for the next.

    Those that a driver makes itself have no SQLSTATE, or a number of MySQL's client library.
    """
    state = getattr(error, "pgcode", None) or getattr(error, "sqlstate", None)
    return state is not None and getattr(error, "errno", None) not in range(2000, 3000)


class ValueRefused(DatabaseUnavailable):
    """A unique index or a column refused a value; the statement's author knows what it means."""

    def __init__(self, message: str, kind: Kind) -> None:
        super().__init__(message)
        self.is_duplicate = kind is Kind.DUPLICATE


def translate(error: BaseException, place: Place) -> AudioProcessorError:
    """Return the error of our own tree that says where, what, and what to do."""
    fault = understand(error)
    detail = f" ({fault.detail})" if fault.detail else ""
    message = place.hide_secret(f"{place}: {fault.advice}.{detail}")
    match fault.kind:
        case Kind.CONFIGURATION:
            return ConfigError(message)
        case Kind.DUPLICATE | Kind.VALUE:
            return ValueRefused(message, fault.kind)
        case _:
            return DatabaseUnavailable(message)


FOREIGN = (SQLAlchemyError, OSError)
"""What SQLAlchemy and its drivers may raise; the pure-Python MySQL driver leaks socket errors."""


def _code(original: BaseException | None, detail: str) -> str | int:
    if isinstance(original, sqlite3.Error):
        return _sqlite_code(original, detail)
    errno = getattr(original, "errno", None)
    if isinstance(errno, int) and not isinstance(original, OSError):
        # MySQL's driver calls it a lost connection when it is we who hang up on a stranger
        return 2026 if "CERTIFICATE_VERIFY_FAILED" in detail else errno
    state = getattr(original, "pgcode", None)
    if isinstance(state, str):
        return state
    if hasattr(original, "pgcode"):  # psycopg2, before or after a session
        return next((code for text, code in LOGIN_TEXTS if text.search(detail)), "08006")
    return ""


def _sqlite_code(original: sqlite3.Error, detail: str) -> str:
    if detail.startswith(("no such table", "no such column")):
        return "SQLITE_NO_SUCH"
    name = getattr(original, "sqlite_errorname", "")
    return "_".join(name.split("_")[:2])  # SQLITE_BUSY_SNAPSHOT is a kind of SQLITE_BUSY
