"""A short, seeded run of the harness on each database; ``make chaos`` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.report import table
from tests.chaos.run import Wish, chaos
from tests.servers.database import DatabaseServer
from tests.servers.s3 import S3Server

KINDS_SEEN = 8
"""Of all in ``KINDS``: which ones can be done depends on what the workers are at."""


@pytest.mark.parametrize(
    ("server", "seed"),
    [("postgres_server", 11), ("mariadb_server", 12)],
    ids=["postgresql", "mariadb"],
)
def test_nothing_is_lost_and_nothing_published_twice(
    request: pytest.FixtureRequest, s3_server: S3Server, tmp_path: Path, server: str, seed: int
) -> None:
    database: DatabaseServer = request.getfixturevalue(server)
    wish = Wish(tracks=12, faults=14, seed=seed, slots=2, max_attempts=6, pace_s=1.5)
    story = chaos(wish, database, s3_server, tmp_path)
    print(table(story))
    assert story.verdict.complaints == []
    assert story.verdict.ladders == wish.tracks
    assert story.validated == wish.tracks
    assert len(story.faults) >= KINDS_SEEN
    assert story.listener_alive
    assert story.ladders_listened_to > 0
