"""A column for what an upload asks of its mastering: a preset's name, or JSON.

Nullable and without a default: adding it is a change of the catalogue on every server, and a
client that does not know it goes on inserting.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from audio_processor.errors import ConfigError

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COLUMN = "mastering"


def upgrade() -> None:
    bind = op.get_bind()
    name = _table_name(bind)
    if bind.dialect.name == "postgresql":
        op.execute("SET LOCAL lock_timeout = '5s'")  # wait for a long reader, but not for long
    there = {column["name"].lower(): column for column in sa.inspect(bind).get_columns(name)}
    if COLUMN not in there:
        op.add_column(name, sa.Column(COLUMN, sa.Text()))
        return
    # an earlier run got this far where DDL is not in a transaction (MySQL), or it is theirs
    ours = isinstance(there[COLUMN]["type"], sa.Text) and there[COLUMN]["nullable"]
    if not ours or _is_in_use(bind, name):
        raise ConfigError(
            f"The table {name} has a column of its own named {COLUMN}, which this program needs "
            "for itself. Rename it, then migrate again."
        )


def downgrade() -> None:
    op.drop_column(_table_name(op.get_bind()), COLUMN)


def _table_name(bind: sa.Connection) -> str:
    return "uploads" if bind.dialect.name == "postgresql" else "Uploads"


def _is_in_use(bind: sa.Connection, name: str) -> bool:
    column: sa.ColumnClause[str] = sa.column(COLUMN)
    query = sa.select(sa.literal(1)).select_from(sa.table(name)).where(column.is_not(None)).limit(1)
    return bind.execute(query).first() is not None
