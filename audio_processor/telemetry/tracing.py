"""Whether traces are asked for, by the setting or by OpenTelemetry's own variables. Pure.

OpenTelemetry Specification, *Environment Variable Specification* and *OTLP Exporter*.
"""

from __future__ import annotations

from collections.abc import Mapping

from audio_processor.errors import ConfigError

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL = "http/protobuf"


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
