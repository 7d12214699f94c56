"""Jobs, told to listeners from the claim to the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from audio_processor.ending import Ended
from audio_processor.errors import AudioProcessorError, NameRejected
from audio_processor.model import Claim, TrackSummary
from audio_processor.naming import track_id_of
from audio_processor.outcome import Abandon, Completed, Failed, HandBack, Outcome, RetryLater
from audio_processor.telemetry import Metrics
from audio_processor.telemetry.run import End, Listener, Run, running

_OUTCOMES: dict[type[Outcome], str] = {
    Completed: "completed",
    Failed: "failed",
    RetryLater: "retry_later",
    HandBack: "hand_back",
    Abandon: "abandon",
}


class JobObserver:
    """Tells listeners of every job from its claim to its end."""

    def __init__(self, metrics: Metrics, listeners: Sequence[Listener]) -> None:
        self._metrics = metrics
        self._listeners = (metrics, *listeners)

    @contextmanager
    def job(self, claim: Claim) -> Iterator[Callable[[Ended], None]]:
        """Make the job the thread's own while the block runs; yield whom to tell of its end."""
        run = self._run(claim)

        def tell(ended: Ended) -> None:
            run.end(told(ended, seconds=time.monotonic() - run.began_at, run=run))

        with self._metrics.job(), running(run):
            yield tell

    def buried(self, ended: Ended) -> None:
        """Tell of a track that failed because all its workers vanished."""
        self._run(ended.claim).end(told(ended))

    def _run(self, claim: Claim) -> Run:
        try:
            track_id = track_id_of(claim.file_name)
        except NameRejected:  # it has none, and its job will say so
            track_id = ""
        return Run(claim, track_id, self._listeners)


def told(ended: Ended, *, seconds: float | None = None, run: Run | None = None) -> End:
    """Return a job's end as telemetry takes it. Pure."""
    outcome, cause = ended.outcome, ended.cause
    code = getattr(outcome, "error_code", "")
    if not code and cause is not None:
        code = cause.code if isinstance(cause, AudioProcessorError) else AudioProcessorError.code
    summary: TrackSummary | None = outcome.summary if isinstance(outcome, Completed) else None
    return End(
        outcome=_OUTCOMES[type(outcome)],
        error_code=code,
        error_message=getattr(outcome, "error_message", None),
        cause=cause,
        summary=summary,
        seconds=seconds,
        words=run.words if run is not None else (),
    )
