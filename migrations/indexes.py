"""What every step that makes indexes does: on PostgreSQL without keeping writers out."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa
from alembic import op

from uploads_queue.schema import table_name


def missing(bind: sa.Connection, names: Collection[str]) -> list[str]:
    """Return those of the indexes that the table has not, in their order."""
    there = _there(bind)
    return [name for name in names if name not in there]


def drop_invalid(bind: sa.Connection, names: Collection[str]) -> None:
    """Drop what an interrupted concurrent build left: an index that nobody may use.

    PostgreSQL's alone, outside of a transaction.
    """
    invalid = bind.execute(
        sa.text(
            "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
            " WHERE i.indrelid = 'uploads'::regclass AND NOT i.indisvalid"
        )
    )
    for name in set(invalid.scalars()) & set(names):
        op.execute(f"DROP INDEX CONCURRENTLY {name}")


def drop(bind: sa.Connection, names: Collection[str]) -> None:
    """Drop those of the indexes that the table has."""
    there = _there(bind)
    for name in names:
        if name in there:
            op.drop_index(name, table_name=table_name(bind.dialect.name))


def _there(bind: sa.Connection) -> set[str | None]:
    return {index["name"] for index in sa.inspect(bind).get_indexes(table_name(bind.dialect.name))}
