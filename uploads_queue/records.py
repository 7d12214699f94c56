"""What the queue tells people about its rows: frozen values, no connection behind them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from audio_processor.model import Claim, TrackSummary

AttemptOutcome = Literal[
    "running", "completed", "failed", "retried", "handed_back", "lease_expired", "reset"
]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One claim of a row and how it ended; times are UTC, by the database's clock."""

    number: int
    worker_id: str
    started_at: datetime | None
    ended_at: datetime | None = None
    outcome: AttemptOutcome = "running"
    error_code: str | None = None
    error_message: str | None = None


@dataclass(frozen=True, slots=True)
class Buried:
    """A row that a claim failed: its worker stopped renewing with no attempt left."""

    claim: Claim
    """As the vanished worker had it, but for the token: nothing can be written with it."""
    error_code: str
    error_message: str


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """A row's whole story; times are UTC, ages and waits by the database's clock."""

    upload_id: str
    file_name: str
    upload_type: str | None
    status: str | None
    """``'0'``, ``'processing'``, ``'completed'``, ``'failed'``, or what another client wrote."""
    uploaded_at: datetime | None
    error_code: str | None
    error_message: str | None
    attempts: int
    worker_id: str | None
    started_at: datetime | None
    completed_at: datetime | None
    available_at: datetime | None
    wait_s: float
    """Seconds until a pending row may be claimed; 0 where it may be now."""
    lease_remaining_s: float | None
    """Seconds left of a processing row's lease, negative once expired; None without a lease."""
    output_key: str | None
    """The track id whose output folder this upload owns."""
    mastering: str | None
    """What the upload asks of its mastering: a preset's name or JSON; None where nothing."""
    summary: TrackSummary | None
    """None unless completed, even where what an earlier run made is still public."""
    ever_completed: bool
    """Whether it has ever completed, and what it made then is public: a reset changes nothing."""
    history: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """How many tracks are in each state."""

    pending: int
    """Waiting to be claimed, those in backoff included."""
    backing_off: int
    """Of the pending, those that may not be claimed yet."""
    processing: int
    expired: int
    """Of the processing, those whose lease has run out: claimed again by the next worker."""
    unleased: int
    """Of the processing, those without a lease: another client's, or stuck until ``reset``."""
    completed: int
    failed: int


@dataclass(frozen=True, slots=True)
class Lease:
    """A row that is being processed."""

    worker_id: str | None
    """None where the client that took the row knows nothing of leases."""
    upload_id: str
    file_name: str
    attempt: int
    started_at: datetime | None
    remaining_s: float | None
    """Negative once expired; None without a lease."""


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """The queue at one moment."""

    counts: QueueCounts
    oldest_pending_age_s: float | None
    leases: tuple[Lease, ...]


@dataclass(frozen=True, slots=True)
class SchemaState:
    """Where the table stands and where this version needs it."""

    current: str | None
    """The revision the database is at; None where ``migrate`` has never run."""
    head: str

    @property
    def up_to_date(self) -> bool:
        """Whether the table is what this version works with."""
        return self.current == self.head

    @property
    def serves(self) -> bool:
        """Whether this version can work with it: a newer one keeps what an older needs."""
        return self.current is not None and self.current >= self.head


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """How long the queue is, as cheaply as it can be known."""

    pending: int
    """Waiting to be claimed, those in backoff included; counted no further than 100,000."""
    oldest_pending_age_s: float
    """For how long the longest-waiting track has been claimable; 0 where there is none.

    Since its upload, or since it was due again, handed back or reset.
    """
