"""The dashboard as a whole: rows, variables, annotations, links; and its JSON."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from types import ModuleType

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from tools.dashboard.panels import SOURCE
from tools.dashboard.rows import dependencies, line, queue, sound, well, workers
from tools.dashboard.selectors import FLEET, PREFIX

PATH = Path(__file__).parents[2] / "k8s" / "base" / "grafana" / "audio-processor.json"
ROWS: tuple[ModuleType, ...] = (well, queue, line, sound, dependencies, workers)


def text() -> str:
    """Return the dashboard as JSON, to be provisioned or imported."""
    return json.dumps(dashboard(), cls=JSONEncoder, indent=2, ensure_ascii=False) + "\n"


def dashboard() -> model.Dashboard:
    """Return the dashboard."""
    board = (
        build.Dashboard("Audio processor")
        .uid("audio-processor")
        .description("Ingest of audio uploads: queue, line, sound, dependencies, workers.")
        .tags(["audio-processor"])
        .time("now-6h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .editable()
        .variables(_variables())
        .link(_runbook())
    )
    number = count(1)
    for row in ROWS:
        board = board.with_row(build.Row(row.TITLE).id(next(number)))
        for panel in row.panels():
            board = board.with_panel(panel.id(next(number)))
    built = board.build()
    built.annotations = model.AnnotationContainer(list_val=[_alerts(), _rollouts()])
    return built


def _variables() -> list[Builder[model.VariableModel]]:
    known = f"{PREFIX}_job_slots"
    return [
        build.DatasourceVariable("datasource").label("Prometheus").type("prometheus"),
        # ".*" also matches series without a namespace, as without Kubernetes
        _labels("namespace", "Namespace", f"label_values({known}, namespace)").all_value(".*"),
        _labels("job", "Job", f'label_values({known}{{namespace=~"$namespace"}}, job)'),
        _labels("instance", "Worker", f"label_values({known}{{{FLEET}}}, instance)").all_value(
            ".*"
        ),
        _labels(
            "rendition",
            "Rendition",
            f"label_values({PREFIX}_delivered_loudness_lufs_count{{{FLEET}}}, rendition)",
        ),
        build.TextBoxVariable("docs")
        .label("Docs at")
        .description("Where this project's files can be read, for the link to the runbook.")
        .default_value(""),
    ]


def _labels(name: str, label: str, query: str) -> build.QueryVariable:
    return (
        build.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query({"query": query, "refId": name})
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .current(model.VariableOption(selected=True, text="All", value="$__all"))
    )


def _runbook() -> build.DashboardLink:
    return (
        build.DashboardLink("Runbook")
        .type(model.DashboardLinkType.LINK)
        .icon("doc")
        .tooltip("What each alert means and what to do")
        .url("${docs}/docs/runbook.md")
        .target_blank(True)
    )


class _Event(model.AnnotationQuery):
    """With what Prometheus' annotations have beyond the common model."""

    title_format = ""
    text_format = ""

    def to_json(self) -> dict[str, object]:
        """Return the query with its formats."""
        formats = {"titleFormat": self.title_format, "textFormat": self.text_format, "step": "60s"}
        return super().to_json() | formats


def _alerts() -> model.AnnotationQuery:
    event = _Event(
        name="Alerts",
        datasource=SOURCE,
        icon_color="red",
        expr='ALERTS{alertname=~"AudioProcessor.+", alertstate="firing", namespace=~"$namespace"}',
    )
    event.title_format, event.text_format = "{{alertname}}", "{{severity}} {{instance}} {{reason}}"
    return event


def _rollouts() -> model.AnnotationQuery:
    versions = "group by (version) ({}_build_info{{{}}}{})"
    event = _Event(
        name="Rollouts",
        datasource=SOURCE,
        icon_color="blue",
        expr=(
            f"{versions.format(PREFIX, FLEET, '')} "
            f"unless on (version) {versions.format(PREFIX, FLEET, ' offset 5m')}"
        ),
    )
    event.title_format, event.text_format = "Version {{version}}", "A worker of it has come up."
    return event
