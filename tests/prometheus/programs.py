"""Prometheus and promtool: the machine's, or Debian's as ``make prometheus`` unpacks it."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.requirements import missing
from tests.servers.daemon import Daemon, free_port, running

ROOT = Path(__file__).parents[2]
_UNPACKED = ROOT / ".venv" / "prometheus" / "usr" / "bin"
_POLL_S = 0.2


def program(name: str) -> str:
    """Return the path of ``prometheus`` or ``promtool``; skip the test where there is none."""
    found = shutil.which(name) or shutil.which(name, path=_UNPACKED)
    if found is None:
        missing(f"no {name}: make prometheus unpacks Debian's where apt can fetch it")
    return found


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running server."""

    url: str

    def query(self, expr: str) -> list[dict[str, Any]]:
        """Return the samples of an instant query; ``ValueError`` with what is wrong with it."""
        return list(self._get("/api/v1/query", {"query": expr})["result"])

    def course(self, expr: str, start: float, end: float, step_s: float) -> list[dict[str, Any]]:
        """Return the series of a range query, between unix times."""
        arguments = {"query": expr, "start": f"{start}", "end": f"{end}", "step": f"{step_s}"}
        return list(self._get("/api/v1/query_range", arguments)["result"])

    def firing(self) -> dict[str, dict[str, Any]]:
        """Return the alerts that fire now, by name."""
        alerts = self._get("/api/v1/alerts", {})["alerts"]
        return {a["labels"]["alertname"]: a for a in alerts if a["state"] == "firing"}

    def _get(self, path: str, arguments: Mapping[str, str]) -> dict[str, Any]:
        url = f"{self.url}{path}?{urllib.parse.urlencode(arguments)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                said = json.load(answer)
        except urllib.error.HTTPError as error:
            raise ValueError(error.read().decode()) from error
        data: dict[str, Any] = said["data"]
        return data


@contextlib.contextmanager
def running_prometheus(folder: Path, rules: str, *, target: str | None) -> Iterator[Prometheus]:
    """Run one on a free port: rules every second, ``target`` (host:port) scraped every two.

    A busy machine's worker may take more than one second to answer.
    """
    server = Prometheus(f"http://127.0.0.1:{free_port()}")
    (folder / "rules.yaml").write_text(rules, encoding="utf-8")
    scrapes = [{"job_name": "audio-processor", "static_configs": [{"targets": [target]}]}]
    configuration = {
        "global": {
            "scrape_interval": "2s",
            "scrape_timeout": "2s",
            "evaluation_interval": "1s",
        },
        "rule_files": ["rules.yaml"],
        "scrape_configs": scrapes if target else [],
    }
    (folder / "prometheus.yml").write_text(json.dumps(configuration), encoding="utf-8")
    argv = [
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'series'}",
        f"--web.listen-address={server.url.removeprefix('http://')}",
        "--log.level=warn",
    ]
    daemon = Daemon(argv, nobody=False, folder=folder, answers=lambda: _is_ready(server.url))
    with running(daemon, stop=signal.SIGTERM):
        yield server


def eventually(true: Callable[[], bool], what: str, within_s: float = 120.0) -> None:
    """Wait until it is true; what is asked over HTTP tells nobody when it changes."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, f"not within {within_s:.0f} s: {what}"
        time.sleep(_POLL_S)


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
