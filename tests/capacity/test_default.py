"""The default that docs/decisions/0026 measured."""

from __future__ import annotations

from audio_processor.settings import granted_cpus, load_settings


def test_a_track_more_than_there_are_cpus() -> None:
    assert load_settings(environ={}).worker.concurrency == granted_cpus() + 1
