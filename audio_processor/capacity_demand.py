"""What is asked of a fleet: every input of the capacity model, its range and its default."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from audio_processor import capacity_figures as measured
from audio_processor.errors import ConfigError


def _asked(default: float, least: float, most: float, about: str) -> Any:
    return field(default=default, metadata={"least": least, "most": most, "about": about})


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What is asked of the fleet. Raises ``ConfigError`` that names the option and its range."""

    tracks_per_day: float = _asked(1e6, 0, 1e9, "Tracks that arrive in a day.")
    minutes: float = _asked(3.5, 0.01, 240, "Length of the average track.")
    peak_factor: float = _asked(2.0, 1, 100, "The busiest hour over the average one.")
    headroom: float = _asked(0.2, 0, 0.9, "Share of the cores that stays free in that hour.")
    retry_share: float = _asked(0.01, 0, 1, "Attempts made again, whole, per track.")
    failure_share: float = _asked(0.01, 0, 1, "Tracks that fail for good.")
    source_kbps: float = _asked(1411.2, 8, 40_000, "Bit rate of the uploads, kbit/s.")
    cores_per_pod: float = _asked(2, 0.1, 256, "CPU request of a pod.")
    concurrency: float = _asked(2, 1, 256, "worker.concurrency: tracks in work in a pod.")
    utilisation: float = _asked(measured.UTILISATION.value, 0.05, 1, "Of the cores, busy slots.")
    speed: float = _asked(
        measured.AUDIO_S_PER_CPU_S.value, 0.1, 1000, "Audio seconds per CPU second."
    )
    tiers: float = _asked(3, 1, 8, "Rungs of the ladder.")
    segment_s: float = _asked(10.24, 2, 66, "Length of a segment as it is cut.")
    part_mib: float = _asked(16, 5, 512, "storage.part_size_mib.")
    heartbeat_s: float = _asked(30, 1, 43_200, "worker.heartbeat_s.")
    poll_s: float = _asked(5, 0.1, 3600, "worker.poll_interval_s.")
    pool_size: float = _asked(5, 1, 100, "database.pool_size.")

    def __post_init__(self) -> None:
        for each in fields(self):
            value, least, most = getattr(self, each.name), *_range(each)
            if not least <= value <= most:  # a NaN is in no range
                option = each.name.replace("_", "-")
                raise ConfigError(f"--{option} must be from {least:g} to {most:g}, not {value:g}.")

    @property
    def seconds(self) -> float:
        """Length of the average track."""
        return self.minutes * 60

    @property
    def source_bytes(self) -> float:
        """Size of the average upload."""
        return self.seconds * self.source_kbps * 1000 / 8


def _range(each: Any) -> tuple[float, float]:
    return each.metadata["least"], each.metadata["most"]
