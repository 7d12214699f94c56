"""Metrics: what a job tells, in a registry that two processors do not share."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from audio_processor import wiring
from audio_processor.errors import AudioProcessorError
from audio_processor.model import Claim, Loudness, RenditionSummary, TrackSummary
from audio_processor.ports import Progress
from audio_processor.settings import load_settings
from audio_processor.telemetry import Metrics, NullProgress, Progresses, RunProgress
from audio_processor.telemetry.metrics import known_codes
from audio_processor.telemetry.promise import LIMITS, Promise
from audio_processor.telemetry.run import End, Left, Listener, Run, carried, heard, running

SILENCE = Loudness(None, None, None, None, None, None)
CLAIM = Claim("upload-1", "t.wav", 2, "token", "worker-1")


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"audio_processor_{name}", labels)


def rendition(name: str, lufs: float | None, dbtp: float | None, tries: int) -> RenditionSummary:
    return RenditionSummary(name, lufs, dbtp, None, 60.0, 128_000, tries, None)


def a_track(progress: Progress) -> None:
    progress.stage("t", "fetch")
    progress.advance("t", 0.5)
    progress.stage("t", "probe")
    progress.finished("t")


class Heard(Listener):
    """Keeps the stages it is told of."""

    def __init__(self) -> None:
        self.left_stages: list[Left] = []

    def left(self, _run: Run, /, left: Left) -> None:
        self.left_stages.append(left)


def test_every_listener_is_told_and_stages_are_counted() -> None:
    one, two, kept = Metrics(), Metrics(), Heard()
    with running(Run(CLAIM, "t", (one, two, kept))):
        a_track(Progresses(NullProgress(), RunProgress()))
        heard(60.0)
    for metrics in (one, two):
        assert sample(metrics, "stage_seconds_count", stage="fetch") == 1
        assert sample(metrics, "stage_seconds_count", stage="probe") == 1
        assert sample(metrics, "stage_seconds_count", stage="render") == 0
        assert sample(metrics, "audio_seconds_total") == 60.0
        assert sample(metrics, "claims_total") == 1
    assert [left.stage for left in kept.left_stages] == ["fetch", "probe"]
    assert sample(Metrics(), "stage_seconds_count", stage="fetch") == 0


def test_progress_of_no_job_counts_nothing() -> None:
    a_track(RunProgress())
    heard(1.0)


def test_a_stage_that_fails_is_left_with_its_error() -> None:
    kept = Heard()

    def line() -> None:
        RunProgress().stage("t", "render")
        try:
            raise ValueError("x")
        finally:
            RunProgress().finished("t")

    with running(Run(CLAIM, "t", (kept,))), pytest.raises(ValueError, match="x"):
        line()
    (left,) = kept.left_stages
    assert isinstance(left.error, ValueError)


def test_a_listener_that_breaks_stops_nothing() -> None:
    class Broken(Listener):
        def left(self, _run: Run, /, left: Left) -> None:
            raise RuntimeError(left.stage)

    kept = Heard()
    with running(Run(CLAIM, "t", (Broken(), kept))):
        a_track(RunProgress())
    assert len(kept.left_stages) == 2


def test_a_completed_track_is_counted_once_with_what_was_delivered() -> None:
    metrics = Metrics()
    delivered = (
        rendition("low", -14.03, -1.2, 3),
        rendition("m4a", -14.01, -1.4, 3),
        rendition("silent", None, None, 1),
    )
    summary = TrackSummary("t", 60.0, SILENCE, "static", 0.0, None, delivered)
    metrics.ended(Run(CLAIM, "t"), End("completed", summary=summary, seconds=4.0))
    assert sample(metrics, "tracks_total", outcome="completed", error_code="") == 1
    assert sample(metrics, "track_seconds_sum", outcome="completed") == 4.0
    assert sample(metrics, "realtime_factor_sum") == 15.0
    assert sample(metrics, "attempts_sum", outcome="completed") == 2
    # −14.03 is in the bucket up to −14, not in the one up to −14.05
    assert sample(metrics, "delivered_loudness_lufs_bucket", rendition="low", le="-14.05") == 0
    assert sample(metrics, "delivered_loudness_lufs_bucket", rendition="low", le="-14.0") == 1
    assert sample(metrics, "delivered_true_peak_dbtp_bucket", rendition="m4a", le="-1.5") == 0
    assert sample(metrics, "delivered_true_peak_dbtp_bucket", rendition="m4a", le="-1.4") == 1
    assert sample(metrics, "delivered_loudness_lufs_count", rendition="silent") is None
    assert sample(metrics, "candidates_tried_sum", tier="low") == 3
    assert sample(metrics, "candidates_tried_sum", tier="m4a") is None


@pytest.mark.parametrize(("ago_s", "le", "below"), [(100, "120.0", "60.0"), (-5, "10.0", None)])
def test_from_upload_to_published(ago_s: float, le: str, below: str | None) -> None:
    """A row's clock may be ahead of ours: that track took no time, not less."""
    metrics = Metrics()
    claim = replace(CLAIM, uploaded_at=datetime.now(UTC) - timedelta(seconds=ago_s))
    summary = TrackSummary("t", 60.0, SILENCE, "static", 0.0, None, ())
    metrics.ended(Run(claim, "t"), End("failed", "corrupt_media", seconds=1.0))
    assert sample(metrics, "upload_to_published_seconds_count") == 0
    metrics.ended(Run(claim, "t"), End("completed", summary=summary, seconds=4.0))
    assert sample(metrics, "upload_to_published_seconds_bucket", le=le) == 1
    if below is not None:
        assert sample(metrics, "upload_to_published_seconds_bucket", le=below) == 0


