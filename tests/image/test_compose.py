"""docker-compose.yml against its schema, the program's settings, and what it mounts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from audio_processor.settings import Settings
from tests.servers.s3 import S3Server

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
BINARIES = Path(sys.executable).parent
VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
OURS = "audio-processor:"


def interpolated(value: Any, environment: Mapping[str, str]) -> Any:
    """Compose's ``${NAME:-default}`` resolved throughout."""
    match value:
        case str():
            return VARIABLE.sub(lambda m: environment.get(m[1]) or m[2] or "", value)
        case dict():
            return {key: interpolated(one, environment) for key, one in value.items()}
        case list():
            return [interpolated(one, environment) for one in value]
    return value


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file as an engine reads it, with every default."""
    read: dict[str, Any] = interpolated(yaml.safe_load(COMPOSE.read_text()), {})
    return read


def services(compose: Mapping[str, Any], *, ours: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, service in compose["services"].items():
        if service["image"].startswith(OURS) is ours:
            yield name, service


def workers(compose: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: one for name, one in services(compose, ours=True) if one["command"] == ["run"]}


# ── the file ─────────────────────────────────────────────────────────────────────────────


def test_it_keeps_to_the_compose_specification(compose: dict[str, Any], tmp_path: Path) -> None:
    merged = tmp_path / "compose.json"  # as read, anchors and merges resolved
    merged.write_text(json.dumps(compose))
    judge: list[str | Path] = [
        BINARIES / "check-jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
    ]
    judged = subprocess.run([*judge, merged], capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout
    merged.write_text(json.dumps({"services": {"worker": {"imagee": "x"}}}))
    judged = subprocess.run([*judge, merged], capture_output=True, text=True, check=False)
    assert judged.returncode == 1, "a judge that lets anything pass is none"


def test_every_foreign_image_is_pinned_by_an_exact_version(compose: dict[str, Any]) -> None:
    images = [service["image"] for _, service in services(compose, ours=False)]
    assert images
    assert [image for image in images if not re.search(r":v?\d+\.\d+(\.\d+)?(-\w+)?$", image)] == []


def test_it_has_everything_that_production_has(compose: dict[str, Any]) -> None:
    images = {service["image"].split(":")[0] for service in compose["services"].values()}
    assert {"postgres", "mariadb", "prom/prometheus", "grafana/grafana"} <= images
    assert "s3" in compose["services"]


def needed_by(compose: Mapping[str, Any], name: str) -> set[str]:
    """The service and all that it waits for, at any remove: what `up NAME` and `run NAME` take."""
    waited_for = compose["services"][name].get("depends_on", {})
    return {name}.union(*(needed_by(compose, each) for each in waited_for))


def test_a_tag_is_built_by_one_service_that_all_who_run_it_wait_for(
    compose: dict[str, Any],
) -> None:
    """Two that build one tag at once fail with "image already exists"; none, by a pull."""
    builders: dict[str, list[str]] = {}
    for name, service in compose["services"].items():
        if "build" in service:
            builders.setdefault(service["image"], []).append(name)
    users = dict(services(compose, ours=True))
    assert set(builders) == {service["image"] for service in users.values()}
    for tag, (builder, *others) in builders.items():
        assert others == [], tag
        # of no profile: in PostgreSQL's selection and in MariaDB's
        assert "profiles" not in compose["services"][builder]
    for name, service in users.items():
        [builder] = builders[service["image"]]
        assert builder in needed_by(compose, name), f"{name} can be run without {builder}"
        assert service["pull_policy"] == "never", name


def test_nothing_is_reachable_from_outside_this_machine(compose: dict[str, Any]) -> None:
    published = [port for one in compose["services"].values() for port in one.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_every_container_is_confined(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name


def test_only_the_databases_get_a_capability_back(compose: dict[str, Any]) -> None:
    given = {name for name, one in compose["services"].items() if one.get("cap_add")}
    assert given == {"postgresql", "mariadb"}


def test_every_file_that_is_mounted_is_there(compose: dict[str, Any]) -> None:
    for name, config in compose["configs"].items():
        assert (ROOT / config["file"]).is_file(), name
    mounted = {one["source"] for s in compose["services"].values() for one in s.get("configs", ())}
    assert mounted == set(compose["configs"])


def test_every_service_is_waited_for_in_a_way_that_it_can_meet(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for needed, how in service.get("depends_on", {}).items():
            other = compose["services"][needed]
            if how["condition"] == "service_healthy":
                assert other["healthcheck"]["test"], f"{name} waits for {needed}"
            else:
                assert how["condition"] == "service_completed_successfully"
                assert other["restart"] == "no", f"{needed} never completes"
            profiles = set(other.get("profiles", ()))
            assert profiles <= set(service.get("profiles", ())), f"{needed} is not there for {name}"


def test_what_serves_no_health_port_switches_the_health_check_off(compose: dict[str, Any]) -> None:
    for name, service in services(compose, ours=True):
        disabled = service.get("healthcheck", {}).get("disable", False)
        assert disabled is (service["command"] != ["run"]), name


# ── the program in it ────────────────────────────────────────────────────────────────────


def test_every_command_and_its_settings_are_accepted_by_the_program(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    for name, service in services(compose, ours=True):
        if "entrypoint" in service or "build" in service:
            continue  # make-bucket, below; the other only says its version
        judged = subprocess.run(
            [sys.executable, "-m", "audio_processor", "check-config", "--json"],
            env={"PATH": os.defpath, "PYTHONPATH": str(ROOT), **service["environment"]},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert judged.returncode == 0, f"{name}: {judged.stdout}{judged.stderr}"
        said = json.loads(judged.stdout)
        told = json.dumps(said)
        assert service["environment"]["AUDIO_PROCESSOR__DATABASE__HOST"] in told
        assert service["environment"]["AUDIO_PROCESSOR__DATABASE__PASSWORD"] not in told


def test_its_own_defaults_are_what_each_database_is_made_with(compose: dict[str, Any]) -> None:
    made = {
        "worker": compose["services"]["postgresql"]["environment"],
        "worker-mariadb": compose["services"]["mariadb"]["environment"],
    }
    for name, there in made.items():
        told = compose["services"][name]["environment"]
        for key in ("USER", "PASSWORD"):
            (given,) = [there[one] for one in there if one.split("_", 1)[1] == key]
            assert told[f"AUDIO_PROCESSOR__DATABASE__{key}"] == given
        assert told["AUDIO_PROCESSOR__DATABASE__NAME"] in there.values()


def test_a_worker_is_given_the_time_that_its_drain_may_take(compose: dict[str, Any]) -> None:
    read_timeout_s = Settings().storage.read_timeout_s
    for name, service in workers(compose).items():
        drain_s = float(service["environment"]["AUDIO_PROCESSOR__WORKER__DRAIN_TIMEOUT_S"])
        grace_s = float(service["stop_grace_period"].removesuffix("s"))
        assert grace_s >= drain_s + read_timeout_s, name


def test_scratch_is_a_workers_own_and_not_the_root(compose: dict[str, Any]) -> None:
    for name, service in workers(compose).items():
        assert service["volumes"] == ["/var/lib/audio-processor"], name
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "install -d -o 10001 -g 10001 -m 0750 /var/lib/audio-processor" in dockerfile


def test_prometheus_scrapes_every_kind_of_worker_where_it_serves(compose: dict[str, Any]) -> None:
    told = yaml.safe_load((ROOT / "compose" / "prometheus.yml").read_text())
    scraped = {
        (name, discovery["port"])
        for job in told["scrape_configs"]
        for discovery in job.get("dns_sd_configs", ())
        for name in discovery["names"]
    }
    port = Settings().worker.health_port
    assert scraped == {(name, port) for name in workers(compose)}
    targets = [one["target"] for one in compose["services"]["prometheus"]["configs"]]
    assert set(told["rule_files"]) <= set(targets)


def test_grafana_is_given_the_dashboard_and_where_its_figures_are(compose: dict[str, Any]) -> None:
    (source,) = yaml.safe_load((ROOT / "compose" / "grafana-datasources.yml").read_text())[
        "datasources"
    ]
    assert source["url"].removeprefix("http://").split(":")[0] in compose["services"]
    (folder,) = yaml.safe_load((ROOT / "compose" / "grafana-dashboards.yml").read_text())[
        "providers"
    ]
    targets = [one["target"] for one in compose["services"]["grafana"]["configs"]]
    assert any(target.startswith(folder["options"]["path"]) for target in targets)


# ── the bucket ───────────────────────────────────────────────────────────────────────────


def test_the_buckets_are_made_once_and_found_the_next_time(
    compose: dict[str, Any], s3_server: S3Server
) -> None:
    service = compose["services"]["bucket"]
    there = {
        "AUDIO_PROCESSOR__STORAGE__ENDPOINT_URL": s3_server.endpoint_url,
        "AUDIO_PROCESSOR__STORAGE__REGION": s3_server.region,
        "AUDIO_PROCESSOR__STORAGE__ACCESS_KEY_ID": s3_server.access_key,
        "AUDIO_PROCESSOR__STORAGE__SECRET_ACCESS_KEY": s3_server.secret_key,
    }
    setting = "AUDIO_PROCESSOR__STORAGE__BUCKET"
    wanted = {one["environment"][setting] for one in workers(compose).values()}
    assert set(service["command"]) == wanted
    for answer in ("made", "there already"):
        made = subprocess.run(
            [sys.executable, ROOT / "compose" / "make-bucket.py", *service["command"]],
            env={"PATH": os.defpath, **service["environment"], **there},
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stderr
        assert made.stdout.splitlines() == [f"{name}: {answer}" for name in service["command"]]
    assert wanted <= {one["Name"] for one in s3_server.client().list_buckets()["Buckets"]}
