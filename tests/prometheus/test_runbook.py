"""The runbook: a section for each alert, with queries and commands that there are.

Commands of the program are parsed by the program's own command line, and every event of the log
that is looked for is one that the program writes.
"""

from __future__ import annotations

import re

import pytest

from audio_processor.telemetry.metrics import known_codes
from tests.docs.command_lines import check_line, parse_by_the_program
from tests.prometheus import exposition
from tests.prometheus.programs import ROOT, Prometheus
from tests.prometheus.rules import OURS, RECORDED, Alert, alerts, recorded, selectors

PAGE = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECTIONS = {
    text.partition("\n")[0].strip(): text.partition("\n")[2].split("\n## ")[0]
    for text in PAGE.split("\n### ")[1:]
}
QUERIES = [
    line for language, text in _FENCE.findall(PAGE) if language == "promql"
    for line in text.splitlines()
]  # fmt: skip
LINES = [
    line for language, text in _FENCE.findall(PAGE) if language == "shell"
    for line in text.splitlines()
]  # fmt: skip
INLINE = re.findall(r"`(audio-processor [^`…]+)`", _FENCE.sub("", PAGE))
ALL = [pytest.param(alert, id=alert.name) for alert in alerts()]


def test_every_alert_has_its_section_and_every_section_its_alert() -> None:
    assert list(SECTIONS) == [alert.name for alert in alerts()]


@pytest.mark.parametrize("alert", ALL)
def test_an_alert_leads_to_its_section(alert: Alert) -> None:
    assert alert.annotations["runbook"] == f"docs/runbook.md#{alert.name.lower()}"


@pytest.mark.parametrize("alert", ALL)
def test_a_section_says_all_that_one_wants_to_know(alert: Alert) -> None:
    text = SECTIONS[alert.name].strip()
    assert text.startswith(f"{alert.severity.capitalize()}. **Means:** ")
    together = "**Causes and what to do:**" in text
    wanted = ["Noticed", "Over"] if together else ["Noticed", "Causes", "Do", "Over"]
    places = [text.index(f"**{word}:**") for word in wanted]
    assert places == sorted(places)
    assert "```promql\n" in text


@pytest.mark.parametrize("query", sorted(set(QUERIES)))
def test_prometheus_understands_a_query(prometheus: Prometheus, query: str) -> None:
    prometheus.query(query)
    shown, ours = exposition.shown(), recorded()
    for selector in selectors(query):
        if RECORDED.fullmatch(selector.metric):
            assert selector.metric in ours
        else:
            assert OURS.fullmatch(selector.metric)
            assert {label for label, _, _ in selector.matchers} <= set(shown[selector.metric])


@pytest.mark.parametrize("line", sorted({*LINES, *INLINE}))
def test_a_command_exists(line: str) -> None:
    check_line(line)
    _, inside, command = line.partition(" -- audio-processor ")
    if inside:
        parse_by_the_program(command.split())


def test_an_invented_command_would_be_seen() -> None:
    with pytest.raises(AssertionError):
        check_line("audio-processor requeue song.wav")
    with pytest.raises(AssertionError):
        check_line("audio-processor retry --all")


def test_events_that_are_looked_for_are_written() -> None:
    source = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "audio_processor").rglob("*.py")
    )
    events = set(re.findall(r'\.event == "([^"]+)"', PAGE))
    assert len(events) > 5
    for event in events:
        assert re.search(rf'log\.\w+\(\s*"{event}"', source), event
    for said in re.findall(r"the log says `([^`]+)`", PAGE):
        assert f'"{said}"' in source


def test_error_codes_that_are_named_exist() -> None:
    codes = set(re.findall(r'error_code(?: ==|=~?) ?"([\w|]+)"', PAGE))
    assert {code for some in codes for code in some.split("|")} <= known_codes()
