"""What the Grafana dashboard shows of a real worker, as one picture.

``python -m bench.dashboard`` runs a worker on real music, with some broken uploads among it and an
outage of the database in the middle, has a real Prometheus watch it, asks that for every panel's
expressions and draws the panels where the dashboard has them: ``bench/out/dashboard.png``. It shows
whether a panel says something; it is not Grafana. ``--page``: for the docs too.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.corpus import corpus_tracks
from bench.dashboard_sheet import Panel, Series, draw
from tests.prometheus.programs import Prometheus, running_prometheus
from tests.prometheus.rules import ALERTS
from tests.prometheus.worker import command, running_worker
from tests.servers.daemon import free_port
from tests.servers.database import PASSWORD, DatabaseServer
from tests.servers.postgres import running_postgres
from tests.servers.s3 import S3Server, running_s3
from tools.dashboard.document import PATH

OUT = Path(__file__).with_name("out") / "dashboard.png"
PAGE = Path(__file__).parents[1] / "docs" / "dashboard.png"
TRACKS = 10
LONGEST_S = 110.0
OUTAGE_S = 20.0
RATES_OVER = "40s"
"""Grafana takes four scrapes, and a scrape is two seconds here; a track takes twenty."""
POINTS = 240

_console = Console()


@dataclass(frozen=True, slots=True)
class Site:
    """A worker and everything around it."""

    folder: Path
    database: DatabaseServer
    prometheus: Prometheus
    settings: dict[str, object]

    def count(self, expr: str) -> float:
        """Return a query's one value, 0 where it has none."""
        found = self.prometheus.query(expr)
        return float(found[0]["value"][1]) if found else 0.0


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Run it all in ``folder``."""
    port = free_port()
    with running_postgres() as database, running_s3() as s3:
        settings = _settings(database, s3, port)
        command(folder, settings, "migrate")
        rules = ALERTS.read_text(encoding="utf-8").replace("interval: 30s", "interval: 1s")
        with (
            running_prometheus(folder, rules, target=f"127.0.0.1:{port}") as prometheus,
            running_worker(folder, settings),
        ):
            yield Site(folder, database, prometheus, settings)


def _settings(database: DatabaseServer, s3: S3Server, port: int) -> dict[str, object]:
    config = database.fresh_database()
    return {
        "database.type": "postgresql",
        "database.host": config["host"],
        "database.port": config["port"],
        "database.user": config["user"],
        "database.password": PASSWORD,
        "database.name": config["database"],
        "storage.kind": "s3",
        "storage.bucket": s3.make_bucket(),
        "storage.endpoint_url": s3.endpoint_url,
        "storage.region": s3.region,
        "storage.access_key_id": s3.access_key,
        "storage.secret_access_key": s3.secret_key,
        "storage.addressing_style": "path",
        "worker.health_host": "127.0.0.1",
        "worker.health_port": port,
        "worker.poll_interval_s": 1,
        "worker.concurrency": 2,
    }


def a_day(site: Site, tracks: int) -> None:
    """Let happen what happens: music, broken uploads, an outage, more music."""
    music = [
        shutil.copy(path, site.folder) for path in corpus_tracks(tracks, max_duration_s=LONGEST_S)
    ]
    broken = [site.folder / "half.ogg", site.folder / "letter.mp3", site.folder / "noise.flac"]
    broken[0].write_bytes(Path(music[0]).read_bytes()[:200_000])
    broken[1].write_text("Dear listener, " * 500)
    broken[2].write_bytes(b"fLaC" + bytes(range(256)) * 400)
    half = len(music) // 2
    _say(f"{half} tracks and {len(broken)} broken uploads")
    names = [Path(path).name for path in (*music[:half], *broken)]
    command(site.folder, site.settings, "enqueue", *names)
    _until(lambda: _ended(site) >= half // 2)
    _say(f"the database is away for {OUTAGE_S:.0f} s")
    site.database.stop()
    time.sleep(OUTAGE_S)  # the length of the outage is what is asked for
    site.database.start()
    _until(lambda: _ended(site) >= len(names))
    _say(f"{len(music) - half} tracks more")
    command(site.folder, site.settings, "enqueue", *(Path(path).name for path in music[half:]))
    _until(lambda: _ended(site) >= len(music) + len(broken))


def _ended(site: Site) -> float:
    return site.count('sum(audio_processor_tracks_total{outcome=~"completed|failed"})')


def _until(true: Callable[[], bool]) -> None:
    while not true():
        time.sleep(1)


def panels(prometheus: Prometheus, start: float, end: float) -> Iterator[Panel]:
    """Yield every panel with what it shows between these unix times."""
    board: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
    step_s = max(1.0, (end - start) / POINTS)
    renditions = sorted(
        sample["metric"]["rendition"]
        for sample in prometheus.query("audio_processor_delivered_loudness_lufs_count")
    )
    for panel in board["panels"]:
        of = renditions if panel.get("repeat") else [".*"]
        series = [
            Series.of(found, target.get("legendFormat", ""), rendition)
            for rendition in of
            for target in panel.get("targets", [])
            for found in prometheus.course(
                _chosen(target["expr"], board, rendition, end - start), start, end, step_s
            )
        ]
        yield Panel.of(panel, series, of)


def _chosen(expr: str, board: dict[str, Any], rendition: str, span_s: float) -> str:
    expr = expr.replace("$__rate_interval", RATES_OVER).replace("$__range", f"{span_s:.0f}s")
    expr = expr.replace("$rendition", rendition)
    names = (variable["name"] for variable in board["templating"]["list"])
    for name in sorted(names, key=len, reverse=True):
        expr = expr.replace(f"${name}", ".*")
    return expr


def _say(text: str) -> None:
    _console.print(text, highlight=False)


def main() -> int:
    """Run it and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=TRACKS)
    parser.add_argument("--page", action="store_true", help=f"also {PAGE.name} in docs/")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, site(Path(name)) as running:
        _until(lambda: running.count("audio_processor_ready") == 1)
        start = time.time()
        a_day(running, given.tracks)
        _until(lambda: running.count("audio_processor_jobs_in_flight") == 0)
        drawn = list(panels(running.prometheus, start, time.time()))
    draw(drawn, OUT)
    if given.page:
        below = next(panel.y for panel in drawn if panel.title == "Dependencies")
        draw([panel for panel in drawn if panel.y < below], PAGE, inch_dots=75)
    _say(f"{OUT.name}: {sum(panel.kind != 'row' for panel in drawn)} panels")
    for panel in drawn:
        if panel.kind != "row" and not panel.series:
            _say(f"  no data: {panel.title}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
