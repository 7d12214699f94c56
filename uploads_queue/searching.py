"""Which row is the next: three searches, each of which reads the first entry of an index range.

First what a vanished worker left, by when its lease ran out; then what failed for a time, was
handed back or reset, by when it may be tried again; then what was never tried, by when it was
uploaded. What is tried again was claimed before all that still wait for the first time, so that
this is the order of upload too, as near as makes no difference, and no search ever walks past a
row that it cannot take: neither the leases of a whole fleet nor what an outage has put off.

The statements are built once: to build one costs more than to run it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    or_,
    select,
    true,
    union_all,
)

from audio_processor.model import PENDING, PROCESSING
from uploads_queue import clock
from uploads_queue.columns import ForeignText
from uploads_queue.schema import MAX_WISH, TRACK, uploads

Search = Select[Any] | CompoundSelect[Any]


@cache
def searches(dialect: str, *, lost: bool = True) -> tuple[Search, ...]:
    """Return what finds and locks the next row: to be tried in turn until one finds it.

    PostgreSQL does it in one statement, of which it runs no more than it needs.
    """
    locking = [
        by_index(_rows(dialect), dialect, way.index)
        .where(way.condition)
        .order_by(*way.order)
        .limit(1)
        .with_for_update(skip_locked=True)
        for way in _ways(dialect)[0 if lost else 1 :]
    ]
    if dialect != "postgresql":
        return tuple(locking)
    branches = [select(one.subquery(f"way_{number}")) for number, one in enumerate(locking)]
    return (union_all(*branches).limit(1),)


@cache
def probe(dialect: str) -> Select[Any]:
    """Return the query that tells, for each search, whether there is a row, and locks nothing."""
    one: Select[Any] = select(literal_column("1")).select_from(uploads(dialect))
    found = [
        exists(by_index(one, dialect, way.index).where(way.condition)) for way in _ways(dialect)
    ]
    labelled: list[Any] = [way.label(f"way_{number}") for number, way in enumerate(found)]
    return select(*labelled)


@cache
def named(dialect: str) -> Select[Any]:
    """Return the query for the row ``name``, if it can be claimed now."""
    columns = uploads(dialect).c
    return (
        _rows(dialect)
        .where(columns.upload_id == bindparam("name"), claimable(dialect))
        .limit(1)
        .with_for_update(skip_locked=True)
    )


@cache
def under(dialect: str, status: str) -> Select[Any]:
    """Return the query for the rows of this status that carry the token ``token``."""
    columns = uploads(dialect).c
    return _rows(dialect).where(
        columns.upload_type == TRACK,
        columns.processing_status == status,
        columns.lease_token == bindparam("token"),
    )


def claimable(dialect: str) -> ColumnElement[bool]:
    """Return the condition for a row that any of the searches may find."""
    return or_(*(way.condition for way in _ways(dialect)))


def claims_order(dialect: str) -> tuple[ColumnElement[Any], ...]:
    """Return the order in which claimable rows are claimed, over all three searches."""
    columns = uploads(dialect).c
    pending = columns.processing_status == PENDING
    rank = case(
        (columns.processing_status == PROCESSING, 0),
        (columns.available_at.is_not(None), 1),
        else_=2,
    )
    since = case((pending, columns.available_at), else_=columns.lease_expires_at)
    return rank, since, columns.uploaded_at, columns.upload_id


@dataclass(frozen=True, slots=True)
class _Way:
    """One search: its condition and order, as its index has them."""

    index: str
    condition: ColumnElement[bool]
    order: tuple[ColumnElement[Any], ...]


def _ways(dialect: str) -> tuple[_Way, ...]:
    columns = uploads(dialect).c
    in_work, waits = tracks(dialect, PROCESSING), tracks(dialect, PENDING)
    due = and_(waits, columns.available_at <= clock.now(dialect))
    as_due = (columns.available_at, columns.uploaded_at, columns.upload_id)
    lease = (columns.lease_expires_at, columns.upload_id)
    return (
        _Way("ix_uploads_lease", and_(in_work, expired(dialect)), lease),
        _Way("ix_uploads_ready", due, as_due),
        _Way(
            "ix_uploads_ready",
            and_(waits, columns.available_at.is_(None)),
            fresh_order(dialect),
        ),
    )


def tracks(dialect: str, status: str) -> ColumnElement[bool]:
    """Return the condition for the tracks of this status, as the claim's indexes are made for.

    On PostgreSQL as one expression, which is that of the partial indexes and which no other
    index serves: else a planner whose statistics are of a quiet hour reads a fleet's leases one
    by one and sorts them.
    """
    columns = uploads(dialect).c
    both = and_(columns.upload_type == TRACK, columns.processing_status == status)
    return both.is_(true()) if dialect == "postgresql" else both


def by_index(query: Select[Any], dialect: str, index: str) -> Select[Any]:
    """Return the query told by which index: MySQL and MariaDB guess from a few samples."""
    return query.with_hint(uploads(dialect), f"FORCE INDEX ({index})", "mysql")


def fresh_order(dialect: str) -> tuple[ColumnElement[Any], ...]:
    """Return the order of the rows whose ``available_at`` is NULL, as the planner finds it.

    PostgreSQL sees that the index has it only where the NULLs are said too, MariaDB only where
    they are not.
    """
    columns = uploads(dialect).c
    by_upload = (columns.uploaded_at, columns.upload_id)
    return (columns.available_at, *by_upload) if dialect == "postgresql" else by_upload


@cache
def _rows(dialect: str) -> Select[Any]:
    columns = uploads(dialect).c
    return select(
        columns.upload_id,
        columns.file_name,
        columns.processing_status,
        columns.attempts,
        columns.lease_token,
        columns.lease_expires_at,
        columns.worker_id,
        columns.error_message,
        columns.history,
        wish(dialect).label("mastering"),
        clock.instant(dialect, columns.uploaded_at).label("uploaded_at"),
        clock.now(dialect).label("now"),
    )


def wish(dialect: str) -> ColumnElement[str]:
    """Return the row's ``mastering``, cut where one that is too long can be told from others."""
    column = uploads(dialect).c.mastering
    return func.substr(column, 1, MAX_WISH + 1, type_=ForeignText)


def expired(dialect: str) -> ColumnElement[bool]:
    """Return the condition for a processing row whose lease has run out."""
    return uploads(dialect).c.lease_expires_at < clock.now(dialect)


def abandoned(dialect: str) -> ColumnElement[bool]:
    """Return the condition for a processing row that nobody holds a running lease on."""
    columns = uploads(dialect).c
    return and_(
        columns.processing_status == PROCESSING,
        or_(columns.lease_expires_at.is_(None), expired(dialect)),
    )
