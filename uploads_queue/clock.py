"""Time as the database tells it: workers' clocks differ, the database has one.

The *start of the statement*, not of the transaction: a transaction that waited for a row
must not go by the time at which it began to wait.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, cast, func, literal, literal_column, type_coerce

from uploads_queue.columns import UtcTime

SQLITE_FORMAT = "%Y-%m-%d %H:%M:%f"


def now(dialect: str, *, plus_s: float = 0.0) -> ColumnElement[datetime]:
    """Return the expression for the database's current time, or for ``plus_s`` seconds later."""
    expression: ColumnElement[datetime]
    match dialect:
        case "postgresql":
            expression = func.statement_timestamp()
            if plus_s:
                expression += literal(float(plus_s)) * literal_column("interval '1 second'")
        case "mysql":
            expression = func.utc_timestamp(literal_column("6"))
            if plus_s:
                expression = func.timestampadd(
                    literal_column("MICROSECOND"), round(plus_s * 1e6), expression
                )
        case _:
            expression = func.strftime(SQLITE_FORMAT, "now", f"{plus_s:+.3f} seconds")
    return type_coerce(expression, UtcTime)


def instant(dialect: str, column: ColumnElement[datetime]) -> ColumnElement[datetime | None]:
    """Return a plain ``TIMESTAMP`` column as a moment.

    PostgreSQL keeps such a column in its writers' time zone, which is the server's unless
    they chose another; MySQL gives it in the session's, which is UTC on our connections.
    """
    if dialect == "postgresql":
        return cast(column, UtcTime)
    return type_coerce(column, UtcTime)
