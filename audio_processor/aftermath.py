"""What is done about the objects of a track that fails for good: its ladder, its raw object.

Before its row says so, a ladder that an attempt published and did not live to record goes off
the air; afterwards the raw object is moved aside.
"""

from __future__ import annotations

from collections.abc import Callable

from audio_processor.errors import NameRejected, PermanentError, SourceMissing, UploadBusy
from audio_processor.model import FAILED, Claim
from audio_processor.naming import track_id_of
from audio_processor.outcome import Failed
from audio_processor.ports import ObjectStore
from audio_processor.settings import StorageSettings
from audio_processor.telemetry import get_logger
from database_manager import DatabaseManager, UploadRecord

log = get_logger(__name__)

_BEFORE_PUBLISHING = frozenset(kind.code for kind in PermanentError.__subclasses__())
"""What a track fails with whose file, name or wish cannot be: found out before it is published."""


class Aftermath:
    """Of one store and queue. Thread-safe; ``store`` gives the store, opened at its first use."""

    def __init__(
        self, queue: DatabaseManager, store: Callable[[], ObjectStore], storage: StorageSettings
    ) -> None:
        self._queue = queue
        self._store = store
        self._storage = storage

    def bury(self, claim: Claim, failed: Failed) -> None:
        """Do both for a track whose workers all vanished: its row says so already."""
        try:
            record = self._queue.find(claim.upload_id)
            self._withdraw(claim, record, insist=lambda: self._insist_on_failed(claim))
        except Exception as error:  # the row is right already
            log.warning("ladder not withdrawn", upload_id=claim.upload_id, error=str(error))
        self.move_to_failed(claim, failed)

    def withdraw_unrecorded(self, claim: Claim, failed: Failed) -> None:
        """Take a ladder off the air that an attempt published and did not live to record.

        What an earlier run completed stays public. Raises ``StoreUnavailable`` and ``LeaseLost``.
        """
        record = self._queue.find(claim.upload_id)
        if (
            record is not None
            and len(record.history) < 2
            and failed.error_code in _BEFORE_PUBLISHING
        ):
            return  # the first attempt, and it did not come so far
        self._withdraw(claim, record, insist=lambda: self._queue.renew(claim))

    def _withdraw(
        self, claim: Claim, record: UploadRecord | None, *, insist: Callable[[], None]
    ) -> None:
        from audio_processor.delivery.replace import withdraw

        if record is None or record.ever_completed:
            return
        prefix = f"{self._storage.processed_prefix}{track_id_of(claim.file_name)}/"
        if withdraw(self._store(), prefix, claim.upload_id, insist=insist):
            log.warning("ladder withdrawn", upload_id=claim.upload_id, prefix=prefix)

    def _insist_on_failed(self, claim: Claim) -> None:
        record = self._queue.find(claim.upload_id)
        if record is None or record.status != FAILED:
            raise UploadBusy(f"Upload {claim.upload_id} was made pending again meanwhile.")

    def move_to_failed(self, claim: Claim, _failed: Failed) -> None:
        """Move the raw object aside, unless another upload still needs the same one."""
        raw_key = self._storage.raw_prefix + claim.file_name
        failed_key = self._storage.failed_prefix + claim.file_name
        try:
            track_id_of(claim.file_name)
            if self._queue.file_needed_elsewhere(claim.upload_id, claim.file_name):
                return
            self._store().move(raw_key, failed_key)
            record = self._queue.find(claim.upload_id)
            if record is not None and record.status != FAILED:  # retried meanwhile: it needs it
                self._store().move(failed_key, raw_key)
        except (SourceMissing, NameRejected):
            return
        except Exception as error:  # the row is right already; the object stays where it is
            log.warning("raw object not moved", upload_id=claim.upload_id, error=str(error))