def test_what_was_not_delivered_is_not_counted_as_such() -> None:
    metrics = Metrics()
    metrics.ended(Run(CLAIM, "t"), End("retry_later", "store_unavailable", seconds=1.0))
    metrics.ended(Run(CLAIM, "t"), End("failed", "attempts_exhausted"))
    assert sample(metrics, "tracks_total", outcome="retry_later", error_code="store_unavailable")
    assert sample(metrics, "attempts_count", outcome="failed") == 1
    assert sample(metrics, "track_seconds_count", outcome="failed") is None  # nothing was run
    assert sample(metrics, "realtime_factor_count") == 0


@pytest.mark.parametrize(("code", "losses"), [("lease_lost", 1), ("lease_lapsed", 1), ("x", 0)])
def test_lost_leases_are_counted(code: str, losses: int) -> None:
    metrics = Metrics()
    metrics.ended(Run(CLAIM, "t"), End("abandon", code, seconds=1.0))
    assert sample(metrics, "lease_losses_total") == losses


def test_jobs_in_flight_are_those_whose_block_runs() -> None:
    metrics = Metrics()
    with metrics.job(), metrics.job():
        assert sample(metrics, "jobs_in_flight") == 2
    with pytest.raises(ValueError, match="x"), metrics.job():
        raise ValueError("x")
    assert sample(metrics, "jobs_in_flight") == 0


def test_no_error_code_can_blow_up_the_number_of_series() -> None:
    metrics = Metrics()
    for number in range(1000):
        metrics.ended(Run(CLAIM, "t"), End("failed", f"invented_{number}"))
        metrics.statement("claim", 0.1, f"invented_{number}")
    assert sample(metrics, "tracks_total", outcome="failed", error_code="other") == 1000
    assert sample(metrics, "database_errors_total", statement="claim", error="other") == 1000
    assert AudioProcessorError.code in known_codes()


def test_loudness_is_shown_finely_around_the_house_s_own_target() -> None:
    metrics = Metrics(Promise(integrated_lufs=-16.0))
    delivered = (rendition("low", -15.98, None, 1),)
    summary = TrackSummary("t", 60.0, SILENCE, "static", 0.0, None, delivered)
    metrics.ended(Run(CLAIM, "t"), End("completed", summary=summary, seconds=4.0))
    assert sample(metrics, "delivered_loudness_lufs_bucket", rendition="low", le="-16.0") == 0
    assert sample(metrics, "delivered_loudness_lufs_bucket", rendition="low", le="-15.95") == 1


