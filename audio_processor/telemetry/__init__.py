"""What a running worker tells of itself: logs, progress and metrics. Nothing is set at import."""

from audio_processor.telemetry.logs import configure_logging, get_logger
from audio_processor.telemetry.metrics import Metrics
from audio_processor.telemetry.progress import (
    LoggingProgress,
    MetricsProgress,
    NullProgress,
    Progresses,
)

__all__ = [
    "LoggingProgress",
    "Metrics",
    "MetricsProgress",
    "NullProgress",
    "Progresses",
    "configure_logging",
    "get_logger",
]
