"""DatabaseManager: the queue over the customer's ``Uploads`` table.

At-least-once work, exactly-once result: a claim is a lease under a token, and every later
write carries the token. In ``uploads_queue``: ``claiming`` has how a row is taken,
``writing`` what is written after, ``inspection`` what can be asked, ``transactions`` what is
repeated, ``faults`` what drivers' errors mean.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import Connection, case, inspect, select

from audio_processor.errors import ConfigError, MasteringRejected, NameRejected, OutputConflict
from audio_processor.model import COMPLETED, FAILED, PENDING, Claim, TrackSummary
from uploads_queue import clock, history, inspection, ownership, writing
from uploads_queue.claiming import Claiming, Taken
from uploads_queue.columns import MAX_KEY_BYTES
from uploads_queue.connect import Patience, open_engine
from uploads_queue.faults import MIGRATE, ValueRefused
from uploads_queue.place import read_config
from uploads_queue.records import (
    Attempt,
    Buried,
    Lease,
    QueueCounts,
    QueueDepth,
    QueueStatus,
    SchemaState,
    UploadRecord,
)
from uploads_queue.schema import HEAD, MAX_WISH, VERSION_TABLE, uploads, version_table
from uploads_queue.transactions import Transactions
from uploads_queue.writing import Settlement

__all__ = [
    "Attempt",
    "DatabaseManager",
    "Lease",
    "QueueCounts",
    "QueueDepth",
    "QueueStatus",
    "SchemaState",
    "UploadRecord",
]

OnBuried = Callable[[Claim, str, str], None]
"""What to do about a claim that was failed, with its error code and message."""

log = logging.getLogger(__name__)
T = TypeVar("T")


class DatabaseManager:
    """The queue (``ports.Queue``) and what operators ask of it. Thread-safe; connects lazily.

    ``db_config`` has ``host``, ``user``, ``password``, ``database``, ``port`` and, where
    wanted, ``unix_socket``, ``tls``, ``tls_verify``, ``tls_ca_file``, ``tls_cert_file``,
    ``tls_key_file``; for ``db_type='sqlite'``, ``database`` is the file's path and the rest
    is not used.

    Raises ``ConfigError`` for a configuration that cannot work; every method may raise it for
    what only the server knows (a refused password, a missing table), and
    ``DatabaseUnavailable`` once its own bounded retries are used up.
    """

    def __init__(
        self,
        db_config: Mapping[str, Any],
        db_type: str = "mysql",
        *,
        lease_s: float = 90.0,
        max_attempts: int = 3,
        pool_size: int = 4,
        connect_timeout_s: float = 10.0,
        lock_timeout_s: float = 10.0,
        silence_timeout_s: float = 30.0,
        auto_migrate: bool | None = None,
        on_buried: OnBuried | None = None,
    ) -> None:
        """``silence_timeout_s``: give a connection up that says nothing for so long.

        ``auto_migrate``: bring the table up to date on first use; by default SQLite's only.

        ``on_buried(claim, error_code, error_message)``, an attribute too, is called by
        ``claim`` in its own thread for each row that it failed as ``attempts_exhausted``, once
        that is committed; what it raises is logged and stops nothing.
        """
        if lease_s <= 0 or max_attempts < 1 or pool_size < 1:
            raise ConfigError("lease_s must be over 0, max_attempts and pool_size at least 1.")
        self._place = read_config(db_config, db_type)
        self._dialect = self._place.dialect
        self.on_buried = on_buried
        self._lease_s = lease_s
        self._claiming = Claiming(self._dialect, lease_s, max_attempts)
        patience = Patience(
            _whole(connect_timeout_s), _whole(lock_timeout_s), _whole(silence_timeout_s)
        )
        self._engine = open_engine(self._place, pool_size=pool_size, patience=patience)
        self._any_schema = Transactions(self._engine, self._place)
        self._migrates = self._dialect == "sqlite" if auto_migrate is None else auto_migrate
        self._ready = not self._migrates
        self._may_claim = False
        self._getting_ready = threading.Lock()

    def __repr__(self) -> str:
        return f"DatabaseManager({self._place})"

    def describe(self) -> str:
        """Return which database this is, for messages: never a credential."""
        return str(self._place)

    def close(self) -> None:
        """Close the idle connections; those in use close when they are given back."""
        self._engine.dispose()

    # ── the queue, as a worker sees it ───────────────────────────────────────────────────

    def claim(
        self, worker_id: str, *, upload_id: str | None = None, alone: bool = True
    ) -> Claim | None:
        """Take the next track (or the named one), counting the attempt, or None.

        The next is what a vanished worker left, else what is due again (after a failure, a hand
        back, a reset), else the oldest upload that was never tried. Tracks in backoff are not
        taken, named or not. A track whose lease ran out with no attempt left is failed as
        ``attempts_exhausted`` instead, and ``on_buried`` told. One that has lost its worker twice
        is a suspect: while it is the next, only a worker that is ``alone`` gets a track.

        Raises ``ConfigError`` on the table of an older version: PostgreSQL would answer there,
        by reading the whole of it at each poll.
        """
        lease_token = secrets.token_hex(16)
        self._demand_schema()

        def take(connection: Connection, in_doubt: bool) -> Taken:
            return self._claiming.take(
                connection,
                worker_id=_ascii(worker_id)[:255],
                lease_token=lease_token,
                upload_id=upload_id,
                in_doubt=in_doubt,
                alone=alone,
            )

        taken = _unless_unstorable(upload_id, lambda: self._transactions.write(take), Taken())
        for buried in taken.buried:
            self._tell_of(buried)
        return taken.claim

    def renew(self, claim: Claim) -> None:
        """Push the lease's end out by the lease time. Raises ``LeaseLost``."""
        self._write_held(claim, lease_expires_at=clock.now(self._dialect, plus_s=self._lease_s))

    def reserve_output(self, claim: Claim, track_id: str) -> None:
        """Make ``track_id`` this upload's own: for good once it completes, else until it fails.

        Raises ``OutputConflict`` if another has it, ``LeaseLost``, ``NameRejected``.
        """
        if not _storable(track_id) or len(track_id.encode()) > MAX_KEY_BYTES:
            raise NameRejected(f"The track id is longer than {MAX_KEY_BYTES} bytes or no text.")
        self._refuse_if_owned(claim, track_id)
        try:
            self._write_held(claim, output_key=track_id)
        except ValueRefused as error:
            self._refuse_if_owned(claim, track_id)
            if error.is_duplicate:  # and its owner has just given it up
                raise
            raise NameRejected(f"The Uploads table cannot hold this name: {error}") from error

    def complete(self, claim: Claim, summary: TrackSummary) -> None:
        """Record success and what was measured. Raises ``LeaseLost``."""
        now = clock.now(self._dialect)
        values = {"result": history.dump_summary(summary), "completed_at": now}
        self._settle(claim, Settlement(COMPLETED, "completed", values=values))

    def fail(self, claim: Claim, *, error_code: str, error_message: str) -> None:
        """Record that the track failed for good. Raises ``LeaseLost``.

        Its output is given up, unless it has ever completed: then that is still what is public.
        """
        values = {"output_key": ownership.kept_output(self._dialect)}
        self._settle(claim, Settlement(FAILED, "failed", error_code, error_message, values))

    def retry_later(
        self, claim: Claim, *, error_code: str, error_message: str, delay_s: float
    ) -> None:
        """Back to pending, not to be claimed for ``delay_s`` seconds. Raises ``LeaseLost``."""
        values = {"available_at": clock.now(self._dialect, plus_s=delay_s)}
        self._settle(claim, Settlement(PENDING, "retried", error_code, error_message, values))

    def hand_back(self, claim: Claim, *, delay_s: float = 0.0) -> None:
        """Back to pending, with the attempt refunded; it waits anew. Raises ``LeaseLost``."""
        attempts = uploads(self._dialect).c.attempts
        values = {
            "attempts": case((attempts > 0, attempts - 1), else_=0),
            "available_at": clock.now(self._dialect, plus_s=max(0.0, delay_s)),
        }
        self._settle(claim, Settlement(PENDING, "handed_back", values=values))

    def _tell_of(self, buried: Buried) -> None:
        claim = buried.claim
        if self.on_buried is None:
            log.warning("upload %s failed: %s", claim.upload_id, buried.error_message)
            return
        try:
            self.on_buried(claim, buried.error_code, buried.error_message)
        except Exception:  # the row is right, and a claim may be waiting to be returned
            log.exception("on_buried failed for upload %s", claim.upload_id)

    def _write_held(self, claim: Claim, **values: Any) -> None:
        # the same written twice is the same, so a commit in doubt needs no second look
        self._transactions.write(
            lambda connection, _: writing.write_held(connection, claim, values)
        )

    def _settle(self, claim: Claim, end: Settlement) -> None:
        if end.error_code is not None and end.error_message is not None:
            message = history.clip(end.error_message)
            end = replace(end, error_code=end.error_code[:64], error_message=message)
        try:
            self._transactions.write(
                lambda connection, in_doubt: writing.settle(connection, in_doubt, claim, end)
            )
        except ValueRefused:
            # the customer's error_message may be in a character set without this one's characters
            if end.error_message is None or "error_message" in end.values:
                raise
            plain = _ascii(end.error_message)[: history.MAX_ERROR_MESSAGE]
            values = {**end.values, "error_message": plain}
            self._settle(claim, replace(end, values=values))

    def _refuse_if_owned(self, claim: Claim, track_id: str) -> None:
        owner = self._look_up(
            lambda connection: ownership.owner_of(connection, track_id, but=claim.upload_id),
            track_id,
            None,
        )
        if owner is not None:
            upload_id, file_name = owner
            raise OutputConflict(
                f"The output {track_id!r} belongs to upload {upload_id!r} ({file_name!r}); "
                "rename this file and upload it again."
            )

    # ── the queue, as its operators see it ───────────────────────────────────────────────

    def insert(self, upload_id: str, file_name: str, mastering: str | None = None) -> bool:
        """Add a pending track; False where a row has this ``upload_id`` already.

        ``mastering`` is a preset's name or JSON; nothing and an empty text are the same.
        Raises ``NameRejected`` and ``MasteringRejected`` for what the columns cannot hold.
        """
        if not all(_storable(text) and len(text) <= 255 for text in (upload_id, file_name)):
            raise NameRejected("upload_id and file_name must be text of at most 255 characters.")
        wish = _wish(mastering)
        try:
            return self._transactions.write(
                lambda connection, in_doubt: writing.insert_pending(
                    connection, in_doubt, upload_id, file_name, wish
                )
            )
        except ValueRefused as error:
            if self.find(upload_id) is not None:  # another client was quicker
                return False
            raise NameRejected(f"The Uploads table cannot hold this name: {error}") from error

    def reset(self, upload_id: str, mastering: str | None = None) -> bool:
        """Make a failed, completed, stuck or backing-off track pending with all its attempts.

        ``mastering`` replaces what the row asks for, an empty text takes it away, None leaves it.
        False where there is no such track, or a live lease holds it. Raises
        ``MasteringRejected`` for what the column cannot hold.
        """
        changes = {} if mastering is None else {"mastering": _wish(mastering)}

        def reset(connection: Connection, _: bool) -> bool:
            return writing.reset(connection, upload_id, changes)

        return _unless_unstorable(upload_id, lambda: self._transactions.write(reset), False)

    def find(self, upload_or_file_name: str) -> UploadRecord | None:
        """Return the whole story of the upload with this id, else with this file name."""
        name = upload_or_file_name
        return self._look_up(lambda connection: inspection.find(connection, name), name, None)

    def find_by_file_name(self, file_name: str) -> UploadRecord | None:
        """Return the upload of this file: of several the oldest open one, else the newest."""
        return self._look_up(
            lambda connection: inspection.find_by_file_name(connection, file_name), file_name, None
        )

    def file_needed_elsewhere(self, upload_id: str, file_name: str) -> bool:
        """Return whether another upload that is open or has completed has the same file."""
        return self._look_up(
            lambda connection: inspection.is_needed_by_another(connection, upload_id, file_name),
            file_name,
            False,
        )

    def pending(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Return pending tracks' rows, oldest first, those in backoff included."""
        return self._transactions.read(lambda connection: inspection.pending(connection, limit))

    def claimable_ids(self) -> list[str]:
        """Return the upload ids of the tracks that could be claimed now, in the claim's order.

        Those whose worker vanished come first, also where no attempt is left: a claim by name
        then fails such a track and returns None.
        """
        return self._transactions.read(inspection.claimable_ids)

    def status(self) -> QueueStatus:
        """Return counts, the oldest pending track's age and who holds what."""
        return self._transactions.read(inspection.status)

    def counts(self) -> QueueCounts:
        """Return how many tracks are in each state."""
        return self._transactions.read(inspection.counts)

    def oldest_pending_age_s(self) -> float | None:
        """Return how long the oldest pending track has waited, or None."""
        return self._transactions.read(inspection.oldest_pending_age_s)

    def depth(self) -> QueueDepth:
        """Return how long the queue is: cheap enough to be asked often, whatever its length."""
        return self._transactions.read(inspection.depth)

    def leases(self) -> tuple[Lease, ...]:
        """Return the rows being processed, by worker."""
        return self._transactions.read(inspection.leases)

    def failed_ids(self) -> list[str]:
        """Return the upload ids of all failed tracks, oldest first."""
        return self._transactions.read(inspection.failed_ids)

    # ── the database itself ──────────────────────────────────────────────────────────────

    def ping(self) -> None:
        """Return if the database answers; raise at once, without a second try, if not."""
        self._any_schema.once(lambda connection: connection.execute(select(1)))

    def schema_state(self) -> SchemaState:
        """Return which revision the table is at and which one this version needs."""

        def revision(connection: Connection) -> str | None:
            if not inspect(connection).has_table(VERSION_TABLE):
                return None
            return connection.execute(select(version_table().c.version_num)).scalar()

        return SchemaState(current=self._any_schema.once(revision), head=HEAD)

    def migrate(self) -> tuple[str | None, str | None]:
        """Bring the table up to date and return its revision before and after.

        Safe while workers run, and when many do it at once.
        """
        from migrations import upgrade

        before = self.schema_state().current
        upgrade(self._place)
        return before, self.schema_state().current

    def ensure_schema(self) -> None:
        """Migrate where that is ours to do (SQLite), else raise ``ConfigError`` if needed.

        A newer table serves too: workers of this version work on while others replace them.
        """
        if self.schema_state().serves:
            return
        if not self._migrates:
            raise ConfigError(f"{self._place}: {MIGRATE}.")
        self.migrate()

    def _demand_schema(self) -> None:
        """Look once whether the table is of this version or a newer one."""
        if not self._may_claim:
            self.ensure_schema()
            self._may_claim = True

    def _look_up(self, work: Callable[[Connection], T], name: str, absent: T) -> T:
        return _unless_unstorable(name, lambda: self._transactions.read(work), absent)

    @property
    def _transactions(self) -> Transactions:
        """On a table that is up to date, where keeping it so is ours."""
        if not self._ready:
            with self._getting_ready:
                if not self._ready:
                    self.ensure_schema()
                    self._ready = True
        return self._any_schema


def _ascii(text: str) -> str:
    """What every character set of a customer's table can hold."""
    return text.encode("ascii", "backslashreplace").decode()


def _whole(seconds: float) -> int:
    return max(1, round(seconds))


def _unless_unstorable(name: str | None, look: Callable[[], T], absent: T) -> T:
    """What a look finds by a name; a name that the table cannot hold is not in it."""
    if name is not None and not _storable(name):
        return absent
    try:
        return look()
    except ValueRefused:
        return absent


def _wish(mastering: str | None) -> str | None:
    if mastering is None or not mastering.strip():
        return None
    if not _storable(mastering):
        raise MasteringRejected("mastering is no text: it has a NUL or half a character in it.")
    if (size := len(mastering.encode())) > MAX_WISH:
        raise MasteringRejected(f"mastering has {size} bytes; it may have at most {MAX_WISH}.")
    return mastering


def _storable(text: str) -> bool:
    """Whether the drivers take it as text: no NUL, no lone surrogate."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
