"""What a test gets of a database server: fresh databases, and plain SQL behind the queue."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from tests.servers.certificates import Certificate

USER = "audio"
PASSWORD = "s3cret-Zwölf"


class Cursor(Protocol):
    """The little of DB-API that tests need."""

    description: Any

    def execute(self, sql: str, parameters: Any = ...) -> Any: ...
    def fetchall(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class DatabaseServer:
    """A running server and its administrator's way in."""

    db_type: Literal["postgresql", "mysql"]
    host: str
    port: int
    connect: Callable[[dict[str, Any]], Any] = field(repr=False)
    """From a ``db_config`` to an autocommitting DB-API connection of the plain driver."""
    home: str
    """A database that is always there."""
    stop: Callable[[], None] = field(repr=False, default=lambda: None)
    """Takes it down in the middle of whatever it does, as a crash would."""
    start: Callable[[], None] = field(repr=False, default=lambda: None)
    """Brings it back, with everything that was committed."""
    present: Callable[[Certificate], None] = field(repr=False, default=lambda _: None)
    """Have a server that was started with TLS show another certificate to who connects next."""

    def config(self, database: str) -> dict[str, Any]:
        return {
            "host": self.host,
            "user": USER,
            "password": PASSWORD,
            "database": database,
            "port": self.port,
        }

    def fresh_database(self, options: str = "") -> dict[str, Any]:
        """Create a database and return its ``db_config``."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self.sql(self.config(self.home), f"CREATE DATABASE {name} {options}")
        return self.config(name)

    def sql(self, config: dict[str, Any], *statements: str) -> list[tuple[Any, ...]]:
        """Run the statements, each committed; return the last one's rows."""
        connection = self.connect(config)
        rows: list[tuple[Any, ...]] = []
        try:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)
                rows = list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()
        return rows
