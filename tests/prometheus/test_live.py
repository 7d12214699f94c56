"""A real Prometheus watches a real worker: an outage is seen to fire an alert, and to pass.

The rules are the ones that are shipped, with every duration divided by 60: a minute becomes a
second, as in ``for: 5m``, in ``[1h]`` and in ``> time() - 3600``. Thresholds in seconds stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from audio_processor.demo import render_demo
from tests.prometheus.programs import Prometheus, eventually, running_prometheus
from tests.prometheus.rules import ALERTS, alerts
from tests.prometheus.test_dashboard import PANELS, VARIABLES
from tests.prometheus.worker import command, running_worker
from tests.servers.daemon import free_port
from tests.servers.database import PASSWORD, DatabaseServer
from tests.servers.postgres import running_postgres

TIMES_FASTER = 60
_DURATION = re.compile(
    r"(?P<before>for: |interval: |\[|(?<=\d[smhd]):|offset |> time\(\) - )"
    r"(?P<count>\d+)(?P<unit>[smhd]?)\b"
)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
TRACKS = 2
TRACK_S = 12.0
OUTAGE = {"AudioProcessorAllHindered", "AudioProcessorWorkerHindered"}

EMPTY_WHILE_ALL_IS_WELL = {
    "Failures of ours",
    "Uploads refused",
    "To be tried again, by reason",
    "Object store, errors",
    "Database, errors",
}
"""Panels without data as long as nothing goes wrong."""


def in_a_hurry(rules: str) -> str:
    """Return the rules with every duration divided by ``TIMES_FASTER``, at least a second."""

    def shorter(match: re.Match[str]) -> str:
        seconds = int(match["count"]) * _SECONDS[match["unit"]]
        unit = "s" if match["unit"] else ""  # PromQL's numbers are seconds, and have none
        return f"{match['before']}{max(1, seconds // TIMES_FASTER)}{unit}"

    return _DURATION.sub(shorter, rules)


@dataclass(frozen=True, slots=True)
class Watched:
    """A worker on a database that can be taken away, and who watches it."""

    folder: Path
    database: DatabaseServer
    prometheus: Prometheus
    settings: dict[str, object] = field(repr=False)

    def count(self, expr: str) -> float:
        """Return the query's one value, or 0 where it has none."""
        found = self.prometheus.query(expr)
        return float(found[0]["value"][1]) if found else 0.0

    def critical(self) -> set[str]:
        """Return the names of the alerts that would wake somebody now."""
        firing = self.prometheus.firing()
        return {name for name, a in firing.items() if a["labels"]["severity"] == "critical"}

    def process(self, tracks: int) -> None:
        """Give it music, one track after the other, so that each scrape sees a little more."""
        for number in range(tracks):
            name = f"track-{number}.wav"
            render_demo(self.folder / name, duration_s=TRACK_S)
            command(self.folder, self.settings, "enqueue", name)
            eventually(partial(self._has_completed, number + 1), f"track {number} completes")

    def _has_completed(self, tracks: int) -> bool:
        return self.count('sum(audio_processor_tracks_total{outcome="completed"})') >= tracks


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder, port = tmp_path_factory.mktemp("watched"), free_port()
    with running_postgres() as database:
        config = database.fresh_database()
        settings: dict[str, object] = {
            "database.type": "postgresql",
            "database.host": config["host"],
            "database.port": config["port"],
            "database.user": config["user"],
            "database.password": PASSWORD,
            "database.name": config["database"],
            "worker.health_host": "127.0.0.1",
            "worker.health_port": port,
            "worker.poll_interval_s": 0.2,
            "worker.concurrency": 1,
        }
        command(folder, settings, "migrate")
        rules = in_a_hurry(ALERTS.read_text(encoding="utf-8"))
        with (
            running_worker(folder, settings),
            running_prometheus(folder, rules, target=f"127.0.0.1:{port}") as prometheus,
        ):
            yield Watched(folder, database, prometheus, settings)


def test_a_shorter_rule_is_the_same_rule_but_for_its_durations() -> None:
    text = ALERTS.read_text(encoding="utf-8")
    shorter = in_a_hurry(text)
    assert _DURATION.sub(r"\g<before>", text) == _DURATION.sub(r"\g<before>", shorter)
    assert "for: 5s" in shorter and "[60s]" in shorter and not re.search(r"[:\[]\d+[mhd]", shorter)
    assert "> time() - 60\n" in shorter


def test_an_outage_fires_and_its_end_resolves(watched: Watched) -> None:
    """In one go, for each step starts where the one before it ended."""
    _all_is_well(watched)
    _the_dashboard_shows_it(watched)
    watched.database.stop()
    _it_fires(watched)
    watched.database.start()
    eventually(lambda: not OUTAGE & set(watched.prometheus.firing()), "what fired is resolved")
    assert watched.critical() == set()
    assert watched.count("audio_processor_ready") == 1


def _all_is_well(watched: Watched) -> None:
    eventually(lambda: watched.count("audio_processor_ready") == 1, "the worker is ready")
    watched.process(TRACKS)
    assert watched.critical() == set(), "a warning may be the test machine's own"


def _the_dashboard_shows_it(watched: Watched) -> None:
    empty = set()
    for panel in PANELS:
        for target in panel["targets"]:
            expr = target["expr"].replace("$__rate_interval", "2m").replace("$__range", "2m")
            for name in sorted(VARIABLES, key=len, reverse=True):
                expr = expr.replace(f"${name}", ".*")
            if not watched.prometheus.query(expr) and "keda" not in expr:
                empty.add(panel["title"])
    assert empty <= EMPTY_WHILE_ALL_IS_WELL


def _it_fires(watched: Watched) -> None:
    eventually(lambda: set(watched.prometheus.firing()) >= OUTAGE, "the outage fires its alerts")
    alert = watched.prometheus.firing()["AudioProcessorAllHindered"]
    assert alert["labels"]["reason"] == "database_unavailable"
    assert alert["labels"]["severity"] == "critical"
    assert "database_unavailable" in alert["annotations"]["description"]
    assert alert["annotations"].keys() == alerts()[0].annotations.keys()
