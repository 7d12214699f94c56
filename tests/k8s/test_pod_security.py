"""Every pod meets the restricted standard, and a little more."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.k8s.pod_security import violations
from tests.k8s.rendering import FLAVOURS, kustomize, one, pod, pods, rendered

WAYS = ("kustomize", "helm")
COMPONENTS = {"worker", "once", "migrate"}


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("way", WAYS)
def test_every_pod_is_restricted(way: str, flavour: str) -> None:
    found = list(pods(rendered(way, flavour)))
    assert {each.component for each in found} == COMPONENTS
    for each in found:
        assert list(violations(each.spec)) == [], each.name


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("way", WAYS)
def test_every_pod_is_one_numeric_user_on_a_root_that_is_read_only(way: str, flavour: str) -> None:
    for each in pods(rendered(way, flavour)):
        context = each.spec["securityContext"]
        assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (10001,) * 3
        assert each.container["securityContext"]["readOnlyRootFilesystem"] is True
        assert "runAsUser" not in each.container["securityContext"]
        mounted = {mount["name"] for mount in each.container["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in each.spec["volumes"]}
        assert mounted == set(volumes)
        assert all(volume["emptyDir"].get("sizeLimit") for volume in volumes.values())
        assert all("medium" not in volume["emptyDir"] for volume in volumes.values()), (
            "memory would count against the container's limit"
        )


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("way", WAYS)
def test_no_pod_gets_a_token_for_the_api_server(way: str, flavour: str) -> None:
    docs = rendered(way, flavour)
    accounts = {d["metadata"]["name"]: d for d in docs if d["kind"] == "ServiceAccount"}
    assert all(d["automountServiceAccountToken"] is False for d in accounts.values())
    for each in pods(docs):
        assert each.spec["automountServiceAccountToken"] is False
        assert each.spec["serviceAccountName"] in accounts
        # variables for every service of the namespace are nobody's business here
        assert each.spec["enableServiceLinks"] is False
    assert not any(d["kind"] in {"Role", "ClusterRole", "RoleBinding"} for d in docs)


def test_the_role_is_the_workers_alone() -> None:
    docs = kustomize("mysql")
    for component, has_role in (("worker", True), ("once", True), ("migrate", False)):
        account = one(docs, "ServiceAccount", pod(docs, component).spec["serviceAccountName"])
        annotations = account["metadata"].get("annotations", {})
        assert ("eks.amazonaws.com/role-arn" in annotations) is has_role


def test_the_namespace_refuses_what_falls_short() -> None:
    for way in WAYS:
        labels = one(rendered(way, "minimal"), "Namespace")["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


# ── and the check itself sees what the standard names ────────────────────────────────────

POD: list[tuple[str, Any]] = [
    ("hostNetwork", True),
    ("hostPID", True),
    ("hostIPC", True),
    ("volumes", [{"name": "x", "hostPath": {"path": "/"}}]),
    ("securityContext", {}),
    ("securityContext", {"runAsNonRoot": True}),
    ("securityContext", {"runAsNonRoot": False, "seccompProfile": {"type": "RuntimeDefault"}}),
    ("securityContext", {"runAsNonRoot": True, "seccompProfile": {"type": "Unconfined"}}),
]
MORE_OF_THE_POD = [
    {"runAsUser": 0},
    {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]},
    {"seLinuxOptions": {"type": "spc_t"}},
    {"appArmorProfile": {"type": "Unconfined"}},
    {"windowsOptions": {"hostProcess": True}},
]
OF_THE_CONTAINER = [
    {"privileged": True},
    {"allowPrivilegeEscalation": None},
    {"allowPrivilegeEscalation": True},
    {"capabilities": {}},
    {"capabilities": {"drop": ["NET_RAW"]}},
    {"capabilities": {"drop": ["ALL"], "add": ["SYS_PTRACE"]}},
    {"runAsUser": 0},
    {"runAsNonRoot": False},
    {"procMount": "Unmasked"},
    {"seccompProfile": {"type": "Unconfined"}},
    {"seLinuxOptions": {"role": "x"}},
]


def worker_spec() -> dict[str, Any]:
    return copy.deepcopy(pod(kustomize("mysql"), "worker").spec)


@pytest.mark.parametrize(("field", "value"), POD)
def test_a_slip_in_the_pod_is_seen(field: str, value: Any) -> None:
    assert list(violations(worker_spec() | {field: value}))


@pytest.mark.parametrize("change", MORE_OF_THE_POD, ids=str)
def test_a_slip_in_the_pods_context_is_seen(change: dict[str, Any]) -> None:
    spec = worker_spec()
    spec["securityContext"].update(change)
    assert list(violations(spec))


@pytest.mark.parametrize("change", OF_THE_CONTAINER, ids=str)
def test_a_slip_in_a_containers_context_is_seen(change: dict[str, Any]) -> None:
    for kind in ("containers", "initContainers"):
        spec = worker_spec()
        spec["initContainers"] = copy.deepcopy(spec["containers"])
        spec[kind][0]["securityContext"].update(change)
        assert list(violations(spec))


def test_a_hosts_port_is_seen() -> None:
    spec = worker_spec()
    spec["containers"][0]["ports"][0]["hostPort"] = 80
    assert list(violations(spec))
