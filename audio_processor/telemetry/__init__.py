"""What a running worker tells of itself: logs, metrics, traces. Nothing is set at import."""

from audio_processor.telemetry.logs import configure_logging, get_logger
from audio_processor.telemetry.metrics import Metrics
from audio_processor.telemetry.progress import NullProgress, Progresses, RunProgress
from audio_processor.telemetry.run import carried, charger, heard, ids, present

__all__ = [
    "Metrics",
    "NullProgress",
    "Progresses",
    "RunProgress",
    "carried",
    "charger",
    "configure_logging",
    "get_logger",
    "heard",
    "ids",
    "present",
]
