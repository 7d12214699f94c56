"""Taking a row: the one transaction in which workers meet.

``SELECT … FOR UPDATE SKIP LOCKED`` reads the first free row off an index (``searching``) and
walks around those that other workers are just taking; ``UPDATE`` by primary key makes it
ours. SQLite has no row locks: there the transaction begins with the write lock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Update, bindparam, update

from audio_processor.model import FAILED, PROCESSING, Claim
from uploads_queue import clock, history, searching
from uploads_queue.ownership import kept_output
from uploads_queue.records import Buried
from uploads_queue.schema import uploads

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
            failed = self._under(connection, lease_token, FAILED)
            buried += [_buried(one, lease_token, one.error_message) for one in failed]
            for held in self._under(connection, lease_token, PROCESSING):
                return Taken(_claim(held, held.attempts, lease_token, worker_id), tuple(buried))
        row = self._next(connection, upload_id)
        while row is not None and self._is_hopeless(row):
            buried += self._bury(connection, row, lease_token)
            row = self._next(connection, upload_id, lost=len(buried) < MAX_BURIED)
        lost = row is not None and row.processing_status == PROCESSING
        suspect = row is not None and lost and row.attempts >= SUSPECT_ATTEMPTS
        if row is None or (suspect and not alone):
            return Taken(buried=tuple(buried))
        claim = self._seize(connection, row, worker_id, lease_token)
        if claim is not None and suspect:
            claim = replace(claim, suspect=True)
        return Taken(claim, tuple(buried))

    def _next(
        self, connection: Connection, upload_id: str | None, *, lost: bool = True
    ) -> Row[Any] | None:
        """Lock the row that is next, or the named one, and return it."""
        if upload_id is not None:
            return connection.execute(searching.named(self.dialect), {"name": upload_id}).first()
        searches = searching.searches(self.dialect, lost=lost)
        if self.dialect == "mysql" and lost:
            # looked for without a lock first: a poll that finds nothing holds up nobody
            there = connection.execute(searching.probe(self.dialect)).one()
            searches = tuple(one for one, any_ in zip(searches, there, strict=True) if any_)
        for search in searches:
            row = connection.execute(search).first()
            if row is not None:
                return row
        return None

    def _is_hopeless(self, row: Row[Any]) -> bool:
        return bool(row.processing_status == PROCESSING and row.attempts >= self.max_attempts)

    def _under(self, connection: Connection, lease_token: str, status: str) -> Iterable[Row[Any]]:
        query = searching.under(self.dialect, status)
        return connection.execute(query, {"token": lease_token}).all()

    def _seize(
        self, connection: Connection, row: Row[Any], worker_id: str, lease_token: str
    ) -> Claim | None:
        attempt = row.attempts + 1
        attempts = history.begin(
            history.load_history(row.history), number=attempt, worker_id=worker_id, now=row.now
        )
        done = connection.execute(
            _seizure(self.dialect, self.lease_s),
            _as_read(row)
            | {
                "new_attempts": attempt,
                "new_token": lease_token,
                "new_worker": worker_id,
                "new_history": history.dump_history(attempts),
            },
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
            _unchanged(self.dialect).values(
                processing_status=FAILED,
                error_code=EXHAUSTED,
                error_message=message,
                lease_token=lease_token,
                lease_expires_at=None,
                output_key=kept_output(self.dialect),
                history=history.dump_history(ended),
            ),
            _as_read(row),
        )
        return [_buried(row, lease_token, message)] if done.rowcount else []


@cache
def _unchanged(dialect: str) -> Update:
    """The row by its key, if it is as it was read: true even where locks are not kept."""
    table = uploads(dialect)
    return update(table).where(
        table.c.upload_id == bindparam("read_id"),
        table.c.processing_status == bindparam("read_status"),
        table.c.lease_token.is_not_distinct_from(bindparam("read_token")),
    )


def _as_read(row: Row[Any]) -> dict[str, Any]:
    return {
        "read_id": row.upload_id,
        "read_status": row.processing_status,
        "read_token": row.lease_token,
    }


@cache
def _seizure(dialect: str, lease_s: float) -> Update:
    return _unchanged(dialect).values(
        processing_status=PROCESSING,
        attempts=bindparam("new_attempts"),
        lease_token=bindparam("new_token"),
        lease_expires_at=clock.now(dialect, plus_s=lease_s),
        worker_id=bindparam("new_worker"),
        available_at=None,
        started_at=clock.now(dialect),
        completed_at=None,
        history=bindparam("new_history"),
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
