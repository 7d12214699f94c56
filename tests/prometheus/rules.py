"""The rule file as values, and what a PromQL expression speaks of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from tests.prometheus.programs import ROOT

FOLDER = ROOT / "k8s" / "base" / "prometheus"
ALERTS, UNIT_TESTS = FOLDER / "alerts.yaml", FOLDER / "alerts.test.yaml"
OURS = re.compile(r"\b(?:audio_processor|process)_\w+\b")
RECORDED = re.compile(r"\baudio_processor:[\w:]+")


@dataclass(frozen=True, slots=True)
class Alert:
    """One alerting rule."""

    name: str
    expr: str
    severity: str
    annotations: dict[str, str]


def groups() -> list[dict[str, Any]]:
    """Return the rule groups."""
    read: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return read


def rules() -> Iterator[dict[str, Any]]:
    """Yield every rule."""
    for group in groups():
        yield from group["rules"]


def alerts() -> list[Alert]:
    """Return the alerts in the file's order."""
    return [
        Alert(rule["alert"], rule["expr"], rule["labels"]["severity"], rule["annotations"])
        for rule in rules()
        if "alert" in rule
    ]


def recorded() -> dict[str, str]:
    """Return the recorded series and their expressions."""
    return {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric and the matchers on it: (label, operator, value)."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]


_SELECTOR = re.compile(r"(?P<metric>[a-zA-Z_:][\w:]*)\s*\{(?P<body>[^{}]*)\}")
_MATCHER = re.compile(r"(\w+)\s*(=~|!~|!=|=)\s*\"([^\"]*)\"")
_GROUPING = re.compile(r"\b(?:by|on|ignoring|without)\s*\(([\w\s,]*)\)")


def selectors(expr: str) -> list[Selector]:
    """Return the metrics of ours that the expression reads, each with its matchers."""
    found = [
        Selector(match["metric"], tuple(_MATCHER.findall(match["body"])))
        for match in _SELECTOR.finditer(expr)
    ]
    bare = _SELECTOR.sub(" ", expr)
    found += [Selector(name, ()) for name in (*OURS.findall(bare), *RECORDED.findall(bare))]
    return [one for one in found if OURS.fullmatch(one.metric) or RECORDED.fullmatch(one.metric)]


def grouped_by(expr: str) -> set[str]:
    """Return the labels that the expression aggregates or matches by."""
    return {
        label.strip()
        for match in _GROUPING.finditer(expr)
        for label in match[1].split(",")
        if label.strip()
    }
