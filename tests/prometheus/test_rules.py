"""The alert rules: right by promtool, each seen to fire and not to, all of metrics that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from audio_processor.errors import PermanentError
from tests.prometheus import exposition
from tests.prometheus.programs import ROOT, program
from tests.prometheus.rules import (
    ALERTS,
    RECORDED,
    UNIT_TESTS,
    Alert,
    alerts,
    grouped_by,
    groups,
    recorded,
    rules,
    selectors,
)

TARGET = {"namespace", "job", "instance"}
"""What Prometheus itself puts on every series."""
OTHERS = {"pod", "container", "scaledObject"}
"""On those of KEDA and of kube-state-metrics."""
BASE = ROOT / "k8s" / "base"
SCALED_OBJECT = ROOT / "k8s" / "components" / "autoscaling" / "postgresql" / "scaled-object.yaml"
ALL = [pytest.param(alert, id=alert.name) for alert in alerts()]


def promtool(*arguments: str | Path) -> str:
    done = subprocess.run(
        [program("promtool"), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_finds_no_fault() -> None:
    assert f"{len(list(rules()))} rules found" in promtool("check", "rules", ALERTS)


def test_alerts_fire_where_they_must_and_nowhere_else() -> None:
    assert "SUCCESS" in promtool("test", "rules", UNIT_TESTS)


def test_every_alert_is_tested_both_ways() -> None:
    firing: set[str] = set()
    silent: set[str] = set()
    for case in yaml.safe_load(UNIT_TESTS.read_text(encoding="utf-8"))["tests"]:
        for check in case["alert_rule_test"]:
            (firing if check["exp_alerts"] else silent).add(check["alertname"])
    names = {alert.name for alert in alerts()}
    assert (firing, silent) == (names, names)


def test_the_unit_tests_evaluate_groups_in_the_files_order() -> None:
    """Else a test may read what was recorded a minute ago, one time in seven or so."""
    order = yaml.safe_load(UNIT_TESTS.read_text(encoding="utf-8"))["group_eval_order"]
    assert order == [group["name"] for group in groups()]


def test_names_are_unique() -> None:
    names = [alert.name for alert in alerts()]
    assert len(names) == len(set(names)) > 0
    assert all(name.startswith("AudioProcessor") for name in names)


@pytest.mark.parametrize("alert", ALL)
def test_an_alert_says_how_bad_it_is_what_is_wrong_and_in_numbers(alert: Alert) -> None:
    assert alert.severity in {"critical", "warning"}
    assert set(alert.annotations) == {"summary", "description", "runbook"}
    assert alert.annotations["summary"].endswith(".")
    assert "{{" not in alert.annotations["summary"], "one title for all that fire together"
    assert "{{" in alert.annotations["description"]


@pytest.mark.parametrize(
    "expr", [pytest.param(r["expr"], id=next(iter(r.values()))) for r in rules()]
)
def test_an_expression_reads_only_what_workers_show(expr: str) -> None:
    shown, ours = exposition.shown(), recorded()
    for selector in selectors(expr):
        if RECORDED.fullmatch(selector.metric):
            assert selector.metric in ours, selector.metric
            continue
        labels = shown[selector.metric]
        for label, operator, value in selector.matchers:
            assert label in TARGET or label in labels, (selector.metric, label)
            if operator == "=" and label in {"le", "limit", "outcome", "reason"}:
                assert value in labels[label], f"{selector.metric} never has {label}={value}"


@pytest.mark.parametrize("target_lufs", [-23.0, -16.0, -14.0, -8.5])
def test_no_bound_that_an_expression_names_hangs_on_the_target(target_lufs: float) -> None:
    """An empty result is an alert that never fires, and nobody sees it."""
    shown = exposition.shown(target_lufs)
    named = [
        (selector.metric, value)
        for rule in rules()
        for selector in selectors(rule["expr"])
        for label, _, value in selector.matchers
        if label == "le"
    ]
    assert named
    for metric, bound in named:
        assert bound in shown[metric]["le"], f"{metric} has no {bound} at {target_lufs} LUFS"


def test_expressions_are_joined_by_labels_that_exist() -> None:
    known = TARGET | OTHERS | {name for labels in exposition.shown().values() for name in labels}
    for rule in rules():
        assert grouped_by(rule["expr"]) <= known, next(iter(rule.values()))


def test_every_recorded_series_is_read_by_an_alert_or_a_record() -> None:
    read = {s.metric for rule in rules() for s in selectors(rule["expr"])}
    assert set(recorded()) <= read


def test_whose_fault_a_failure_is_follows_the_errors_own_tree() -> None:
    """What is not ours is exactly what ``PermanentError`` holds: a new error lands with us."""
    theirs = {error.code for error in PermanentError.__subclasses__()}
    excluded: set[frozenset[str]] = set()
    refused: set[str] = set()
    incoherent: set[str] = set()
    for rule in rules():
        for selector in selectors(rule["expr"]):
            for label, operator, value in selector.matchers:
                if label == "error_code" and operator == "!~":
                    excluded.add(frozenset(value.split("|")))
                elif label == "error_code" and operator == "=~":
                    here = refused if "corrupt_media" in value else incoherent
                    here |= set(value.split("|"))
    assert excluded == {frozenset(theirs)}
    assert refused | incoherent == theirs and not refused & incoherent


def test_kubernetes_objects_have_names_that_the_rules_look_for() -> None:
    named = {
        (found["kind"], found["metadata"]["name"])
        for file in ("deployment", "migrate-job", "once-cron-job")
        for found in yaml.safe_load_all((BASE / f"{file}.yaml").read_text(encoding="utf-8"))
    }
    scaled = yaml.safe_load(SCALED_OBJECT.read_text(encoding="utf-8"))["metadata"]["name"]
    names = dict(named)
    wanted = {
        "pod": f"{names['Deployment']}-5d9c8b7f6d-x2x4z",
        "deployment": names["Deployment"],
        "scaledObject": scaled,
        "horizontalpodautoscaler": f"keda-hpa-{scaled}",
        "job_name": names["Job"],
    }
    patterns: dict[str, set[str]] = {}
    for rule in rules():
        for label, pattern in re.findall(r'(\w+)=~"([^"]+)"', rule["expr"]):
            if label in wanted:
                patterns.setdefault(label, set()).add(pattern)
    assert patterns.keys() == wanted.keys()
    for label, name in wanted.items():
        assert all(re.fullmatch(pattern, name) for pattern in patterns[label]), (label, name)
    cron = f"{names['CronJob']}-29382910"
    assert not any(re.fullmatch(pattern, cron) for pattern in patterns["job_name"])
