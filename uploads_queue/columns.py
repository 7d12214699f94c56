"""Column types that mean the same on PostgreSQL, MySQL, MariaDB and SQLite."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import TIMESTAMP, DateTime, Dialect, String, Text, TypeDecorator
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.types import TypeEngine

MAX_KEY_BYTES = 255


class UtcTime(TypeDecorator[datetime]):
    """A moment: ``TIMESTAMPTZ`` on PostgreSQL, UTC ``DATETIME`` elsewhere; aware in Python."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime]:
        """Return the dialect's type, with microseconds."""
        if dialect.name == "mysql":
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        if dialect.name == "sqlite":
            return dialect.type_descriptor(_SqliteTime())  # type: ignore[no-untyped-call]  # SQLAlchemy's
        return dialect.type_descriptor(TIMESTAMP(timezone=True))

    def process_result_value(self, value: datetime | None, _: Dialect) -> datetime | None:
        """Return the moment in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class _SqliteTime(sqlite.DATETIME):
    """Text that any client may have written: what does not read as a time is None."""

    def result_processor(self, *_: object) -> Callable[[Any], datetime | None]:
        """Return the reader of one value."""

        def read(value: Any) -> datetime | None:
            try:
                return datetime.fromisoformat(value)
            except (TypeError, ValueError):
                return None

        return read


class ForeignText(TypeDecorator[str]):
    """Text that any client may have written: SQLite keeps bytes as such whatever the column."""

    impl = Text
    cache_ok = True

    def process_result_value(self, value: Any, _: Dialect) -> str | None:
        """Return it as text, with a mark in the place of what is none."""
        if isinstance(value, bytes | bytearray):
            return bytes(value).decode("utf-8", "replace")
        return value if value is None else str(value)


class OutputKey(TypeDecorator[str]):
    """A track id compared byte by byte.

    ``VARBINARY`` on MySQL: every text collation that MySQL and MariaDB share would take
    ``song`` and ``Song``, or ``song`` and ``song `` with a space, for one folder; the bucket
    does not.
    """

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return bytes on MySQL, text elsewhere."""
        if dialect.name == "mysql":
            return dialect.type_descriptor(mysql.VARBINARY(MAX_KEY_BYTES))
        return dialect.type_descriptor(String(MAX_KEY_BYTES))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        """Return the key as the column stores it."""
        return value.encode() if value is not None and dialect.name == "mysql" else value

    def process_result_value(self, value: Any, _: Dialect) -> str | None:
        """Return the key as text."""
        return bytes(value).decode() if isinstance(value, bytes | bytearray) else value
