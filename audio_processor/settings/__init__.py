"""Settings: TOML file, secret files and environment into one frozen, validated value."""

from audio_processor.settings.cpus import granted_cpus
from audio_processor.settings.load import Loaded, load, load_settings, with_overrides
from audio_processor.settings.mastering import MasteringSettings
from audio_processor.settings.observing import MetricsSettings, TracingSettings
from audio_processor.settings.root import Settings
from audio_processor.settings.runtime import (
    EncoderSettings,
    FFmpegSettings,
    LimitSettings,
    LoggingSettings,
    ScratchSettings,
    WorkerSettings,
)
from audio_processor.settings.services import (
    CacheControlSettings,
    DatabaseSettings,
    StorageSettings,
)
from audio_processor.settings.signal import (
    LadderSettings,
    LoudnessRangeSettings,
    LoudnessSettings,
    TierSettings,
)

__all__ = [
    "CacheControlSettings",
    "DatabaseSettings",
    "EncoderSettings",
    "FFmpegSettings",
    "LadderSettings",
    "LimitSettings",
    "Loaded",
    "LoggingSettings",
    "LoudnessRangeSettings",
    "LoudnessSettings",
    "MasteringSettings",
    "MetricsSettings",
    "ScratchSettings",
    "Settings",
    "StorageSettings",
    "TierSettings",
    "TracingSettings",
    "WorkerSettings",
    "granted_cpus",
    "load",
    "load_settings",
    "with_overrides",
]
