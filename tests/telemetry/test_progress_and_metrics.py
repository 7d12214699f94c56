"""Progress as log lines and seconds; metrics that two processors do not share."""

from __future__ import annotations

import logging

import pytest

from audio_processor.ports import Progress
from audio_processor.telemetry import (
    LoggingProgress,
    Metrics,
    MetricsProgress,
    NullProgress,
    Progresses,
)


def a_track(progress: Progress) -> None:
    progress.stage("t", "fetch")
    progress.advance("t", 0.5)
    progress.stage("t", "probe")
    progress.finished("t")


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"audio_processor_{name}", labels)


def test_each_stage_is_logged_once_as_it_is_left(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "audio_processor"):
        a_track(LoggingProgress())
    assert [text.rpartition(" seconds=")[0] for text in caplog.messages] == [
        "stage done track='t' stage='fetch'", "stage done track='t' stage='probe'",
    ]  # fmt: skip


def test_every_listener_is_told_and_stages_are_counted() -> None:
    one, two = Metrics(), Metrics()
    a_track(Progresses(NullProgress(), MetricsProgress(one), MetricsProgress(two)))
    for metrics in (one, two):
        assert sample(metrics, "stage_seconds_count", stage="fetch") == 1
        assert sample(metrics, "stage_seconds_count", stage="probe") == 1


def test_finished_for_an_unknown_track_counts_nothing() -> None:
    metrics = Metrics()
    MetricsProgress(metrics).finished("never seen")
    assert "stage_seconds_count" not in metrics.exposition()[0].decode()


def test_metrics_count_endings_leases_and_jobs_at_work() -> None:
    metrics, other = Metrics(), Metrics()
    with metrics.job(), metrics.job():
        assert sample(metrics, "jobs_in_flight") == 2
    with pytest.raises(ValueError, match="x"), metrics.job():
        raise ValueError("x")
    assert sample(metrics, "jobs_in_flight") == 0
    metrics.track_ended("completed")
    metrics.track_ended("failed", "corrupt_media")
    metrics.lease_lost()
    assert sample(metrics, "tracks_total", outcome="completed", error_code="") == 1
    assert sample(metrics, "tracks_total", outcome="failed", error_code="corrupt_media") == 1
    assert sample(metrics, "lease_losses_total") == 1
    assert sample(other, "lease_losses_total") == 0


def test_the_exposition_is_prometheus_text() -> None:
    metrics = Metrics()
    metrics.track_ended("completed")
    page, content_type = metrics.exposition()
    assert b'audio_processor_tracks_total{error_code="",outcome="completed"} 1.0' in page
    assert content_type.startswith("text/plain")
