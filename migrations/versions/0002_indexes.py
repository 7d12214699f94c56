"""The indexes: the claim's order, the look-up by file name, one owner per output.

Built while the table is in use: CONCURRENTLY on PostgreSQL, which wants to be outside of a
transaction; in place on MySQL and MariaDB, as InnoDB does unless told otherwise.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations import indexes
from uploads_queue.schema import table_name

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INDEXES = ("ix_uploads_claim", "ix_uploads_file_name", "uq_uploads_output_key")


def upgrade() -> None:
    bind = op.get_bind()
    if bind.dialect.name == "postgresql":
        with op.get_context().autocommit_block():
            indexes.drop_invalid(bind, INDEXES)
            _create(bind, concurrently=True)
    else:
        _create(bind)


def downgrade() -> None:
    indexes.drop(op.get_bind(), INDEXES)


def _create(bind: sa.Connection, *, concurrently: bool = False) -> None:
    name, missing = table_name(bind.dialect.name), indexes.missing(bind, INDEXES)
    if "ix_uploads_claim" in missing:
        op.create_index(
            "ix_uploads_claim",
            name,
            ["upload_type", "processing_status", "uploaded_at", "upload_id"],
            postgresql_concurrently=concurrently,
        )
    if "ix_uploads_file_name" in missing:
        op.create_index(
            "ix_uploads_file_name",
            name,
            ["file_name"],
            mysql_length={"file_name": 191},
            postgresql_ops={"file_name": "varchar_pattern_ops"},
            postgresql_concurrently=concurrently,
        )
    if "uq_uploads_output_key" in missing:
        op.create_index(
            "uq_uploads_output_key",
            name,
            ["output_key"],
            unique=True,
            postgresql_concurrently=concurrently,
        )
