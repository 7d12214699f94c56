"""Traces, as a collector receives them, and what becomes of a track whose collector is away."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from audio_processor import AudioProcessor
from audio_processor.errors import ConfigError, CorruptMedia
from audio_processor.model import Claim
from audio_processor.telemetry import RunProgress
from audio_processor.telemetry.metrics import STAGES
from audio_processor.telemetry.run import End, Run, running
from audio_processor.telemetry.traces import Traces
from audio_processor.telemetry.tracing import open_traces, traces_wanted
from tests.telemetry.conftest import embedded_settings, heard_logs, parsed, put
from tests.telemetry.otlp import Collector, attributes, collecting

CLAIM = Claim("upload-1", "t.wav", 2, "token", "worker-1")


@contextmanager
def endpoint(monkeypatch: pytest.MonkeyPatch, url: str) -> Iterator[None]:
    """The standard variable, as an operator sets it."""
    with monkeypatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        yield


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as (collector, url), endpoint(monkeypatch, url):
        yield collector


def test_a_track_is_a_span_and_each_of_its_stages_one_below_it(
    collector: Collector, tmp_path: Path, short_track: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=music")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
    with (
        heard_logs() as lines,
        AudioProcessor(None, None, settings=embedded_settings(tmp_path)) as processor,
    ):
        put(processor, short_track, "one.wav", tmp_path)
        (tmp_path / "two.wav").write_bytes(b"no sound at all" * 100)
        processor.enqueue(tmp_path / "two.wav")
        assert processor.process_pending_tracks() == (1, 1)
        log = lines()
    assert not threads_of("OtelBatch"), "threads of the SDK are left behind"

    tracks = {attributes(s)["audio_processor.track_id"]: s for s in collector.spans if _root(s)}
    one, two = tracks["one"], tracks["two"]
    stages = [span for span in collector.spans if span.parent_span_id == one.span_id]
    stages.sort(key=lambda span: span.start_time_unix_nano)
    assert [span.name for span in stages] == list(STAGES)
    assert {span.trace_id for span in stages} == {one.trace_id} != {two.trace_id}
    for span in stages:
        assert one.start_time_unix_nano <= span.start_time_unix_nano
        assert span.end_time_unix_nano <= one.end_time_unix_nano
    told = attributes(one)
    assert told["audio_processor.outcome"] == "completed"
    assert told["audio_processor.attempt"] == 1
    assert told["audio_processor.audio_seconds"] == pytest.approx(12.0, abs=0.01)
    assert "audio_processor.error_code" not in told

    assert attributes(two)["audio_processor.error_code"] == "unsupported_media"
    assert two.status.code == Status.STATUS_CODE_ERROR
    (probe,) = [s for s in collector.spans if s.trace_id == two.trace_id and s.name == "probe"]
    for span in (two, probe):
        (event,) = span.events
        assert event.name == "exception"
    assert collector.resources[0]["service.name"] == "audio-processor"
    assert collector.resources[0]["deployment.environment"] == "test"
    assert collector.headers[0]["x-tenant"] == "music"

    for line in log:  # the log leads to the trace
        if line.get("track_id") in {"one", "two"}:
            assert line["trace_id"] == tracks[line["track_id"]].trace_id.hex()


def threads_of(name: str) -> list[threading.Thread]:
    """The threads whose names begin so."""
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


def _root(span: Span) -> bool:
    return not span.parent_span_id


def test_no_secret_leaves_with_an_exception(collector: Collector) -> None:
    traces = Traces(mask=lambda text: text.replace("hunter2", "…"))
    error = CorruptMedia("refused by postgresql://u:hunter2@host/db")
    run = Run(CLAIM, "t", (traces,))
    with running(run):
        RunProgress().stage("t", "probe")
        try:
            raise error
        except CorruptMedia:
            RunProgress().finished("t")
        run.end(End("failed", "corrupt_media", cause=error))
    traces.close()
    assert {span.name for span in collector.spans} == {"track", "probe"}
    for span in collector.spans:
        assert b"hunter2" not in span.SerializeToString()
        (event,) = span.events
        assert {"exception.type", "exception.message", "exception.stacktrace"} == {
            pair.key for pair in event.attributes
        }


@pytest.mark.parametrize("away", ["refuses", "hangs"])
def test_a_collector_that_is_away_costs_neither_a_track_nor_the_end(
    away: str,
    tmp_path: Path,
    short_track: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3600")  # left alone, it does not give up
    with socket.create_server(("127.0.0.1", 0)) as hanging:  # takes connections, never answers
        port = hanging.getsockname()[1]
        if away == "refuses":
            hanging.close()
        with endpoint(monkeypatch, f"http://127.0.0.1:{port}"):
            processor = AudioProcessor(None, None, settings=embedded_settings(tmp_path))
            put(processor, short_track, "one.wav", tmp_path)
            assert processor.process_pending_tracks() == (1, 0)
            sending = threads_of("OtelBatch")
            processor.close()
            if away == "hangs":  # nothing wakes a request: what waits for it is not waited for
                assert threads_of("traces-flush")
                assert [thread.is_alive() for thread in sending] == [True]
    for thread in sending:
        thread.join(60)
        assert not thread.is_alive(), "it goes on trying"
    assert "shutdown" in caplog.text.lower()  # it was told to end between its tries


ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    ("enabled", "environment", "wanted"),
    [
        ("auto", {}, False),
        ("auto", ENDPOINT, True),
        ("auto", {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/v1/traces"}, True),
        ("auto", {"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ("auto", ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, False),
        ("auto", ENDPOINT | {"OTEL_SDK_DISABLED": "true"}, False),
        ("on", {}, True),
        ("on", {"OTEL_SDK_DISABLED": "true"}, False),
        ("off", ENDPOINT, False),
        ("auto", ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
    ],
)
def test_traces_are_sent_where_they_are_asked_for(
    enabled: str, environment: Mapping[str, str], wanted: bool
) -> None:
    assert traces_wanted(enabled, environment) is wanted


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER"),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL"),
        (ENDPOINT | {"OTEL_BSP_MAX_QUEUE_SIZE": "-1"}, "max_queue_size"),
    ],
)
def test_what_cannot_be_had_stops_only_who_asked_for_it(
    environment: Mapping[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A platform that sets the variables for every pod must not stop ingest."""
    for name, value in environment.items():  # the SDK reads them itself
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=named):
        open_traces("on", environment, mask=str)
    with heard_logs() as lines:
        assert open_traces("auto", environment, mask=str) is None
        [line] = lines()
    assert line["level"] == "warning"
    assert named in line["reason"]


WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from audio_processor.cli import main
sys.argv = ["audio-processor", "once"]
main()
"""


@pytest.mark.parametrize("asked", ["not", "by the platform", "by the setting"])
def test_without_the_extra_nothing_is_imported_and_who_asks_is_told_what_to_install(
    asked: str, tmp_path: Path
) -> None:
    environment = {"PATH": "/usr/bin:/bin"}
    if asked == "by the platform":
        environment |= ENDPOINT
    if asked == "by the setting":
        environment["AUDIO_PROCESSOR__TRACING__ENABLED"] = "on"
    (tmp_path / "data").mkdir()
    sound = tmp_path / "x.wav"
    sound.write_bytes(b"no sound")
    with AudioProcessor(None, None, settings=embedded_settings(tmp_path / "data")) as processor:
        processor.enqueue(sound)
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        cwd=tmp_path,
        env=environment
        | {
            "AUDIO_PROCESSOR__DATABASE__PATH": "data/queue.db",
            "AUDIO_PROCESSOR__STORAGE__FOLDER": "data/store",
            "AUDIO_PROCESSOR__METRICS__TEXTFILE": "left.prom",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    told = ended.stderr.count("pip install 'audio-processor[otel]'")
    if asked == "by the setting":
        assert (ended.returncode, told) == (2, 1), ended.stderr
    else:
        assert ended.returncode == 1, ended.stderr  # the track is no sound; that is all
        assert told == (asked == "by the platform"), ended.stderr
        left = parsed((tmp_path / "left.prom").read_text())
        assert left("tracks_total", outcome="failed", error_code="unsupported_media") == 1
