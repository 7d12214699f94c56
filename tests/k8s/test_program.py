"""What the manifests say of the program is so: variables, ports, probes, commands, image."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import typer.main
from typer import Exit

from audio_processor import __version__, cli
from audio_processor.cli import Exit as Code
from audio_processor.errors import ConfigError
from audio_processor.health import serve_health
from audio_processor.settings import Settings, load_settings
from audio_processor.settings.keys import keys
from audio_processor.telemetry import Metrics
from tests.k8s.rendering import (
    CHART,
    FLAVOURS,
    K8S,
    Document,
    documents,
    kustomize,
    one,
    pod,
    pods,
    rendered,
)
from tests.servers.daemon import free_port

WAYS = ("kustomize", "helm")
ROOT = K8S.parent
DOCKERFILE = ROOT / "Dockerfile"
PREFIX = "AUDIO_PROCESSOR__"
NOT_OURS = {"AWS_EC2_METADATA_DISABLED"}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration file of the checkout's own folder is not a pod's."""
    monkeypatch.chdir(tmp_path)


def settings_of(docs: list[Document], component: str) -> Settings:
    return load_settings(environ=pod(docs, component).environment(docs))


# ── variables ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("way", WAYS)
def test_every_variable_is_a_setting_and_together_they_are_accepted(way: str, flavour: str) -> None:
    docs = rendered(way, flavour)
    for each in pods(docs):
        environment = each.environment(docs)
        ours = {name for name in environment if name not in NOT_OURS}
        assert {n.removeprefix(PREFIX).lower().replace("__", ".") for n in ours} <= set(keys())
        assert all(name.startswith(PREFIX) for name in ours)
        settings = load_settings(environ=environment)
        assert settings.database.type == flavour.replace("minimal", "mysql")
        assert settings.storage.kind == "s3"
        assert settings.logging.format == "json"


