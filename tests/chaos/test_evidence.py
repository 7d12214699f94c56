"""What a long run has to have done, and which requests of a lost attempt are harmless."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.__main__ import FAULTS, TRACKS
from tests.chaos.faults import KINDS
from tests.chaos.judge import unconditional
from tests.chaos.report import LEAST_FAULTS, LEAST_TRACKS, shortfall
from tests.chaos.run import Story, Wish
from tests.servers.flaky_proxy import Seen

DECISION = Path(__file__).parents[2] / "docs/decisions/0018-faults-by-design.md"


def story(tracks: int, faults: int, *impossible: str) -> Story:
    """A run in which the poison has struck often as well."""
    return Story(
        Wish(tracks, faults, 1),
        "postgresql",
        tracks=tracks,
        faults=Counter({"kill": faults, "poison": 99}),
        impossible=set(impossible),
    )


def test_both_databases_together_are_enough() -> None:
    half = story(LEAST_TRACKS // 2, LEAST_FAULTS // 2)
    assert shortfall([half, half], require_all=True) == []
    assert len(shortfall([half], require_all=True)) == 2


def test_what_was_not_possible_counts_where_everything_is_required() -> None:
    run = story(LEAST_TRACKS, LEAST_FAULTS, "disk full")
    assert shortfall([run], require_all=False) == []
    assert shortfall([run], require_all=True) == ["not possible here: disk full"]


def test_the_decision_says_how_large_the_long_run_is() -> None:
    words = re.sub(r"\s+", " ", DECISION.read_text())
    assert f"{len(KINDS)} kinds of faults" in words
    assert f"{TRACKS} tracks and {FAULTS} faults" in words
    assert TRACKS >= LEAST_TRACKS
    assert FAULTS >= LEAST_FAULTS


@pytest.mark.parametrize(
    ("method", "name", "query", "headers", "expected"),
    [
        ("PUT", "playlist.m3u8", {}, {}, True),
        ("PUT", "playlist.m3u8", {}, {"if-match": '"x"'}, False),
        ("PUT", "metadata.json", {}, {"if-none-match": "*"}, False),
        ("PUT", "low/segment000_a1.ts", {}, {}, False),
        ("PUT", "a.m4a", {"partNumber": "1", "uploadId": "u"}, {}, False),
        ("POST", "a.m4a", {"uploads": ""}, {}, False),
        ("POST", "a.m4a", {"uploadId": "u"}, {}, True),
        ("GET", "playlist.m3u8", {}, {}, False),
    ],
)
def test_what_overwrites(
    method: str, name: str, query: dict[str, str], headers: dict[str, str], expected: bool
) -> None:
    seen = Seen(method, f"/bucket/mwonya_audio_tracks/a/{name}", query, headers)
    assert unconditional(seen) == expected
