"""The real music that tests measure: the corpus that ``make corpus`` brings."""

from __future__ import annotations

from pathlib import Path

from bench.corpus import corpus_folder, corpus_tracks
from tests.requirements import missing


def corpus_track_or_skip(name: str) -> Path:
    """The file of this name, or the test is skipped (a failure in CI)."""
    found = sorted(corpus_folder().rglob(name))
    if not found:
        missing(f"{name} is not in the corpus ({corpus_folder()}); `make corpus` brings it")
    return found[0]


def corpus_tracks_or_skip(n: int, *, max_duration_s: float | None = None) -> list[Path]:
    """``n`` different tracks, or the test is skipped (a failure in CI)."""
    tracks = corpus_tracks(n, max_duration_s=max_duration_s)
    if len(tracks) < n:
        missing(f"{len(tracks)} of {n} tracks in {corpus_folder()}; `make corpus` brings them")
    return tracks
