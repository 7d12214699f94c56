"""OpenTelemetry traces: a span a track, a span a stage. Imported only where they are asked for.

Spans are queued and sent by a thread of the SDK's own. A collector that is away costs spans
and nothing else: the queue is bounded, and the end waits for ``FLUSH_S`` at most.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from structlog.contextvars import bind_contextvars

from audio_processor.errors import ConfigError
from audio_processor.telemetry.run import End, Left, Listener, Run

try:
    from opentelemetry import context, trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
except ImportError as missing:
    raise ConfigError(
        f"Traces are asked for and {missing.name} is not installed: pip install "
        "'audio-processor[otel]', or set tracing.enabled to off."
    ) from missing

FLUSH_S = 3.0
SERVICE = "audio-processor"
_STACK_CHARACTERS = 8000


@dataclass(slots=True)
class _Spans:
    """The open spans of a run."""

    track: trace.Span
    stage: trace.Span | None = None
    token: Any = None


class _Exporter(OTLPSpanExporter):
    """One that can be shut down twice: by us where it hangs, and then by the SDK."""

    _let_go = False

    def shutdown(self) -> None:
        if not self._let_go:
            self._let_go = True
            super().shutdown()  # type: ignore[no-untyped-call]  # the SDK leaves it untyped


class Traces(Listener):
    """Sends spans as OTEL_* says. ``mask`` takes secrets out of what an error says."""

    def __init__(self, *, mask: Callable[[str], str]) -> None:
        self._mask = mask
        self._exporter = _Exporter()
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("audio_processor")
        self._open: dict[Run, _Spans] = {}

    def begun(self, run: Run, /) -> None:
        """Begin the track's span; from now on its id is in the job's log lines."""
        span = self._tracer.start_span(
            "track",
            context=context.Context(),
            kind=trace.SpanKind.CONSUMER,
            attributes={
                "audio_processor.upload_id": run.claim.upload_id,
                "audio_processor.track_id": run.track_id,
                "audio_processor.attempt": run.claim.attempt,
                "audio_processor.worker_id": run.claim.worker_id,
            },
        )
        self._open[run] = _Spans(span)
        bind_contextvars(trace_id=trace.format_trace_id(span.get_span_context().trace_id))

    def entered(self, run: Run, /, stage: str) -> None:
        """Begin the stage's span, the present one for whatever else is instrumented."""
        if (spans := self._open.get(run)) is None:
            return
        parent = trace.set_span_in_context(spans.track, context.Context())
        spans.stage = self._tracer.start_span(stage, context=parent)
        spans.token = context.attach(trace.set_span_in_context(spans.stage))

    def left(self, run: Run, /, left: Left) -> None:
        """End the stage's span."""
        if (spans := self._open.get(run)) is None or spans.stage is None:
            return
        context.detach(spans.token)
        span, spans.stage = spans.stage, None
        span.set_attribute("audio_processor.cpu_seconds", left.cpu_s)
        if left.error is not None:
            self._record(span, left.error, getattr(left.error, "code", "internal_error"))
        span.end()

    def heard(self, run: Run, /, audio_s: float) -> None:
        """Note the source's duration."""
        if (spans := self._open.get(run)) is not None:
            spans.track.set_attribute("audio_processor.audio_seconds", audio_s)

    def ended(self, run: Run, /, end: End) -> None:
        """End the track's span."""
        if (spans := self._open.pop(run, None)) is None:
            return
        spans.track.set_attribute("audio_processor.outcome", end.outcome)
        if end.error_code:
            spans.track.set_attribute("audio_processor.error_code", end.error_code)
        if end.cause is not None:
            self._record(spans.track, end.cause, end.error_code)
        spans.track.end()

    def close(self) -> None:
        """Send what is left, for ``FLUSH_S`` at most."""
        flush = threading.Thread(target=self._provider.shutdown, name="traces-flush", daemon=True)
        flush.start()
        flush.join(FLUSH_S)
        if flush.is_alive():
            self._exporter.shutdown()  # it waits between its retries

    def _record(self, span: trace.Span, error: BaseException, code: str) -> None:
        stack = "".join(traceback.format_exception(error))[-_STACK_CHARACTERS:]
        message = self._mask(str(error))
        span.add_event(
            "exception",
            {
                "exception.type": type(error).__qualname__,
                "exception.message": message,
                "exception.stacktrace": self._mask(stack),
            },
        )
        span.set_attribute("error.type", code)
        span.set_status(trace.StatusCode.ERROR, message)


def _resource() -> Resource:
    """What OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say, over our own name and version."""
    said = dict(Resource.create({}).attributes)
    if str(said.get("service.name", "")).startswith("unknown_service"):
        said["service.name"] = SERVICE
    return Resource({"service.version": metadata.version(SERVICE), **said})
