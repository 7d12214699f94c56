"""One job as telemetry sees it: its stages, the wall time and CPU of each, and its end.

The run of the present job is a context variable. Threads and processes that a job starts take
it along (``carried``, ``charger``), so that their CPU time lands with the right job and stage,
and their log lines carry its ids, however many jobs share the process.
"""

from __future__ import annotations

import functools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from structlog.contextvars import bind_contextvars, bound_contextvars, unbind_contextvars

from audio_processor.model import Claim, TrackSummary
from audio_processor.telemetry.logs import get_logger

P = ParamSpec("P")
R = TypeVar("R")
Charge = Callable[[float], None]
"""Takes CPU seconds."""

STDERR_CHARACTERS = 2000
"""Of one FFmpeg process: the end, where it says what it died of."""
_PROCESSES = 3

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Left:
    """A stage that has been left."""

    stage: str
    seconds: float
    cpu_s: float
    """Of our threads and of FFmpeg's processes."""
    error: BaseException | None = None
    """What ended it, where that was not its own end."""


@dataclass(frozen=True, slots=True)
class Words:
    """What an FFmpeg process said before its end."""

    doing: str
    returncode: int
    stderr: str


@dataclass(frozen=True, slots=True)
class End:
    """How a job ended: completed, failed, retry_later, hand_back or abandon."""

    outcome: str
    error_code: str = ""
    error_message: str | None = None
    cause: BaseException | None = None
    summary: TrackSummary | None = None
    seconds: float | None = None
    """None where no job was run: a row whose workers all vanished."""
    words: Sequence[Words] = ()


class Listener:
    """Told of every job. Called on the job's thread, but for ``spent``; by default does nothing."""

    def begun(self, run: Run, /) -> None:
        """The job has been claimed."""

    def entered(self, run: Run, /, stage: str) -> None:
        """The job has entered the stage."""

    def spent(self, run: Run, /, stage: str, cpu_s: float) -> None:
        """CPU time was spent on the stage. On any thread, before ``left`` or, rarely, after it."""

    def left(self, run: Run, /, left: Left) -> None:
        """The job has left the stage."""

    def heard(self, run: Run, /, audio_s: float) -> None:
        """The source was decoded to its end and lasts this long."""

    def ended(self, run: Run, /, end: End) -> None:
        """The job has ended; its row says so, or is another's."""

    def close(self) -> None:
        """No more will be told."""


@dataclass(eq=False, slots=True)
class Run:
    """A claimed track on its way. Stages are entered and left on the job's own thread."""

    claim: Claim
    track_id: str
    listeners: Sequence[Listener] = ()
    stage: str | None = None
    began_at: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _cpu_s: dict[str, float] = field(default_factory=dict)
    _entered_at: float = 0.0
    _thread_s: float = 0.0
    _said: deque[Words] = field(default_factory=lambda: deque(maxlen=_PROCESSES))
    _failed: list[Words] = field(default_factory=list)

    def enter(self, stage: str) -> None:
        """Leave the present stage and enter this one."""
        self.leave()
        self.stage = stage
        bind_contextvars(stage=stage)
        self._entered_at, self._thread_s = time.monotonic(), time.thread_time()
        self.tell(lambda listener: listener.entered(self, stage))

    def leave(self, error: BaseException | None = None) -> None:
        """Leave the present stage, if there is one; by now its threads and processes have ended."""
        if (stage := self.stage) is None:
            return
        self.charge(stage, time.thread_time() - self._thread_s)
        with self._lock:
            cpu_s = self._cpu_s.pop(stage, 0.0)
        left = Left(stage, time.monotonic() - self._entered_at, cpu_s, error)
        self.tell(lambda listener: listener.left(self, left))
        self.stage = None
        unbind_contextvars("stage")

    def charge(self, stage: str, cpu_s: float) -> None:
        """Note CPU time of the stage. From any thread."""
        with self._lock:
            self._cpu_s[stage] = self._cpu_s.get(stage, 0.0) + cpu_s
        self.tell(lambda listener: listener.spent(self, stage, cpu_s))

    def said(self, doing: str, returncode: int, stderr: str) -> None:
        """Keep the end of what an FFmpeg process said, in case the job fails. From any thread.

        Of processes that failed the first are kept: the rest are mostly killed for that.
        """
        if not stderr.strip():
            return
        words = Words(doing, returncode, stderr[-STDERR_CHARACTERS:])
        with self._lock:
            if returncode and len(self._failed) < _PROCESSES:
                self._failed.append(words)
            elif not returncode:
                self._said.append(words)

    def end(self, end: End) -> None:
        """Tell of the job's end."""
        self.leave(end.cause)
        self.tell(lambda listener: listener.ended(self, end))

    @property
    def words(self) -> tuple[Words, ...]:
        """What FFmpeg said: the processes that failed, or the last ones where none did."""
        with self._lock:
            return tuple(self._failed or self._said)

    def tell(self, of: Callable[[Listener], None]) -> None:
        """Tell every listener; none of them can break a track."""
        for listener in self.listeners:
            try:
                of(listener)
            except Exception:
                log.exception("telemetry failed")


_present: ContextVar[Run | None] = ContextVar("run", default=None)


@contextmanager
def running(run: Run) -> Iterator[Run]:
    """Make it the present job's while the block runs, its ids in every log line."""
    token = _present.set(run)
    try:
        with ids(run.claim, run.track_id):
            run.tell(lambda listener: listener.begun(run))
            yield run
    finally:
        _present.reset(token)
        unbind_contextvars("stage", "trace_id")


@contextmanager
def ids(claim: Claim, track_id: str | None = None) -> Iterator[None]:
    """Have every log line of this thread carry the job's ids while the block runs."""
    known = {"upload_id": claim.upload_id, "attempt": claim.attempt}
    with bound_contextvars(**known, **({"track_id": track_id} if track_id else {})):
        yield


def present() -> Run | None:
    """Return the run of the job that this thread works for, or None."""
    return _present.get()


def heard(audio_s: float) -> None:
    """Tell that the present job's source was decoded to its end and lasts so long."""
    if (run := _present.get()) is not None:
        job = run
        job.tell(lambda listener: listener.heard(job, audio_s))


def charger() -> Charge:
    """Return what takes CPU seconds, from any thread and at any time, for the present stage."""
    run = _present.get()
    if run is None or run.stage is None:
        return lambda _cpu_s: None
    return functools.partial(run.charge, run.stage)


def carried(work: Callable[P, R]) -> Callable[P, R]:
    """Return the work for another thread: in this one's context, on the present stage's bill."""
    context, charge = copy_context(), charger()

    @functools.wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        started_s = time.thread_time()
        try:
            # a copy, for a context can be entered once at a time
            return context.copy().run(work, *args, **kwargs)
        finally:
            charge(time.thread_time() - started_s)

    return run
