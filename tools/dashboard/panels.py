"""The house's panels: one function a kind, so that alike looks alike.

Every panel has a title, a description, a unit and the dashboard's own data source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import heatmap as heatmap_model
from grafana_foundation_sdk.models import prometheus as prometheus_model

SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, YELLOW, RED, BLUE, GREY = "green", "#EAB839", "red", "blue", "#8e8e8e"

Builder = (
    timeseries.Panel
    | stat.Panel
    | heatmap.Panel
    | statetimeline.Panel
    | table.Panel
    | bargauge.Panel
)
P = TypeVar("P", bound=Builder)
Steps = Sequence[tuple[float | None, str]]
"""Colours from a value upwards; the first step's value is None."""


@dataclass(frozen=True, slots=True)
class Query:
    """An expression and what its series are called."""

    expr: str
    legend: str = ""


def lines(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    width: int = 8,
    stacked: bool = False,
    bars: bool = False,
    limit: float | None = None,
    floor: float | None = 0,
    top: float | None = None,
    decimals: int | None = None,
) -> timeseries.Panel:
    """Series over time; ``limit`` draws a dashed line where trouble begins."""
    panel = _common(timeseries.Panel(), title, description, unit, width, 8)
    panel = (
        panel.line_width(1)
        .fill_opacity(30 if stacked else 8)
        .show_points(common_model.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(common_model.LegendDisplayMode.TABLE)
            .placement(common_model.LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["lastNotNull", "max"])
        )
        .tooltip(
            common.VizTooltipOptions()
            .mode(common_model.TooltipDisplayMode.MULTI)
            .sort(common_model.SortOrder.DESCENDING)
        )
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    )
    if bars:
        panel = panel.draw_style(common_model.GraphDrawStyle.BARS).fill_opacity(80)
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(common_model.StackingMode.NORMAL))
    if floor is not None:
        panel = panel.min(floor)
    if top is not None:
        panel = panel.max(top)
    if decimals is not None:
        panel = panel.decimals(decimals)
    if limit is not None:
        panel = panel.thresholds(_thresholds(((None, "transparent"), (limit, RED))))
        panel = panel.thresholds_style(
            common.GraphThresholdsStyleConfig().mode(common_model.GraphThresholdsStyleMode.DASHED)
        )
    for number, query in enumerate(queries):
        panel = panel.with_target(_target(query, number).range())
    return panel


def figure(
    title: str,
    description: str,
    unit: str,
    query: Query,
    steps: Steps,
    *,
    width: int = 3,
    decimals: int | None = None,
    none: str = "–",
) -> stat.Panel:
    """One number in the colour of how bad it is, with its course behind it."""
    panel = _common(stat.Panel(), title, description, unit, width, 4)
    panel = (
        panel.thresholds(_thresholds(steps))
        .color_mode(common_model.BigValueColorMode.BACKGROUND)
        .graph_mode(common_model.BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .no_value(none)
    )
    if decimals is not None:
        panel = panel.decimals(decimals)
    return panel.with_target(_target(query, 0).range())


def spread(
    title: str,
    description: str,
    unit: str,
    query: Query,
    *,
    width: int = 8,
    repeat: str | None = None,
) -> heatmap.Panel:
    """A Prometheus histogram over time: a column a moment, a row a bucket."""
    panel = _common(heatmap.Panel(), title, description, unit, width, 8)
    panel = (
        panel.calculate(False)
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heatmap_model.HeatmapColorMode.SCHEME)
            .scheme("Turbo")
            .steps(64)
            .exponent(0.5)
        )
        .y_axis(heatmap.YAxisConfig().unit(unit).axis_placement(common_model.AxisPlacement.LEFT))
        .cell_gap(1)
        .show_legend()
        .mode(common_model.TooltipDisplayMode.SINGLE)
        .show_y_histogram()
        .filter_values(heatmap.FilterValueRange().le(1e-9))
    )
    if repeat is not None:
        panel = panel.repeat(repeat).repeat_direction("h").max_per_row(4)
    target = _target(query, 0).range().format(prometheus_model.PromQueryFormat.HEATMAP)
    return panel.with_target(target)


def shares(
    title: str, description: str, unit: str, query: Query, *, width: int = 8
) -> bargauge.Panel:
    """A bar each, over the whole time that is looked at."""
    panel = _common(bargauge.Panel(), title, description, unit, width, 8)
    return (
        panel.orientation(common_model.VizOrientation.HORIZONTAL)
        .display_mode(common_model.BarGaugeDisplayMode.GRADIENT)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.CONTINUOUS_BL_PU))
        .min(0)
        .with_target(_target(query, 0).instant())
    )


def states(
    title: str, description: str, names: Sequence[tuple[str, str]], *queries: Query, width: int = 8
) -> statetimeline.Panel:
    """Who was in which state and when; ``names`` are the states 0, 1, … and their colours."""
    panel = _common(statetimeline.Panel(), title, description, "none", width, 8)
    mapping = model.ValueMap(
        options={
            str(value): model.ValueMappingResult(text=name, color=color, index=value)
            for value, (name, color) in enumerate(names)
        }
    )
    panel = (
        panel.mappings([mapping])
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .show_value(common_model.VisibilityMode.NEVER)
        .row_height(0.9)
        .fill_opacity(80)
    )
    for number, query in enumerate(queries):
        panel = panel.with_target(_target(query, number).range())
    return panel


def rows_of(
    title: str,
    description: str,
    unit: str,
    query: Query,
    columns: Sequence[str],
    *,
    value: str,
    width: int = 8,
) -> table.Panel:
    """A table of the series' labels ``columns``, and of their values under the name ``value``."""
    panel = _common(table.Panel(), title, description, unit, width, 8)
    keep = {name: number for number, name in enumerate((*columns, "Value"))}
    arrange = model.DataTransformerConfig(
        id_val="organize",
        options={"indexByName": keep, "renameByName": {"Value": value}},
    )
    only = model.DataTransformerConfig(
        id_val="filterFieldsByName", options={"include": {"names": [*columns, "Value"]}}
    )
    target = _target(query, 0).instant().format(prometheus_model.PromQueryFormat.TABLE)
    return panel.with_transformation(only).with_transformation(arrange).with_target(target)


def _common(panel: P, title: str, description: str, unit: str, width: int, height: int) -> P:
    panel.title(title).description(description).unit(unit)
    panel.datasource(SOURCE).span(width).height(height)
    return panel


def _target(query: Query, number: int) -> prometheus.Dataquery:
    return (
        prometheus.Dataquery()
        .expr(query.expr)
        .legend_format(query.legend or "__auto")
        .ref_id(chr(ord("A") + number))
        .datasource(SOURCE)
    )


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    return (
        dashboard.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value=value, color=color) for value, color in steps])
    )
