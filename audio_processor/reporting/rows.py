"""An upload as a report needs it told: what the queue's records are to have. Protocols only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from audio_processor.model import TrackSummary


class AttemptRow(Protocol):
    """One attempt, as the queue tells of it."""

    @property
    def number(self) -> int:
        """1 for the first."""
        ...

    @property
    def outcome(self) -> str:
        """A word: completed, failed, retried, …"""
        ...

    @property
    def started_at(self) -> datetime | None:
        """UTC."""
        ...

    @property
    def ended_at(self) -> datetime | None:
        """UTC; None while it runs."""
        ...

    @property
    def error_code(self) -> str | None:
        """A stable word."""
        ...

    @property
    def error_message(self) -> str | None:
        """A sentence."""
        ...


class UploadRow(Protocol):
    """An upload as the queue tells of it; the queue's own records are not known here."""

    @property
    def upload_id(self) -> str:
        """The row's key."""
        ...

    @property
    def file_name(self) -> str:
        """As uploaded: data, never a path."""
        ...

    @property
    def status(self) -> str | None:
        """Where it stands; ``model.UploadStatus``, or what another client wrote."""
        ...

    @property
    def uploaded_at(self) -> datetime | None:
        """UTC."""
        ...

    @property
    def completed_at(self) -> datetime | None:
        """UTC."""
        ...

    @property
    def error_code(self) -> str | None:
        """A stable word."""
        ...

    @property
    def error_message(self) -> str | None:
        """A sentence."""
        ...

    @property
    def output_key(self) -> str | None:
        """The track id whose output this upload owns."""
        ...

    @property
    def summary(self) -> TrackSummary | None:
        """What the row keeps of a completed track."""
        ...

    @property
    def history(self) -> Sequence[AttemptRow]:
        """Its attempts, oldest first."""
        ...
