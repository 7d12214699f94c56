"""The dashboard: as Grafana's own model has it, drawn of series that exist, laid out whole."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from audio_processor.errors import PermanentError
from tests.prometheus import exposition
from tests.prometheus.programs import Prometheus
from tests.prometheus.rules import RECORDED, grouped_by, recorded, selectors
from tools.dashboard.document import PATH, text

BOARD: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
VARIABLES = {variable["name"] for variable in BOARD["templating"]["list"]}
TARGET = {"namespace", "job", "instance"}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
CHOSEN = {
    **{f"${name}": ".*" for name in VARIABLES},
    "$__rate_interval": "5m",
    "$__range": "6h",
}
"""What Grafana puts in the variables' stead."""


def expressions() -> Iterator[tuple[str, str]]:
    """Yield whose they are, and the expressions."""
    for panel in PANELS:
        yield from ((panel["title"], target["expr"]) for target in panel["targets"])
    for event in BOARD["annotations"]["list"]:
        yield event["name"], event["expr"]


ALL = [pytest.param(expr, id=f"{title} {n}") for n, (title, expr) in enumerate(expressions())]
EACH = [pytest.param(panel, id=panel["title"]) for panel in PANELS]


def chosen(expr: str) -> str:
    for name in sorted(CHOSEN, key=len, reverse=True):
        expr = expr.replace(name, CHOSEN[name])
    return expr


def test_it_is_what_the_generator_writes() -> None:
    assert PATH.read_text(encoding="utf-8") == text(), "make dashboard writes it anew"


def test_grafanas_own_model_knows_every_key() -> None:
    known = json.loads(json.dumps(Dashboard.from_json(BOARD), cls=JSONEncoder))
    for event in BOARD["annotations"]["list"]:  # Prometheus' own, beside the common model's
        for key in ("titleFormat", "textFormat", "step"):
            assert event.pop(key)
    assert known == BOARD


@pytest.mark.parametrize("panel", EACH)
def test_a_panel_is_explained_and_has_a_unit_and_the_chosen_source(panel: dict[str, Any]) -> None:
    assert panel["title"] and panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == SOURCE
    assert panel["targets"]
    assert all(target["datasource"] == SOURCE for target in panel["targets"])
    references = [target["refId"] for target in panel["targets"]]
    assert len(references) == len(set(references))


def test_panels_have_ids_of_their_own() -> None:
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(ids) == len(set(ids)) and all(ids)


def test_the_grid_is_filled_without_overlaps() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        columns = range(place["x"], place["x"] + place["w"])
        rows = range(place["y"], place["y"] + place["h"])
        assert columns[-1] < 24, panel["title"]
        for cell in itertools.product(columns, rows):
            assert cell not in taken, (panel["title"], taken[cell])
            taken[cell] = panel["title"]
    height = 1 + max(y for _, y in taken)
    assert len(taken) == 24 * height, "a hole in the grid"


def test_a_repeated_panel_has_its_row_to_itself() -> None:
    repeated = [panel for panel in PANELS if "repeat" in panel]
    assert repeated
    for panel in repeated:
        assert panel["repeat"] in VARIABLES
        assert panel["gridPos"]["w"] == 24, "Grafana spreads the copies over the panel's width"


@pytest.mark.parametrize("expr", ALL)
def test_prometheus_understands_an_expression(prometheus: Prometheus, expr: str) -> None:
    used = set(re.findall(r"\$\{?([a-z]\w*)", expr))
    assert used <= VARIABLES
    assert "$" not in chosen(expr)
    prometheus.query(chosen(expr))


def test_it_would_not_understand_just_anything(prometheus: Prometheus) -> None:
    with pytest.raises(ValueError, match="parse error"):
        prometheus.query("sum by (instance (up)")


@pytest.mark.parametrize("expr", ALL)
def test_an_expression_reads_only_what_workers_show(expr: str) -> None:
    shown, ours = exposition.shown(), recorded()
    for selector in selectors(expr):
        if RECORDED.fullmatch(selector.metric):
            assert selector.metric in ours
            continue
        labels = shown[selector.metric]
        for label, operator, value in selector.matchers:
            assert label in TARGET or label in labels, (selector.metric, label)
            if operator == "=" and label in {"le", "limit", "outcome", "reason"}:
                assert value in labels[label], f"{selector.metric} never has {label}={value}"
    known = TARGET | {name for labels in shown.values() for name in labels}
    assert grouped_by(expr) <= known


@pytest.mark.parametrize("target_lufs", [-23.0, -16.0, -8.5])
def test_no_bound_that_a_panel_names_hangs_on_the_target(target_lufs: float) -> None:
    shown = exposition.shown(target_lufs)
    named = re.findall(r'(\w+)\{[^{}]*le="([^"]+)"', " ".join(expr for _, expr in expressions()))
    assert named
    for metric, bound in named:
        assert bound in shown[metric]["le"], f"{metric} has no {bound} at {target_lufs} LUFS"


def test_every_series_of_ours_is_on_it() -> None:
    drawn = {s.metric for _, expr in expressions() for s in selectors(expr)}
    drawn |= {s.metric for expr in recorded().values() for s in selectors(expr)}
    families = {re.sub(r"_(bucket|count|sum|total|created)$", "", name) for name in drawn}
    ours = {
        re.sub(r"_(bucket|count|sum|total|created)$", "", name)
        for name in exposition.shown()
        if name.startswith("audio_processor_")
    }
    assert ours <= families


def test_whose_fault_a_failure_is_follows_the_errors_own_tree() -> None:
    theirs = {error.code for error in PermanentError.__subclasses__()}
    told = {
        frozenset(value.split("|"))
        for _, expr in expressions()
        for selector in selectors(expr)
        for label, operator, value in selector.matchers
        if label == "error_code" and operator in {"=~", "!~"}
    }
    assert told == {frozenset(theirs)}


def test_the_variables_are_found_while_no_track_was_ever_processed() -> None:
    """They list what every worker shows from its first scrape on."""
    for variable in BOARD["templating"]["list"]:
        if variable["type"] == "query" and variable["name"] != "rendition":
            assert "audio_processor_job_slots" in variable["query"]["query"]
