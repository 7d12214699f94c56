"""From settings to adapters: store, queue, line and worker options. Part of the composition root.

Everything heavy (boto3, numba) is imported here where it is first needed, so that commands
that only look at the queue start at once.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import SecretStr

from audio_processor.errors import SourceMissing
from audio_processor.secret import Secret
from audio_processor.settings import Settings, granted_cpus, with_overrides
from database_manager import DatabaseManager

if TYPE_CHECKING:
    from audio_processor.delivery.report import Report
    from audio_processor.delivery.validate_sources import LadderSource
    from audio_processor.mastering.profile import Profile
    from audio_processor.mastering.studio import Studio
    from audio_processor.observed import Observed
    from audio_processor.pipeline import Line
    from audio_processor.ports import ObjectStore, Queue
    from audio_processor.storage import Observe
    from audio_processor.telemetry import Metrics
    from audio_processor.telemetry.promise import Promise
    from audio_processor.telemetry.run import Listener
    from audio_processor.worker import WorkerOptions

DatabaseType = Literal["mysql", "postgresql", "sqlite"]


def with_arguments(
    settings: Settings,
    s3_bucket: str | None,
    *,
    prefixes: Mapping[str, str],
    segment_duration_s: float | None,
) -> Settings:
    """Return the settings with a constructor's arguments over them. Raises ``ConfigError``."""
    overrides: dict[str, Any] = {f"storage.{key}": value for key, value in prefixes.items()}
    if s3_bucket is not None:
        overrides |= {"storage.kind": "s3", "storage.bucket": s3_bucket}
    if segment_duration_s is not None:
        overrides["ladder.segment_duration_s"] = segment_duration_s
    return with_overrides(settings, overrides) if overrides else settings


def with_targets(
    settings: Settings, *, integrated_lufs: float | None, true_peak_dbtp: float | None
) -> Settings:
    """Return the settings with these targets where they are given. Raises ``ConfigError``."""
    given = {
        "loudness.integrated_lufs": integrated_lufs,
        "loudness.true_peak_dbtp": true_peak_dbtp,
    }
    if true_peak_dbtp is not None and true_peak_dbtp > settings.loudness.delivered_true_peak_dbtp:
        given["loudness.delivered_true_peak_dbtp"] = true_peak_dbtp
    overrides = {key: value for key, value in given.items() if value is not None}
    return with_overrides(settings, overrides) if overrides else settings


def at_the_desk(settings: Settings) -> Settings:
    """Return the settings for who works on a file of their own, and says in options what they want.

    ``mastering.allow_upload_settings`` is about what comes with an upload, from somebody else.
    """
    return with_overrides(settings, {"mastering.allow_upload_settings": True})


def open_queue(
    settings: Settings, db_config: Mapping[str, Any] | None, db_type: DatabaseType
) -> DatabaseManager:
    """Return the queue; nothing is connected yet."""
    worker, database = settings.worker, settings.database
    if db_config is None:
        db_type, db_config = database.type, _db_config(settings)
    return DatabaseManager(
        dict(db_config),
        db_type,
        lease_s=worker.lease_s,
        max_attempts=worker.max_attempts,
        pool_size=database.pool_size,
        connect_timeout_s=database.connect_timeout_s,
    )


def _db_config(settings: Settings) -> dict[str, Any]:
    database = settings.database
    if database.type == "sqlite":
        return {"database": str(database.path)}
    config: dict[str, Any] = {
        "host": database.host,
        "port": database.resolved_port,
        "user": database.user,
        "password": _secret(database.password),
        "database": database.name,
    }
    if database.tls:
        config["tls"] = True
        config["tls_verify"] = database.tls_verify
        config["tls_ca_file"] = None if database.tls_ca_file is None else str(database.tls_ca_file)
    return {key: value for key, value in config.items() if value is not None}


def open_store(settings: Settings, observe: Observe | None = None) -> ObjectStore:
    """Return the object store that the settings name; ``observe`` is told of its requests."""
    from audio_processor.storage import FolderOptions, S3Options, unobserved
    from audio_processor.storage import open_store as open_adapter

    storage = settings.storage
    if storage.kind == "folder":
        folder = FolderOptions(storage.folder.expanduser().resolve())
        return open_adapter(folder, observe=observe or unobserved)
    assert storage.bucket is not None  # the settings' own rule
    return open_adapter(
        S3Options(
            bucket=storage.bucket,
            endpoint_url=storage.endpoint_url,
            region=storage.region,
            access_key_id=storage.access_key_id,
            secret_access_key=_secret(storage.secret_access_key),
            session_token=_secret(storage.session_token),
            addressing_style=storage.addressing_style,
            sse=None if storage.sse == "none" else storage.sse,
            sse_kms_key_id=storage.sse_kms_key_id,
            checksum_mode=storage.checksum_mode,
            storage_class=storage.storage_class,
            probe_key=f"{storage.processed_prefix}.probe",
            part_size_bytes=storage.part_size_mib * 1024**2,
            max_concurrency=storage.max_concurrency,
            connect_timeout_s=storage.connect_timeout_s,
            read_timeout_s=storage.read_timeout_s,
            max_attempts=storage.attempts,
        ),
        observe=observe or unobserved,
    )


