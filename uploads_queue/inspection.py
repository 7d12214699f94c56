"""What the queue can tell of itself: read-only queries, each one screen."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from audio_processor.model import COMPLETED, FAILED, PENDING, PROCESSING
from uploads_queue import clock, history
from uploads_queue.records import Lease, QueueCounts, QueueDepth, QueueStatus, UploadRecord
from uploads_queue.schema import TRACK, uploads
from uploads_queue.searching import (
    abandoned,
    by_index,
    claimable,
    claims_order,
    fresh_order,
    tracks,
    wish,
)

MAX_NAMESAKES = 100
MAX_DEPTH = 100_000
"""So far is counted: looking at the queue must stay cheap when it is long."""


def pending(connection: Connection, limit: int | None) -> list[dict[str, Any]]:
    """Return pending tracks, oldest first, as the customer's columns and ``attempts``."""
    dialect = connection.dialect.name
    columns = uploads(dialect).c
    query = (
        select(
            columns.upload_id,
            columns.file_name,
            columns.upload_type,
            columns.processing_status,
            clock.instant(dialect, columns.uploaded_at).label("uploaded_at"),
            columns.error_message,
            columns.attempts,
        )
        .where(columns.upload_type == TRACK, columns.processing_status == PENDING)
        .order_by(columns.uploaded_at, columns.upload_id)
        .limit(limit)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def find(connection: Connection, name: str) -> UploadRecord | None:
    """Return the upload with this id, else the one with this file name, else None."""
    columns = uploads(connection.dialect.name).c
    query = _stories(connection.dialect.name).where(columns.upload_id == name)
    row = connection.execute(query).first()
    return _record(row) if row is not None else find_by_file_name(connection, name)


def find_by_file_name(connection: Connection, name: str) -> UploadRecord | None:
    """Return the upload with exactly this file name, or None.

    Of several: the oldest that is open, else the newest; tracks before all else.
    """
    columns = uploads(connection.dialect.name).c
    query = _stories(connection.dialect.name)
    namesakes = connection.execute(
        query.where(columns.file_name == name).order_by(columns.uploaded_at).limit(MAX_NAMESAKES)
    )
    # MySQL's collations take Song.mp3 for song.mp3; the bucket does not
    exact = [row for row in namesakes if row.file_name == name]
    tracks = [row for row in exact if row.upload_type == TRACK] or exact
    open_ = [row for row in tracks if row.processing_status in {PENDING, PROCESSING}]
    chosen = open_[0] if open_ else tracks[-1] if tracks else None
    return None if chosen is None else _record(chosen)


def counts(connection: Connection) -> QueueCounts:
    """Return how many tracks are in each state, read off the claim's index."""
    dialect = connection.dialect.name
    columns = uploads(dialect).c
    tracks = columns.upload_type == TRACK
    by_status: dict[str, int] = {
        row.processing_status: row.total
        for row in connection.execute(
            select(columns.processing_status, func.count().label("total"))
            .where(tracks)
            .group_by(columns.processing_status)
        )
    }

    def count(*conditions: Any) -> int:
        query = select(func.count()).select_from(uploads(dialect)).where(tracks, *conditions)
        return connection.execute(query).scalar_one()

    unleased = count(columns.processing_status == PROCESSING, columns.lease_expires_at.is_(None))
    return QueueCounts(
        pending=by_status.get(PENDING, 0),
        backing_off=count(
            columns.processing_status == PENDING, columns.available_at > clock.now(dialect)
        ),
        processing=by_status.get(PROCESSING, 0),
        expired=count(abandoned(dialect)) - unleased,
        unleased=unleased,
        completed=by_status.get(COMPLETED, 0),
        failed=by_status.get(FAILED, 0),
    )


def claimable_ids(connection: Connection) -> list[str]:
    """Return the upload ids of the tracks that a worker could claim now, in the claim's order.

    One statement, so that no track is seen twice on its way from one state to the other.
    """
    dialect = connection.dialect.name
    columns = uploads(dialect).c
    return list(
        connection.execute(
            select(columns.upload_id).where(claimable(dialect)).order_by(*claims_order(dialect))
        ).scalars()
    )


def depth(connection: Connection) -> QueueDepth:
    """Return how long the queue is: one statement, off ``ix_uploads_ready`` alone, bounded.

    The age is that of the longest wait of those that could be claimed now: since it was
    uploaded, or since it was made claimable again, which is what ``available_at`` tells.
    """
    row = connection.execute(depth_query(connection.dialect.name)).one()
    waited = [
        _seconds(since, row.now) or 0.0 for since in (row.fresh, row.due) if since is not None
    ]
    return QueueDepth(pending=row.pending, oldest_pending_age_s=max(waited, default=0.0))


@cache
def depth_query(dialect: str) -> Select[Any]:
    """Return the query for the queue's length and since when its longest-waiting have waited."""
    columns = uploads(dialect).c
    waiting = by_index(select(columns.uploaded_at), dialect, "ix_uploads_ready").where(
        tracks(dialect, PENDING)
    )
    in_order = (columns.available_at, columns.uploaded_at, columns.upload_id)
    some = waiting.order_by(*in_order).limit(MAX_DEPTH).subquery()
    fresh = waiting.where(columns.available_at.is_(None), columns.uploaded_at.is_not(None))
    due = waiting.with_only_columns(columns.available_at).where(
        columns.available_at <= clock.now(dialect)
    )
    uploaded_at = fresh.order_by(*fresh_order(dialect)).limit(1).scalar_subquery()
    return select(
        select(func.count()).select_from(some).scalar_subquery().label("pending"),
        clock.instant(dialect, uploaded_at).label("fresh"),
        due.order_by(*in_order).limit(1).scalar_subquery().label("due"),
        clock.now(dialect).label("now"),
    )


def status(connection: Connection) -> QueueStatus:
    """Return the queue as it is now."""
    return QueueStatus(
        counts=counts(connection),
        oldest_pending_age_s=oldest_pending_age_s(connection),
        leases=leases(connection),
    )


def is_needed_by_another(connection: Connection, upload_id: str, file_name: str) -> bool:
    """Return whether another track that is open or has completed has this very file name."""
    columns = uploads(connection.dialect.name).c
    others = connection.execute(
        select(columns.file_name).where(
            columns.file_name == file_name,
            columns.upload_id != upload_id,
            columns.upload_type == TRACK,
            columns.processing_status.in_([PENDING, PROCESSING, COMPLETED]),
        )
    )
    return file_name in others.scalars()


def oldest_pending_age_s(connection: Connection) -> float | None:
    """Return how long the oldest pending track has waited, or None where none is pending."""
    dialect = connection.dialect.name
    columns = uploads(dialect).c
    row = connection.execute(
        select(
            clock.instant(dialect, columns.uploaded_at).label("uploaded_at"),
            clock.now(dialect).label("now"),
        )
        .where(
            columns.upload_type == TRACK,
            columns.processing_status == PENDING,
            columns.uploaded_at.is_not(None),
        )
        .order_by(columns.uploaded_at)
        .limit(1)
    ).first()
    if row is None or row.uploaded_at is None:
        return None
    return max(0.0, _seconds(row.uploaded_at, row.now) or 0.0)


def leases(connection: Connection) -> tuple[Lease, ...]:
    """Return the rows being processed, by worker and age."""
    dialect = connection.dialect.name
    columns = uploads(dialect).c
    query = (
        select(
            columns.worker_id,
            columns.upload_id,
            columns.file_name,
            columns.attempts,
            columns.started_at,
            columns.lease_expires_at,
            clock.now(dialect).label("now"),
        )
        .where(columns.upload_type == TRACK, columns.processing_status == PROCESSING)
        .order_by(columns.worker_id, columns.started_at)
    )
    return tuple(
        Lease(
            worker_id=row.worker_id if row.lease_expires_at else None,
            upload_id=row.upload_id,
            file_name=row.file_name,
            attempt=row.attempts,
            started_at=row.started_at,
            remaining_s=_seconds(row.now, row.lease_expires_at),
        )
        for row in connection.execute(query)
    )


def failed_ids(connection: Connection) -> list[str]:
    """Return the upload ids of all failed tracks, oldest first."""
    columns = uploads(connection.dialect.name).c
    return list(
        connection.execute(
            select(columns.upload_id)
            .where(columns.upload_type == TRACK, columns.processing_status == FAILED)
            .order_by(columns.uploaded_at, columns.upload_id)
        ).scalars()
    )


def _stories(dialect: str) -> Select[Any]:
    table = uploads(dialect)
    others = [column for column in table.c if column.name not in {"uploaded_at", "mastering"}]
    return select(
        *others,
        wish(dialect).label("mastering"),
        clock.instant(dialect, table.c.uploaded_at).label("uploaded_at"),
        clock.now(dialect).label("now"),
    )


def _record(row: Row[Any]) -> UploadRecord:
    processing = row.processing_status == PROCESSING
    waiting = row.processing_status == PENDING
    return UploadRecord(
        upload_id=row.upload_id,
        file_name=row.file_name,
        upload_type=row.upload_type,
        status=row.processing_status,
        uploaded_at=row.uploaded_at,
        error_code=row.error_code,
        error_message=row.error_message,
        attempts=row.attempts,
        worker_id=row.worker_id,
        started_at=row.started_at,
        completed_at=row.completed_at,
        available_at=row.available_at,
        wait_s=max(0.0, _seconds(row.now, row.available_at) or 0.0) if waiting else 0.0,
        lease_remaining_s=_seconds(row.now, row.lease_expires_at) if processing else None,
        output_key=row.output_key,
        mastering=row.mastering,
        summary=history.load_summary(row.result) if row.processing_status == COMPLETED else None,
        ever_completed=row.result is not None or row.processing_status == COMPLETED,
        history=history.load_history(row.history),
    )


def _seconds(start: datetime, end: datetime | None) -> float | None:
    return None if end is None else (end - start).total_seconds()