def test_the_programs_own_check_accepts_a_pods_environment(tmp_path: Path) -> None:
    docs = kustomize("postgresql")
    environment = pod(docs, "worker").environment(docs) | {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-m", "audio_processor", "check-config", "--json"],
        env=environment | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


@pytest.mark.parametrize(
    "change",
    [
        {"AUDIO_PROCESSOR__STORAGE__BUKET": "x"},
        {"AUDIO_PROCESSOR__WORKER__CONCURRENCY": "two"},
        {"AUDIO_PROCESSOR__DATABASE__TYPE": "mariadb"},
        {"AUDIO_PROCESSOR_STORAGE__BUCKET": "x"},
        {"AUDIO_PROCESSOR__DATABASE__HOST": ""},
    ],
    ids=str,
)
def test_a_slip_in_a_variable_is_seen(change: dict[str, str]) -> None:
    docs = kustomize("mysql")
    with pytest.raises(ConfigError):
        load_settings(environ=pod(docs, "worker").environment(docs) | change)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("way", WAYS)
def test_secrets_come_from_secrets_and_stand_nowhere_else(way: str, flavour: str) -> None:
    docs = rendered(way, flavour)
    secret = {
        f"{PREFIX}{key.upper().replace('.', '__')}" for key in keys() if keys()[key].is_secret
    }
    for document in docs:
        if document["kind"] == "ConfigMap":
            assert not secret & set(document["data"])
    assert not any(document["kind"] == "Secret" for document in docs)
    for each in pods(docs):
        assert all("value" not in variable for variable in each.container["env"])


def test_every_secret_that_a_pod_asks_for_is_brought() -> None:
    """By the operator in the big flavours, and in the template for whoever makes them by hand."""
    template: dict[str, set[str]] = {
        d["metadata"]["name"]: set(d["stringData"])
        for d in documents((K8S / "secrets.example.yaml").read_text())
    }
    docs = kustomize("mysql")
    brought = {
        d["spec"]["target"]["name"]: {entry["secretKey"] for entry in d["spec"]["data"]}
        for d in docs
        if d["kind"] == "ExternalSecret"
    }
    wanted = [v["valueFrom"]["secretKeyRef"] for p in pods(docs) for v in p.container["env"]]
    authentication = one(docs, "TriggerAuthentication")
    wanted += authentication["spec"]["secretTargetRef"]
    assert {reference["name"] for reference in wanted} == set(template)
    for reference in wanted:
        assert reference["key"] in template[reference["name"]]
        if not reference.get("optional"):
            assert reference["key"] in brought[reference["name"]]


# ── commands, ports, probes ──────────────────────────────────────────────────────────────


def parse(arguments: list[str]) -> str:
    """Return the command that the program's own command line takes these for."""
    group = typer.main.get_group(cli.app)
    with group.make_context("audio-processor", list(arguments), resilient_parsing=False) as context:
        name, command, rest = group.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        assert command is not None and name is not None
        command.make_context(name, rest, parent=context)
        return name


@pytest.mark.parametrize("way", WAYS)
def test_every_command_is_the_programs(way: str) -> None:
    for each in pods(rendered(way, "mysql")):
        # the image's entry point stays, which hands signals on
        assert "command" not in each.container
        expected = {"worker": "run", "once": "once", "migrate": "migrate"}[each.component]
        assert parse(each.container["args"]) == expected


@pytest.mark.parametrize("arguments", [["runn"], ["once", "--now"], ["migrate", "all"]])
def test_a_slip_in_a_command_is_seen(arguments: list[str]) -> None:
    with pytest.raises((SystemExit, Exit, Exception), match=r"No such|unexpected"):
        parse(arguments)


def test_the_image_starts_the_program_as_the_pods_user() -> None:
    text = DOCKERFILE.read_text()
    [entry] = re.findall(r"^ENTRYPOINT (.+)$", text, re.MULTILINE)
    assert json.loads(entry)[-1] == "audio-processor"
    users = re.findall(r"^USER (.+)$", text, re.MULTILINE)
    context = pod(kustomize("mysql"), "worker").spec["securityContext"]
    assert users[-1] == f"{context['runAsUser']}:{context['runAsGroup']}"


@dataclass
class Idle:
    """A worker with nothing to hinder it."""

    last_loop_at: float = field(default_factory=time.monotonic)
    hindrance: str | None = None


def status(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            code: int = answer.status
            return code
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("way", WAYS)
def test_every_path_that_is_asked_for_is_answered(way: str) -> None:
    docs = rendered(way, "mysql")
    container = pod(docs, "worker").container
    probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
    [endpoint] = one(docs, "ServiceMonitor")["spec"]["endpoints"]
    paths = [*(probe["path"] for probe in probes), endpoint["path"]]
    # only a worker's own outage may take it down: an outage of others shows in /ready alone
    assert paths == ["/live", "/live", "/ready", "/metrics"]
    with serve_health(Idle(), Metrics(), host="127.0.0.1", port=free_port()) as port:
        assert [status(port, path) for path in paths] == [200] * 4
        assert status(port, "/healthz") == 404
    broken = Idle(hindrance="database_unavailable")
    with serve_health(broken, Metrics(), host="127.0.0.1", port=free_port()) as port:
        assert [status(port, path) for path in paths] == [200, 200, 503, 200]


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("way", WAYS)
def test_every_port_is_the_health_servers(way: str, flavour: str) -> None:
    docs = rendered(way, flavour)
    worker = pod(docs, "worker")
    settings = settings_of(docs, "worker")
    assert settings.worker.health_host == "0.0.0.0"  # the kubelet asks from outside the pod
    [port] = worker.container["ports"]
    assert (port["name"], port["containerPort"]) == ("health", settings.worker.health_port)
    for kind in ("startup", "liveness", "readiness"):
        assert worker.container[f"{kind}Probe"]["httpGet"]["port"] == port["name"]
    service = one(docs, "Service")
    [exposed] = service["spec"]["ports"]
    assert exposed["targetPort"] == port["name"]
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert service["spec"]["selector"].items() <= worker.labels.items()
    for other in ("once", "migrate"):
        assert "ports" not in pod(docs, other).container
        assert not service["spec"]["selector"].items() <= pod(docs, other).labels.items()


def test_the_monitor_finds_the_service_and_names_the_job_as_the_rules_do() -> None:
    docs = kustomize("mysql")
    service, monitor = one(docs, "Service"), one(docs, "ServiceMonitor")["spec"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]
    assert service["metadata"]["labels"][monitor["jobLabel"]] == "audio-processor"


# ── the rest of what ties them ───────────────────────────────────────────────────────────


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("way", WAYS)
def test_the_scratch_folder_is_the_volume(way: str, flavour: str) -> None:
    docs = rendered(way, flavour)
    for each in pods(docs):
        folder = str(settings_of(docs, each.component).scratch_folder())
        mounts = {m["mountPath"]: m for m in each.container["volumeMounts"]}
        assert folder in mounts and "/tmp" in mounts
        assert not any(mount.get("readOnly") for mount in mounts.values())


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("way", WAYS)
def test_all_speak_of_one_version(way: str, flavour: str) -> None:
    docs = rendered(way, flavour)
    for each in pods(docs):
        assert each.container["image"] == f"audio-processor:{__version__}"
        assert each.labels["app.kubernetes.io/version"] == __version__
    job = one(docs, "Job")["metadata"]["name"]
    assert job.startswith(f"audio-processor-migrate-{__version__.replace('.', '-')}")
    [chart] = documents((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == __version__


def test_the_migration_gives_up_on_the_programs_own_code_for_wrong_settings() -> None:
    rules = one(kustomize("mysql"), "Job")["spec"]["podFailurePolicy"]["rules"]
    [on_code] = [rule["onExitCodes"] for rule in rules if "onExitCodes" in rule]
    assert on_code["values"] == [Code.CONFIGURATION]
    assert on_code["containerName"] == pod(kustomize("mysql"), "migrate").container["name"]


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("way", WAYS)
def test_selectors_find_the_pods_that_they_are_for(way: str, flavour: str) -> None:
    docs = rendered(way, flavour)
    labels = pod(docs, "worker").labels
    selectors = [
        one(docs, "Deployment")["spec"]["selector"]["matchLabels"],
        one(docs, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        *(
            constraint["labelSelector"]["matchLabels"]
            for constraint in pod(docs, "worker").spec["topologySpreadConstraints"]
        ),
    ]
    for selector in selectors:
        assert selector.items() <= labels.items()
        assert not selector.items() <= pod(docs, "once").labels.items()
    for constraint in pod(docs, "worker").spec["topologySpreadConstraints"]:
        assert constraint["whenUnsatisfiable"] == "ScheduleAnyway"
