"""The Uploads table where there is none, and our columns in it.

Every column is nullable or has a constant default, so adding it is a change of the catalogue
on PostgreSQL ≥ 11, MySQL 8 and MariaDB ≥ 10.3, whatever the number of rows.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import CreateColumn
from sqlalchemy.types import TypeEngine

from audio_processor.errors import ConfigError

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    bind = op.get_bind()
    name = _table_name(bind.dialect.name)
    if bind.dialect.name == "postgresql":
        # ADD COLUMN takes an instant, but waiting for a long reader would hold up all others
        op.execute("SET LOCAL lock_timeout = '5s'")
    if not sa.inspect(bind).has_table(name):
        # utf8mb4 whatever the server's default: file names have any character
        op.create_table(name, *_customers_columns(), mysql_engine="InnoDB", mysql_charset="utf8mb4")
    columns = _our_columns(bind.dialect.name)
    ours = {column.name for column in columns}
    there = ours & {column["name"].lower() for column in sa.inspect(bind).get_columns(name)}
    if there == ours:
        return  # an earlier run got this far, where DDL is not in a transaction (MySQL)
    if there:
        raise ConfigError(
            f"The table {name} has columns of its own named {', '.join(sorted(there))}, which "
            "this program needs for itself. Rename them, then migrate again."
        )
    _add(bind, name, columns)


def downgrade() -> None:
    """Drop our columns; the table was the customer's, or has become theirs."""
    bind = op.get_bind()
    name = _table_name(bind.dialect.name)
    there = {column["name"].lower() for column in sa.inspect(bind).get_columns(name)}
    names = [c.name for c in _our_columns(bind.dialect.name) if c.name in there]
    _alter(bind, name, [f"DROP COLUMN {column}" for column in names])


def _add(bind: sa.Connection, name: str, columns: list[sa.Column[Any]]) -> None:
    table = sa.Table(name, sa.MetaData(), *columns)
    rendered = [CreateColumn(c).compile(dialect=bind.dialect) for c in table.columns]
    _alter(bind, name, [f"ADD COLUMN {column}" for column in rendered])


def _alter(bind: sa.Connection, name: str, changes: list[str]) -> None:
    """All in one statement, so that on MySQL either all of it happens or nothing."""
    quoted = bind.dialect.identifier_preparer.quote(name)
    together = [changes] if bind.dialect.name != "sqlite" else [[change] for change in changes]
    for group in together:
        if group:
            op.execute(f"ALTER TABLE {quoted} {', '.join(group)}")


def _table_name(dialect: str) -> str:
    return "uploads" if dialect == "postgresql" else "Uploads"


def _customers_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("upload_id", sa.String(255), primary_key=True),
        sa.Column("file_name", sa.String(255), nullable=False),
        sa.Column("upload_type", sa.String(50), server_default=sa.text("'track'")),
        sa.Column("processing_status", sa.String(20), server_default=sa.text("'0'")),
        sa.Column("uploaded_at", sa.TIMESTAMP(), server_default=sa.text("CURRENT_TIMESTAMP")),
        sa.Column("error_message", sa.Text()),
    ]


def _our_columns(dialect: str) -> list[sa.Column[Any]]:
    moment: TypeEngine[Any]
    key: TypeEngine[Any]
    long_text: TypeEngine[Any]
    match dialect:
        case "mysql":
            # our texts are ASCII; the key is compared byte by byte
            moment, key, long_text = mysql.DATETIME(fsp=6), mysql.VARBINARY(255), mysql.MEDIUMTEXT()
        case "postgresql":
            moment, key, long_text = sa.TIMESTAMP(timezone=True), sa.String(255), sa.Text()
        case _:
            moment, key, long_text = sa.DateTime(), sa.String(255), sa.Text()
    return [
        sa.Column("attempts", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("lease_token", sa.String(64)),
        sa.Column("lease_expires_at", moment),
        sa.Column("worker_id", sa.String(255)),
        sa.Column("available_at", moment),
        sa.Column("started_at", moment),
        sa.Column("completed_at", moment),
        sa.Column("error_code", sa.String(64)),
        sa.Column("output_key", key),
        sa.Column("result", long_text),
        sa.Column("history", long_text),
    ]
