"""Taking a row: the one transaction in which workers meet.

``SELECT … FOR UPDATE SKIP LOCKED`` reads the first free row off ``ix_uploads_claim`` and
walks around those that other workers are just taking; ``UPDATE`` by primary key makes it
ours. SQLite has no row locks: there the transaction begins with the write lock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Update,
    and_,
    func,
    or_,
    select,
    update,
)

from audio_processor.model import FAILED, PENDING, PROCESSING, Claim
from uploads_queue import clock, history
from uploads_queue.columns import ForeignText
from uploads_queue.ownership import kept_output
from uploads_queue.records import Buried
from uploads_queue.schema import MAX_WISH, TRACK, uploads

EXHAUSTED = "attempts_exhausted"
SUSPECT_ATTEMPTS = 2
"""So many claims, and the last one's worker vanished: the track may be the reason."""
MAX_BURIED = 10
"""Hopeless rows failed in one claim: what is done about them is done while its lease runs."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of one claim."""

    claim: Claim | None = None
    buried: tuple[Buried, ...] = ()


@dataclass(frozen=True, slots=True)
class Claiming:
    """How rows are taken on one database."""

    dialect: str
    lease_s: float
    max_attempts: int

    def take(
        self,
        connection: Connection,
        *,
        worker_id: str,
        lease_token: str,
        upload_id: str | None,
        in_doubt: bool,
        alone: bool = True,
    ) -> Taken:
        """Return the claimed row, if there is one to claim, and the rows failed on the way.

        A job whose worker died goes before the pending: it was claimed before them. Where an
        earlier try may have been committed, the rows under our token are looked for first.

        A row that has lost its worker twice may be what kills it, and the jobs beside it with
        it, every time: it is for a worker that is ``alone`` with it. For another there is
        nothing to claim then, so that it soon is.
        """
        buried: list[Buried] = []
        if in_doubt:
            failed = connection.execute(self._under(lease_token, FAILED))
            buried += [_buried(row, lease_token, row.error_message) for row in failed]
            row = connection.execute(self._under(lease_token, PROCESSING)).first()
            if row is not None:
                return Taken(_claim(row, row.attempts, lease_token, worker_id), tuple(buried))
        row = None
        for _ in range(MAX_BURIED):
            row = connection.execute(self.expired(upload_id)).first()
            if row is None or row.attempts < self.max_attempts:
                break
            buried += self._bury(connection, row, lease_token)
            row = None
        suspect = row is not None and row.attempts >= SUSPECT_ATTEMPTS
        if suspect and not alone:
            return Taken(buried=tuple(buried))
        if row is None:
            row = connection.execute(self.pending(upload_id)).first()
        claim = None if row is None else self._seize(connection, row, worker_id, lease_token)
        if claim is not None and suspect:
            claim = replace(claim, suspect=True)
        return Taken(claim, tuple(buried))

    def pending(self, upload_id: str | None = None) -> Select[Any]:
        """Return the query for the oldest pending track that may be claimed now."""
        return self._first(PENDING, ready(self.dialect), upload_id)

    def expired(self, upload_id: str | None = None) -> Select[Any]:
        """Return the query for the oldest track whose worker stopped renewing its lease."""
        return self._first(PROCESSING, expired(self.dialect), upload_id)

    def _first(
        self, status: str, condition: ColumnElement[bool], upload_id: str | None
    ) -> Select[Any]:
        columns = uploads(self.dialect).c
        query = (
            self._rows()
            .where(columns.upload_type == TRACK, columns.processing_status == status, condition)
            .with_for_update(skip_locked=True)
            .limit(1)
        )
        if upload_id is not None:
            return query.where(columns.upload_id == upload_id)
        return query.order_by(columns.uploaded_at, columns.upload_id)

    def _under(self, lease_token: str, status: str) -> Select[Any]:
        columns = uploads(self.dialect).c
        return self._rows().where(
            columns.upload_type == TRACK,
            columns.processing_status == status,
            columns.lease_token == lease_token,
        )

    def _rows(self) -> Select[Any]:
        columns = uploads(self.dialect).c
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
            wish(self.dialect).label("mastering"),
            clock.instant(self.dialect, columns.uploaded_at).label("uploaded_at"),
            clock.now(self.dialect).label("now"),
        )

    def _seize(
        self, connection: Connection, row: Row[Any], worker_id: str, lease_token: str
    ) -> Claim | None:
        attempt = row.attempts + 1
        attempts = history.begin(
            history.load_history(row.history), number=attempt, worker_id=worker_id, now=row.now
        )
        done = connection.execute(
            self._unchanged(row).values(
                processing_status=PROCESSING,
                attempts=attempt,
                lease_token=lease_token,
                lease_expires_at=clock.now(self.dialect, plus_s=self.lease_s),
                worker_id=worker_id,
                available_at=None,
                started_at=clock.now(self.dialect),
                completed_at=None,
                history=history.dump_history(attempts),
            )
        )
        return _claim(row, attempt, lease_token, worker_id) if done.rowcount else None

    def _bury(self, connection: Connection, row: Row[Any], lease_token: str) -> list[Buried]:
        """Fail the row, and return it if it was as it was read.

        It gets our token: by that a burial whose commit is in doubt is told from another's.
        """
        message = exhausted_message(
            row.attempts, self.max_attempts, row.worker_id, row.lease_expires_at
        )
        ended = history.end(
            history.load_history(row.history),
            outcome="lease_expired",
            now=row.now,
            error_code=EXHAUSTED,
            error_message=message,
        )
        done = connection.execute(
            self._unchanged(row).values(
                processing_status=FAILED,
                error_code=EXHAUSTED,
                error_message=message,
                lease_token=lease_token,
                lease_expires_at=None,
                output_key=kept_output(self.dialect),
                history=history.dump_history(ended),
            )
        )
        return [_buried(row, lease_token, message)] if done.rowcount else []

    def _unchanged(self, row: Row[Any]) -> Update:
        """The row by its key, if it is as it was read: true even where locks are not kept."""
        table = uploads(self.dialect)
        same_token = (
            table.c.lease_token.is_(None)
            if row.lease_token is None
            else table.c.lease_token == row.lease_token
        )
        return update(table).where(
            table.c.upload_id == row.upload_id,
            table.c.processing_status == row.processing_status,
            same_token,
        )


