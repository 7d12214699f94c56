"""What a pod can reach, and who can reach it: the policies, evaluated as the API defines them."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from tests.k8s.rendering import FLAVOURS, Document, Pod, kustomize, pod, pods, rendered

WAYS = ("kustomize", "helm")
DATABASE_PORTS = {"mysql": 3306, "postgresql": 5432, "minimal": 3306}
S3 = "52.219.170.10"
DATABASE = "10.20.30.40"


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """LabelSelector: all of matchLabels and of matchExpressions (only In is used here)."""
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "In"
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def policies(docs: list[Document], of: Pod, direction: str) -> list[dict[str, Any]]:
    return [
        d["spec"]
        for d in docs
        if d["kind"] == "NetworkPolicy"
        and direction in d["spec"]["policyTypes"]
        and selects(d["spec"]["podSelector"], of.labels)
    ]


def reaches(docs: list[Document], of: Pod, address: str, port: int, protocol: str = "TCP") -> bool:
    """Whether a packet to this address, which is no pod's, leaves the pod."""
    ip = ipaddress.ip_address(address)
    for policy in policies(docs, of, "Egress"):
        for rule in policy["egress"]:
            on_port = any(p["port"] == port and p["protocol"] == protocol for p in rule["ports"])
            for peer in rule["to"] if on_port else []:
                block = peer.get("ipBlock")
                if block is None or ip not in ipaddress.ip_network(block["cidr"]):
                    continue
                if not any(ip in ipaddress.ip_network(out) for out in block.get("except", [])):
                    return True
    return False


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("way", WAYS)
def test_every_pod_is_closed_in_both_directions(way: str, flavour: str) -> None:
    docs = rendered(way, flavour)
    for each in pods(docs):
        assert policies(docs, each, "Egress")
        assert policies(docs, each, "Ingress")
        for policy in policies(docs, each, "Egress"):
            for rule in policy["egress"]:
                assert rule["to"] and rule["ports"], "an empty list would mean all"


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("way", WAYS)
def test_database_store_and_names_are_reached(way: str, flavour: str) -> None:
    docs = rendered(way, flavour)
    for component in ("worker", "once", "migrate"):
        each = pod(docs, component)
        assert reaches(docs, each, DATABASE, DATABASE_PORTS[flavour])
        assert reaches(docs, each, S3, 443) is (component != "migrate")
        to_dns = [
            rule
            for policy in policies(docs, each, "Egress")
            for rule in policy["egress"]
            if {"protocol": "UDP", "port": 53} in rule["ports"]
        ]
        assert len(to_dns) == 1
        assert {"protocol": "TCP", "port": 53} in to_dns[0]["ports"]
        cluster = to_dns[0]["to"][0]
        assert cluster["namespaceSelector"]["matchLabels"] == {
            "kubernetes.io/metadata.name": "kube-system"
        }
        assert cluster["podSelector"]["matchLabels"] == {"k8s-app": "kube-dns"}


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("169.254.169.254", 80),  # the node's metadata and its role
        ("169.254.169.254", 443),
        ("169.254.170.23", 80),
        (DATABASE, 443),  # a pod, a service, the API server
        (DATABASE, 22),
        (DATABASE, 5432),
        ("10.0.0.1", 443),
        ("172.20.0.1", 443),
        ("192.168.1.1", 443),
        ("100.64.0.1", 443),
        ("127.0.0.1", 443),
        (S3, 80),
        (S3, 25),
        (S3, 3306),
        ("8.8.8.8", 53),  # names are a way out of their own
        ("2a05:d07a:a000::1", 443),
    ],
)
def test_nothing_else_is_reached(address: str, port: int) -> None:
    docs = kustomize("mysql")
    for each in pods(docs):
        for protocol in ("TCP", "UDP"):
            assert not reaches(docs, each, address, port, protocol), each.name


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_only_prometheus_comes_in_and_only_to_the_metrics(flavour: str) -> None:
    docs = kustomize(flavour)
    for each in pods(docs):
        rules = [r for policy in policies(docs, each, "Ingress") for r in policy["ingress"]]
        if each.component != "worker":
            assert rules == []
            continue
        [rule] = rules
        [peer] = rule["from"]
        assert peer["namespaceSelector"]["matchLabels"] == {
            "kubernetes.io/metadata.name": "monitoring"
        }
        assert [port["port"] for port in rule["ports"]] == ["health"]
