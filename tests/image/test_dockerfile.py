"""The Dockerfile and its scripts, by what can be judged without building."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from audio_processor.health import serve_health
from audio_processor.media import argv
from audio_processor.telemetry import Metrics
from tests.servers.daemon import free_port

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"
BINARIES = Path(sys.executable).parent
HEALTHCHECK = ROOT / "image" / "healthcheck.py"
SCRIPTS = sorted(
    path
    for folder in ("image", "tests/image", "tools", ".ci")
    for path in (ROOT / folder).iterdir()
    if path.is_file() and path.read_bytes().startswith((b"#!/usr/bin/env bash", b"#!/bin/sh"))
)
PARTS = {"mov": {"mov", "mp4", "m4a", "3gp", "3g2", "mj2"}, "matroska": {"matroska", "webm"}}
"""FFmpeg's demuxers that answer to several names."""


def instructions() -> list[tuple[str, str]]:
    """Every instruction with its arguments, continued lines joined."""
    joined = re.sub(
        r"\\\n", " ", re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    )
    return [
        (word, rest.strip())
        for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)
    ]


def of(word: str) -> list[str]:
    return [rest for name, rest in instructions() if name == word]


# ── linters ──────────────────────────────────────────────────────────────────────────────


def test_hadolint_has_nothing_to_say() -> None:
    judged = subprocess.run(
        [BINARIES / "hadolint", "--failure-threshold", "style", DOCKERFILE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (judged.returncode, judged.stdout) == (0, "")


def test_hadolint_would_object_to_what_we_must_not_do(tmp_path: Path) -> None:
    spoiled = tmp_path / "Dockerfile"
    spoiled.write_text(DOCKERFILE.read_text().replace("tini=0.19.*", "tini"))
    judged = subprocess.run(
        [BINARIES / "hadolint", spoiled], capture_output=True, text=True, check=False
    )
    assert "DL3008" in judged.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_has_nothing_to_say(script: Path) -> None:
    judged = subprocess.run(
        [BINARIES / "shellcheck", "--severity=warning", script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (judged.returncode, judged.stdout) == (0, "")
    assert "set -euo pipefail" in script.read_text()


# ── what is promised ─────────────────────────────────────────────────────────────────────


def test_the_base_is_pinned_by_an_exact_version() -> None:
    (default,) = [arg for arg in of("ARG") if arg.startswith("BASE_IMAGE=")]
    assert re.fullmatch(r"BASE_IMAGE=debian:\d+\.\d+-slim", default)
    foreign = [name for name in of("FROM") if name.split()[0] not in {"base", "runtime"}]
    assert foreign == ["${BASE_IMAGE} AS base"]


def test_every_package_of_apt_is_pinned() -> None:
    installed = [run for run in of("RUN") if "apt-get -qq install" in run]
    assert installed
    for run in installed:
        names = run.split("--no-install-recommends")[1].split("&&")[0].split()
        assert names
        assert all("=" in name for name in names), names


def test_packages_of_pip_come_by_hash_and_as_wheels() -> None:
    script = (ROOT / "image" / "install.sh").read_text()
    installs = re.findall(r"^\s*(?:\S+=\S+ )?pip .*\binstall (?:.*\\\n)*.*$", script, re.MULTILINE)
    assert len(installs) == 4
    *packages, program = installs
    assert all("--require-hashes" in one and "--only-binary :all:" in one for one in packages)
    assert "--no-deps" in program
    assert "--no-build-isolation" in program


def test_traces_can_be_had_and_are_not_unless_asked_for() -> None:
    stage = DOCKERFILE.read_text().split(" AS python\n")[1].split("\nFROM ")[0]
    assert stage.index("ARG WITH_OTEL=0") < stage.index("./install.sh packages")
    installed = (ROOT / "image" / "install.sh").read_text()
    asked = re.search(
        r'if \[ "\$\{WITH_OTEL:-0\}" = 1 \]; then\n(.*?)\n    fi', installed, re.DOTALL
    )
    assert asked
    assert "--requirement requirements-otel.lock" in asked[1]
    assert installed.count("requirements-otel.lock") == 1
    locked = {
        name: dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "requirements-otel.lock")
    }
    both = locked["requirements.lock"].keys() & locked["requirements-otel.lock"].keys()
    assert both
    for name in both:  # or the second install would change what the tests ran with
        assert locked["requirements.lock"][name] == locked["requirements-otel.lock"][name]
    wanted = re.findall(r"^([\w.-]+)==", (ROOT / "requirements-otel.txt").read_text(), re.MULTILINE)
    assert wanted
    assert set(wanted) <= locked["requirements-otel.lock"].keys()


def test_the_image_runs_as_a_numeric_user_under_an_init_and_is_watched() -> None:
    last = [name for name, _ in instructions()][::-1].index("FROM")
    stage = instructions()[-last:]
    assert ("USER", "10001:10001") in stage
    # what comes after USER needs no right
    after = [name for name, _ in stage[stage.index(("USER", "10001:10001")) :]]
    assert not {"RUN", "COPY", "ADD"} & set(after)
    assert ("ENTRYPOINT", '["/usr/bin/tini", "--", "audio-processor"]') in stage
    assert ("CMD", '["run"]') in stage
    assert any(name == "HEALTHCHECK" and 'CMD ["healthcheck"]' in rest for name, rest in stage)
    labels = " ".join(rest for name, rest in stage if name == "LABEL")
    for label in ("title", "description", "licenses", "version", "revision", "created", "source"):
        assert f"org.opencontainers.image.{label}=" in labels


def test_what_is_copied_is_there_and_is_sent_to_the_builder() -> None:
    sent = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = {
        source
        for rest in of("COPY")
        if "--from=" not in rest
        for source in [word for word in rest.split() if not word.startswith("--")][:-1]
    }
    assert {source.split("/")[0] for source in copied} == sent
    assert all((ROOT / source).exists() for source in copied)


def test_the_images_version_is_the_packages() -> None:
    project = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert project
    assert f"VERSION={project[1]}" in of("ARG")


# ── FFmpeg ───────────────────────────────────────────────────────────────────────────────


def listed(name: str) -> set[str]:
    script = (ROOT / "image" / "build-ffmpeg.sh").read_text()
    found = re.search(rf"^{name}=\((.*?)\)$", script, re.MULTILINE | re.DOTALL)
    assert found, name
    return set(re.sub(r"#.*", "", found[1]).split())


def test_ffmpeg_is_built_with_the_decoders_that_uploads_are_opened_with() -> None:
    assert listed("decoders") == set(argv.DECODERS)


def test_ffmpeg_is_built_with_the_containers_that_uploads_may_have() -> None:
    named = {alias for name in listed("demuxers") for alias in PARTS.get(name, {name})}
    assert named - {"pcm_f32le", "mpegps"} == set(argv.DEMUXERS) - {"mpeg"}


def test_ffmpeg_is_built_with_what_the_program_writes() -> None:
    """Every ``-f`` of the package's argument lists, whether for reading or for writing."""
    named = set()
    for module in (ROOT / "audio_processor").rglob("*.py"):
        text = module.read_text()
        if "supervisor" in text or module.name == "argv.py":
            named |= set(re.findall(r'"-f", "(\w+)"', text))
            named |= set(re.findall(r'\bformat="(\w+)"', text))
    named = {{"f32le": "pcm_f32le"}.get(name, name) for name in named}
    assert {"hls", "ipod", "adts", "aac", "pcm_f32le"} <= named, "the search has lost its way"
    assert named <= listed("muxers") | listed("demuxers")


def test_ffmpeg_is_7_or_later() -> None:
    (version,) = [arg for arg in of("ARG") if arg.startswith("FFMPEG_VERSION=")]
    assert int(re.split(r"[:.]", version.partition("=")[2])[1]) >= 7


# ── HEALTHCHECK ──────────────────────────────────────────────────────────────────────────


def healthcheck(port: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, HEALTHCHECK],
        env={"AUDIO_PROCESSOR__WORKER__HEALTH_PORT": str(port)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def live_worker() -> SimpleNamespace:
    import time

    return SimpleNamespace(last_loop_at=time.monotonic(), hindrance="draining")


def served(worker: SimpleNamespace, stuck_after_s: float) -> Iterator[int]:
    with serve_health(
        worker, Metrics(), host="127.0.0.1", port=free_port(), stuck_after_s=stuck_after_s
    ) as port:
        yield port


def test_a_turning_claim_loop_is_healthy_though_not_ready(live_worker: SimpleNamespace) -> None:
    for port in served(live_worker, stuck_after_s=600.0):
        judged = healthcheck(port)
        assert judged.returncode == 0, judged
        assert judged.stdout.startswith("200 ")


def test_a_stuck_claim_loop_is_not_healthy(live_worker: SimpleNamespace) -> None:
    for port in served(live_worker, stuck_after_s=0.0):
        judged = healthcheck(port)
        assert judged.returncode == 1
        assert judged.stdout.startswith("503 ")


def test_nobody_at_the_port_is_not_healthy() -> None:
    judged = healthcheck(free_port())
    assert judged.returncode == 1
    assert "127.0.0.1" in judged.stderr
