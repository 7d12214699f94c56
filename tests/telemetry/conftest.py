"""A daemon on real services that has taken in real tracks, and what it told meanwhile."""

from __future__ import annotations

import io
import json
import logging
import resource
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from audio_processor import AudioProcessor, Settings
from audio_processor.demo import render_demo
from audio_processor.health import serve_health
from audio_processor.telemetry import configure_logging
from audio_processor.telemetry.logs import ROOT_NAMES
from tests.servers.database import DatabaseServer
from tests.servers.s3 import S3Server

PREFIX = "audio_processor_"
Labels = frozenset[tuple[str, str]]


@contextmanager
def heard_logs() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """JSON logs at INFO; what ``configure_logging`` changes is put back afterwards."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in ROOT_NAMES}
    configure_logging("json", stream=stream)
    try:
        yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        for name, before in levels.items():
            logging.getLogger(name).setLevel(before)


@dataclass(frozen=True)
class Scrape:
    """A parsed exposition."""

    samples: Mapping[tuple[str, Labels], float]

    def __call__(self, name: str, **labels: str) -> float:
        return self.samples[PREFIX + name, frozenset(labels.items())]

    def of(self, name: str) -> dict[tuple[str, ...], float]:
        """Every series of the name, by its labels' values."""
        return {
            tuple(value for _, value in sorted(labels)): value
            for (each, labels), value in self.samples.items()
            if each == PREFIX + name
        }

    def buckets(self, name: str, **labels: str) -> dict[float, float]:
        wanted = set(labels.items())
        return {
            float(dict(found)["le"]): value
            for (each, found), value in self.samples.items()
            if each == f"{PREFIX}{name}_bucket" and wanted <= set(found)
        }


def parsed(page: str) -> Scrape:
    return Scrape(
        {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
        }
    )


def scraped(port: int) -> Scrape:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        return parsed(answer.read().decode())


def until(true: Callable[[], bool], what: str = "it") -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_s() -> float:
    """CPU time of this process and of the children that it has waited for."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


@contextmanager
def daemon(processor: AudioProcessor) -> Iterator[int]:
    """The daemon at work; yields its health port."""
    with processor.worker() as worker:
        with serve_health(worker, processor.metrics, host="127.0.0.1", port=free_port()) as port:
            thread = threading.Thread(target=worker.run)
            thread.start()
            try:
                yield port
            finally:
                worker.stop()
                thread.join(120)
        assert not thread.is_alive()


def embedded_settings(folder: Path, **groups: dict[str, Any]) -> Settings:
    """The embedded default, below ``folder``, polling quickly."""
    given = {
        "database": {"path": folder / "queue.db"},
        "storage": {"folder": folder / "store"},
        "scratch": {"folder": folder / "scratch"},
        "worker": {"poll_interval_s": 0.1} | groups.pop("worker", {}),
    }
    return Settings.model_validate(given | groups)


@pytest.fixture(scope="session")
def short_track(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render_demo(tmp_path_factory.mktemp("short") / "short.wav", duration_s=12.0)


@pytest.fixture(scope="session")
def long_track(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render_demo(tmp_path_factory.mktemp("long") / "long.wav", duration_s=48.0)


@dataclass
class Told:
    """What a run of the daemon told, and what it delivered."""

    before: Scrape
    after: Scrape
    cpu_s: float
    log: list[dict[str, Any]]
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)


def put(processor: AudioProcessor, source: Path, name: str, folder: Path) -> None:
    path = folder / name
    path.write_bytes(source.read_bytes())
    processor.enqueue(path)


@pytest.fixture(scope="module")
def told(
    tmp_path_factory: pytest.TempPathFactory,
    short_track: Path,
    long_track: Path,
    postgres_server: DatabaseServer,
    s3_server: S3Server,
) -> Told:
    """Three tracks and a broken one, four at once, on PostgreSQL and S3, after a first one."""
    folder = tmp_path_factory.mktemp("told")
    settings = Settings.model_validate(
        {
            "storage": s3_server.settings(s3_server.make_bucket()),
            "scratch": {"folder": folder / "scratch"},
            "worker": {"concurrency": 4, "poll_interval_s": 0.1},
        }
    )
    config, kind = postgres_server.fresh_database(), postgres_server.db_type
    with AudioProcessor(settings.storage.bucket, config, kind, settings=settings) as processor:
        processor.queue.migrate()
        put(processor, short_track, "warm.wav", folder)
        assert processor.process_audio("warm.wav")  # kernels compiled, pools filled
        before, spent_s = parsed(processor.metrics.exposition()[0].decode()), cpu_s()
        for name, source in (("a", short_track), ("b", long_track), ("c", short_track)):
            put(processor, source, f"{name}.wav", folder)
        broken = folder / "broken.wav"
        broken.write_bytes(b"RIFF" + b"\x1b]0;owned\x07 no sound at all" * 200)
        processor.enqueue(broken)
        with heard_logs() as lines, daemon(processor) as port:
            # by the log: a scrape is CPU time of this process that is no stage's
            until(lambda: sum(line["event"] == "track ended" for line in lines()) == 4, "four ends")
            spent_s = cpu_s() - spent_s
            until(lambda: scraped(port)("jobs_in_flight") == 0, "idleness")
            after, log = scraped(port), lines()
        prefix = settings.storage.processed_prefix
        documents = {
            name: json.loads(processor.store.read(f"{prefix}{name}/metadata.json", max_bytes=2**20))
            for name in ("a", "b", "c", "warm")
        }
    return Told(before, after, spent_s, log, documents)
