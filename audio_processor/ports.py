"""What the line needs from the world: an object store, a queue, someone to tell of progress.

Protocols only. ``app.py`` joins them to the adapters in ``storage/`` and
``database_manager.py``; nothing else knows which adapter is behind them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from audio_processor.model import Claim, TrackSummary

ByteProgress = Callable[[int], None]
"""Told the number of bytes moved since the last call; what it raises ends the transfer.

Told 0 before each request that changes something, also before a repeated one: whoever has lost
the right to write raises there.
"""


@dataclass(frozen=True, slots=True)
class Over:
    """What a write may replace: the object of this version, or none at all where it is None."""

    version: str | None


class ObjectStore(Protocol):
    """A bucket: flat keys to immutable objects.

    Every method may raise ``StoreUnavailable`` once its own bounded retries are used up.

    A write with ``over`` raises ``ObjectChanged`` where something else is under the key, and
    then has written nothing. It may say so too of a write of its own whose answer was lost.
    A store that cannot do it writes as if nothing had been asked.
    """

    def ping(self) -> None:
        """Return if the store answers: one request, not repeated. Raises ``StoreUnavailable``.

        A store that says of a forbidden object that it is missing, and has said so of a download,
        also tries whether it may be read from at all.
        """

    def size(self, key: str) -> int | None:
        """Bytes of the object, or None where there is none (or we may not see it)."""

    def version(self, key: str) -> str | None:
        """What tells this object from any other under the key; None where there is none."""

    def download(
        self, key: str, target: Path, *, max_bytes: int, progress: ByteProgress | None = None
    ) -> int:
        """Write the object to ``target`` and return its size in bytes, in bounded memory.

        Raises ``SourceMissing``, ``LimitExceeded`` (before the transfer), ``DiskFull``.
        A failed or interrupted download leaves no ``target`` behind.
        """

    def read(self, key: str, *, max_bytes: int) -> bytes:
        """Return a small object whole. Raises ``SourceMissing``, ``LimitExceeded``."""

    def upload(
        self,
        source: Path,
        key: str,
        *,
        content_type: str,
        cache_control: str | None = None,
        over: Over | None = None,
        progress: ByteProgress | None = None,
    ) -> None:
        """Store the file under ``key``; readers see the old object or the new, never a part."""

    def write(
        self,
        data: bytes,
        key: str,
        *,
        content_type: str,
        cache_control: str | None = None,
        over: Over | None = None,
        progress: ByteProgress | None = None,
    ) -> None:
        """Store the bytes under ``key``, as ``upload`` does."""

    def move(self, source_key: str, target_key: str) -> None:
        """Copy then delete. Repeating a move that was cut short completes it.

        Raises ``SourceMissing`` when neither key exists.
        """

    def delete(self, key: str, *, version: str | None = None) -> None:
        """Delete the object; deleting what is not there is fine.

        With ``version`` only that one: raises ``ObjectChanged``, and deletes nothing, where
        another is there. A store that cannot do it deletes what there is.
        """

    def describe(self) -> str:
        """Where this store is, for messages: never a credential."""


class Queue(Protocol):
    """The rows of ``Uploads`` as a worker sees them.

    Every method may raise ``DatabaseUnavailable``. The ones that take a ``Claim`` write only
    where the row is still ``processing`` under the claim's token, and raise ``LeaseLost``
    where it is not.
    """

    def claim(
        self, worker_id: str, *, upload_id: str | None = None, alone: bool = True
    ) -> Claim | None:
        """Take the oldest pending track (or the named one), counting the attempt, or None.

        ``alone``: no other job runs in this process, so that it may be given a suspect one.
        """

    def renew(self, claim: Claim) -> None:
        """Push the lease's end out by the lease time, on the database's clock."""

    def reserve_output(self, claim: Claim, track_id: str) -> None:
        """Make ``track_id`` this upload's own. Raises ``OutputConflict`` if another has it."""

    def complete(self, claim: Claim, summary: TrackSummary) -> None:
        """Record success and what was measured."""

    def fail(self, claim: Claim, *, error_code: str, error_message: str) -> None:
        """Record that the track failed for good, and give up its reserved output."""

    def retry_later(
        self, claim: Claim, *, error_code: str, error_message: str, delay_s: float
    ) -> None:
        """Back to pending, not to be claimed before ``delay_s`` seconds have passed."""

    def hand_back(self, claim: Claim, *, delay_s: float = 0.0) -> None:
        """Back to pending with the attempt refunded, not to be claimed before ``delay_s``.

        For what is not the track's doing: the worker is stopping, or a service is away.
        """


class Progress(Protocol):
    """Told where a track is, for a progress bar, a metric or a log line."""

    def stage(self, track_id: str, stage: str) -> None:
        """The track has entered the stage: fetch, probe, treat, analyse, plan, render …"""

    def advance(self, track_id: str, fraction: float) -> None:
        """The stage is done to this fraction, 0…1."""

    def finished(self, track_id: str) -> None:
        """No more will be told of this track."""
