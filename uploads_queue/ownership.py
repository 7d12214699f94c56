"""Who owns an output folder: the upload that is making it, and for good the one that made it.

The mark of an upload that has ever completed is its ``result``, which outlives a reset: its
ladder is public, and a later attempt that fails changes nothing about that.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Case, ColumnElement, Connection, Select, and_, case, or_, select

from audio_processor.model import COMPLETED
from uploads_queue.schema import TRACK, uploads

NOT_MEASURED = "{}"
"""The ``result`` of an upload that completed before there was such a column, once reset."""


def kept_output(dialect: str) -> Case[Any]:
    """Return the ``output_key`` of a row that fails: its own if it ever completed, else NULL."""
    columns = uploads(dialect).c
    return case((columns.result.is_not(None), columns.output_key))


def owner_of(connection: Connection, track_id: str, *, but: str) -> tuple[str, str] | None:
    """Return id and file name of the other upload that owns the output, or None."""
    dialect = connection.dialect.name
    columns = uploads(dialect).c
    owner = connection.execute(
        select(columns.upload_id, columns.file_name).where(
            columns.upload_id != but, columns.output_key == track_id
        )
    ).first()
    if owner is not None:
        return owner.upload_id, owner.file_name
    for row in connection.execute(namesakes(dialect, track_id)):
        if row.is_owner and _stem(row.file_name) == track_id and row.upload_id != but:
            return row.upload_id, row.file_name
    return None


def namesakes(dialect: str, track_id: str) -> Select[Any]:
    """Return the query for who may own the output without an ``output_key`` to say so.

    An output from before this version is owned by whichever upload with that stem has ever
    completed. By the name alone, since planners mistake how few rows another index leaves.
    """
    columns = uploads(dialect).c
    is_owner = and_(
        columns.output_key.is_(None),
        or_(columns.processing_status == COMPLETED, columns.result.is_not(None)),
        columns.upload_type == TRACK,
    )
    return select(columns.upload_id, columns.file_name, is_owner.label("is_owner")).where(
        or_(columns.file_name == track_id, _begins(dialect, f"{track_id}."))
    )


def _begins(dialect: str, prefix: str) -> ColumnElement[bool]:
    """Return the condition for file names with the prefix, as the dialect's index serves it.

    SQLite's LIKE ignores case, so that no index serves it, but its text is ordered by bytes.
    Elsewhere the order is the collation's; LIKE on an index for it is right with all of them.
    """
    file_name = uploads(dialect).c.file_name
    if dialect == "sqlite":
        return and_(file_name >= prefix, file_name < prefix[:-1] + chr(ord(prefix[-1]) + 1))
    return file_name.startswith(prefix, autoescape=True)


def _stem(file_name: str) -> str:
    return file_name.rpartition(".")[0] or file_name
