"""What is written to a row after the claim, and beside it: each in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, update

from audio_processor.errors import LeaseLost
from audio_processor.model import COMPLETED, FAILED, PENDING, PROCESSING, Claim, UploadStatus
from uploads_queue import clock, history
from uploads_queue.ownership import NOT_MEASURED
from uploads_queue.records import AttemptOutcome
from uploads_queue.schema import TRACK, uploads
from uploads_queue.searching import abandoned


@dataclass(frozen=True, slots=True)
class Settlement:
    """How an attempt ends: the row's next status, the history's outcome, other columns."""

    status: UploadStatus
    outcome: AttemptOutcome
    error_code: str | None = None
    error_message: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


def write_held(connection: Connection, claim: Claim, values: Mapping[str, Any]) -> None:
    """Write to the row that the claim holds. Raises ``LeaseLost``."""
    table = uploads(connection.dialect.name)
    done = connection.execute(update(table).where(held(table.c, claim)).values(**values))
    if done.rowcount != 1:
        raise _lost(claim)


def settle(connection: Connection, in_doubt: bool, claim: Claim, end: Settlement) -> None:
    """Give the row up as the settlement says. Raises ``LeaseLost``.

    The token stays in the row: where an earlier try may have been committed, the row that is
    no longer held but carries our token and the wanted status says that it was.
    """
    dialect = connection.dialect.name
    columns = uploads(dialect).c
    row = connection.execute(
        select(columns.history, clock.now(dialect).label("now"))
        .where(held(columns, claim))
        .with_for_update()
    ).first()
    if row is None:
        if in_doubt and _is_settled(connection, claim, end.status):
            return
        raise _lost(claim)
    attempts = history.end(
        history.load_history(row.history),
        outcome=end.outcome,
        now=row.now,
        error_code=end.error_code,
        error_message=end.error_message,
    )
    settled = {
        "processing_status": end.status,
        "lease_expires_at": None,
        "error_code": end.error_code,
        "error_message": end.error_message,
        "history": history.dump_history(attempts),
    }
    write_held(connection, claim, settled | dict(end.values))


def insert_pending(
    connection: Connection, in_doubt: bool, upload_id: str, file_name: str, mastering: str | None
) -> bool:
    """Add a pending track; False where a row with the id is there already."""
    table = uploads(connection.dialect.name)
    row = connection.execute(
        select(table.c.file_name).where(table.c.upload_id == upload_id)
    ).first()
    if row is not None:
        return bool(in_doubt and row.file_name == file_name)
    connection.execute(
        insert(table).values(
            upload_id=upload_id,
            file_name=file_name,
            upload_type=TRACK,
            processing_status=PENDING,
            mastering=mastering,
        )
    )
    return True


def reset(connection: Connection, upload_id: str, changes: Mapping[str, Any]) -> bool:
    """Make the track pending with all its attempts; False where there is none or it is held.

    It waits from now on: how long ago it was uploaded says nothing of the queue.
    """
    dialect = connection.dialect.name
    table = uploads(dialect)
    free = and_(
        table.c.upload_id == upload_id,
        table.c.upload_type == TRACK,
        or_(
            table.c.processing_status.in_([PENDING, COMPLETED, FAILED]),
            abandoned(dialect),
        ),
    )
    row = connection.execute(
        select(
            table.c.processing_status,
            table.c.result,
            table.c.history,
            clock.now(dialect).label("now"),
        )
        .where(free)
        .with_for_update()
    ).first()
    if row is None:
        return False
    completed = row.processing_status == COMPLETED
    attempts = history.end(history.load_history(row.history), outcome="reset", now=row.now)
    connection.execute(
        update(table)
        .where(free)
        .values(
            processing_status=PENDING,
            attempts=0,
            lease_token=None,
            lease_expires_at=None,
            available_at=clock.now(dialect),
            completed_at=None,
            error_code=None,
            error_message=None,
            result=row.result or (NOT_MEASURED if completed else None),
            history=history.dump_history(attempts),
            **changes,
        )
    )
    return True


def held(columns: Any, claim: Claim) -> ColumnElement[bool]:
    """Return the fence: the condition under which a worker may still write to its row."""
    return and_(
        columns.upload_id == claim.upload_id,
        columns.lease_token == claim.lease_token,
        columns.processing_status == PROCESSING,
    )


def _is_settled(connection: Connection, claim: Claim, status: UploadStatus) -> bool:
    columns = uploads(connection.dialect.name).c
    query = select(columns.upload_id).where(
        columns.upload_id == claim.upload_id,
        columns.lease_token == claim.lease_token,
        columns.processing_status == status,
    )
    return connection.execute(query).first() is not None


def _lost(claim: Claim) -> LeaseLost:
    return LeaseLost(
        f"Upload {claim.upload_id!r} is no longer held by {claim.worker_id} (attempt "
        f"{claim.attempt}): it has ended, was reset, or was taken over once its lease ran out."
    )
