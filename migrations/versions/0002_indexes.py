"""The indexes: the claim's order, the look-up by file name, one owner per output.

Built while the table is in use: CONCURRENTLY on PostgreSQL, which wants to be outside of a
transaction; in place on MySQL and MariaDB, as InnoDB does unless told otherwise.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INDEXES = ("ix_uploads_claim", "ix_uploads_file_name", "uq_uploads_output_key")


def upgrade() -> None:
    bind = op.get_bind()
    name = "uploads" if bind.dialect.name == "postgresql" else "Uploads"
    if bind.dialect.name == "postgresql":
        with op.get_context().autocommit_block():
            _drop_invalid()
            _create(name, concurrently=True)
    else:
        _create(name)


def downgrade() -> None:
    bind = op.get_bind()
    name = "uploads" if bind.dialect.name == "postgresql" else "Uploads"
    there = {index["name"] for index in sa.inspect(bind).get_indexes(name)}
    for index in INDEXES:
        if index in there:
            op.drop_index(index, table_name=name)


def _create(name: str, *, concurrently: bool = False) -> None:
    there = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(name)}
    if "ix_uploads_claim" not in there:
        op.create_index(
            "ix_uploads_claim",
            name,
            ["upload_type", "processing_status", "uploaded_at", "upload_id"],
            postgresql_concurrently=concurrently,
        )
    if "ix_uploads_file_name" not in there:
        op.create_index(
            "ix_uploads_file_name",
            name,
            ["file_name"],
            mysql_length={"file_name": 191},
            postgresql_ops={"file_name": "varchar_pattern_ops"},
            postgresql_concurrently=concurrently,
        )
    if "uq_uploads_output_key" not in there:
        op.create_index(
            "uq_uploads_output_key",
            name,
            ["output_key"],
            unique=True,
            postgresql_concurrently=concurrently,
        )


def _drop_invalid() -> None:
    """A concurrent build that was interrupted leaves an index that nobody may use."""
    invalid = op.get_bind().execute(
        sa.text(
            "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
            " WHERE i.indrelid = 'uploads'::regclass AND NOT i.indisvalid"
        )
    )
    for index in set(invalid.scalars()) & set(INDEXES):
        op.execute(f"DROP INDEX CONCURRENTLY {index}")
