"""How the work is seen from outside, beyond the logs and the health port."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from audio_processor.settings.base import Group, Problem, setting


class MetricsSettings(Group):
    """Metrics where nobody scrapes `/metrics`: of `once`, which ends before anyone could."""

    textfile: Path | None = setting(
        None,
        "File that `once` leaves its metrics in as it ends, for the textfile collector of "
        "node_exporter; its name must end in `.prom`.",
        example="/var/lib/node_exporter/textfile/audio_processor.prom",
    )

    def problems(self) -> Iterator[Problem]:
        """Yield a name that the collector would pass over."""
        if self.textfile is not None and self.textfile.suffix != ".prom":
            yield Problem("textfile", "its name must end in .prom: the collector reads no other")


class TracingSettings(Group):
    """OpenTelemetry traces over OTLP/HTTP: `pip install 'audio-processor[otel]'`."""

    enabled: Literal["auto", "on", "off"] = setting(
        "auto",
        "`auto` sends where the standard variables ask for it: OTEL_TRACES_EXPORTER=otlp or "
        "OTEL_EXPORTER_OTLP_ENDPOINT. They also say where to, with which headers, and how much. "
        "Where they ask for what cannot be had (gRPC, the extra not installed) `auto` warns and "
        "goes on without; `on` refuses to start.",
    )
