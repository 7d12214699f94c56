"""All settings in one frozen value."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from audio_processor.settings.base import Problem, check
from audio_processor.settings.mastering import MasteringSettings
from audio_processor.settings.observing import MetricsSettings, TracingSettings
from audio_processor.settings.runtime import (
    EncoderSettings,
    FFmpegSettings,
    LimitSettings,
    LoggingSettings,
    ScratchSettings,
    WorkerSettings,
)
from audio_processor.settings.services import DatabaseSettings, StorageSettings
from audio_processor.settings.signal import (
    LadderSettings,
    LoudnessRangeSettings,
    LoudnessSettings,
)

if TYPE_CHECKING:
    from audio_processor.model import Targets, Tier


_LEAST_FDKAAC_BIT_RATE = 10_000


class Settings(BaseSettings):
    """Every setting. ``Settings(...)`` takes only what it is given and reads nothing.

    ``load_settings`` reads the file, the secrets and the environment.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True
    )

    database: DatabaseSettings = DatabaseSettings()
    storage: StorageSettings = StorageSettings()
    mastering: MasteringSettings = MasteringSettings()
    loudness: LoudnessSettings = LoudnessSettings()
    loudness_range: LoudnessRangeSettings = LoudnessRangeSettings()
    ladder: LadderSettings = LadderSettings()
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    limits: LimitSettings = LimitSettings()
    ffmpeg: FFmpegSettings = FFmpegSettings()
    encoder: EncoderSettings = EncoderSettings()
    scratch: ScratchSettings = ScratchSettings()
    logging: LoggingSettings = LoggingSettings()
    metrics: MetricsSettings = MetricsSettings()
    tracing: TracingSettings = TracingSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is given only: the layers of ``load_settings`` know where a value is from."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong between the groups."""
        most = self.loudness.delivered_true_peak_dbtp
        for index, tier in enumerate(self.ladder.tiers):
            if tier.first_ceiling_dbtp > most:
                yield Problem(
                    f"ladder.tiers[{index}].first_ceiling_dbtp",
                    f"must be at most loudness.delivered_true_peak_dbtp, {most}",
                )
            if self.encoder.name == "fdkaac" and tier.bit_rate < _LEAST_FDKAAC_BIT_RATE:
                yield Problem(
                    f"ladder.tiers[{index}].bit_rate",
                    f'must be at least {_LEAST_FDKAAC_BIT_RATE} for encoder.name = "fdkaac", '
                    "which takes a smaller number for kilobits",
                )

    @model_validator(mode="after")
    def _hold_the_rules(self) -> Self:
        check(self.problems())
        return self

    def targets(self) -> Targets:
        """Return what a master is to measure, for the planner."""
        from audio_processor.model import Targets

        return Targets(
            integrated_lufs=self.loudness.integrated_lufs,
            true_peak_dbtp=self.loudness.true_peak_dbtp,
            range_lu=self.loudness_range.target_lu,
            range_mode=self.loudness_range.mode,
        )

    def tiers(self) -> tuple[Tier, ...]:
        """Return the ladder's tiers in the settings' order."""
        return tuple(tier.as_tier() for tier in self.ladder.tiers)

    def secrets(self) -> tuple[str, ...]:
        """Return the secret values themselves: what a log must never show."""
        found = (self.database.password, self.storage.secret_access_key, self.storage.session_token)
        return tuple(s.get_secret_value() for s in found if isinstance(s, SecretStr))

    def redacted(self) -> dict[str, Any]:
        """Return every value as plain JSON types, with the secrets as asterisks."""
        return self.model_dump(mode="json")

    def scratch_folder(self) -> Path:
        """Return the scratch folder as an absolute path."""
        return self.scratch.folder.expanduser().resolve()
