"""Whether traces are asked for, by the setting or by OpenTelemetry's own variables.

Platforms set those variables for every pod, whatever runs in it: what they alone ask for and
cannot be had is said, and the work goes on.

OpenTelemetry Specification, *Environment Variable Specification* and *OTLP Exporter*.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from audio_processor.errors import ConfigError
from audio_processor.telemetry.logs import get_logger
from audio_processor.telemetry.run import Listener

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL = "http/protobuf"
log = get_logger(__name__)


def traces_wanted(enabled: str, environment: Mapping[str, str]) -> bool:
    """Return whether traces are to be sent; ``enabled`` is auto, on or off.

    Raises ``ConfigError`` where the variables ask for a way of sending that there is not.
    """
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if enabled == "off" or environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if enabled == "auto":
        asked = exporter == "otlp" or any(environment.get(name) for name in _ENDPOINTS)
        if exporter == "none" or not asked:
            return False
    if exporter not in {"", "otlp", "none"}:
        raise ConfigError(
            f"OTEL_TRACES_EXPORTER={exporter}: traces are sent by otlp only; set it to otlp, or "
            "tracing.enabled to off."
        )
    protocol = next((environment[name] for name in _PROTOCOLS if environment.get(name)), _PROTOCOL)
    if protocol.strip().lower() != _PROTOCOL:
        raise ConfigError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol}: traces are sent by {_PROTOCOL} only (port "
            "4318 of most collectors); set it so, or tracing.enabled to off."
        )
    return True


def open_traces(
    enabled: str, environment: Mapping[str, str], *, mask: Callable[[str], str]
) -> Listener | None:
    """Return what sends the traces, or None where there are to be none, or can be none.

    Raises ``ConfigError`` where ``enabled`` is on and they cannot be had; auto gets a warning.
    """
    try:
        return _opened(mask) if traces_wanted(enabled, environment) else None
    except ConfigError as error:
        if enabled == "on":
            raise
        log.warning("no traces are sent", reason=mask(str(error)))
        return None


def _opened(mask: Callable[[str], str]) -> Listener:
    from audio_processor.telemetry.traces import Traces

    try:
        return Traces(mask=mask)
    except (ValueError, OSError, RuntimeError) as error:  # such as a number that is none
        raise ConfigError(f"OpenTelemetry does not take what OTEL_* says: {error}") from error