def open_studio(
    settings: Settings,
    references: Mapping[str, Profile] | None = None,
    told_as: Mapping[str, str] | None = None,
) -> Studio:
    """Return the house's presets and profiles; ``references`` are more profiles, by name.

    ``told_as`` is what is told of one instead of its name.
    Raises ``ConfigError`` for a preset of the house's own or a stored profile that cannot be.
    """
    from audio_processor.mastering.preset import with_house
    from audio_processor.mastering.studio import Studio

    mastering = settings.mastering
    stored = {}
    if mastering.profiles:
        from audio_processor.profiles import read_stored

        stored = read_stored(mastering.profiles)
    return Studio(
        targets=settings.targets(),
        defaults=mastering,
        presets=with_house(mastering.presets),
        profiles={**stored, **(references or {})},
        told_as=told_as or {},
    )


def build_line(settings: Settings, store: ObjectStore, queue: Queue) -> Line:
    """Return the line with everything it needs.

    Raises ``ConfigError``: no FFmpeg, no encoder as asked for, no scratch folder.
    """
    from audio_processor.media.binary import find_ffmpeg
    from audio_processor.media.placement import ANYWHERE, placement
    from audio_processor.pipeline import Line
    from audio_processor.scratch import Scratch
    from audio_processor.workbench import open_encoder

    binary = find_ffmpeg(settings.ffmpeg.path)
    return Line(
        settings=settings,
        binary=binary,
        encoder=open_encoder(settings.encoder, binary),
        placement=placement(granted_cpus()) if settings.ffmpeg.pin_cpus else ANYWHERE,
        store=store,
        scratch=Scratch(settings.scratch_folder()),
        studio=open_studio(settings),
        reserve_output=queue.reserve_output,
    )


def observed(metrics: Metrics, settings: Settings) -> Observed:
    """Return who is told of jobs, workers and the queue's calls: log, metrics, perhaps traces.

    Raises ``ConfigError`` where ``tracing.enabled`` is on and traces cannot be had.
    """
    from audio_processor.observed import Observed
    from audio_processor.telemetry.job_log import JobLog
    from audio_processor.telemetry.logs import Masker
    from audio_processor.telemetry.tracing import open_traces

    mask = Masker(settings.secrets()).mask
    traces = open_traces(settings.tracing.enabled, os.environ, mask=mask)
    # first, so that every line of a job has its trace's id
    listeners: list[Listener] = [JobLog()] if traces is None else [traces, JobLog()]
    return Observed(metrics, listeners)


def promise(settings: Settings) -> Promise:
    """Return what every delivered rendition is to measure."""
    from audio_processor.telemetry.promise import Promise

    loudness = settings.loudness
    return Promise(
        integrated_lufs=loudness.integrated_lufs,
        tolerance_lu=loudness.tolerance_lu,
        true_peak_dbtp=loudness.delivered_true_peak_dbtp,
        tiers=tuple(tier.name for tier in settings.tiers()),
    )


def judge_ladder(where: str, settings: Settings) -> Report:
    """Judge a ladder in a folder, at ``s3://bucket/prefix`` or at an http(s) address.

    Raises ``ConfigError``, ``SourceMissing``, ``StoreUnavailable``.
    """
    from audio_processor.delivery.validate import validate
    from audio_processor.delivery.validate_rules import Expectations
    from audio_processor.media.binary import find_ffmpeg
    from audio_processor.media.ffmpeg import Supervisor
    from audio_processor.workbench import process_limits

    with tempfile.TemporaryDirectory(prefix="audio-processor-") as folder:
        supervisor = Supervisor(
            find_ffmpeg(settings.ffmpeg.path), Path(folder), process_limits(settings.limits)
        )
        loudness = settings.loudness
        expected = Expectations(
            loudness_lufs=loudness.integrated_lufs,
            loudness_lu=loudness.tolerance_lu,
            true_peak_dbtp=loudness.delivered_true_peak_dbtp,
        )
        source = _ladder_source(where, settings)
        return validate(source, supervisor, Path(folder), expected=expected)


def _ladder_source(where: str, settings: Settings) -> LadderSource:
    from audio_processor.delivery.validate_sources import FolderSource, HttpSource, StoreSource

    scheme, separator, rest = where.partition("://")
    if not separator:
        return FolderSource(Path(where))
    match scheme.lower():
        case "http" | "https":
            return HttpSource(where)
        case "s3":
            bucket, _, prefix = rest.partition("/")
            there = with_overrides(settings, {"storage.kind": "s3", "storage.bucket": bucket})
            return StoreSource(open_store(there), prefix)
        case _:
            raise SourceMissing(f"{where!r} is no folder, s3://… or http(s)://… address.")


def worker_options(settings: Settings) -> WorkerOptions:
    """Return how the worker polls, beats, drains and retries."""
    from audio_processor.outcome import BackoffPolicy
    from audio_processor.worker import WorkerOptions

    worker = settings.worker
    return WorkerOptions(
        concurrency=worker.concurrency,
        poll_interval_s=worker.poll_interval_s,
        lease_s=worker.lease_s,
        heartbeat_s=worker.heartbeat_s,
        drain_timeout_s=worker.drain_timeout_s,
        max_attempts=worker.max_attempts,
        backoff=BackoffPolicy(base_s=worker.backoff_base_s, cap_s=worker.backoff_cap_s),
    )


def _secret(secret: SecretStr | None) -> Secret | None:
    return None if secret is None else Secret(secret.get_secret_value())
