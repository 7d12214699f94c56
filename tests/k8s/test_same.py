"""The chart renders what the overlays are: one truth, two ways to apply it."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest

from tests.k8s.rendering import CHART, FLAVOURS, Document, kustomize, one, template
from tools.kubernetes_embeds import embeds, write

MIGRATES_OWN = "audio-processor-migrate"
HELMS_OWN = {
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "helm.sh/chart",
    "checksum/settings",
}


def comparable(docs: list[Document]) -> dict[tuple[str, str], Any]:
    """The documents by kind and name, with one name for what the two have to name differently.

    The workers' ConfigMap ends with a hash in kustomize, the migration's Job with one in the chart.
    """
    settings = next(
        document["metadata"]["name"]
        for document in docs
        if document["kind"] == "ConfigMap"
        and "AUDIO_PROCESSOR__STORAGE__BUCKET" in document["data"]
        and document["metadata"]["name"] != MIGRATES_OWN
    )
    migration = one(docs, "Job")["metadata"]["name"]
    assert re.fullmatch(r"audio-processor(-[a-z0-9]{10})?", settings)
    assert re.fullmatch(r"audio-processor-migrate-\d+-\d+-\d+(-[0-9a-f]{8})?", migration)

    def alike(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            kept = {k: alike(v, k if k != "name" else key) for k, v in value.items()}
            return {k: v for k, v in kept.items() if k not in HELMS_OWN and v != {}}
        if isinstance(value, list):
            return [alike(inner) for inner in value]
        if key == "configMapRef" and value == settings:
            return "SETTINGS"
        return value

    compared = {}
    for document in docs:
        known = alike(document)
        name = document["metadata"]["name"]
        if (document["kind"], name) in {("ConfigMap", settings), ("Job", migration)}:
            known["metadata"]["name"] = name = document["kind"].upper()
        compared[document["kind"], name] = known
    return compared


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_chart_renders_what_the_overlay_is(flavour: str) -> None:
    overlay, chart = comparable(kustomize(flavour)), comparable(template(flavour))
    assert sorted(chart) == sorted(overlay)
    for key, document in overlay.items():
        assert chart[key] == document, key


def test_the_comparison_sees_a_difference() -> None:
    overlay = comparable(kustomize("mysql"))
    changed = template("mysql")
    one(changed, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"] = ["once"]
    assert comparable(changed) != overlay


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_pod_is_selected_by_its_own_release_alone(flavour: str) -> None:
    """Helm's label is in every selector, or two releases would take each other's pods."""
    for document in template(flavour):
        spec = document.get("spec", {})
        for selector in (
            spec.get("podSelector", {}).get("matchLabels"),
            spec.get("selector", {}).get("matchLabels", spec.get("selector")),
        ):
            if selector:
                assert selector["app.kubernetes.io/instance"] == "audio-processor", document


def test_what_is_embedded_is_what_was_written() -> None:
    if os.environ.get("UPDATE_GOLDENS") == "1":
        write()
    for path, text in embeds().items():
        assert path.read_text(encoding="utf-8") == text, (
            f"{path} is older than its source: UPDATE_GOLDENS=1 pytest tests/k8s"
        )


def test_the_charts_flavours_are_the_overlays() -> None:
    assert {path.stem for path in (CHART / "flavours").iterdir()} == set(FLAVOURS)


def test_every_template_stays_below_what_kubectl_can_remember() -> None:
    """A client-side apply keeps the whole document in an annotation of 256 KiB at most."""
    for flavour in FLAVOURS:
        for document in kustomize(flavour):
            assert len(str(document)) < 200 * 1024, document["kind"]