def exhausted_message(
    attempts: int, max_attempts: int, worker_id: str | None, expired_at: datetime
) -> str:
    """Return the sentence for a row whose last worker vanished with no attempt left."""
    return (
        f"Attempt {attempts} of {max_attempts} ended without a word: worker {worker_id} stopped "
        f"renewing its lease, which ran out at {expired_at:%Y-%m-%d %H:%M:%S} UTC. The file may "
        "be what kills the worker; look at its log before retrying."
    )


def wish(dialect: str) -> ColumnElement[str]:
    """Return the row's ``mastering``, cut where one that is too long can be told from others."""
    column = uploads(dialect).c.mastering
    return func.substr(column, 1, MAX_WISH + 1, type_=ForeignText)


def ready(dialect: str) -> ColumnElement[bool]:
    """Return the condition for a pending row that is not in backoff."""
    columns = uploads(dialect).c
    return columns.available_at.is_(None) | (columns.available_at <= clock.now(dialect))


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


def _buried(row: Row[Any], lease_token: str, message: str) -> Buried:
    claim = _claim(row, row.attempts, lease_token, row.worker_id or "")
    return Buried(claim, EXHAUSTED, message)


def _claim(row: Row[Any], attempt: int, lease_token: str, worker_id: str) -> Claim:
    return Claim(
        upload_id=row.upload_id,
        file_name=row.file_name,
        attempt=attempt,
        lease_token=lease_token,
        worker_id=worker_id,
        uploaded_at=row.uploaded_at,
        mastering=row.mastering,
    )
