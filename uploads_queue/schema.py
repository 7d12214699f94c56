"""The ``Uploads`` table: the customer's six columns, and ours beside them.

Ours are all nullable or defaulted, so a client that knows none of them can go on inserting.
``migrations/versions`` says the same in steps; a test holds the two together.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import (
    TIMESTAMP,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects import mysql

from uploads_queue.columns import OutputKey, UtcTime

HEAD = "0004"
"""The newest revision in ``migrations/versions``: said here so that asking costs no Alembic."""

VERSION_TABLE = "audio_processor_version"
"""Our own, since the customer's application may keep an ``alembic_version`` in this database."""

TRACK = "track"
"""The ``upload_type`` of the rows that are ours to process."""

MAX_WISH = 16 * 1024
"""Bytes of a ``mastering`` that are worth keeping; what is longer is no wish."""

WAITING = "(upload_type = 'track' AND processing_status = '0') IS TRUE"
IN_WORK = "(upload_type = 'track' AND processing_status = 'processing') IS TRUE"
"""What PostgreSQL's indexes for the claim are limited to."""

LONG_TEXT = Text().with_variant(mysql.MEDIUMTEXT(), "mysql")
"""``TEXT`` on MySQL ends at 64 KiB, in the middle of a history or of its last character."""


def table_name(dialect: str) -> str:
    """Return the name that an unquoted ``Uploads`` has on the dialect."""
    return "uploads" if dialect == "postgresql" else "Uploads"


@cache
def uploads(dialect: str) -> Table:
    """Return the table as the dialect (``sqlite``, ``postgresql``, ``mysql``) knows it."""
    table = Table(
        table_name(dialect),
        MetaData(),
        # the customer's: never altered, never dropped
        Column("upload_id", String(255), primary_key=True),
        Column("file_name", String(255), nullable=False),
        Column("upload_type", String(50), server_default=text("'track'")),
        Column("processing_status", String(20), server_default=text("'0'")),
        Column("uploaded_at", TIMESTAMP, server_default=text("CURRENT_TIMESTAMP")),
        Column("error_message", Text),
        # ours
        Column("attempts", Integer, nullable=False, server_default=text("0")),
        Column("lease_token", String(64)),
        Column("lease_expires_at", UtcTime),
        Column("worker_id", String(255)),
        Column("available_at", UtcTime),
        Column("started_at", UtcTime),
        Column("completed_at", UtcTime),
        Column("error_code", String(64)),
        Column("output_key", OutputKey),
        Column("result", LONG_TEXT),
        Column("history", LONG_TEXT),
        Column("mastering", Text),  # the one that clients are welcome to write
    )
    columns = table.c
    # for lists and counts by status, and the claims of versions before 0004
    status = (columns.upload_type, columns.processing_status)
    Index("ix_uploads_claim", *status, columns.uploaded_at, columns.upload_id)
    # for the searches in ``searching``: of the tracks that wait, and of those in work
    ready = (columns.available_at, columns.uploaded_at, columns.upload_id)
    lease = (columns.lease_expires_at, columns.upload_id)
    if dialect == "postgresql":  # a row that has ended is in neither
        Index("ix_uploads_ready", *ready, postgresql_where=text(WAITING))
        Index("ix_uploads_lease", *lease, postgresql_where=text(IN_WORK))
    else:
        Index("ix_uploads_ready", *status, *ready)
        Index("ix_uploads_lease", *status, *lease)
    Index(
        "ix_uploads_file_name",
        columns.file_name,
        mysql_length={"file_name": 191},  # 767 bytes of utf8mb4, all that an old row format allows
        postgresql_ops={"file_name": "varchar_pattern_ops"},  # serves = and LIKE 'stem.%'
    )
    Index("uq_uploads_output_key", columns.output_key, unique=True)
    return table


def version_table() -> Table:
    """Return the one-row table that says which revision the database is at."""
    return Table(VERSION_TABLE, MetaData(), Column("version_num", String(32), primary_key=True))
