"""Indexes by which a claim walks past no row that it cannot take, and a vacuum that keeps up.

``ix_uploads_claim`` stays: versions before this one claim by it, and lists and counts read it.
Built while the table is in use, as in 0002.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from migrations import indexes

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
        for index in indexes.missing(bind, INDEXES):
            op.create_index(index, "Uploads", STATUS + INDEXES[index])
        return
    with op.get_context().autocommit_block():
        indexes.drop_invalid(bind, INDEXES)
        for index in indexes.missing(bind, INDEXES):
            where: dict[str, Any] = {"postgresql_where": sa.text(WHERE[index])}
            op.create_index(index, "uploads", INDEXES[index], postgresql_concurrently=True, **where)
        # what the customer has set, they have set
        settings = [f"{key} = {value}" for key, value in VACUUM.items() if key not in _set(bind)]
        if settings:
            op.execute(f"ALTER TABLE uploads SET ({', '.join(settings)})")


def downgrade() -> None:
    bind = op.get_bind()
    indexes.drop(bind, INDEXES)
    if bind.dialect.name == "postgresql":
        ours = [key for key, value in VACUUM.items() if _set(bind).get(key) == value]
        if ours:
            op.execute(f"ALTER TABLE uploads RESET ({', '.join(ours)})")


def _set(bind: sa.Connection) -> dict[str, str]:
    """Return the table's storage parameters."""
    options = bind.execute(
        sa.text("SELECT unnest(reloptions) FROM pg_class WHERE oid = 'uploads'::regclass")
    ).scalars()
    return dict(option.split("=", 1) for option in options)
