"""Logs: plain for a host that set nothing up, JSON or console for ours, never a secret."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

import audio_processor
import database_manager
import uploads_queue
from audio_processor.secret import MASK
from audio_processor.telemetry import configure_logging, get_logger
from audio_processor.telemetry.logs import ROOT_NAMES, Masker

SECRET = 'p"ä\\ss/w'


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """A place to log to; what ``configure_logging`` changes is put back afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in ROOT_NAMES}
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_unconfigured_events_reach_the_hosts_logging_as_readable_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "audio_processor"):
        get_logger("audio_processor.x", track="a").info("stage done", seconds=1.5)
    assert caplog.messages == ["stage done track='a' seconds=1.5"]


def test_json_lines_carry_event_context_level_and_time(stream: io.StringIO) -> None:
    configure_logging("json", "INFO", stream=stream)
    log = get_logger("audio_processor.x", track="ä").bind(attempt=2)
    log.info("claimed", worker="w")
    log.debug("not heard")
    (line,) = lines(stream)
    assert line.pop("timestamp")
    assert line == {
        "event": "claimed", "track": "ä", "attempt": 2, "worker": "w", "level": "info",
        "logger": "audio_processor.x", "thread": "MainThread",
    }  # fmt: skip


def test_an_exception_is_one_json_line_with_its_traceback(stream: io.StringIO) -> None:
    configure_logging("json", stream=stream)
    try:
        int("broken")
    except ValueError:
        get_logger("audio_processor.x").exception("failed")
    (line,) = lines(stream)
    assert "ValueError: invalid literal" in str(line["exception"])
    assert line["level"] == "error"


def test_other_libraries_are_heard_from_warning_up_whatever_our_level(stream: io.StringIO) -> None:
    configure_logging("json", "DEBUG", stream=stream)
    logging.getLogger("botocore.auth").debug("Authorization: AWS4-HMAC-SHA256 …")
    logging.getLogger("botocore").warning("slow %s", "down")
    assert [line["event"] for line in lines(stream)] == ["slow down"]


@pytest.mark.parametrize("module", [audio_processor, database_manager, uploads_queue])
def test_each_package_of_the_project_is_heard_at_our_level(
    stream: io.StringIO, module: ModuleType
) -> None:
    configure_logging("json", "INFO", stream=stream)
    logging.getLogger(f"{module.__name__}.part").info("database transaction repeated")
    assert [line["event"] for line in lines(stream)] == ["database transaction repeated"]


def refuse() -> None:
    raise ValueError(f"refused {SECRET}")


@pytest.mark.parametrize("format_", ["json", "console"])
def test_no_secret_reaches_the_stream_in_any_form(stream: io.StringIO, format_: str) -> None:
    configure_logging("json" if format_ == "json" else "console", stream=stream, secrets=[SECRET])
    log = get_logger("audio_processor.x", bound=SECRET)
    log.warning("said %s", SECRET, nested={"list": [SECRET]})
    log.warning("url", url="postgresql://u:p%22%C3%A4%5Css%2Fw@host/db")
    try:
        refuse()
    except ValueError:
        log.exception("failed")
        logging.getLogger("sqlalchemy").exception("refused for %r", SECRET)
    text = stream.getvalue()
    assert "**********" in text
    assert "failed" in text
    for trace in ("ss/w", "%5Css", "ss%2F"):
        assert trace not in text


digits = st.text("0123456789")
secrets = st.text(st.characters(exclude_categories=["Cs", "Nd"]), min_size=4)


@given(secrets, digits, digits)
def test_a_secret_is_masked_plain_in_a_repr_and_in_json(
    secret: str, before: str, after: str
) -> None:
    masker = Masker([secret])
    masked = f"{before}{MASK}{after}"
    assert masker.mask(before + secret + after) == masked
    assert masker.mask(json.dumps(before + secret + after)) == f'"{masked}"'
    quotes = "[]\"'\\"  # which of them a repr takes depends on the secret
    assert masker.mask(json.dumps([repr(secret)])).strip(quotes) == MASK


def test_configuring_twice_logs_once(stream: io.StringIO) -> None:
    configure_logging("json", stream=stream)
    configure_logging("json", stream=stream)
    get_logger("audio_processor.x").info("once")
    assert len(lines(stream)) == 1


def test_auto_is_json_where_nobody_watches(stream: io.StringIO) -> None:
    configure_logging("auto", stream=stream)
    get_logger("audio_processor.x").info("hello")
    assert lines(stream)[0]["event"] == "hello"