def test_what_passes_a_limit_is_counted_by_the_house_s_own_target() -> None:
    promise = Promise(-16.0, tolerance_lu=0.5, true_peak_dbtp=-2.0, tiers=("low", "high"))
    metrics = Metrics(promise)

    def passed(name: str) -> dict[str, float | None]:
        return {
            limit: sample(metrics, "delivered_out_of_tolerance_total", rendition=name, limit=limit)
            for limit in LIMITS
        }

    none = dict.fromkeys(LIMITS, 0.0)
    assert passed("low") == passed("high") == passed("m4a") == none  # there from the start
    delivered = (
        rendition("low", -14.0, -1.9, 1),  # the default's target is too loud for this house
        rendition("high", -16.54, -2.0, 1),  # within what the gate lets through
        rendition("m4a", -16.9, None, 1),
    )
    kept = (
        replace(rendition("low", -20.0, -9.0, 1), limited_by="max_gain"),
        replace(rendition("high", -9.0, -9.0, 1), limited_by="too_short"),
        rendition("m4a", None, None, 1),
    )
    for renditions in (delivered, kept):
        summary = TrackSummary("t", 60.0, SILENCE, "static", 0.0, None, renditions)
        metrics.ended(Run(CLAIM, "t"), End("completed", summary=summary, seconds=4.0))
        metrics.ended(Run(CLAIM, "t"), End("failed", "corrupt_media"))
    assert passed("low") == none | {"too_loud": 1, "true_peak": 1, "kept_quiet": 1}
    assert passed("high") == none
    assert passed("m4a") == none | {"too_quiet": 1}


def test_the_exposition_is_prometheus_text_with_the_process_in_it(tmp_path: Path) -> None:
    metrics = Metrics()
    metrics.built_of(version="1", ffmpeg="n7", encoder="aac", python="3.11")
    metrics.queue_was(7, 3.5)
    page, content_type = metrics.exposition()
    families = {each.name: each for each in text_string_to_metric_families(page.decode())}
    assert content_type.startswith("text/plain")
    assert families["process_resident_memory_bytes"].samples[0].value > 1e6
    assert families["audio_processor_queue_pending"].samples[0].value == 7
    assert families["audio_processor_queue_oldest_pending_seconds"].samples[0].value == 3.5
    assert families["audio_processor_build_info"].samples[0].labels["ffmpeg"] == "n7"
    assert not [name for name in families if name.endswith("_created")]


def test_threads_charge_the_stage_and_the_job_that_started_them() -> None:
    import threading
    import time

    def burn(seconds: float) -> None:
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            pass

    def one_job(metrics: Metrics, stage: str, seconds: float) -> None:
        with running(Run(CLAIM, "t", (metrics,))):
            RunProgress().stage("t", stage)
            threads = [threading.Thread(target=carried(burn), args=(seconds,)) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            RunProgress().finished("t")

    light, heavy = Metrics(), Metrics()
    jobs = [
        threading.Thread(target=one_job, args=(light, "render", 0.05)),
        threading.Thread(target=one_job, args=(heavy, "publish", 0.2)),
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    for metrics, stage, burnt_s in ((light, "render", 0.1), (heavy, "publish", 0.4)):
        total = {
            s: sample(metrics, "stage_cpu_seconds_total", stage=s) for s in ("render", "publish")
        }
        assert total.pop(stage) == pytest.approx(burnt_s, abs=0.05)  # of CPU time, not of waiting
        assert set(total.values()) == {0.0}


def test_the_promise_is_what_the_settings_say() -> None:
    prefix = "AUDIO_PROCESSOR__LOUDNESS__"
    given = {"INTEGRATED_LUFS": "-16.5", "TOLERANCE_LU": "0.4", "DELIVERED_TRUE_PEAK_DBTP": "-0.5"}
    settings = load_settings(environ={prefix + name: value for name, value in given.items()})
    made = wiring.promise(settings)
    assert (made.integrated_lufs, made.tolerance_lu, made.true_peak_dbtp) == (-16.5, 0.4, -0.5)
    assert made.renditions == (*(tier.name for tier in settings.tiers()), "m4a")
