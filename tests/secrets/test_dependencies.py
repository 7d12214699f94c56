"""What is installed is what was locked: the same versions, the same bytes, nothing beside them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
SETS = (
    "requirements",
    "requirements-otel",
    "requirements-dev",
    "requirements-build",
    "requirements-audit",
    "requirements-docs",
)
ENTRY = re.compile(
    r"^(?P<spec>[^\s#-][^\\\n]*?) \\\n(?P<hashes>(?:    --hash=.*\n?)+)", re.MULTILINE
)


def wanted(name: str) -> list[Requirement]:
    """What a set asks for, those of the sets that it includes too."""
    found: list[Requirement] = []
    for line in (ROOT / f"{name}.txt").read_text().splitlines():
        if line.startswith("-r "):
            found += wanted(line.removeprefix("-r ").removesuffix(".txt"))
        elif line and not line.startswith("#"):
            found.append(Requirement(line))
    return found


def locked(name: str) -> dict[str, Requirement]:
    entries = ENTRY.finditer((ROOT / f"{name}.lock").read_text())
    parsed = [Requirement(entry["spec"]) for entry in entries]
    return {canonicalize_name(requirement.name): requirement for requirement in parsed}


def version_of(requirement: Requirement) -> Version:
    """The one version that the requirement admits."""
    [pin] = requirement.specifier
    assert pin.operator == "=="
    return Version(pin.version)


@pytest.mark.parametrize("name", SETS)
def test_everything_that_is_asked_for_is_locked_as_it_is_pinned(name: str) -> None:
    there = locked(name)
    assert wanted(name)
    for requirement in wanted(name):
        assert version_of(there[canonicalize_name(requirement.name)]) == version_of(requirement)


@pytest.mark.parametrize("name", SETS)
def test_a_lock_holds_pins_with_hashes_and_nothing_else(name: str) -> None:
    text = (ROOT / f"{name}.lock").read_text()
    assert ENTRY.sub("", text).strip() == ""
    for entry in ENTRY.finditer(text):
        assert version_of(Requirement(entry["spec"]))
        hashes = [line.strip(" \\") for line in entry["hashes"].splitlines()]
        assert hashes and all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in hashes)


def test_both_sets_of_the_program_mean_the_same_versions() -> None:
    development = locked("requirements-dev")
    for name, requirement in locked("requirements").items():
        assert development[name].specifier == requirement.specifier


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_a_lock_leaves_nothing_to_be_resolved(name: str) -> None:
    """What each locked package itself asks for is locked too, at a version that it takes."""
    there = locked(name)
    for requirement in there.values():
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        for text in metadata.requires(requirement.name) or ():
            needed = Requirement(text)
            if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
                continue
            answer = there[canonicalize_name(needed.name)]
            assert needed.specifier.contains(version_of(answer), prereleases=True), needed


def test_what_is_installed_is_what_is_locked() -> None:
    for requirement in locked("requirements-dev").values():
        if requirement.marker is None or requirement.marker.evaluate():
            installed = Version(metadata.version(requirement.name))
            assert installed == version_of(requirement), requirement.name


# ── the set-up itself ────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as ``tools/setup.sh`` expects it, whose only packages lie beside it."""
    folder = tmp_path_factory.mktemp("house")
    (folder / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "setup.sh", folder / "tools")
    (folder / "wheels").mkdir()
    for name in ("honest", "stranger"):
        wheel = folder / "wheels" / f"{name}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(f"{name}.py", "")
            info = f"{name}-1.0.dist-info"
            archive.writestr(
                f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
            )
            archive.writestr(
                f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            archive.writestr(f"{info}/RECORD", "")
    return folder


def set_up(house: Path, lock: str) -> subprocess.CompletedProcess[str]:
    (house / "some.lock").write_text(lock)
    index = {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(house / "wheels"),
        "PIP_CONFIG_FILE": os.devnull,
    }
    return subprocess.run(
        [str(house / "tools" / "setup.sh"), "some.lock", ".venv/.stamp"],
        env={**os.environ, **index, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )


def installed(house: Path, name: str) -> bool:
    argv = [str(house / ".venv/bin/python"), "-c", f"import {name}"]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def digest(house: Path, name: str) -> str:
    return hashlib.sha256(
        (house / "wheels" / f"{name}-1.0-py3-none-any.whl").read_bytes()
    ).hexdigest()


def test_set_up_takes_no_file_but_the_one_that_was_locked(house: Path) -> None:
    forged = set_up(house, f"honest==1.0 --hash=sha256:{digest(house, 'stranger')}\n")
    assert forged.returncode != 0
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in forged.stderr
    assert not installed(house, "honest")

    unlocked = set_up(house, "stranger==1.0\n")
    assert unlocked.returncode != 0
    assert "hashes are required" in unlocked.stderr.lower()
    assert not installed(house, "stranger")

    set_up(house, f"honest==1.0 --hash=sha256:{digest(house, 'honest')}\n")
    assert installed(house, "honest")
    assert not (house / ".venv/.stamp").exists(), "without what builds the package it is not done"


# ── the audit's verdict ──────────────────────────────────────────────────────────────────

CLEAN = '{"name": "a", "version": "1", "vulns": []}'
SKIPPED = '{"name": "b", "skip_reason": "not found"}'
VULNERABLE = '{"name": "c", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}'


@pytest.mark.parametrize(
    ("packages", "exit_code", "says"),
    [
        ([CLEAN], 0, "nothing is known against the 1 packages"),
        ([CLEAN, SKIPPED], 3, "1 of 2 packages could not be looked up here"),
        ([CLEAN, SKIPPED, VULNERABLE], 1, "c 1: PYSEC-1, fixed in 2"),
        ([], 3, "0 of 0 packages could not be looked up here"),
        (None, 3, "the advisories cannot be had here (1: no route)"),
    ],
    ids=["clean", "skipped", "vulnerable", "empty", "no-report"],
)
def test_a_package_that_was_not_looked_up_is_not_called_safe(
    packages: list[str] | None, exit_code: int, says: str, tmp_path: Path
) -> None:
    report, log = tmp_path / "report.json", tmp_path / "log"
    if packages is not None:
        report.write_text(f'{{"dependencies": [{", ".join(packages)}], "fixes": []}}')
    log.write_text("Traceback\nno route\n")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools/audit_verdict.py"), str(report), str(log), "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (exit_code, "")
    assert says in done.stdout
