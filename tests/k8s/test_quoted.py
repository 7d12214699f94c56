"""Values arrive as what they were: text that YAML would take for something else, large numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.k8s.rendering import CHART, Document, documents, helm_template, one, pod
from tests.k8s.validators import problems

SCHEMA = CHART / "values.schema.json"
MOST = 1_000_000_000


def every_free(schema: Document, value: Any, kind: str) -> Document:
    """Values that give ``value`` to each property of the kind whose form is not prescribed."""
    found: Document = {}
    for name, each in schema["properties"].items():
        if each.get("type") == kind and not {"pattern", "enum", "maximum"} & set(each):
            found[name] = value
        elif "properties" in each and name != "settings":
            found[name] = every_free(each, value, kind)
    return found


def everything(values: Document, folder: Path, flavour: str) -> list[Document]:
    """Every template rendered, by a release whose name is a number."""
    file = folder / "values.json"
    file.write_text(json.dumps(values))  # text is in quotes there, whatever it looks like
    flavoured = str(CHART / "flavours" / f"{flavour}.yaml")
    options = ("--values", flavoured, "--values", str(file), "--set", "tracing.enabled=true")
    return documents(helm_template(*options, release="123"))


@pytest.mark.parametrize("flavour", ["mysql", "postgresql"])
@pytest.mark.parametrize("text", ["123", "1e3", "true", "~"])
def test_text_that_looks_like_something_else_is_text(
    text: str, flavour: str, tmp_path: Path
) -> None:
    values = every_free(json.loads(SCHEMA.read_text()), text, "string")
    assert {"once", "secrets", "externalSecrets", "priorityClass", "image"} <= set(values)
    docs = everything(values, tmp_path, flavour)
    assert [problem for document in docs for problem in problems(document)] == []
    assert one(docs, "CronJob")["spec"]["timeZone"] == text
    assert one(docs, "SecretStore")["spec"]["provider"]["aws"]["region"] == text
    assert pod(docs, "worker").spec["priorityClassName"] == text
    for document in docs:
        assert all(type(label) is str for label in document["metadata"]["labels"].values())


def test_text_with_yaml_in_it_is_text(tmp_path: Path) -> None:
    docs = everything({"once": {"timeZone": "Etc/UTC # not: yet"}}, tmp_path, "mysql")
    assert one(docs, "CronJob")["spec"]["timeZone"] == "Etc/UTC # not: yet"


def test_a_large_number_is_written_out(tmp_path: Path) -> None:
    """Helm's numbers are floats, and 1e+09 is no integer to the API server."""
    values = every_free(json.loads(SCHEMA.read_text()), MOST, "integer")
    values["priorityClass"] = {"value": MOST}
    docs = everything(values, tmp_path, "mysql")
    assert one(docs, "PriorityClass")["value"] == MOST
    assert one(docs, "Job")["spec"]["activeDeadlineSeconds"] == MOST
    assert [problem for document in docs for problem in problems(document)] == []
