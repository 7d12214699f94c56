"""Indexes by which a claim walks past no row that it cannot take, and a vacuum that keeps up.

``ix_uploads_claim`` stays: versions before this one claim by it, and lists and counts read it.
Built while the table is in use, as in 0002.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STATUS = ["upload_type", "processing_status"]
INDEXES = {
    "ix_uploads_ready": ["available_at", "uploaded_at", "upload_id"],
    "ix_uploads_lease": ["lease_expires_at", "upload_id"],
}
WHERE = {
    "ix_uploads_ready": "(upload_type = 'track' AND processing_status = '0') IS TRUE",
    "ix_uploads_lease": "(upload_type = 'track' AND processing_status = 'processing') IS TRUE",
}
VACUUM = {
    # a track leaves some five dead rows, and every claim begins where they lie
    "autovacuum_vacuum_scale_factor": "0.01",
    "autovacuum_vacuum_threshold": "5000",
    # also where so few pages have dead rows that vacuum would leave their index entries
    "vacuum_index_cleanup": "on",
}


def upgrade() -> None:
    bind = op.get_bind()
    if bind.dialect.name != "postgresql":
        for index in _missing(bind):
            op.create_index(index, "Uploads", STATUS + INDEXES[index])
        return
    with op.get_context().autocommit_block():
        _drop_invalid(bind)
        for index in _missing(bind):
            where: dict[str, Any] = {"postgresql_where": sa.text(WHERE[index])}
            op.create_index(index, "uploads", INDEXES[index], postgresql_concurrently=True, **where)
        # what the customer has set, they have set
        settings = [f"{key} = {value}" for key, value in VACUUM.items() if key not in _set(bind)]
        if settings:
            op.execute(f"ALTER TABLE uploads SET ({', '.join(settings)})")


def downgrade() -> None:
    bind = op.get_bind()
    name = "uploads" if bind.dialect.name == "postgresql" else "Uploads"
    there = {index["name"] for index in sa.inspect(bind).get_indexes(name)}
    for index in INDEXES:
        if index in there:
            op.drop_index(index, table_name=name)
    if bind.dialect.name == "postgresql":
        ours = [key for key, value in VACUUM.items() if _set(bind).get(key) == value]
        if ours:
            op.execute(f"ALTER TABLE uploads RESET ({', '.join(ours)})")


def _missing(bind: sa.Connection) -> list[str]:
    name = "uploads" if bind.dialect.name == "postgresql" else "Uploads"
    there = {index["name"] for index in sa.inspect(bind).get_indexes(name)}
    return [index for index in INDEXES if index not in there]


def _set(bind: sa.Connection) -> dict[str, str]:
    """Return the table's storage parameters."""
    options = bind.execute(
        sa.text("SELECT unnest(reloptions) FROM pg_class WHERE oid = 'uploads'::regclass")
    ).scalars()
    return dict(option.split("=", 1) for option in options)


def _drop_invalid(bind: sa.Connection) -> None:
    """A concurrent build that was interrupted leaves an index that nobody may use."""
    invalid = bind.execute(
        sa.text(
            "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
            " WHERE i.indrelid = 'uploads'::regclass AND NOT i.indisvalid"
        )
    )
    for index in set(invalid.scalars()) & set(INDEXES):
        op.execute(f"DROP INDEX CONCURRENTLY {index}")
